//! Compares what was measured with what was injected.

use std::collections::BTreeMap;

use framegram_common::stats::{Account, ChannelAccount, Outcome};

use super::expected::{ChannelPackets, ExpectedStream, LoggedFrame};
use super::report::{CheckedFrame, CheckedReport, CheckedTimeline};

/// A figure, measured and injected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Figure {
    pub(super) name: String,
    pub(super) measured: u64,
    pub(super) injected: u64,
}

/// The comparison of a stream or of a whole report.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Figures for the table.
    pub(super) figures: Vec<Figure>,
    /// Other differences, as text.
    pub(super) differences: Vec<String>,
    /// What was not compared, and why.
    pub(super) notes: Vec<String>,
}

impl Comparison {
    /// Compares one stream.
    pub(super) fn of_stream(
        account: &Account,
        expected: &ExpectedStream,
        report: &CheckedReport,
    ) -> Self {
        let mut all = Self::default();
        let shared = report.shared_drops();
        let blind = account.socket_dropped + shared > 0 && !expected.behind_socket;
        if blind && shared > 0 {
            all.notes.push(format!(
                "{shared} datagrams were dropped in the socket buffer that the senders share; the \
                 sender's log does not show them, so only packets sent are compared"
            ));
        } else if blind {
            all.notes.push(format!(
                "{} datagrams were dropped in the viewer's socket buffer; the sender's log does not \
                 show them, so only losses on the way are compared, and those only if nothing was \
                 duplicated or corrupted",
                account.socket_dropped
            ));
        }
        all.compare_packets(account, expected, blind, shared > 0);
        let [before, after] = expected.outside;
        if before > 0 {
            all.notes
                .push(format!("sent before joining: {before} packets"));
        }
        if after > 0 {
            all.notes.push(format!(
                "sent after the last sender report that arrived, so unknown to the viewer: {after} \
                 packets"
            ));
        }
        let unknown = if account.send_errors > 0 {
            Some("the sender's operating system rejected some of their packets")
        } else if blind || expected.unplaced > 0 {
            Some("the log does not say what some packets carried")
        } else {
            None
        };
        match (&report.timeline, unknown) {
            (None, _) => all.notes.push("the report lists no frames".to_owned()),
            (_, Some(why)) => all.notes.push(format!("frames are not compared: {why}")),
            (Some(timeline), None) => all.compare_frames(account, expected, timeline),
        }
        all
    }

    /// Number of figures that differ.
    pub(super) fn differing(&self) -> usize {
        let figures = self.figures.iter();
        figures.filter(|it| it.measured != it.injected).count() + self.differences.len()
    }

    fn compare_packets(
        &mut self,
        account: &Account,
        expected: &ExpectedStream,
        blind: bool,
        shared: bool,
    ) {
        let sum = |of: fn(&ChannelPackets) -> u64| expected.packets.iter().map(of).sum::<u64>();
        let own = |of: fn(&ChannelAccount) -> u64| account.channels.iter().map(of).sum();
        let absent = sum(|it| it.absent);
        if absent > 0 && expected.behind_socket {
            self.notes.push(format!(
                "lost before they reached the viewer, and counted as lost: {absent} packets"
            ));
        }
        // The viewer's log cannot distinguish socket drops from packets that
        // never reached the machine.
        let named = sum(|it| it.send_errors);
        let (others, dropped) = if expected.behind_socket {
            let unnamed = account.send_errors.saturating_sub(named);
            (absent.saturating_sub(unnamed), account.socket_dropped)
        } else {
            self.demand("send errors", account.send_errors, named);
            (0, 0)
        };
        let numbered = if expected.behind_socket { 0 } else { absent };
        let sent = sum(|it| it.sent) - numbered;
        self.show("packets sent", own(|it| it.end - it.first), sent);
        if !blind {
            self.show("received", own(|it| it.received), sum(|it| it.received));
        }
        if !blind || (expected.plain && !shared) {
            let lost = sum(|it| it.lost) + others;
            self.show("lost", account.lost + dropped, lost);
        }
        if blind {
            return;
        }
        let (least, most) = expected.corrupt.clone().into_inner();
        self.show(
            "corrupt",
            account.corrupt,
            account.corrupt.clamp(least, most),
        );
        self.show("duplicate", own(|it| it.duplicate), sum(|it| it.duplicate));
        self.show("reordered", own(|it| it.reordered), sum(|it| it.reordered));
        for (channel, injected) in account.channels.iter().zip(&expected.packets) {
            let missing = injected.sent.saturating_sub(injected.received);
            for (what, measured, injected) in [
                ("received", channel.received, injected.received),
                ("missing", channel.missing, missing),
                ("duplicate", channel.duplicate, injected.duplicate),
                ("reordered", channel.reordered, injected.reordered),
            ] {
                self.demand(
                    &format!("{} packets {what}", channel.channel),
                    measured,
                    injected,
                );
            }
        }
    }

    fn compare_frames(
        &mut self,
        account: &Account,
        expected: &ExpectedStream,
        timeline: &CheckedTimeline,
    ) {
        let own = timeline.lossy_frames.iter();
        let lossy: BTreeMap<u64, &CheckedFrame> = own
            .filter(|frame| frame.stream == account.stream)
            .map(|frame| (frame.frame, frame))
            .collect();
        let complete = timeline.lossy_frames_unlisted == 0;
        let known = |frame: u64| expected.frames.get(&u32::try_from(frame).ok()?);
        let frames = account.end_frame.saturating_sub(account.first_frame);
        self.show("frames", frames, expected.seen);
        if complete {
            let measured = lossy
                .keys()
                .filter(|frame| known(**frame).is_some())
                .count() as u64;
            let injected = expected.frames.values().filter(|it| it.lost > 0).count() as u64;
            self.show("frames that lost chunks", measured, injected);
            let chunks = |frame: &&CheckedFrame| {
                let all = known(frame.frame).map(|it| u64::from(it.chunks));
                all.map(|all| frame.chunks_lost.unwrap_or(all).min(u32::MAX.into()))
            };
            let measured = lossy.values().filter_map(chunks).sum();
            let injected = expected.frames.values().map(|it| u64::from(it.lost)).sum();
            self.show("chunks lost", measured, injected);
        } else {
            self.notes.push(format!(
                "the report lists only {} of the frames that lost chunks; the others are not compared",
                timeline.lossy_frames.len()
            ));
        }
        for (number, frame) in &expected.frames {
            let listed = lossy.get(&u64::from(*number)).copied();
            let what = differs(frame, listed, complete, account.socket_dropped > 0);
            self.differences
                .extend(what.map(|what| format!("frame {number} {what}")));
        }
    }

    /// Adds a figure to the table.
    fn show(&mut self, name: &str, measured: u64, injected: u64) {
        self.figures.push(Figure {
            name: name.to_owned(),
            measured,
            injected,
        });
    }

    /// Compares a figure that is printed only if it differs.
    pub(super) fn demand(&mut self, name: &str, measured: u64, injected: u64) {
        if measured != injected {
            self.differences
                .push(format!("{name}: measured {measured}, injected {injected}"));
        }
    }
}

/// Describes how the report of a frame, or its absence, differs from what was
/// injected.
fn differs(
    frame: &LoggedFrame,
    listed: Option<&CheckedFrame>,
    complete: bool,
    dropped: bool,
) -> Option<String> {
    let lost = u64::from(frame.lost);
    let Some(listed) = listed else {
        return (complete && lost > 0)
            .then(|| format!("lost {lost} chunks, but is not in the report"));
    };
    let measured = listed.chunks_lost.unwrap_or(frame.chunks.into());
    if measured != lost {
        return Some(format!("lost {lost} chunks, measured {measured}"));
    }
    let outcome = Outcome::all().find(|outcome| outcome.key() == listed.outcome);
    let right = match outcome {
        None => false,
        Some(Outcome::IntactUnrepaired) => lost == 0,
        Some(Outcome::LostSocket | Outcome::LostUnknown) => lost > 0 && dropped,
        Some(outcome) => lost > 0 || !outcome.lacks_packets(),
    };
    (!right).then(|| format!("is {}, and lost {lost} chunks", listed.outcome))
}
