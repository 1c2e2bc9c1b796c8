//! Checks that the figures of a report add up. Counts of packets and frames occur
//! several times in a report, and one of them was compared with the logs.

use framegram_common::stats::Outcome;

use super::compare::Comparison;
use super::report::{CheckedReport, CheckedTimeline};

impl Comparison {
    /// Checks a report, whose figures must be the sums of its accounts.
    pub(super) fn of_report(report: &CheckedReport) -> Self {
        let mut all = Self::default();
        let accounts = &report.accounts;
        if report.stream.followed != accounts.len() as u64 {
            let listed = accounts.len();
            let note = format!("the report has accounts of only the newest {listed} streams");
            all.notes.push(note);
            return all;
        }
        let channels = || accounts.iter().flat_map(|account| &account.channels);
        let sent: u64 = channels().map(|it| it.end - it.first).sum();
        let send_errors: u64 = accounts.iter().map(|it| it.send_errors).sum();
        let lost: u64 = accounts.iter().map(|it| it.lost).sum();
        let dropped: u64 = accounts.iter().map(|it| it.socket_dropped).sum();
        let shared = report.shared_drops();
        let sums = [
            ("sent", sent.saturating_sub(send_errors)),
            ("received", channels().map(|it| it.received).sum()),
            ("duplicate", channels().map(|it| it.duplicate).sum()),
            ("reordered", channels().map(|it| it.reordered).sum()),
            ("lost", lost.saturating_sub(shared)),
            ("corrupt", accounts.iter().map(|it| it.corrupt).sum()),
            ("socket_dropped", dropped + shared),
        ];
        for (name, sum) in sums {
            // Without a sender report, the number of packets sent is unknown.
            if let Some(measured) = report.packets(name) {
                all.demand(&format!("packets.{name}"), measured, sum);
            }
        }
        // The outcome `not_sent` also includes frames that could not be encoded.
        if send_errors == 0 {
            let frames = accounts.iter();
            let frames = frames.map(|it| it.end_frame.saturating_sub(it.first_frame));
            let ended = report.outcomes(|it| is_own(it) && it != Outcome::NotSent);
            all.demand("the sum of outcomes", ended, frames.sum());
        }
        all.demand_pattern(report);
        all.demand_frames(report);
        if let Some(timeline) = &report.timeline {
            all.demand_timeline(report, timeline);
        }
        all
    }

    /// The loss pattern must cover the media packets, all of which are compared
    /// with the log.
    fn demand_pattern(&mut self, report: &CheckedReport) {
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

    /// Frame counts must equal the sums of outcomes.
    fn demand_frames(&mut self, report: &CheckedReport) {
        let unsent = unsent(report);
        let own = report.outcomes(|it| is_own(it) && it != Outcome::NotSent) + unsent;
        let lacking = |it: Outcome| {
            let spoilt = [Outcome::Corrupt, Outcome::TailUnknown].contains(&it);
            it != Outcome::NotSent && (it.lacks_packets() || spoilt)
        };
        let missed = [report.frames("lost"), report.frames("incomplete")];
        let missed = missed.into_iter().flatten().reduce(u64::saturating_add);
        let before = report.outcomes(|it| it == Outcome::BeforeJoining);
        let sums = [
            (
                "shown",
                report.frames("shown"),
                report.outcomes(Outcome::is_shown),
            ),
            (
                "intact",
                report.frames("intact"),
                report.outcomes(Outcome::is_intact),
            ),
            ("sent", report.frames("sent"), own + before),
            (
                "lost and frames.incomplete",
                missed,
                report.outcomes(lacking) + unsent,
            ),
        ];
        for (name, measured, sum) in sums {
            if let Some(measured) = measured {
                self.demand(&format!("frames.{name}"), measured, sum);
            }
        }
    }

    /// The timeline must have as many letters and list as many frames as outcomes
    /// tell.
    fn demand_timeline(&mut self, report: &CheckedReport, timeline: &CheckedTimeline) {
        for outcome in Outcome::all() {
            let key = outcome.key();
            let counted = match outcome {
                // Only some of these frames have a number, and so a letter.
                Outcome::NotSent => unsent(report),
                Outcome::BeforeJoining | Outcome::Replaced => continue,
                _ => report.outcomes(|it| it == outcome),
            };
            if outcome.lacks_packets() && timeline.lossy_frames_unlisted == 0 {
                let listed = timeline.lossy_frames.iter();
                let listed = listed.filter(|frame| frame.outcome == key).count() as u64;
                self.demand(&format!("outcomes.{key}"), counted, listed);
            }
            if timeline.frames_per_letter == 1 {
                let letters = timeline.outcomes.chars();
                let letters = letters.filter(|letter| *letter == outcome.info().letter);
                let name = format!("timeline.outcomes {}", outcome.info().letter);
                self.demand(&name, letters.count() as u64, counted);
            }
        }
    }
}

/// Whether frames with this outcome are in the viewer's counts.
fn is_own(outcome: Outcome) -> bool {
    !matches!(outcome, Outcome::BeforeJoining | Outcome::Replaced)
}

/// Frames with a number that the sender's operating system rejected.
fn unsent(report: &CheckedReport) -> u64 {
    let unnumbered = report.frames("not_sent").unwrap_or(0);
    let all = report.outcomes(|it| it == Outcome::NotSent);
    all.saturating_sub(unnumbered)
}
