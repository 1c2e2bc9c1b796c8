//! What a viewer that makes no mistake would have counted of a stream, from
//! the deeds alone.

use std::collections::{BTreeMap, BTreeSet};

use crate::impair::Place;
use framegram_common::wire::native::Channel;

use super::deeds::{Deed, Kind, Sides};
use super::report::{Account, Arrived};

/// The counts of one stream, over what its viewer is accountable for.
#[derive(Debug, Default)]
pub(super) struct Truth {
    /// By channel, in the order of [`CHANNELS`].
    pub(super) packets: [Packets; 3],
    /// Frames all of whose chunks are accountable, by number.
    pub(super) frames: BTreeMap<u32, Frame>,
    /// Accountable frames that a log names.
    pub(super) seen: u64,
    /// Media packets of which no log says what they carried.
    pub(super) unplaced: u64,
    /// Packets sent before the viewer joined, and after what it is accountable
    /// for.
    pub(super) outside: [u64; 2],
    /// Whether the viewer's own log is among them.
    pub(super) behind_socket: bool,
    /// Whether every packet was handed on once or not at all, unharmed.
    pub(super) plain: bool,
}

/// Packets of a channel.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packets {
    /// That the viewer is accountable for.
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Lost by what was done.
    pub(super) gone: u64,
    /// Handed on damaged alone.
    pub(super) corrupt: u64,
    pub(super) duplicate: u64,
    pub(super) reordered: u64,
    /// Refused by the sender's system.
    pub(super) refused: u64,
    /// Never in the log: lost before they came there.
    pub(super) absent: u64,
}

/// A frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Frame {
    pub(super) chunks: u16,
    /// Chunks that did not arrive as they were sent first.
    pub(super) lost: u16,
    /// Of these, that arrived damaged.
    pub(super) damaged: u16,
}

/// A packet.
#[derive(Clone, Copy, Debug, Default)]
struct Packet {
    place: Option<Place>,
    arrived: bool,
    damaged: bool,
    refused: bool,
    /// It was handed on unharmed, while the viewer did not listen.
    missed: bool,
}

type Numbered = BTreeMap<u64, Packet>;

impl Truth {
    /// Replays the deeds.
    pub(super) fn new(sides: &Sides, account: &Account) -> Self {
        let behind_socket = !sides.viewer.is_empty();
        let deeds = if behind_socket {
            &sides.viewer
        } else {
            &sides.sender
        };
        let heard = if behind_socket {
            Heard::by_time(account)
        } else {
            Heard::by_packets(deeds, account)
        };
        let mut truth = Self {
            behind_socket,
            plain: true,
            ..Self::default()
        };
        let mut numbered = <[Numbered; 3]>::default();
        let mut highest = [None; 3];
        for (index, deed) in deeds.iter().enumerate() {
            let channel = deed.channel as usize;
            // What was sent before joining is of no account, whenever it comes.
            let joined = account.channels.get(channel).map_or(0, |own| own.first);
            if deed.number < joined {
                truth.outside[0] += u64::from(deed.kind != Kind::Gone);
                continue;
            }
            let known = numbered[channel].contains_key(&deed.number);
            truth.plain &= !known && deed.kind != Kind::Damaged;
            let packet = numbered[channel].entry(deed.number).or_default();
            packet.place = packet.place.or(deed.place);
            match deed.kind {
                Kind::Gone => {}
                Kind::Refused => packet.refused = true,
                Kind::Damaged => packet.damaged |= heard.until(index, deed),
                Kind::Intact if !heard.is_in(index, deed) => packet.missed = true,
                Kind::Intact if packet.arrived => truth.packets[channel].duplicate += 1,
                Kind::Intact => {
                    packet.arrived = true;
                    let counts = &mut truth.packets[channel];
                    counts.received += 1;
                    counts.reordered += u64::from(Some(deed.number) < highest[channel]);
                    highest[channel] = highest[channel].max(Some(deed.number));
                }
            }
        }
        if behind_socket {
            add_lost_before(&mut numbered, &sides.sender);
        }
        for own in &account.channels {
            let known = CHANNELS.iter().position(|it| it.name() == own.channel);
            if let Some(channel) = known {
                truth.count(channel, &numbered[channel], own.first..own.end);
            }
        }
        truth.count_frames(&numbered[Channel::Media as usize], account);
        truth
    }

    fn count(&mut self, channel: usize, numbered: &Numbered, range: std::ops::Range<u64>) {
        let counts = &mut self.packets[channel];
        counts.sent = range.end - range.start;
        let mut named = 0;
        for packet in numbered.range(range.clone()).map(|(_, packet)| packet) {
            named += 1;
            counts.corrupt += u64::from(packet.damaged && !packet.arrived);
            let gone = !packet.arrived && !packet.damaged && !packet.missed;
            counts.gone += u64::from(gone && !packet.refused);
            counts.refused += u64::from(gone && packet.refused);
        }
        counts.absent = counts.sent - named;
        self.outside[1] += numbered.range(range.end..).count() as u64;
    }

    fn count_frames(&mut self, media: &Numbered, account: &Account) {
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
            frame.damaged += u16::from(!packet.arrived && packet.damaged);
        }
        self.unplaced += self.packets[Channel::Media as usize].absent;
        let accountable = account.first_frame..account.end_frame;
        let places = media.values().filter_map(|packet| packet.place);
        let frames: BTreeSet<_> = places.map(|place| u64::from(place.frame)).collect();
        self.seen = frames.range(accountable.clone()).count() as u64;
        self.frames
            .retain(|frame, _| accountable.contains(&u64::from(*frame)));
        self.frames
            .retain(|number, frame| chunks.get(number) == Some(&frame.chunks));
    }
}

/// What the sender's log names and the viewer's does not.
fn add_lost_before(numbered: &mut [Numbered; 3], sender: &[Deed]) {
    let mut before = <[Numbered; 3]>::default();
    for deed in sender {
        let packet = before[deed.channel as usize]
            .entry(deed.number)
            .or_default();
        packet.place = packet.place.or(deed.place);
        packet.arrived |= !matches!(deed.kind, Kind::Gone | Kind::Refused);
        packet.refused |= deed.kind == Kind::Refused;
    }
    for (known, before) in numbered.iter_mut().zip(before) {
        for (number, packet) in before {
            match known.get_mut(&number) {
                Some(known) => known.place = known.place.or(packet.place),
                // What was handed on, and never came, was not lost on purpose.
                None if packet.arrived => {}
                None => {
                    known.insert(number, packet);
                }
            }
        }
    }
}

/// Which deeds the viewer can have heard of: those after it joined, and before
/// it left or followed another stream.
struct Heard {
    /// By when they were due.
    times: (u64, u64),
    /// By their place in the log.
    places: (usize, usize),
}

impl Heard {
    /// Of the viewer's own log, which has its clock.
    fn by_time(account: &Account) -> Self {
        Self {
            times: (account.since_ns, account.until_ns.unwrap_or(u64::MAX)),
            places: (0, usize::MAX),
        }
    }

    /// Of the sender's log, whose clock may be another: from the packet that
    /// arrived first to the one that arrived last.
    fn by_packets(deeds: &[Deed], account: &Account) -> Self {
        let find = |arrived: &Option<Arrived>| {
            let arrived = arrived.as_ref()?;
            let kind = match arrived.copy.as_str() {
                "damaged" => Kind::Damaged,
                _ => Kind::Intact,
            };
            let is_it = |deed: &Deed| {
                deed.channel.name() == arrived.channel
                    && deed.number == arrived.number
                    && deed.kind == kind
            };
            if arrived.copy == "first" {
                deeds.iter().position(is_it)
            } else {
                deeds.iter().rposition(is_it)
            }
        };
        Self {
            times: (0, u64::MAX),
            places: (
                find(&account.opened).unwrap_or(0),
                find(&account.closed).unwrap_or(usize::MAX),
            ),
        }
    }

    fn is_in(&self, index: usize, deed: &Deed) -> bool {
        self.until(index, deed) && deed.due >= self.times.0 && index >= self.places.0
    }

    fn until(&self, index: usize, deed: &Deed) -> bool {
        deed.due <= self.times.1 && index <= self.places.1
    }
}

/// In the order of their numbers.
pub(super) const CHANNELS: [Channel; 3] = [Channel::Media, Channel::Repair, Channel::Control];
