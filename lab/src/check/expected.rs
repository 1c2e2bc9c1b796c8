//! Computes, from the logs alone, what a viewer without errors would have counted
//! of a stream.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::{Range, RangeInclusive};

use crate::impair::LoggedChunk;
use framegram_common::stats::{Account, AccountPacket};
use framegram_common::wire::native::Channel;

use super::events::{CopyEvent, CopyFate, Sides};

/// Expected counts of one stream, over the viewer's range of packets.
#[derive(Debug)]
pub(super) struct ExpectedStream {
    /// Packets by channel, in the order of [`Channel::ALL`].
    pub(super) packets: [ChannelPackets; 3],
    /// Number of corrupt datagrams. The range is wider than one value if some
    /// were sent before the first or after the last packet that arrived: the
    /// viewer may have counted them or not.
    pub(super) corrupt: RangeInclusive<u64>,
    /// Frames whose chunks were all sent in the compared range, by number.
    pub(super) frames: BTreeMap<u32, LoggedFrame>,
    /// Frames in the compared range that a log names.
    pub(super) seen: u64,
    /// Media packets whose content no log knows.
    pub(super) unplaced: u64,
    /// Packets sent before the compared range, and after it.
    pub(super) outside: [u64; 2],
    /// Whether a log of the viewer is included.
    pub(super) behind_socket: bool,
    /// Whether no packet was duplicated or corrupted.
    pub(super) plain: bool,
}

/// Packet counts of one channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ChannelPackets {
    /// Packets in the viewer's range.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Lost or corrupted by the impairment.
    pub(super) lost: u64,
    pub(super) duplicate: u64,
    pub(super) reordered: u64,
    pub(super) send_errors: u64,
    /// Not in the log: lost before they reached the logging program.
    pub(super) absent: u64,
}

/// A frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LoggedFrame {
    pub(super) chunks: u16,
    /// Chunks that did not arrive when first sent.
    pub(super) lost: u16,
}

/// A packet.
#[derive(Clone, Copy, Debug, Default)]
struct LoggedPacket {
    place: Option<LoggedChunk>,
    arrived: bool,
    send_error: bool,
    /// Handed on intact while the viewer was not listening.
    missed: bool,
}

type Numbered = BTreeMap<u64, LoggedPacket>;

impl ExpectedStream {
    /// Replays the events. `unnamed` datagrams of the viewer's log may be corrupt
    /// packets of this stream.
    pub(super) fn new(sides: &Sides, account: &Account, unnamed: u64) -> Self {
        let behind_socket = !sides.viewer.is_empty();
        let (events, window) = if behind_socket {
            (&sides.viewer, ViewerSpan::by_time(account))
        } else {
            (
                &sides.sender,
                ViewerSpan::by_packets(&sides.sender, account),
            )
        };
        let mut expected = Self {
            packets: Default::default(),
            corrupt: 0..=0,
            frames: BTreeMap::new(),
            seen: 0,
            unplaced: 0,
            outside: [0; 2],
            behind_socket,
            plain: true,
        };
        let mut numbered = <[Numbered; 3]>::default();
        let mut highest = [None; 3];
        let (mut corrupt, mut corrupt_outside) = (0, unnamed);
        let mut followed = false;
        // A retransmission may complete a frame that was sent just before
        // joining.
        let mut frames = BTreeSet::new();
        for (index, event) in events.iter().enumerate() {
            let channel = event.channel as usize;
            if event.channel == Channel::Media {
                frames.extend(event.place.map(|place| u64::from(place.frame)));
            }
            if event.kind == CopyFate::Corrupt && event.due <= window.times.1 {
                let inside = followed && window.contains(index, event);
                corrupt += u64::from(inside);
                corrupt_outside += u64::from(!inside);
            }
            // Packets sent before joining never count, even if they arrive later.
            let joined = account.channels.get(channel).map_or(0, |own| own.first);
            if event.number < joined {
                expected.outside[0] += u64::from(event.kind != CopyFate::Dropped);
                continue;
            }
            let known = numbered[channel].contains_key(&event.number);
            expected.plain &= !known && event.kind != CopyFate::Corrupt;
            let packet = numbered[channel].entry(event.number).or_default();
            packet.place = packet.place.or(event.place);
            match event.kind {
                CopyFate::Dropped | CopyFate::Corrupt => {}
                CopyFate::SendError => packet.send_error = true,
                CopyFate::Intact if !window.contains(index, event) => packet.missed = true,
                CopyFate::Intact if packet.arrived => expected.packets[channel].duplicate += 1,
                CopyFate::Intact => {
                    packet.arrived = true;
                    // A stream is followed from its first media or repair packet
                    // on.
                    followed |= event.channel != Channel::Control;
                    let counts = &mut expected.packets[channel];
                    counts.received += 1;
                    counts.reordered += u64::from(Some(event.number) < highest[channel]);
                    highest[channel] = highest[channel].max(Some(event.number));
                }
            }
        }
        expected.corrupt = corrupt..=corrupt + corrupt_outside;
        if behind_socket {
            add_lost_before(&mut numbered, &sides.sender);
        }
        for own in &account.channels {
            let known = Channel::ALL.iter().position(|it| it.name() == own.channel);
            if let Some(channel) = known {
                expected.count(channel, &numbered[channel], own.first..own.end);
            }
        }
        expected.count_frames(&numbered[Channel::Media as usize], frames, account);
        expected
    }

    fn count(&mut self, channel: usize, numbered: &Numbered, range: Range<u64>) {
        let counts = &mut self.packets[channel];
        counts.sent = range.end - range.start;
        let mut named = 0;
        for packet in numbered.range(range.clone()).map(|(_, packet)| packet) {
            named += 1;
            let lost = !packet.arrived && !packet.missed;
            counts.lost += u64::from(lost && !packet.send_error);
            counts.send_errors += u64::from(lost && packet.send_error);
        }
        counts.absent = counts.sent - named;
        self.outside[1] += numbered.range(range.end..).count() as u64;
    }

    fn count_frames(&mut self, media: &Numbered, mut frames: BTreeSet<u64>, account: &Account) {
        let own = account.channels.iter();
        let Some(own) = own.into_iter().find(|it| it.channel == "media") else {
            return;
        };
        let mut chunks = BTreeMap::<u32, u16>::new();
        for packet in media.range(own.first..own.end).map(|(_, packet)| packet) {
            let Some(place) = packet.place else {
                self.unplaced += 1;
                continue;
            };
            *chunks.entry(place.frame).or_default() += 1;
            let frame = self.frames.entry(place.frame).or_default();
            frame.chunks = place.chunks;
            frame.lost += u16::from(!packet.arrived);
        }
        self.unplaced += self.packets[Channel::Media as usize].absent;
        let accountable = account.first_frame..account.end_frame;
        let places = media.values().filter_map(|packet| packet.place);
        frames.extend(places.map(|place| u64::from(place.frame)));
        self.seen = frames.range(accountable.clone()).count() as u64;
        self.frames.retain(|number, frame| {
            let complete = chunks.get(number) == Some(&frame.chunks);
            complete && accountable.contains(&u64::from(*number))
        });
    }
}

/// Adds packets that the sender's log names and the viewer's does not.
fn add_lost_before(numbered: &mut [Numbered; 3], sender: &[CopyEvent]) {
    let mut before = <[Numbered; 3]>::default();
    for event in sender {
        let packet = before[event.channel as usize]
            .entry(event.number)
            .or_default();
        packet.place = packet.place.or(event.place);
        packet.arrived |= event.kind == CopyFate::Intact;
        packet.send_error |= event.kind == CopyFate::SendError;
    }
    for (known, before) in numbered.iter_mut().zip(before) {
        for (number, packet) in before {
            match known.get_mut(&number) {
                Some(known) => known.place = known.place.or(packet.place),
                // Handed on by the sender but never received: not lost by the
                // impairment.
                None if packet.arrived => {}
                None => {
                    known.insert(number, packet);
                }
            }
        }
    }
}

/// The events that the viewer can have noticed: those after it joined and before
/// it left or followed another stream.
struct ViewerSpan {
    /// Limits by the time of handing on.
    times: (u64, u64),
    /// Limits by position in the log.
    places: (usize, usize),
}

impl ViewerSpan {
    /// The window in the viewer's own log, which uses the viewer's clock.
    fn by_time(account: &Account) -> Self {
        Self {
            times: (account.since_ns, account.until_ns.unwrap_or(u64::MAX)),
            places: (0, usize::MAX),
        }
    }

    /// The window in the sender's log, whose clock may differ: from the packet
    /// that arrived first to the one that arrived last.
    fn by_packets(events: &[CopyEvent], account: &Account) -> Self {
        let is_it = |arrived: &AccountPacket, event: &CopyEvent| {
            let same = event.channel.name() == arrived.channel && event.number == arrived.number;
            same && event.kind == CopyFate::Intact
        };
        let first = |arrived: &AccountPacket| events.iter().position(|event| is_it(arrived, event));
        let last = |arrived: &AccountPacket| events.iter().rposition(|event| is_it(arrived, event));
        let closed = account.closed.as_ref();
        let closed = closed.and_then(|it| if it.again { last(it) } else { first(it) });
        Self {
            times: (0, u64::MAX),
            places: (
                account.opened.as_ref().and_then(first).unwrap_or(0),
                closed.unwrap_or(usize::MAX),
            ),
        }
    }

    fn contains(&self, index: usize, event: &CopyEvent) -> bool {
        let (times, places) = (self.times, self.places);
        (times.0..=times.1).contains(&event.due) && (places.0..=places.1).contains(&index)
    }
}
