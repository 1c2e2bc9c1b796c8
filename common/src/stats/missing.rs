//! Derives from packet numbers why packets of a frame are missing.

use std::ops::Range;

use super::sequence::SequenceTracker;
use super::socket_drops::{LossCause, SocketDrops};
use super::unsent::UnsentRanges;
use crate::wire::native::Channel;

/// Everything known about missing packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct MissingPackets<'a> {
    /// Packet numbers by channel, in the order of [`Channel`].
    pub(super) numbers: &'a [SequenceTracker; 3],
    pub(super) drops: &'a SocketDrops,
    pub(super) unsent: &'a UnsentRanges,
    /// First media packet in the counts, and one above the last.
    pub(super) media: (u64, u64),
}

/// What is known about missing packets in a range of media packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// Why they are missing; `None` if none is known to be.
    pub(super) cause: Option<LossCause>,
    /// Number of missing packets.
    pub(super) count: u64,
    /// Whether the range is empty or extends beyond the packets known to have
    /// been sent.
    pub(super) unknown: bool,
}

impl MissingPackets<'_> {
    /// Returns what is known about a range of media packets.
    pub(super) fn of(&self, range: Range<u64>) -> Missing {
        let (first, sent) = self.media;
        let mut missing = Missing {
            unknown: range.end > sent || range.is_empty(),
            ..Missing::default()
        };
        let start = range.start.max(first);
        let end = range.end.min(sent).max(start);
        let media = &self.numbers[Channel::Media as usize];
        let sure = media.sure_from().clamp(start, end);
        self.add(start..sure, None, &mut missing);
        for (gap_start, gap) in media.gaps_in(sure..end) {
            let clipped = gap_start.max(sure)..gap.end.min(end);
            self.add(clipped, gap.drop_event, &mut missing);
        }
        missing
    }

    fn add(&self, gap: Range<u64>, drop_event: Option<u64>, missing: &mut Missing) {
        let left = self.left(Channel::Media, gap.clone());
        let unsent = self.unsent(Channel::Media, &gap);
        let cause = || {
            self.drops
                .cause(drop_event, |channel, gap| self.left(channel, gap))
        };
        missing.count += left + unsent;
        let causes = [
            (unsent > 0).then_some(LossCause::SendError),
            (left > 0).then(cause),
        ];
        for cause in causes.into_iter().flatten() {
            missing.cause = Some(missing.cause.map_or(cause, |before| before.and(cause)));
        }
    }

    /// Number of packets of a range that were sent and are missing.
    fn left(&self, channel: Channel, range: Range<u64>) -> u64 {
        let unsent = self.unsent(channel, &range);
        self.numbers[channel as usize].missing_in(range) - unsent
    }

    /// Number of packets of a range that were never sent.
    fn unsent(&self, channel: Channel, range: &Range<u64>) -> u64 {
        match channel {
            Channel::Media => {
                let missing = self.numbers[channel as usize].missing_in(range.clone());
                self.unsent.count_in(range).min(missing)
            }
            Channel::Repair | Channel::Control => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::PacketNumber;

    /// Media packets `numbers` arrive, in this order, of `sent` sent.
    fn received(numbers: &[u64], sent: u64) -> [SequenceTracker; 3] {
        let mut all: [SequenceTracker; 3] = Default::default();
        let media = &mut all[Channel::Media as usize];
        for number in numbers {
            media.insert(PacketNumber(*number));
        }
        media.reveal(sent, None);
        all
    }

    fn of(packets: &MissingPackets<'_>, range: Range<u64>) -> (u64, Option<LossCause>, bool) {
        let missing = packets.of(range);
        (missing.count, missing.cause, missing.unknown)
    }

    #[test]
    fn each_missing_packet_has_its_cause_and_beyond_the_last_report_nothing_is_known() {
        let (drops, mut unsent) = (SocketDrops::default(), UnsentRanges::default());
        unsent.record(6..7);
        let packets = MissingPackets {
            numbers: &received(&[0, 1, 4, 5], 8),
            drops: &drops,
            unsent: &unsent,
            media: (0, 8),
        };
        assert_eq!(of(&packets, 0..2), (0, None, false));
        assert_eq!(of(&packets, 0..4), (2, Some(LossCause::Network), false));
        assert_eq!(of(&packets, 6..7), (1, Some(LossCause::SendError), false));
        assert_eq!(of(&packets, 2..8), (4, Some(LossCause::Unknown), false));
        assert_eq!(of(&packets, 7..9), (1, Some(LossCause::Network), true));
        assert_eq!(of(&packets, 3..3), (0, None, true));
    }

    #[test]
    fn packets_from_before_joining_do_not_count_and_reordered_ones_do() {
        let packets = MissingPackets {
            numbers: &received(&[5], 6),
            drops: &SocketDrops::default(),
            unsent: &UnsentRanges::default(),
            media: (3, 6),
        };
        assert_eq!(of(&packets, 0..6), (2, Some(LossCause::Network), false));
    }

    #[test]
    fn packets_that_a_report_overtook_are_missing_although_they_are_in_no_gap() {
        let mut numbers: [SequenceTracker; 3] = Default::default();
        let media = &mut numbers[Channel::Media as usize];
        media.begin_at(8);
        for number in [3, 6, 9] {
            media.insert(PacketNumber(number));
        }
        let packets = MissingPackets {
            numbers: &numbers,
            drops: &SocketDrops::default(),
            unsent: &UnsentRanges::default(),
            media: (3, 10),
        };
        assert_eq!(of(&packets, 3..7), (2, Some(LossCause::Network), false));
        assert_eq!(of(&packets, 7..10), (2, Some(LossCause::Network), false));
    }

    #[test]
    fn a_gap_of_as_many_packets_as_the_socket_dropped_was_dropped_there() {
        let mut numbers = received(&[0, 1], 2);
        let mut drops = SocketDrops::default();
        drops.record(2);
        let event = drops.take(Channel::Media);
        numbers[Channel::Media as usize].insert_in(PacketNumber(4), event);
        drops.record_gap(event, Channel::Media, 2..4);
        let packets = MissingPackets {
            numbers: &numbers,
            drops: &drops,
            unsent: &UnsentRanges::default(),
            media: (0, 5),
        };
        assert_eq!(of(&packets, 2..4), (2, Some(LossCause::Socket), false));
        drops.record(1);
        let packets = MissingPackets {
            numbers: &numbers,
            drops: &drops,
            unsent: &UnsentRanges::default(),
            media: (0, 5),
        };
        // The third dropped packet may be one of these; then one of them was
        // lost.
        assert_eq!(of(&packets, 2..4), (2, Some(LossCause::Unknown), false));
    }
}
