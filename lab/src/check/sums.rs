//! Whether the figures of a report add up: each count of packets and frames is
//! told several times, and one of them was compared with the logs.

use framegram_common::stats::Outcome;
use framegram_common::timeline::letter;

use super::compare::{Comparison, LOSSES};
use super::report::{Course, Report};

impl Comparison {
    /// Of a report, whose figures are the sums of its accounts.
    pub(super) fn of_report(report: &Report) -> Self {
        let mut all = Self::default();
        if report.stream.followed != report.accounts.len() as u64 {
            let listed = report.accounts.len();
            let note = format!("the report has accounts of the newest {listed} streams alone");
            all.notes.push(note);
            return all;
        }
        let accounts = report.accounts.iter();
        let channels = || report.accounts.iter().flat_map(|account| &account.channels);
        let refused = accounts.clone().map(|it| it.not_sent).sum::<u64>();
        let lost: u64 = accounts.clone().map(|it| it.lost).sum();
        let dropped: u64 = accounts.clone().map(|it| it.socket_dropped).sum();
        let shared = report.shared_drops();
        let sums = [
            (
                "sent",
                channels()
                    .map(|it| it.end - it.first)
                    .sum::<u64>()
                    .saturating_sub(refused),
            ),
            ("received", channels().map(|it| it.received).sum()),
            ("duplicate", channels().map(|it| it.duplicate).sum()),
            ("reordered", channels().map(|it| it.reordered).sum()),
            ("lost", lost.saturating_sub(shared)),
            ("corrupt", accounts.clone().map(|it| it.corrupt).sum()),
            ("socket_dropped", dropped + shared),
        ];
        for (name, sum) in sums {
            // Without totals of the sender, what was sent is unknown.
            if let Some(measured) = report.packets(name) {
                all.demand(&format!("packets.{name}"), measured, sum);
            }
        }
        // Frames that were not sent are those of the encoder, too.
        if refused == 0 {
            let frames = accounts.map(|it| it.end_frame.saturating_sub(it.first_frame));
            let outcomes = OUTCOMES.iter().map(|outcome| report.outcome(outcome));
            all.demand("the sum of outcomes", outcomes.sum(), frames.sum());
        }
        all.demand_pattern(report);
        all.demand_frames(report);
        if let Some(course) = &report.course {
            all.demand_course(report, course);
        }
        all
    }

    /// The pattern of loss is that of the media packets, all of which are
    /// compared with the log.
    fn demand_pattern(&mut self, report: &Report) {
        let Some(pattern) = &report.loss_pattern else {
            return;
        };
        let channels = report.accounts.iter().flat_map(|account| &account.channels);
        let media = channels.filter(|it| it.channel == "media");
        let packets = media.clone().map(|it| it.end - it.first).sum();
        self.demand("loss_pattern.packets", pattern.packets, packets);
        let missing = media.map(|it| it.missing).sum();
        self.demand("loss_pattern.lost", pattern.lost, missing);
    }

    /// Frames are counted by their outcomes.
    fn demand_frames(&mut self, report: &Report) {
        for (name, outcomes) in FRAMES {
            if let Some(measured) = report.frames(name) {
                let sum = outcomes.iter().map(|outcome| report.outcome(outcome)).sum();
                self.demand(&format!("frames.{name}"), measured, sum);
            }
        }
        if let Some(sent) = report.frames("sent") {
            let outcomes = OUTCOMES.into_iter().chain(["before_joining"]);
            let sum = outcomes.map(|outcome| report.outcome(outcome)).sum::<u64>() + unsent(report);
            self.demand("frames.sent", sent, sum);
        }
        if let Some((lost, incomplete)) = report.frames("lost").zip(report.frames("incomplete")) {
            let outcomes = LOSSES.into_iter().chain(["tail_unknown"]);
            let sum = outcomes.map(|outcome| report.outcome(outcome)).sum::<u64>() + unsent(report);
            let name = "frames.lost and frames.incomplete";
            self.demand(name, lost.saturating_add(incomplete), sum);
        }
    }

    /// Frames are marked and listed by their outcomes.
    fn demand_course(&mut self, report: &Report, course: &Course) {
        if course.hits_unlisted == 0 {
            for outcome in LOSSES {
                let listed = course
                    .hits
                    .iter()
                    .filter(|hit| hit.outcome == outcome)
                    .count() as u64;
                self.demand(
                    &format!("outcomes.{outcome}"),
                    report.outcome(outcome),
                    listed,
                );
            }
        }
        if course.frames_per_mark != 1 {
            return;
        }
        for outcome in Outcome::ALL {
            let letter = letter(outcome);
            let of_outcome = match outcome {
                // Of these a mark is there only where something arrived.
                Outcome::BeforeJoining => continue,
                Outcome::NotSent => unsent(report),
                _ => report.outcome(outcome.name()),
            };
            let marks = course.marks.chars().filter(|mark| *mark == letter).count() as u64;
            self.demand(&format!("course.marks {letter}"), marks, of_outcome);
        }
    }
}

/// Frames that have a number, and were refused by the sender's system.
fn unsent(report: &Report) -> u64 {
    let unnumbered = report.frames("not_sent").unwrap_or(0);
    report.outcome("not_sent").saturating_sub(unnumbered)
}

/// Frames that are counted by these outcomes alone.
const FRAMES: [(&str, &[&str]); 10] = [
    (
        "shown",
        &[
            "intact_parity",
            "intact_retransmission",
            "intact_unrepaired",
            "concealed",
        ],
    ),
    (
        "intact",
        &[
            "intact_parity",
            "intact_retransmission",
            "intact_unrepaired",
        ],
    ),
    ("repaired_by_parity", &["intact_parity"]),
    ("repaired_by_retransmission", &["intact_retransmission"]),
    ("concealed", &["concealed"]),
    ("late", &["late"]),
    ("skipped", &["skipped"]),
    ("undecodable", &["undecodable"]),
    ("before_joining", &["before_joining"]),
    ("replaced", &["replaced"]),
];

/// The outcomes of all frames that a viewer is accountable for.
const OUTCOMES: [&str; 13] = [
    "lost_network",
    "lost_socket",
    "lost_unknown",
    "corrupt",
    "late",
    "undecodable",
    "skipped",
    "concealed",
    "intact_parity",
    "intact_retransmission",
    "intact_unrepaired",
    "open",
    "tail_unknown",
];
