//! Packet counts of a stream: the range that counts, and the figures.

use std::ops::Range;

use super::{Counters, Insertion, SequenceTracker};
use crate::seq::PacketNumber;
use crate::stats::loss_pattern::percentiles;
use crate::stats::{LossPattern, Percentiles};
use crate::wire::native::{Channel, SenderReport};

/// Loss of the packets that carry frames and parity, before any repair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LossCounts {
    /// Packets from the first received to the highest received.
    pub(crate) expected: u64,
    /// Of these, packets that were sent and not received.
    pub(crate) missing: u64,
    /// Runs of missing packets, counted when the next packet arrived.
    pub(crate) gaps: u64,
}

/// Packets of all channels:
/// expected = received + lost + `socket_dropped` + `send_errors`.
pub(super) struct PacketCounts {
    pub(super) expected: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) duplicate: u64,
    pub(super) reordered: u64,
    pub(super) socket_dropped: u64,
    /// Packets that the sender's operating system rejected.
    pub(super) send_errors: u64,
}

impl Counters {
    /// Number of repair packets received.
    pub(crate) fn repair_received(&self) -> u64 {
        self.numbers(Channel::Repair).received()
    }

    /// One above the highest number received on a channel; 0 before the first.
    pub(crate) fn received_to(&self, channel: Channel) -> u64 {
        self.numbers(channel).next()
    }

    /// One above the highest number known to have been sent on a channel.
    pub(crate) fn sent(&self, channel: Channel) -> u64 {
        let told = self.totals().map_or(0, |totals| counted(totals, channel));
        self.received_to(channel).max(told)
    }

    /// One above the highest number known of a channel, even from before this
    /// side joined.
    pub(crate) fn reached(&self, channel: Channel) -> u64 {
        self.sent(channel).max(self.passed.end(channel as usize))
    }

    /// Loss of media and repair packets, outages excluded.
    pub(crate) fn loss_counts(&self) -> LossCounts {
        let mut counts = LossCounts::default();
        for channel in [Channel::Media, Channel::Repair] {
            let numbers = self.numbers(channel);
            let expected = numbers.next() - numbers.first().unwrap_or(0);
            counts.expected += expected;
            counts.missing += expected - numbers.received();
            counts.gaps += numbers.gaps();
        }
        // Parity does not help against outages.
        let outages = &self.outages;
        counts.expected = counts.expected.saturating_sub(outages.expected);
        counts.missing = counts
            .missing
            .saturating_sub(outages.missing + self.send_errors());
        counts.gaps = counts.gaps.saturating_sub(outages.gaps);
        counts
    }

    /// Counts a packet number and the gap that it reveals.
    pub(super) fn record_number(&mut self, channel: Channel, number: PacketNumber) -> Insertion {
        let start = self.range(channel).start;
        let numbers = &mut self.numbers[channel as usize];
        if number.0 < numbers.next() || !numbers.is_plausible(number) {
            return numbers.insert(number);
        }
        if channel == Channel::Media {
            self.pattern.advance(numbers, start, number.0);
        }
        let event = self.drops.take(channel);
        let gap = numbers.revealed()..number.0;
        let first = numbers.first().is_none();
        let resumes = std::mem::take(&mut self.resuming[channel as usize]);
        if resumes && !first && channel != Channel::Control {
            let missing = number.0 - numbers.next();
            self.outages.expected += missing;
            self.outages.missing += missing;
            self.outages.gaps += u64::from(missing > 0);
        }
        let arrival = numbers.insert_in(number, event);
        if !first || self.from_start {
            self.drops.record_gap(event, channel, gap);
        }
        arrival
    }

    /// Range of packet numbers in the counts of a channel.
    pub(super) fn range(&self, channel: Channel) -> Range<u64> {
        let numbers = self.numbers(channel);
        let of = |totals: &SenderReport| counted(totals, channel);
        let joined = self.totals.as_ref().map(|(joined, _)| of(joined));
        let first = match (self.from_start, numbers.first(), joined) {
            (true, _, _) => 0,
            // Packets sent before the first sender report count from the first
            // one received. Earlier ones may predate joining.
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
        let send_errors = self.send_errors().min(missing);
        let missing = missing - send_errors;
        let still = |channel: Channel, gap| self.numbers(channel).missing_in(gap);
        let dropped = self.socket_dropped - self.drops.unseen(still).min(self.socket_dropped);
        let socket_dropped = dropped.min(missing);
        PacketCounts {
            expected,
            received,
            lost: missing - socket_dropped,
            duplicate: sum(SequenceTracker::duplicate),
            reordered: sum(SequenceTracker::reordered),
            socket_dropped,
            send_errors,
        }
    }

    /// Packets that the sender numbered but could not send.
    fn send_errors(&self) -> u64 {
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

    /// Reordering extents over all channels.
    pub(super) fn reordering_extent(&self) -> Option<Percentiles> {
        let mut all = None;
        for extents in self.numbers.iter().filter_map(SequenceTracker::extents) {
            match &mut all {
                None => all = Some(extents.clone()),
                // All have the same bounds, so adding cannot fail.
                Some(all) => all.add(extents).unwrap_or_default(),
            }
        }
        all.as_ref().map(percentiles)
    }
}

/// The sender's packet count of a channel.
pub(super) fn counted(totals: &SenderReport, channel: Channel) -> u64 {
    match channel {
        Channel::Media => totals.media,
        Channel::Repair => totals.repair,
        Channel::Control => totals.control,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_in_an_outage_count_as_lost_and_do_not_raise_parity() {
        let mut counters = Counters::new(7);
        for number in 0..1_000 {
            // One packet in a hundred is lost, and all in an outage.
            if number % 100 == 50 {
                continue;
            }
            if number == 400 {
                counters.record_outage();
            }
            if !(200..400).contains(&number) {
                counters.record_number(Channel::Media, PacketNumber(number));
            }
        }
        let counts = counters.loss_counts();
        assert_eq!((counts.expected, counts.missing, counts.gaps), (800, 8, 8));
        assert_eq!(counters.packets().lost, 208);
    }
}
