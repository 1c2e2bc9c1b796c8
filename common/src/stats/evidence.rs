//! What the packet numbers tell of frames of which packets are missing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::attribution::{Cause, Causes};
use super::sequence::SequenceTracker;
use super::unsent::Refusals;
use crate::seq::PacketNumber;
use crate::wire::native::Channel;

/// Everything that is known of missing packets, lent out for a look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence<'a> {
    /// By channel, in the order of [`Channel`].
    pub(super) numbers: [&'a SequenceTracker; 3],
    pub(super) causes: &'a Causes,
    /// Damaged packets whose numbers are known.
    pub(super) claims: &'a BTreeSet<(Channel, PacketNumber)>,
    /// Packets that never left.
    pub(super) refusals: &'a Refusals,
    /// The media packets that this side is accountable for.
    pub(super) media: Accountable,
}

/// From the first to below the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Accountable {
    pub(super) start: u64,
    pub(super) end: u64,
}

/// What is known of the media packets of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// Why some are missing; `None` where none is known to be.
    pub(super) cause: Option<Cause>,
    /// How many are missing.
    pub(super) missing: u64,
    /// Whether some are beyond what is known to have been sent.
    pub(super) unknown: bool,
}

impl Evidence<'_> {
    /// What is known of a range of media packets.
    pub(super) fn verdict(&self, range: Range<u64>) -> Verdict {
        let unknown = range.end > self.media.end || range.is_empty();
        let start = range.start.max(self.media.start);
        let range = start..range.end.min(self.media.end).max(start);
        let mut verdict = Verdict {
            cause: None,
            missing: 0,
            unknown,
        };
        let media = self.numbers[Channel::Media as usize];
        let opened = media.opened().unwrap_or(range.end);
        // What was sent before the packet that was received first.
        let before = range.start..opened.clamp(range.start, range.end);
        let gaps = media.gaps_in(before.end..range.end);
        let gaps = gaps.map(|(start, gap)| {
            let clipped = start.max(before.end)..gap.end.min(range.end);
            (clipped, gap.episode)
        });
        for (gap, episode) in std::iter::once((before.clone(), None)).chain(gaps) {
            self.weigh(gap, episode, &mut verdict);
        }
        verdict
    }

    fn weigh(&self, gap: Range<u64>, episode: Option<u64>, verdict: &mut Verdict) {
        let length = gap.end.saturating_sub(gap.start);
        let media = self.numbers[Channel::Media as usize];
        let missing = length - media.received_in(gap.clone()).min(length);
        if missing == 0 {
            return;
        }
        let refused = self.refusals.count_in(&gap).min(missing);
        let refused_cause = (refused > 0).then_some(Cause::Refused);
        let named = self.claims_in(Channel::Media, gap).min(missing - refused);
        let named_cause = (named > 0).then_some(Cause::Corrupt);
        let unnamed = (missing > refused + named).then(|| {
            self.causes
                .cause(episode, |channel, range| self.unnamed(channel, range))
        });
        verdict.missing += missing;
        for cause in refused_cause.into_iter().chain(named_cause).chain(unnamed) {
            verdict.cause = Some(verdict.cause.map_or(cause, |before| before.and(cause)));
        }
    }

    /// How many packets of a range are missing, and not known as damaged or as
    /// never sent.
    fn unnamed(&self, channel: Channel, range: Range<u64>) -> u64 {
        let length = range.end.saturating_sub(range.start);
        let received = self.numbers[channel as usize].received_in(range.clone());
        let refused = match channel {
            Channel::Media => self.refusals.count_in(&range),
            Channel::Repair | Channel::Control => 0,
        };
        let named = self.claims_in(channel, range);
        length
            .saturating_sub(received)
            .saturating_sub(refused + named)
    }

    fn claims_in(&self, channel: Channel, range: Range<u64>) -> u64 {
        if range.is_empty() {
            return 0;
        }
        let first = (channel, PacketNumber(range.start));
        let end = (channel, PacketNumber(range.end));
        self.claims.range(first..end).count() as u64
    }
}
