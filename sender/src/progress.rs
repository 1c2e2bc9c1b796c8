//! The progress line and the summary. Each number is a field of the statistics, or its difference
//! to that of the previous line.

use std::time::Duration;

use framegram_cli::numbers::{self, or_none};
use framegram_common::stats::{Outcome, Statistics, ViewerFigures};
use log::debug;

/// Rates are averaged over at least this time, so that they are steady.
const RATED_OVER: Duration = Duration::from_secs(1);

/// When the next line is due and what it says.
pub(crate) struct Progress {
    interval: Duration,
    started: Duration,
    due: Duration,
    /// Time, frames and bytes sent at the start of the averaging period.
    since: (Duration, u64, u64),
    rates: Option<(f64, f64)>,
}

impl Progress {
    pub(crate) fn new(interval: Duration, now: Duration) -> Self {
        Self {
            interval,
            started: now,
            due: now + interval,
            since: (now, 0, 0),
            rates: None,
        }
    }

    /// When the next line is due.
    pub(crate) fn due(&self) -> Duration {
        self.due
    }

    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now >= self.due
    }

    /// The line at `now`.
    pub(crate) fn line(&mut self, statistics: &Statistics, now: Duration) -> String {
        self.due = now + self.interval;
        let frames = statistics.frames.sent.unwrap_or(0);
        let bytes = statistics.bytes.sent.unwrap_or(0);
        let (since, frames_then, bytes_then) = self.since;
        let time = now.saturating_sub(since);
        if time >= RATED_OVER {
            let seconds = time.as_secs_f64();
            let growth = |now: u64, then: u64| now.saturating_sub(then) as f64 / seconds;
            self.rates = Some((growth(frames, frames_then), growth(bytes, bytes_then) * 8.0));
            self.since = (now, frames, bytes);
            log(statistics);
        }
        let mut parts = vec![
            clock(now.saturating_sub(self.started)),
            match frames {
                1 => "1 frame".into(),
                _ => format!("{frames} frames"),
            },
        ];
        if let Some((fps, bitrate)) = self.rates {
            parts.push(format!("{fps:.1} fps"));
            parts.push(format!("{:.2} Mbit/s", bitrate / 1e6));
        }
        if let Some(quality) = statistics.stream.quality {
            parts.push(format!("quality {quality}"));
        }
        if let Some(replaced @ 1..) = statistics.outcomes[Outcome::Replaced] {
            parts.push(format!("{replaced} replaced"));
        }
        parts.push(viewers(statistics));
        parts.join(", ")
    }
}

/// Logs what changed since the previous line.
fn log(statistics: &Statistics) {
    let stream = &statistics.stream;
    debug!(
        "{}x{}, quality {}, {} bytes sent",
        or_none(stream.width),
        or_none(stream.height),
        or_none(stream.quality),
        or_none(statistics.bytes.sent)
    );
    for viewer in &statistics.viewers {
        debug!(
            "viewer {}: present {}, share of packets lost {}, RTT in ms {}, frames shown {}",
            viewer.viewer,
            viewer.present,
            or_none(viewer.packets_lost()),
            or_none(viewer.rtt_ms),
            or_none(viewer.frames.shown)
        );
    }
}

/// Describes the viewers in a few words.
fn viewers(statistics: &Statistics) -> String {
    let present = statistics.viewers.iter().filter(|viewer| viewer.present);
    let worst = present
        .clone()
        .filter_map(ViewerFigures::packets_lost)
        .max_by(f64::total_cmp);
    match (present.count(), worst.map(|loss| 100.0 * loss)) {
        (count @ 2.., Some(loss)) => {
            format!("{count} viewers, packets lost up to {loss:.2} %")
        }
        _ => match loss(statistics) {
            Some(loss) => format!("packets lost {loss:.2} %"),
            // RTCP reports nothing else.
            None => match statistics.packets.lost {
                Some(lost) => format!("{lost} packets lost"),
                None => "no viewer reports".into(),
            },
        },
    }
}

/// The summary of what was sent, followed by a line for each viewer.
pub(crate) fn summary(statistics: &Statistics) -> String {
    let mut lines = vec![sent(statistics)];
    lines.extend(stages(statistics));
    lines.extend(
        statistics
            .viewers
            .iter()
            .map(|viewer| row(viewer, statistics)),
    );
    lines.join("\n")
}

/// The time from capture until a frame was sent.
fn stages(statistics: &Statistics) -> Option<String> {
    let delays = &statistics.delays_ms;
    let (encoded, sent) = (delays.capture_to_encoded?, delays.encoded_to_sent?);
    Some(format!(
        "  encoded {:.1} ms after capture (95 %: {:.1}), sent {:.1} ms later (95 %: {:.1})",
        encoded.p50, encoded.p95, sent.p50, sent.p95
    ))
}

/// A viewer's last report.
fn row(viewer: &ViewerFigures, statistics: &Statistics) -> String {
    let address = statistics
        .stream
        .addresses
        .get(usize::from(viewer.destination))
        // When a connected viewer has left, another may take its slot.
        .filter(|_| viewer.present || statistics.admission.is_none());
    let frames = &viewer.frames;
    let count = |number: Option<u64>| number.unwrap_or(0);
    let missed = [
        frames.lost,
        frames.incomplete,
        viewer.outcomes[Outcome::Late],
        viewer.outcomes[Outcome::Undecodable],
    ];
    let mut parts = vec![
        format!("{} frames shown", count(frames.shown)),
        format!("{} of them intact", count(frames.intact)),
        match missed.into_iter().flatten().sum::<u64>() {
            1 => "1 frame lost".into(),
            lost => format!("{lost} frames lost"),
        },
    ];
    if let Some(loss) = viewer.packets_lost() {
        let causes = [
            (viewer.packets.socket_dropped, "in its socket buffer"),
            (viewer.packets.corrupt, "corrupt"),
        ];
        let causes = causes.map(|(packets, cause)| (count(packets), cause));
        let told = causes.iter().filter(|(packets, _)| *packets > 0);
        let told: Vec<_> = told
            .map(|(packets, cause)| format!("{packets} {cause}"))
            .collect();
        let told = match told.join(", ") {
            none if none.is_empty() => none,
            causes => format!(" ({causes})"),
        };
        parts.push(format!("packets lost {:.2} %{told}", 100.0 * loss));
    }
    parts.extend(
        viewer
            .latency_ms
            .map(|delay| format!("delay p95 {:.1} ms", delay.p95)),
    );
    parts.extend(viewer.rtt_ms.map(|rtt| format!("RTT {rtt:.1} ms")));
    if !viewer.present {
        parts.push("gone before the end".into());
    }
    format!(
        "  viewer {}{}: {}",
        viewer.viewer.get(..4).unwrap_or_default(),
        address.map_or_else(String::new, |address| format!(" at {address}")),
        parts.join(", ")
    )
}

fn sent(statistics: &Statistics) -> String {
    let loss = loss(statistics).map_or(String::new(), |loss| format!(", packets lost {loss:.2} %"));
    let failed = match statistics.packets.send_errors {
        None | Some(0) => String::new(),
        Some(failed) => format!(" ({failed} more could not be sent)"),
    };
    let unreadable = match statistics.frames.unreadable {
        None | Some(0) => String::new(),
        Some(unreadable) => format!(" ({unreadable} more could not be read)"),
    };
    let to = match statistics.stream.addresses.join(" ") {
        none if none.is_empty() => "nobody".into(),
        addresses => addresses,
    };
    format!(
        "sent {} of {} frames{unreadable}, {} bytes in {} datagrams{failed}, to {to}{loss}",
        statistics.frames.sent.unwrap_or(0),
        statistics.frames.captured.unwrap_or(0),
        statistics.bytes.sent.unwrap_or(0),
        statistics.packets.sent.unwrap_or(0),
    )
}

/// The packets lost in percent, as counted by the only viewer.
fn loss(statistics: &Statistics) -> Option<f64> {
    statistics
        .packets
        .missing_share()
        .map(|share| 100.0 * share)
}

fn clock(time: Duration) -> String {
    let tenths = time.subsec_millis() / 100;
    format!("{}.{tenths}", numbers::clock(time.as_secs()))
}

#[cfg(test)]
mod tests {
    use framegram_common::stats::{Frames, Packets, Percentiles};

    use super::*;

    #[test]
    fn the_line_has_rates_of_the_last_second_and_packets_lost_if_known() {
        let second = Duration::from_secs(1);
        let mut progress = Progress::new(second, 100 * second);
        let mut statistics = Statistics::default();
        statistics.frames.sent = Some(30);
        statistics.bytes.sent = Some(250_000);
        assert!(!progress.is_due(100 * second));
        assert_eq!(
            progress.line(&statistics, 101 * second),
            "0:01.0, 30 frames, 30.0 fps, 2.00 Mbit/s, no viewer reports"
        );
        statistics.frames.sent = Some(55);
        statistics.bytes.sent = Some(375_000);
        statistics.stream.quality = Some(80);
        statistics.packets.lost = Some(1);
        statistics.packets.received = Some(399);
        assert_eq!(
            progress.line(&statistics, 102 * second),
            "0:02.0, 55 frames, 25.0 fps, 1.00 Mbit/s, quality 80, packets lost 0.25 %"
        );
    }

    #[test]
    fn says_how_long_frames_took_until_they_were_sent() {
        let mut statistics = Statistics::default();
        assert_eq!(summary(&statistics).lines().count(), 1);
        let median = |p50: f64| {
            Some(Percentiles {
                p50,
                p95: 2.0 * p50,
                ..Percentiles::default()
            })
        };
        statistics.delays_ms.capture_to_encoded = median(4.0);
        statistics.delays_ms.encoded_to_sent = median(0.1);
        assert_eq!(
            summary(&statistics).lines().nth(1),
            Some("  encoded 4.0 ms after capture (95 %: 8.0), sent 0.1 ms later (95 %: 0.2)")
        );
    }

    fn viewer(number: u8, lost: u64) -> ViewerFigures {
        ViewerFigures {
            viewer: format!("{number:02x}23456789abcdef0"),
            present: true,
            frames: Frames {
                shown: Some(99 - lost),
                intact: Some(98 - lost),
                lost: Some(lost),
                incomplete: Some(1),
                ..Frames::default()
            },
            packets: Packets {
                received: Some(1000 - lost),
                lost: Some(lost),
                corrupt: Some(0),
                socket_dropped: Some(0),
                ..Packets::default()
            },
            ..ViewerFigures::default()
        }
    }

    #[test]
    fn has_a_row_for_each_viewer() {
        let mut statistics = Statistics::default();
        statistics.stream.addresses = vec!["127.0.0.1:5005".into()];
        statistics.viewers = vec![viewer(1, 0), viewer(2, 20)];
        statistics.viewers[1].present = false;
        let rows: Vec<_> = summary(&statistics)
            .lines()
            .skip(1)
            .map(String::from)
            .collect();
        assert_eq!(
            rows,
            [
                "  viewer 0123 at 127.0.0.1:5005: 99 frames shown, 98 of them intact, 1 frame lost, \
                 packets lost 0.00 %",
                "  viewer 0223 at 127.0.0.1:5005: 79 frames shown, 78 of them intact, 21 frames lost, \
                 packets lost 2.00 %, gone before the end",
            ]
        );
        assert_eq!(viewers(&statistics), "no viewer reports");
        statistics.viewers[1].present = true;
        assert_eq!(viewers(&statistics), "2 viewers, packets lost up to 2.00 %");
    }

    #[test]
    fn the_line_and_the_row_have_the_same_share_of_packets_lost() {
        let mut statistics = Statistics::default();
        statistics.frames.sent = Some(1);
        let mut heard = viewer(1, 10);
        heard.packets.received = Some(960);
        // The corrupt packets are among the lost ones.
        heard.packets.lost = Some(20);
        heard.packets.corrupt = Some(10);
        heard.packets.socket_dropped = Some(20);
        statistics.packets = heard.packets.clone();
        statistics.viewers = vec![heard];
        let line = Progress::new(Duration::ZERO, Duration::ZERO).line(&statistics, Duration::ZERO);
        assert_eq!(line, "0:00.0, 1 frame, packets lost 4.00 %");
        let said = summary(&statistics);
        let (first, row) = said.split_once('\n').unwrap();
        assert!(first.ends_with(", packets lost 4.00 %"), "{first}");
        let lost = "packets lost 4.00 % (20 in its socket buffer, 10 corrupt)";
        assert!(row.contains(lost), "{row}");
    }

    #[test]
    fn writes_times_as_a_clock_does() {
        assert_eq!(clock(Duration::from_millis(65_250)), "1:05.2");
        assert_eq!(clock(Duration::from_secs(3_725)), "1:02:05.0");
    }
}
