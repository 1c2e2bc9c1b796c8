//! The final report as text: the verdict, where most frames were lost, and the
//! figures.

use framegram_cli::numbers::{bit_rate, count, percent, seconds};
use framegram_common::Statistics;
use framegram_common::stats::{Outcome, Packets};
use framegram_lab::timecode::summary;

use super::advice::{Advice, place};
use super::verdict::{no_frame, verdict};
use super::{delays, share};

/// The report, line by line.
pub fn lines(statistics: &Statistics, advice: &Advice) -> Vec<String> {
    let mut lines = verdict_and_place(statistics, advice);
    lines.extend(frames(statistics));
    lines.extend(holes(statistics));
    lines.extend(tail(statistics));
    lines.extend(packets(&statistics.packets));
    lines.extend(delays::lines(statistics));
    lines.extend(
        statistics
            .timecode
            .as_ref()
            .map(|it| format!("  timecode: {}", summary(it))),
    );
    lines.extend(rate(statistics));
    lines
}

/// The report of several senders: each sender, then all together.
pub fn lines_of_tiles(each: &[Statistics], all: &Statistics, advice: &Advice) -> Vec<String> {
    if each.is_empty() {
        return vec![no_frame(all)];
    }
    let mut report = Vec::new();
    let indented = |line: String| format!("  {line}");
    for (tile, statistics) in each.iter().enumerate() {
        let from = statistics.stream.addresses.join(", ");
        report.push(format!("Sender {}, {from}:", tile + 1));
        report.extend(lines(statistics, advice).into_iter().map(indented));
    }
    if each.len() > 1 {
        report.push(format!("All {} senders together:", each.len()));
        report.extend(lines_of_several(all, advice).into_iter().map(indented));
    }
    report
}

/// The report of all senders at one socket, line by line.
fn lines_of_several(all: &Statistics, advice: &Advice) -> Vec<String> {
    let mut lines = lines(all, advice);
    if nonzero(all.packets.socket_dropped).is_some() {
        lines.push(
            "  socket:  all senders share its buffer: whose packets it dropped cannot be told, so \
             each sender counts them as lost"
                .to_owned(),
        );
    }
    lines
}

/// The verdict, and where most of the losses happened and what to do about them.
pub fn verdict_and_place(statistics: &Statistics, advice: &Advice) -> Vec<String> {
    let mut lines = vec![verdict(statistics)];
    lines.extend(place(statistics, advice));
    lines
}

fn frames(statistics: &Statistics) -> Option<String> {
    let frames = &statistics.frames;
    let some = |outcome| nonzero(statistics.outcomes[outcome]);
    let parts = [
        ("sent", frames.sent),
        ("shown", frames.shown),
        ("lost completely", nonzero(frames.lost)),
        ("incomplete", nonzero(frames.incomplete)),
        ("not sent", nonzero(frames.not_sent)),
    ];
    let others = [
        Outcome::Late,
        Outcome::Undecodable,
        Outcome::Skipped,
        Outcome::BeforeJoining,
        Outcome::Replaced,
    ];
    let others = others.map(|outcome| (outcome.info().legend, some(outcome)));
    row("frames", &[&parts[..], &others].concat())
}

/// The frames shown with holes.
fn holes(statistics: &Statistics) -> Option<String> {
    let concealed = nonzero(statistics.outcomes[Outcome::Concealed])?;
    let stale = statistics.stale_share?;
    Some(format!(
        "  holes:   {} of those shown had holes, filled from the frame before ({} of the picture \
         on average)",
        count(concealed),
        percent(stale)
    ))
}

/// States that the end of the stream is unknown, after a stream without a bye.
fn tail(statistics: &Statistics) -> Option<String> {
    let counted = statistics.frames.sent.is_some() && statistics.stream.wire == Some("native");
    let unknown = statistics.frames.after_last_report.is_none();
    (counted && unknown).then(|| {
        "  tail:    no bye came: what was sent after the last sender report is unknown".to_owned()
    })
}

fn packets(packets: &Packets) -> Option<String> {
    let way = match (nonzero(packets.lost), packets.socket_dropped) {
        (Some(_), None) => "lost on the way or in the socket buffer",
        _ => "lost on the way",
    };
    let parts = [
        ("sent", packets.sent),
        ("received", packets.received),
        (way, packets.lost),
        ("dropped in the socket buffer", packets.socket_dropped),
        ("duplicate", nonzero(packets.duplicate)),
        ("reordered", nonzero(packets.reordered)),
        ("corrupt", nonzero(packets.corrupt)),
        ("malformed", nonzero(packets.malformed)),
        ("foreign", nonzero(packets.foreign)),
        ("unauthentic", nonzero(packets.unauthentic)),
        ("replayed", nonzero(packets.replayed)),
    ];
    let mut row = row("packets", &parts)?;
    if let Some(loss) = share(packets.lost, packets.sent).filter(|&loss| loss > 0.0) {
        row += &format!(" ({} {way})", percent(loss));
    }
    Some(row)
}

fn rate(statistics: &Statistics) -> Option<String> {
    let mut parts = vec![seconds(statistics.duration_s)];
    parts.extend(
        statistics
            .fps
            .map(|fps| format!("{fps:.2} frames per second")),
    );
    parts.extend(statistics.bitrate_bps.map(bit_rate));
    (statistics.duration_s > 0.0).then(|| format!("  rate:    {}", parts.join(", ")))
}

fn row(name: &str, parts: &[(&str, Option<u64>)]) -> Option<String> {
    let known: Vec<String> = parts
        .iter()
        .filter_map(|(name, number)| Some(format!("{} {name}", count((*number)?))))
        .collect();
    (!known.is_empty()).then(|| format!("  {:<8} {}", format!("{name}:"), known.join(", ")))
}

fn nonzero(number: Option<u64>) -> Option<u64> {
    number.filter(|&number| number > 0)
}

#[cfg(test)]
mod tests {
    use framegram_common::stats::{Frames, Percentiles};

    use super::*;

    fn clean() -> Statistics {
        Statistics {
            frames: Frames {
                sent: Some(1800),
                shown: Some(1800),
                intact: Some(1800),
                lost: Some(0),
                incomplete: Some(0),
                ..Frames::default()
            },
            outcomes: [Outcome::Late, Outcome::Skipped, Outcome::Undecodable]
                .map(|outcome| (outcome, 0))
                .into_iter()
                .collect(),
            packets: Packets {
                sent: Some(55_000),
                received: Some(55_000),
                lost: Some(0),
                socket_dropped: Some(0),
                ..Packets::default()
            },
            duration_s: 60.0,
            fps: Some(30.0),
            bitrate_bps: Some(8_765_432.0),
            jitter_ms: Some(0.1),
            latency_ms: Some(Percentiles {
                p50: 4.0,
                p95: 6.0,
                p99: 7.0,
                max: 12.0,
            }),
            ..Statistics::default()
        }
    }

    #[test]
    fn without_a_bye_the_tail_is_reported_as_unknown() {
        let mut statistics = clean();
        statistics.stream.wire = Some("native");
        let tail = |statistics: &Statistics| {
            let lines = lines(statistics, &Advice::default());
            lines.iter().any(|line| line.contains("no bye came"))
        };
        assert!(tail(&statistics));
        statistics.frames.after_last_report = Some(0);
        assert!(!tail(&statistics));
    }

    #[test]
    fn reports_the_stale_share_of_the_picture() {
        let mut statistics = clean();
        assert!(
            !lines(&statistics, &Advice::default())
                .join("\n")
                .contains("holes")
        );
        statistics.frames.intact = Some(1300);
        statistics.outcomes[Outcome::Concealed] = Some(500);
        statistics.stale_share = Some(0.072);
        let lines = lines(&statistics, &Advice::default());
        assert!(lines[0].contains("1,300 of them byte for byte as sent"));
        let holes = "  holes:   500 of those shown had holes, filled from the frame before \
                     (7.2 % of the picture on average)";
        assert!(lines.iter().any(|line| line == holes), "{lines:?}");
    }

    #[test]
    fn a_stream_without_loss_has_a_clean_verdict() {
        assert_eq!(
            lines(&clean(), &Advice::default()),
            [
                "No frame was lost: 1,800 of 1,800 shown, all byte for byte as sent.",
                "  frames:  1,800 sent, 1,800 shown",
                "  packets: 55,000 sent, 55,000 received, 0 lost on the way, \
                 0 dropped in the socket buffer",
                "  delay:   4.0 ms from capture to shown (95 %: 6.0, 99 %: 7.0, at most 12.0), \
                 jitter 0.10 ms",
                "  rate:    1:00, 30.00 frames per second, 8.8 Mbit/s",
            ]
        );
    }

    #[test]
    fn the_verdict_leads_and_says_where_it_was_lost() {
        let mut lossy = clean();
        lossy.frames.shown = Some(1700);
        lossy.frames.intact = Some(1700);
        lossy.frames.incomplete = Some(98);
        lossy.frames.lost = Some(2);
        lossy.packets.lost = Some(110);
        let text = lines(&lossy, &Advice::default());
        assert_eq!(
            text[0],
            "100 of 1,800 frames were lost (5.6 %): 1,700 shown, all byte for byte as sent."
        );
        assert!(
            text[1].contains("on the way here (110 packets"),
            "{}",
            text[1]
        );
        assert!(text[3].ends_with("(0.20 % lost on the way)"), "{}", text[3]);

        lossy.packets.socket_dropped = Some(1000);
        assert!(lines(&lossy, &Advice::default())[1].contains("--buffer"));

        (lossy.packets.lost, lossy.packets.corrupt) = (Some(1500), Some(1100));
        let told = &lines(&lossy, &Advice::default())[1];
        assert!(told.contains("arrived corrupt (1,100"), "{told}");

        lossy.outcomes[Outcome::Undecodable] = Some(4000);
        assert!(lines(&lossy, &Advice::default())[1].contains("cannot be decoded"));
    }

    #[test]
    fn without_figures_there_is_no_line() {
        assert_eq!(
            lines(&Statistics::default(), &Advice::default()),
            ["No frame arrived."]
        );
    }

    #[test]
    fn a_small_loss_is_not_shown_as_none() {
        assert_eq!(percent(0.0), "0 %");
        assert_eq!(percent(0.000_01), "< 0.01 %");
        assert_eq!(percent(0.001), "0.10 %");
        assert_eq!(percent(0.034), "3.4 %");
        assert_eq!(percent(0.9949), "99.5 %");
        assert_eq!(percent(0.9996), "> 99.9 %");
        assert_eq!(percent(1.0), "100 %");
    }

    #[test]
    fn numbers_and_times_are_readable() {
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(seconds(59.94), "59.9 s");
        assert_eq!(seconds(3_725.0), "1:02:05");
        assert_eq!(bit_rate(640_000.0), "640 kbit/s");
    }
}
