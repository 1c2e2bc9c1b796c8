//! The verdict on a stream: one sentence that says how many frames were lost.

use framegram_cli::numbers::{count, percent};
use framegram_common::Statistics;
use framegram_common::stats::{DiscardReason, Discarded, Outcome};

/// The verdict. It claims nothing about frames of which the format or a missing
/// bye leaves the number unknown.
pub(super) fn verdict(statistics: &Statistics) -> String {
    let frames = &statistics.frames;
    let settled = statistics.settled().unwrap_or(0);
    let missed = statistics.missed().unwrap_or(0);
    let skipped = statistics.outcomes[Outcome::Skipped].unwrap_or(0);
    if settled == 0 {
        return no_frame(statistics);
    }
    let told = frames.lost.is_some();
    let mut verdict = head(missed, settled, told);
    verdict += &shown(statistics, settled, told && missed == 0);
    if skipped > 0 {
        verdict += &format!("; {} skipped for a newer one", count(skipped));
    }
    if !told {
        verdict += "; how many were sent, this format does not tell";
    }
    if statistics.stream.silent {
        verdict += "; then the stream fell silent, without a bye";
    }
    verdict + "."
}

/// No frame arrived. States why, if datagrams arrived and the key is the reason.
pub(super) fn no_frame(statistics: &Statistics) -> String {
    let has_key = statistics.packets.unauthentic.is_some();
    let reasons = statistics.discarded.iter().filter_map(|of| {
        let (what, advice) = match of.reason {
            DiscardReason::Key if has_key => (
                "are not encrypted with this viewer's key",
                "give both programs the same --key-file, or this viewer the --sdp of the sender's \
                 last start",
            ),
            DiscardReason::Key => ("are encrypted", "give this viewer the sender's --key-file"),
            DiscardReason::Clear => (
                "are not encrypted",
                "start the sender with the same --key-file, or this viewer without",
            ),
            DiscardReason::Address | DiscardReason::Format | DiscardReason::Unknown => return None,
        };
        (of.datagrams >= ENOUGH).then_some((of, what, advice))
    });
    match reasons.max_by_key(|(of, ..)| of.datagrams) {
        Some((
            Discarded {
                datagrams, from, ..
            },
            what,
            advice,
        )) => format!(
            "No frame arrived: {} datagrams from {from} {what}; {advice}.",
            count(*datagrams)
        ),
        None => "No frame arrived.".to_owned(),
    }
}

/// One datagram may be a mistake.
const ENOUGH: u64 = 2;

fn head(missed: u64, settled: u64, told: bool) -> String {
    match (missed, told) {
        (0, true) => "No frame was lost: ".to_owned(),
        (0, false) => String::new(),
        (_, true) => format!(
            "{} of {} frames were lost ({}): ",
            count(missed),
            count(settled),
            percent(missed as f64 / settled as f64)
        ),
        (_, false) => format!(
            "{} of {} frames that came were lost: ",
            count(missed),
            count(settled)
        ),
    }
}

/// Frames shown, and how.
fn shown(statistics: &Statistics, settled: u64, of_all: bool) -> String {
    let frames = &statistics.frames;
    let shown = frames.shown.unwrap_or(0);
    let intact = frames.intact.unwrap_or(shown);
    let concealed = statistics.outcomes[Outcome::Concealed].unwrap_or(0);
    let mut text = count(shown);
    if of_all {
        text += &format!(" of {}", count(settled));
    }
    text += " shown";
    // RTP and bare JPEG do not carry the JPEG byte for byte.
    let how = match statistics.stream.wire {
        Some("rtp" | "raw") => "complete",
        _ => "byte for byte as sent",
    };
    text += &match (shown, intact) {
        (0, _) => String::new(),
        (1, 1) => format!(", {how}"),
        _ if intact == shown => format!(", all {how}"),
        _ => format!(", {} of them {how}", count(intact)),
    };
    if concealed > 0 {
        text += &format!(", {} with holes", count(concealed));
    }
    text
}

#[cfg(test)]
mod tests {
    use framegram_common::stats::Frames;

    use super::*;

    fn statistics(frames: Frames) -> Statistics {
        Statistics {
            frames,
            ..Statistics::default()
        }
    }

    #[test]
    fn without_a_total_the_verdict_claims_no_frame_was_safe() {
        let mut rtp = statistics(Frames {
            shown: Some(39),
            intact: Some(39),
            ..Frames::default()
        });
        rtp.stream.wire = Some("rtp");
        assert_eq!(
            verdict(&rtp),
            "39 shown, all complete; how many were sent, this format does not tell."
        );
    }

    #[test]
    fn holes_and_silence_are_part_of_it() {
        let mut cut = statistics(Frames {
            shown: Some(45),
            intact: Some(40),
            lost: Some(0),
            ..Frames::default()
        });
        cut.outcomes[Outcome::Concealed] = Some(5);
        cut.stream.silent = true;
        assert_eq!(
            verdict(&cut),
            "No frame was lost: 45 of 45 shown, 40 of them byte for byte as sent, 5 with holes; \
             then the stream fell silent, without a bye."
        );
    }

    #[test]
    fn a_key_that_differs_is_the_reason_why_no_frame_arrived() {
        let told = |reason, datagrams, unauthentic| {
            let mut none = Statistics::default();
            none.packets.unauthentic = unauthentic;
            none.discarded.push(Discarded {
                reason,
                format: None,
                datagrams,
                from: "192.0.2.1:5000".to_owned(),
            });
            verdict(&none)
        };
        let other = told(DiscardReason::Key, 1_200, Some(1_200));
        assert!(
            other.starts_with(
                "No frame arrived: 1,200 datagrams from 192.0.2.1:5000 are not encrypted with this \
                 viewer's key; give both programs the same --key-file"
            ),
            "{other}"
        );
        let without = told(DiscardReason::Key, 9, None);
        assert!(without.ends_with("are encrypted; give this viewer the sender's --key-file."));
        assert!(told(DiscardReason::Clear, 9, Some(9)).contains("are not encrypted; start"));
        assert_eq!(told(DiscardReason::Key, 1, Some(1)), "No frame arrived.");
        assert_eq!(told(DiscardReason::Unknown, 9, None), "No frame arrived.");
    }
}
