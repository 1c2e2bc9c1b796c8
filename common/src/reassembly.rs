//! Reassembles chunks into frames, until they are complete or given up.
//!
//! The owner knows the deadlines and gives frames up. They are remembered for a while, so that late
//! chunks are recognized.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fixedbitset::FixedBitSet;

use crate::seq::FrameNumber;
use crate::wire::native::{Chunk, FrameHeader, extend_micros};

/// Upper bound on remembered frames, open or closed. At 60 frames per second, no chunk is later
/// than this.
pub const MAX_FRAMES: usize = 256;

/// Upper bound on the bytes of frames: four of the longest.
pub const MAX_HELD_BYTES: usize = 64 << 20;

/// The bytes of this many frames are kept, complete or not: parity over several frames needs all of
/// them.
pub const MAX_HELD_FRAMES: usize = 32;

/// How a chunk arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In its original packet.
    Sent,
    /// In a retransmission.
    Retransmission,
    /// Rebuilt from parity.
    Parity,
}

/// The result of inserting a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insert {
    /// It was missing. One above the highest chunk of its frame that has arrived.
    Accepted(usize),
    /// It was there already.
    Duplicate,
    /// It was repaired before, in this way, and now its original arrives.
    LateOriginal(Origin),
    /// It completes its frame.
    Complete(CompleteFrame),
    /// It completes a frame that had been given up.
    CompleteLate,
    /// It completes its frame, but the frame's checksum does not match.
    Corrupt,
    /// It contradicts earlier chunks of its frame.
    Mismatch,
    /// Its frame is older than all remembered ones.
    Forgotten,
}

/// A frame, byte for byte as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteFrame {
    /// Its number.
    pub number: FrameNumber,
    /// Its bytes.
    pub jpeg: Bytes,
    /// The capture time, in the sender's microseconds.
    pub captured: u64,
}

/// The frames of one stream.
#[derive(Debug, Default)]
pub struct Reassembly {
    frames: BTreeMap<FrameNumber, Assembly>,
    held_bytes: usize,
    /// How many frames hold their bytes.
    held: usize,
    /// Frames below this hold none.
    releasing: FrameNumber,
}

/// A frame that is being reassembled, or one that is closed and remembered.
#[derive(Debug)]
pub struct Assembly {
    /// What its chunks have in common, once a chunk that carries it has arrived.
    header: Option<FrameHeader>,
    /// The capture time, in the sender's microseconds.
    captured: Option<u64>,
    /// The send time of the packet that arrived first, in the sender's microseconds.
    sent: u64,
    /// Bytes of every chunk but the last.
    size: usize,
    /// Bytes of the frame; without its header, the most that it can have.
    len: usize,
    have: FixedBitSet,
    missing: usize,
    /// The restart cycles, by chunk.
    restart_cycles: BTreeMap<u16, u16>,
    /// Chunks that were repaired before their original arrived.
    repaired: BTreeMap<u16, Origin>,
    first_arrival: Duration,
    /// One above the highest chunk that has arrived.
    reached: usize,
    state: AssemblyState,
    /// The bytes up to the last one that arrived, with zeros in the holes; empty once released.
    bytes: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum AssemblyState {
    Open,
    Complete,
    GivenUp,
}

/// Bytes that are being filled in, or shared with the code that shows them.
#[derive(Debug)]
enum Held {
    Filling(Vec<u8>),
    Shared(Bytes),
}

impl Reassembly {
    /// Inserts a chunk from a packet that was sent at `sent`, in the sender's microseconds.
    pub fn insert(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        (origin, sent): (Origin, u64),
        now: Duration,
    ) -> Insert {
        let oldest = self.frames.first_key_value().map(|(oldest, _)| *oldest);
        let full = self.frames.len() >= MAX_FRAMES;
        if full && oldest.is_some_and(|oldest| number < oldest) {
            return Insert::Forgotten;
        }
        let (held, held_bytes) = (&mut self.held, &mut self.held_bytes);
        let releasing = &mut self.releasing;
        let assembly = self.frames.entry(number).or_insert_with(|| {
            let new = Assembly::new(chunk, sent, now);
            *releasing = number.min(*releasing);
            *held += 1;
            *held_bytes += new.held();
            new
        });
        let before = assembly.held();
        let inserted = assembly.insert(number, chunk, (origin, sent));
        self.held_bytes = self.held_bytes + assembly.held() - before;
        inserted
    }

    /// The frame, open or closed, if it is remembered.
    pub fn get(&self, number: FrameNumber) -> Option<&Assembly> {
        self.frames.get(&number)
    }

    /// The open frames, oldest first.
    pub fn open(&self) -> impl Iterator<Item = (FrameNumber, &Assembly)> {
        let open =
            |(_, assembly): &(&FrameNumber, &Assembly)| assembly.state == AssemblyState::Open;
        self.frames
            .iter()
            .filter(open)
            .map(|(number, assembly)| (*number, assembly))
    }

    /// Gives up an open frame. `None` if there is no such frame.
    pub fn give_up(&mut self, number: FrameNumber) -> Option<&Assembly> {
        let assembly = self.frames.get_mut(&number)?;
        if assembly.state != AssemblyState::Open {
            return None;
        }
        assembly.state = AssemblyState::GivenUp;
        Some(assembly)
    }

    /// The oldest open frame, if the frames exceed their bounds: it must be given up early.
    pub fn excess(&self) -> Option<FrameNumber> {
        let over = self.frames.len() > MAX_FRAMES || self.held_bytes > MAX_HELD_BYTES;
        if !over {
            return None;
        }
        let mut holding = self.frames.range(self.releasing..);
        let oldest = holding.find(|(_, assembly)| assembly.holds())?;
        (oldest.1.state == AssemblyState::Open).then_some(*oldest.0)
    }

    /// Bytes of frames held.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Releases the bytes of the oldest closed frame that holds them. Returns
    /// whether there is one.
    pub fn release_oldest(&mut self) -> bool {
        let mut frames = self.frames.values_mut();
        let closed = frames.find(|frame| frame.state != AssemblyState::Open && frame.holds());
        let Some(closed) = closed else {
            return false;
        };
        self.held_bytes -= closed.release();
        self.held -= 1;
        true
    }

    /// Releases the bytes of closed frames and forgets them, oldest first, until the bounds are
    /// met.
    pub fn forget(&mut self) {
        // This runs for every frame, and most of those that are remembered hold nothing.
        let from = self.frames.range_mut(self.releasing..);
        let mut holding = from.filter(|(_, frame)| frame.holds());
        while self.held > MAX_HELD_FRAMES || self.held_bytes > MAX_HELD_BYTES {
            let Some((number, assembly)) = holding.next() else {
                break;
            };
            self.releasing = *number;
            if assembly.state == AssemblyState::Open {
                break;
            }
            self.held_bytes -= assembly.release();
            self.held -= 1;
        }
        while self.frames.len() > MAX_FRAMES {
            let Some(oldest) = self.frames.first_entry() else {
                return;
            };
            if oldest.get().state == AssemblyState::Open {
                return;
            }
            let oldest = oldest.remove();
            self.held_bytes -= oldest.held();
            self.held -= usize::from(oldest.holds());
        }
    }
}

impl Assembly {
    fn new(chunk: &Chunk<'_>, sent: u64, now: Duration) -> Self {
        let (size, count) = (chunk.size(), chunk.count.into());
        let len = chunk.header.map_or(size * count, |it| it.len as usize);
        Self {
            header: None,
            captured: None,
            sent,
            size,
            len,
            have: FixedBitSet::with_capacity(count),
            missing: count,
            restart_cycles: BTreeMap::new(),
            repaired: BTreeMap::new(),
            first_arrival: now,
            reached: 0,
            state: AssemblyState::Open,
            bytes: Held::Filling(room(len)),
        }
    }

    fn insert(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        (origin, sent): (Origin, u64),
    ) -> Insert {
        if !self.fits(chunk) {
            return Insert::Mismatch;
        }
        let index = usize::from(chunk.index);
        if let Some(header) = &chunk.header {
            self.header = Some(*header);
            self.captured
                .get_or_insert(extend_micros(header.captured, sent));
            self.len = header.len as usize;
        }
        self.reached = self.reached.max(index + 1);
        if self.have.put(index) {
            let repaired = match origin {
                Origin::Sent => self.repaired.remove(&chunk.index),
                Origin::Retransmission | Origin::Parity => None,
            };
            return repaired.map_or(Insert::Duplicate, Insert::LateOriginal);
        }
        self.missing -= 1;
        if origin != Origin::Sent {
            self.repaired.insert(chunk.index, origin);
        }
        if let Held::Filling(bytes) = &mut self.bytes {
            fill(bytes, index * self.size, chunk.data);
        }
        if let Some(cycle) = chunk.restart_cycle {
            self.restart_cycles.insert(chunk.index, cycle);
        }
        match (self.state, self.missing) {
            (AssemblyState::Open, 0) => self.close(number),
            (AssemblyState::GivenUp, 0) => Insert::CompleteLate,
            _ => Insert::Accepted(self.reached),
        }
    }

    fn close(&mut self, number: FrameNumber) -> Insert {
        let (Held::Filling(bytes), Some(header), Some(captured)) =
            (&mut self.bytes, self.header, self.captured)
        else {
            return Insert::Duplicate;
        };
        if FrameHeader::checksum(number.seq(), bytes) != header.crc {
            self.state = AssemblyState::GivenUp;
            return Insert::Corrupt;
        }
        let jpeg = Bytes::from(std::mem::take(bytes));
        self.state = AssemblyState::Complete;
        self.bytes = Held::Shared(jpeg.clone());
        Insert::Complete(CompleteFrame {
            number,
            jpeg,
            captured,
        })
    }

    /// Whether a chunk can belong to this frame.
    fn fits(&self, chunk: &Chunk<'_>) -> bool {
        let known = self.header.filter(|_| chunk.header.is_some());
        usize::from(chunk.count) == self.count()
            && chunk.size() == self.size
            && (known.is_none() || known == chunk.header)
    }

    /// Releases the bytes. Returns their number.
    fn release(&mut self) -> usize {
        let held = self.held();
        self.bytes = Held::Shared(Bytes::new());
        self.restart_cycles.clear();
        held
    }

    fn holds(&self) -> bool {
        self.held() > 0
    }

    /// Bytes of memory for the frame.
    fn held(&self) -> usize {
        match &self.bytes {
            Held::Filling(_) => self.len,
            Held::Shared(bytes) => bytes.len(),
        }
    }

    /// Whether chunks are missing and still waited for.
    pub fn is_open(&self) -> bool {
        self.state == AssemblyState::Open
    }

    /// What the chunks have in common, if known.
    pub fn header(&self) -> Option<FrameHeader> {
        self.header
    }

    /// How many chunks the frame has.
    pub fn count(&self) -> usize {
        self.have.len()
    }

    /// How many chunks are missing.
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// One above the highest chunk that has arrived.
    pub fn reached(&self) -> usize {
        self.reached
    }

    /// Which chunks have arrived, one bit per chunk.
    pub fn have(&self) -> &FixedBitSet {
        &self.have
    }

    /// When the first chunk arrived.
    pub fn first_arrival(&self) -> Duration {
        self.first_arrival
    }

    /// The capture time, in the sender's microseconds, if known.
    pub fn captured(&self) -> Option<u64> {
        self.captured
    }

    /// The send time of the packet that arrived first, in the sender's microseconds.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Bytes of every chunk but the last.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The bytes up to the last one that arrived, with zeros in the holes; empty once released.
    pub fn frame(&self) -> &[u8] {
        match &self.bytes {
            Held::Filling(bytes) => bytes,
            Held::Shared(bytes) => bytes,
        }
    }

    /// The chunk at `index` of the frame with this number, if it arrived and
    /// is still held.
    pub fn chunk(&self, number: FrameNumber, index: u16) -> Option<Chunk<'_>> {
        let start = usize::from(index) * self.size;
        let end = self.frame().len().min(start + self.size);
        let data = self.frame().get(start..end)?;
        let chunk = Chunk {
            frame: number.seq(),
            index,
            count: self.count() as u16,
            restart_cycle: self.restart_cycles.get(&index).copied(),
            header: None,
            data,
        };
        self.have.contains(index.into()).then(|| Chunk {
            header: self.header.filter(|_| chunk.has_header()),
            ..chunk
        })
    }
}

/// Memory for a slightly larger frame. Allocations of a few distinct lengths are reused;
/// allocations of each frame's own length leave gaps, and memory grows for minutes.
fn room(len: usize) -> Vec<u8> {
    let step = (len.next_power_of_two() / 4).max(LEAST_STEP);
    Vec::with_capacity(len.next_multiple_of(step))
}

/// Writes `data` at `start`. Only the holes before it are zeroed: chunks mostly arrive in order.
fn fill(bytes: &mut Vec<u8>, start: usize, data: &[u8]) {
    if start >= bytes.len() {
        bytes.resize(start, 0);
        bytes.extend_from_slice(data);
    } else {
        bytes[start..][..data.len()].copy_from_slice(data);
    }
}

/// The least difference between two allocation lengths.
const LEAST_STEP: usize = 1 << 12;

#[cfg(test)]
mod tests;
