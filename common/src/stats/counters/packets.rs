//! The packets of a stream: what of them is accountable for, and its counts.

use std::ops::Range;

use super::{Arrival, Counters, SequenceTracker};
use crate::seq::PacketNumber;
use crate::stats::loss_pattern::percentiles;
use crate::stats::{LossPattern, Percentiles};
use crate::wire::native::{Channel, SenderReport};

/// Packets that carry frames, before any repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossCounts {
    /// From the first received to the highest received.
    pub expected: u64,
    /// Of these, not received, though they left the sender.
    pub missing: u64,
    /// Runs of packets that were missing when the next one came.
    pub gaps: u64,
}

/// Packets of all channels:
/// expected = received + lost + corrupt + `socket_dropped` + refused.
pub(super) struct PacketCounts {
    pub(super) expected: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) duplicate: u64,
    pub(super) reordered: u64,
    pub(super) corrupt: u64,
    pub(super) socket_dropped: u64,
    /// The sender's own system refused them.
    pub(super) refused: u64,
}

impl Counters {
    /// Repair packets received.
    #[must_use]
    pub fn repair_received(&self) -> u64 {
        self.numbers(Channel::Repair).received()
    }

    /// One above the highest number of a channel that was received; 0 before
    /// the first.
    #[must_use]
    pub fn received_to(&self, channel: Channel) -> u64 {
        self.numbers(channel).next()
    }

    /// One above the highest number of a channel that is known to have been
    /// used.
    #[must_use]
    pub fn sent(&self, channel: Channel) -> u64 {
        let told = self.totals().map_or(0, |totals| counted(totals, channel));
        self.received_to(channel).max(told)
    }

    /// What the numbers of media and repair packets say of loss.
    #[must_use]
    pub fn loss_counts(&self) -> LossCounts {
        let mut counts = LossCounts::default();
        for channel in [Channel::Media, Channel::Repair] {
            let numbers = self.numbers(channel);
            let expected = numbers.next() - numbers.first().unwrap_or(0);
            counts.expected += expected;
            counts.missing += expected - numbers.received();
            counts.gaps += numbers.gaps();
        }
        // Parity is of no use against those.
        counts.missing -= self.refused().min(counts.missing);
        counts
    }

    /// Counts the number of a packet, and what it shows to be missing.
    pub(super) fn note_number(&mut self, channel: Channel, number: PacketNumber) -> Arrival {
        let start = self.range(channel).start;
        let numbers = &mut self.numbers[channel as usize];
        if number.0 < numbers.next() || !numbers.is_plausible(number) {
            return numbers.note(number);
        }
        if channel == Channel::Media {
            self.pattern.advance(numbers, start, number.0);
        }
        let episode = self.causes.take(channel);
        let gap = numbers.revealed()..number.0;
        let first = numbers.first().is_none();
        let arrival = numbers.note_in(number, episode);
        if !first || self.from_start {
            self.causes.note_gap(episode, channel, gap);
        }
        arrival
    }

    /// The packet numbers of a channel that this side is accountable for.
    pub(super) fn range(&self, channel: Channel) -> Range<u64> {
        let numbers = self.numbers(channel);
        let of = |totals: &SenderReport| counted(totals, channel);
        let joined = self.totals.as_ref().map(|(joined, _)| of(joined));
        let first = match (self.from_start, numbers.first(), joined) {
            (true, _, _) => 0,
            // What was sent before the first totals and after the first packet
            // of another channel may have been before joining.
            (false, Some(first), Some(joined)) => first.min(joined),
            (false, first, joined) => first.or(joined).unwrap_or(0),
        };
        let first = first.max(self.passed.end(channel as usize));
        first..numbers.next().max(self.totals().map_or(0, of)).max(first)
    }

    pub(super) fn packets(&self) -> PacketCounts {
        let ranges = Channel::ALL.map(|channel| (channel, self.range(channel)));
        let sum = |of: fn(&SequenceTracker) -> u64| self.numbers.iter().map(of).sum();
        let expected = ranges
            .iter()
            .map(|(_, range)| range.end - range.start)
            .sum::<u64>();
        let received = sum(SequenceTracker::received);
        let missing = expected.saturating_sub(received);
        let claimed = self.claims.iter().filter(|(claimed, number)| {
            ranges
                .iter()
                .any(|(channel, range)| channel == claimed && range.contains(&number.0))
        });
        let refused = self.refused().min(missing);
        let missing = missing - refused;
        let corrupt = (claimed.count() as u64 + self.corrupt_besides).min(missing);
        let unseen = self.causes.dropped_unseen(|channel, range| {
            let received = self.numbers(channel).received_in(range.clone());
            (range.end - range.start).saturating_sub(received)
        });
        let dropped = self.socket_dropped.saturating_sub(unseen);
        let socket_dropped = dropped.min(missing - corrupt);
        PacketCounts {
            expected,
            received,
            lost: missing - corrupt - socket_dropped,
            duplicate: sum(SequenceTracker::duplicate),
            reordered: sum(SequenceTracker::reordered),
            corrupt,
            socket_dropped,
            refused,
        }
    }

    /// Packets that the sender counted and that did not leave.
    fn refused(&self) -> u64 {
        self.totals.as_ref().map_or(0, |(joined, last)| {
            let before = if self.from_start {
                0
            } else {
                joined.send_errors
            };
            last.send_errors.saturating_sub(before)
        })
    }

    pub(super) fn loss_pattern(&self) -> LossPattern {
        let range = self.range(Channel::Media);
        let numbers = self.numbers(Channel::Media);
        self.pattern.read(numbers, range.start, range.end)
    }

    /// How far packets were out of order, whatever their channel.
    pub(super) fn reordering_extent(&self) -> Option<Percentiles> {
        let mut all = None;
        for extents in self.numbers.iter().filter_map(SequenceTracker::extents) {
            match &mut all {
                None => all = Some(extents.clone()),
                // All have the same bounds: there is no other error.
                Some(all) => all.add(extents).unwrap_or_default(),
            }
        }
        all.as_ref().map(percentiles)
    }
}

/// What the sender's counts say of a channel.
pub(super) fn counted(totals: &SenderReport, channel: Channel) -> u64 {
    match channel {
        Channel::Media => totals.media,
        Channel::Repair => totals.repair,
        Channel::Control => totals.control,
    }
}
