//! The verdict on a stream: one sentence that says how many frames were lost.

use framegram_cli::numbers::{count, percent};
use framegram_common::Statistics;
use framegram_common::stats::Outcome;

/// The verdict. It claims nothing about frames of which the format or a missing
/// bye leaves the number unknown.
pub(super) fn verdict(statistics: &Statistics) -> String {
    let frames = &statistics.frames;
    let settled = statistics.settled().unwrap_or(0);
    let missed = statistics.missed().unwrap_or(0);
    let skipped = statistics.outcomes[Outcome::Skipped].unwrap_or(0);
    if settled == 0 {
        return "No frame arrived.".to_owned();
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
}
