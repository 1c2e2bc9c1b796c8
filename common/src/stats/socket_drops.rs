//! Finds which missing packets were dropped in the socket buffer.
//!
//! The kernel counts drops but does not say which datagrams they were. What is
//! known is the time: between two received datagrams. An event stays open until
//! every channel has received another packet. The event may explain the gaps that
//! these packets reveal, and no others. A packet that is reordered, found missing
//! and dropped only then counts as lost on the network.

use std::collections::VecDeque;
use std::ops::Range;

use crate::wire::native::Channel;

/// Upper bound on remembered events. The cause of gaps in older ones is unknown.
const MAX_EVENTS: usize = 256;

/// Upper bound on the gaps of one event: one per channel, and some revealed by
/// sender reports. With more, the event explains nothing for certain.
const MAX_EVENT_GAPS: usize = 64;

/// Why a packet is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossCause {
    /// It did not reach this machine intact.
    Network,
    /// It was dropped in this machine's socket buffer.
    Socket,
    /// It was never sent.
    SendError,
    /// One of several causes.
    Unknown,
}

impl LossCause {
    /// Common cause of two packets.
    pub(super) fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Unknown }
    }
}

/// The socket drops of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct SocketDrops {
    events: VecDeque<DropEvent>,
    /// Number of the first event in the queue.
    first: u64,
    /// For each channel, the event that its next gap belongs to.
    pending: [Option<u64>; 3],
}

#[derive(Clone, Debug, Default)]
struct DropEvent {
    dropped: u64,
    /// Some of the dropped datagrams may belong to other streams.
    of_others: bool,
    gaps: Vec<(Channel, Range<u64>)>,
}

impl SocketDrops {
    /// Records datagrams dropped in the socket buffer.
    pub(super) fn record(&mut self, datagrams: u64) {
        if datagrams > 0 {
            self.open().dropped += datagrams;
        }
    }

    /// Records drops in the buffer of a socket that several streams share. Whose
    /// datagrams were dropped is not known.
    pub(super) fn record_shared(&mut self) {
        self.open().of_others = true;
    }

    /// Takes the event that explains the gap before this channel's next packet.
    /// Later gaps belong to later events.
    pub(super) fn take(&mut self, channel: Channel) -> Option<u64> {
        self.pending[channel as usize].take()
    }

    /// Records a gap that an event may explain.
    pub(super) fn record_gap(&mut self, event: Option<u64>, channel: Channel, gap: Range<u64>) {
        let index = event.and_then(|number| self.index(number));
        let event = index.and_then(|index| self.events.get_mut(index));
        if let Some(event) = event.filter(|it| !gap.is_empty() && it.gaps.len() < MAX_EVENT_GAPS) {
            event.gaps.push((channel, gap));
        }
    }

    /// Cause of the packets of a gap that are still missing. `missing` counts the
    /// missing packets of a range.
    pub(super) fn cause(
        &self,
        event: Option<u64>,
        missing: impl Fn(Channel, Range<u64>) -> u64,
    ) -> LossCause {
        let Some(number) = event else {
            return LossCause::Network;
        };
        let index = self.index(number);
        let Some(event) = index.and_then(|index| self.events.get(index)) else {
            return LossCause::Unknown;
        };
        let still = event.still(missing);
        // The rest may belong to a channel that has received nothing since.
        let more = event.dropped > still && self.pending.contains(&Some(number));
        let contested = event.of_others || event.gaps.len() >= MAX_EVENT_GAPS;
        if contested || more || event.dropped < still {
            LossCause::Unknown
        } else {
            LossCause::Socket
        }
    }

    /// Datagrams dropped in the newest event beyond the packets known to be
    /// missing. What a channel lost since its last packet is not known yet.
    pub(super) fn unseen(&self, missing: impl Fn(Channel, Range<u64>) -> u64) -> u64 {
        let pending = self.pending.iter().any(Option::is_some);
        let newest = self.events.back().filter(|_| pending);
        newest.map_or(0, |event| {
            event.dropped.saturating_sub(event.still(missing))
        })
    }

    fn open(&mut self) -> &mut DropEvent {
        // While a channel has received no packet since the newest event, its next
        // gap may belong to either event. So they are merged.
        let newest = (self.first + self.events.len() as u64).checked_sub(1);
        if newest.is_none() || !self.pending.contains(&newest) {
            self.events.push_back(DropEvent::default());
            if self.events.len() > MAX_EVENTS {
                self.events.pop_front();
                self.first += 1;
            }
        }
        let last = self.events.len() - 1;
        self.pending = [Some(self.first + last as u64); 3];
        &mut self.events[last]
    }

    fn index(&self, number: u64) -> Option<usize> {
        number
            .checked_sub(self.first)
            .and_then(|index| usize::try_from(index).ok())
    }
}

impl DropEvent {
    /// Packets of its gaps that are still missing.
    fn still(&self, missing: impl Fn(Channel, Range<u64>) -> u64) -> u64 {
        let gaps = self.gaps.iter();
        gaps.map(|(channel, gap)| missing(*channel, gap.clone()))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: fn(Channel, Range<u64>) -> u64 = |_, range| range.end - range.start;

    /// Reveals gaps of this many media and repair packets. Returns their causes.
    fn found(drops: &mut SocketDrops, media: u64, repair: u64) -> [LossCause; 2] {
        let gaps = [(Channel::Media, media), (Channel::Repair, repair)];
        let events = gaps.map(|(channel, missing)| {
            let event = drops.take(channel);
            drops.record_gap(event, channel, 10..10 + missing);
            event
        });
        drops.take(Channel::Control);
        events.map(|event| drops.cause(event, ALL))
    }

    #[test]
    fn gaps_explained_fully_by_the_drop_counter_are_socket_drops_and_others_unknown() {
        let mut drops = SocketDrops::default();
        assert_eq!(found(&mut drops, 3, 1), [LossCause::Network; 2]);
        drops.record(4);
        assert_eq!(found(&mut drops, 3, 1), [LossCause::Socket; 2]);
        drops.record(4);
        assert_eq!(found(&mut drops, 4, 1), [LossCause::Unknown; 2]);
        assert_eq!(found(&mut drops, 1, 0), [LossCause::Network; 2]);
    }

    #[test]
    fn an_event_lasts_until_every_channel_had_a_packet() {
        let mut drops = SocketDrops::default();
        drops.record(2);
        let media = drops.take(Channel::Media);
        drops.record_gap(media, Channel::Media, 0..2);
        // The repair channel received nothing: its gap may belong to the first
        // event or to this one.
        drops.record(1);
        let again = drops.take(Channel::Media);
        drops.record_gap(again, Channel::Media, 5..7);
        assert_eq!(media, again);
        assert_eq!(drops.cause(media, ALL), LossCause::Unknown);
    }

    #[test]
    fn drops_of_a_shared_socket_have_an_unknown_stream() {
        let mut drops = SocketDrops::default();
        drops.record_shared();
        assert_eq!(found(&mut drops, 3, 1), [LossCause::Unknown; 2]);
        assert_eq!(found(&mut drops, 3, 1), [LossCause::Network; 2]);
    }

    #[test]
    fn the_cause_of_forgotten_losses_is_unknown() {
        let mut drops = SocketDrops::default();
        drops.record(1);
        let first = drops.take(Channel::Media);
        for _ in 0..MAX_EVENTS {
            found(&mut drops, 1, 1);
            drops.record(1);
        }
        assert_eq!(drops.cause(first, ALL), LossCause::Unknown);
    }
}
