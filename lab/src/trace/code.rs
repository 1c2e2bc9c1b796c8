//! Serializes entries as differences.

use super::{ChunkPlace, DatagramContent, Entry, PacketBody, TracedCounts};
use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_common::wire::native::MAX_CHUNKS;

/// The previous values in a block.
#[derive(Clone, Debug, Default)]
pub(super) struct CodeState {
    at: u64,
    transit: u64,
    /// Packet numbers by channel.
    numbers: [u64; 3],
    /// The last chunk sent for the first time, and the last retransmitted one.
    places: [ChunkPlace; 2],
    counts: TracedCounts,
    frame: u64,
    sequence: u16,
    timestamp: u32,
}

/// Direction: values to differences, or back.
#[derive(Clone, Copy)]
enum Direction {
    Subtract,
    Add,
}

impl CodeState {
    /// Appends an entry.
    pub(super) fn put(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        let mut entry = *entry;
        self.step(&mut entry, Direction::Subtract);
        // Serializing to a vector cannot fail.
        if let Ok(bytes) = postcard::to_allocvec(&entry) {
            out.extend_from_slice(&bytes);
        }
    }

    /// Takes the next entry from `input`; `None` if the bytes are not a valid
    /// entry.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Option<Entry> {
        let (mut entry, rest) = postcard::take_from_bytes(input).ok()?;
        *input = rest;
        self.step(&mut entry, Direction::Add);
        is_sensible(&entry).then_some(entry)
    }

    fn step(&mut self, entry: &mut Entry, step: Direction) {
        match entry {
            Entry::Begin { at, .. } | Entry::Drops { at, .. } | Entry::End { at, .. } => {
                step.wide(at, &mut self.at);
            }
            Entry::Stream { .. } => {}
            Entry::Frame { number, .. } => step.wide(number, &mut self.frame),
            Entry::Datagram(datagram) => {
                step.wide(&mut datagram.arrival, &mut self.at);
                self.step_content(&mut datagram.content, step);
            }
        }
    }

    fn step_content(&mut self, content: &mut DatagramContent, step: Direction) {
        match content {
            DatagramContent::Native { number, sent, body } => {
                step.wide(number, &mut self.numbers[body.channel() as usize]);
                // The transit time varies less than the send time.
                let mut transit = match step {
                    Direction::Subtract => self.at.wrapping_sub(*sent),
                    Direction::Add => *sent,
                };
                step.wide(&mut transit, &mut self.transit);
                *sent = match step {
                    Direction::Subtract => transit,
                    Direction::Add => self.at.wrapping_sub(transit),
                };
                match body {
                    PacketBody::Chunk(place) => step.place(place, &mut self.places[0]),
                    PacketBody::Retransmission(place) => step.place(place, &mut self.places[1]),
                    PacketBody::SenderReport(counts) | PacketBody::SenderBye(counts) => {
                        step.counts(counts, &mut self.counts);
                    }
                    PacketBody::Parity
                    | PacketBody::Tables
                    | PacketBody::Echo { .. }
                    | PacketBody::Proof => {}
                }
            }
            DatagramContent::Rtp {
                sequence,
                timestamp,
                ..
            } => {
                step.short(sequence, &mut self.sequence);
                step.narrow(timestamp, &mut self.timestamp);
            }
            DatagramContent::Other => {}
        }
    }
}

impl Direction {
    fn place(self, place: &mut ChunkPlace, last: &mut ChunkPlace) {
        self.wide(&mut place.frame, &mut last.frame);
        self.short(&mut place.index, &mut last.index);
        self.narrow(&mut place.frame_len, &mut last.frame_len);
        self.short(&mut place.size, &mut last.size);
        self.wide(&mut place.captured, &mut last.captured);
    }

    fn counts(self, counts: &mut TracedCounts, last: &mut TracedCounts) {
        let packets = counts.packets.iter_mut().zip(&mut last.packets);
        packets.for_each(|(count, last)| self.wide(count, last));
        self.wide(&mut counts.frames_captured, &mut last.frames_captured);
        self.wide(&mut counts.frames_sent, &mut last.frames_sent);
        self.wide(&mut counts.bytes, &mut last.bytes);
        self.wide(&mut counts.jpeg_bytes, &mut last.jpeg_bytes);
    }

    /// Zigzag encoding keeps small negative differences short.
    fn wide(self, value: &mut u64, last: &mut u64) {
        match self {
            Self::Subtract => {
                let difference = value.wrapping_sub(*last) as i64;
                *last = *value;
                *value = ((difference << 1) ^ (difference >> 63)) as u64;
            }
            Self::Add => {
                let difference = (*value >> 1) as i64 ^ -((*value & 1) as i64);
                *value = last.wrapping_add_signed(difference);
                *last = *value;
            }
        }
    }

    fn narrow(self, value: &mut u32, last: &mut u32) {
        match self {
            Self::Subtract => *value = value.wrapping_sub(std::mem::replace(last, *value)),
            Self::Add => {
                *value = value.wrapping_add(*last);
                *last = *value;
            }
        }
    }

    fn short(self, value: &mut u16, last: &mut u16) {
        match self {
            Self::Subtract => *value = value.wrapping_sub(std::mem::replace(last, *value)),
            Self::Add => {
                *value = value.wrapping_add(*last);
                *last = *value;
            }
        }
    }
}

/// Whether a chunk is plausible, by the checks of the packet decoder.
fn is_sensible(entry: &Entry) -> bool {
    let Entry::Datagram(datagram) = entry else {
        return true;
    };
    let DatagramContent::Native { body, .. } = &datagram.content else {
        return true;
    };
    let (PacketBody::Chunk(place) | PacketBody::Retransmission(place)) = body else {
        return true;
    };
    (1..=MAX_FRAME_BYTES).contains(&(place.frame_len as usize))
        && place.size > 0
        && place.count() <= MAX_CHUNKS
        && usize::from(place.index) < place.count()
}
