//! Chunks into frames: whole, or given up.
//!
//! Knows no deadline: whoever owns it says when a frame is given up. It
//! remembers frames for a while after that, so that what arrives late is known
//! for what it is.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use fixedbitset::FixedBitSet;

use crate::seq::FrameNumber;
use crate::wire::native::{Chunk, SliceStart};

/// The most frames that are remembered, being put together or closed: at 60 a
/// second more than any chunk is late by.
pub const MAX_FRAMES: usize = 256;

/// The most bytes of frames that are held: four of the longest.
pub const MAX_HELD_BYTES: usize = 64 << 20;

/// The bytes of this many frames are held, finished or not: parity over several
/// frames needs them all.
pub const MAX_HELD_FRAMES: usize = 32;

/// How a chunk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As it was sent first.
    Sent,
    /// Sent again on request.
    Retransmission,
    /// Rebuilt from parity.
    Parity,
}

/// The result of inserting a chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Insert {
    /// It was missing.
    Accepted,
    /// It was there already.
    Duplicate,
    /// It was repaired before, this way, and now arrives as it was sent first.
    LateOriginal(Origin),
    /// It completes its frame.
    Complete(CompleteFrame),
    /// It completes a frame that had been given up.
    CompleteLate,
    /// It completes its frame, but the frame's checksum does not match.
    Corrupt,
    /// It does not fit the chunks of its frame that came before.
    Mismatch,
    /// Its frame is older than all that are remembered.
    Forgotten,
}

/// A frame, byte for byte as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteFrame {
    /// Its number.
    pub number: FrameNumber,
    /// Its bytes.
    pub jpeg: Bytes,
    /// When the picture was taken, in the sender's microseconds.
    pub captured: u64,
}

/// The frames of one stream.
#[derive(Debug, Default)]
pub struct Reassembly {
    frames: BTreeMap<FrameNumber, Assembly>,
    held_bytes: usize,
    /// How many frames hold their bytes.
    held: usize,
}

/// A frame being put together, or one that is closed and remembered.
#[derive(Debug)]
pub struct Assembly {
    frame_len: usize,
    size: usize,
    crc: u32,
    captured: u64,
    tables: u16,
    have: FixedBitSet,
    missing: usize,
    /// Which slice begins where, by chunk.
    slices: BTreeMap<u16, SliceStart>,
    /// Chunks that did not come as they were sent first, or not yet.
    repaired: BTreeMap<u16, Origin>,
    first_arrival: Duration,
    /// One above the highest chunk that has arrived.
    reached: usize,
    state: State,
    /// The bytes, with zeros in the holes; empty once released.
    bytes: Held,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Whole,
    GivenUp,
}

/// Bytes that are being filled in, or shared with whoever shows them.
#[derive(Debug)]
enum Held {
    Filling(Vec<u8>),
    Shared(Bytes),
}

impl Reassembly {
    /// Inserts a chunk.
    pub fn insert(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        origin: Origin,
        now: Duration,
    ) -> Insert {
        let oldest = self.frames.first_key_value().map(|(oldest, _)| *oldest);
        let full = self.frames.len() >= MAX_FRAMES;
        if full && oldest.is_some_and(|oldest| number < oldest) {
            return Insert::Forgotten;
        }
        let (held_bytes, held) = (&mut self.held_bytes, &mut self.held);
        let assembly = self.frames.entry(number).or_insert_with(|| {
            *held_bytes += chunk.frame_len as usize;
            *held += 1;
            Assembly::new(chunk, now)
        });
        assembly.insert(number, chunk, origin)
    }

    /// The frame, open or closed, where it is remembered.
    #[must_use]
    pub fn get(&self, number: FrameNumber) -> Option<&Assembly> {
        self.frames.get(&number)
    }

    /// The unfinished frames, oldest first.
    pub fn open(&self) -> impl Iterator<Item = (FrameNumber, &Assembly)> {
        let open = |(_, assembly): &(&FrameNumber, &Assembly)| assembly.state == State::Open;
        self.frames
            .iter()
            .filter(open)
            .map(|(number, assembly)| (*number, assembly))
    }

    /// Gives up an unfinished frame. `None` where there is no such frame.
    pub fn give_up(&mut self, number: FrameNumber) -> Option<&Assembly> {
        let assembly = self.frames.get_mut(&number)?;
        if assembly.state != State::Open {
            return None;
        }
        assembly.state = State::GivenUp;
        Some(assembly)
    }

    /// The oldest unfinished frame, where the frames exceed their bounds: to
    /// be given up before its time.
    #[must_use]
    pub fn excess(&self) -> Option<FrameNumber> {
        let over = self.frames.len() > MAX_FRAMES || self.held_bytes > MAX_HELD_BYTES;
        if !over {
            return None;
        }
        let oldest = self.frames.iter().find(|(_, assembly)| assembly.holds())?;
        (oldest.1.state == State::Open).then_some(*oldest.0)
    }

    /// Bytes of frames that are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    /// Releases the bytes of the oldest closed frame that holds them. Returns
    /// whether there is one.
    pub fn release_oldest(&mut self) -> bool {
        let mut frames = self.frames.values_mut();
        let closed = frames.find(|frame| frame.state != State::Open && !frame.frame().is_empty());
        let Some(closed) = closed else {
            return false;
        };
        closed.release();
        self.held_bytes -= closed.frame_len;
        self.held -= 1;
        true
    }

    /// Releases the bytes of closed frames and forgets them, oldest first, so
    /// far as they exceed the bounds.
    pub fn forget(&mut self) {
        let mut holding = self.frames.values_mut().filter(|frame| frame.holds());
        while self.held > MAX_HELD_FRAMES || self.held_bytes > MAX_HELD_BYTES {
            let Some(assembly) = holding.next().filter(|frame| frame.state != State::Open) else {
                break;
            };
            assembly.release();
            self.held_bytes -= assembly.frame_len;
            self.held -= 1;
        }
        while self.frames.len() > MAX_FRAMES {
            let Some(oldest) = self.frames.first_entry() else {
                return;
            };
            if oldest.get().state == State::Open {
                return;
            }
            let oldest = oldest.remove();
            if oldest.holds() {
                self.held_bytes -= oldest.frame_len;
                self.held -= 1;
            }
        }
    }
}

impl Assembly {
    fn new(chunk: &Chunk<'_>, now: Duration) -> Self {
        let count = chunk.count();
        Self {
            frame_len: chunk.frame_len as usize,
            size: usize::from(chunk.size),
            crc: chunk.frame_crc,
            captured: chunk.captured,
            tables: chunk.tables,
            have: FixedBitSet::with_capacity(count),
            missing: count,
            slices: BTreeMap::new(),
            repaired: BTreeMap::new(),
            first_arrival: now,
            reached: 0,
            state: State::Open,
            bytes: Held::Filling(zeros(chunk.frame_len as usize)),
        }
    }

    fn insert(&mut self, number: FrameNumber, chunk: &Chunk<'_>, origin: Origin) -> Insert {
        if !self.fits(chunk) {
            return Insert::Mismatch;
        }
        let index = usize::from(chunk.index);
        if self.have.put(index) {
            let repaired = match origin {
                Origin::Sent => self.repaired.remove(&chunk.index),
                Origin::Retransmission | Origin::Parity => None,
            };
            return repaired.map_or(Insert::Duplicate, Insert::LateOriginal);
        }
        self.missing -= 1;
        self.reached = self.reached.max(index + 1);
        if origin != Origin::Sent {
            self.repaired.insert(chunk.index, origin);
        }
        if let Held::Filling(bytes) = &mut self.bytes {
            bytes[index * self.size..][..chunk.data.len()].copy_from_slice(chunk.data);
        }
        if let Some(slice) = chunk.slice {
            self.slices.insert(chunk.index, slice);
        }
        match (self.state, self.missing) {
            (State::Open, 0) => self.close(number),
            (State::GivenUp, 0) => Insert::CompleteLate,
            _ => Insert::Accepted,
        }
    }

    fn close(&mut self, number: FrameNumber) -> Insert {
        let Held::Filling(bytes) = &mut self.bytes else {
            return Insert::Duplicate;
        };
        if crc32c::crc32c(bytes) != self.crc {
            self.state = State::GivenUp;
            return Insert::Corrupt;
        }
        let jpeg = Bytes::from(std::mem::take(bytes));
        self.state = State::Whole;
        self.bytes = Held::Shared(jpeg.clone());
        let captured = self.captured;
        Insert::Complete(CompleteFrame {
            number,
            jpeg,
            captured,
        })
    }

    fn fits(&self, chunk: &Chunk<'_>) -> bool {
        self.frame_len == chunk.frame_len as usize
            && self.size == usize::from(chunk.size)
            && self.crc == chunk.frame_crc
            && self.captured == chunk.captured
            && self.tables == chunk.tables
    }

    fn release(&mut self) {
        self.bytes = Held::Shared(Bytes::new());
        self.slices.clear();
    }

    fn holds(&self) -> bool {
        self.frame_len == self.frame().len()
    }

    /// Whether chunks are missing and still waited for.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// How many chunks the frame has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.have.len()
    }

    /// How many chunks are missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// One above the highest chunk that has arrived.
    #[must_use]
    pub fn reached(&self) -> usize {
        self.reached
    }

    /// Which chunks have arrived, one bit a chunk.
    #[must_use]
    pub fn have(&self) -> &FixedBitSet {
        &self.have
    }

    /// When the first chunk arrived.
    #[must_use]
    pub fn first_arrival(&self) -> Duration {
        self.first_arrival
    }

    /// When the picture was taken, in the sender's microseconds.
    #[must_use]
    pub fn captured(&self) -> u64 {
        self.captured
    }

    /// The set of tables that decodes it; 0 for none.
    #[must_use]
    pub fn tables(&self) -> u16 {
        self.tables
    }

    /// The bytes, with zeros in the holes; empty once released.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        match &self.bytes {
            Held::Filling(bytes) => bytes,
            Held::Shared(bytes) => bytes,
        }
    }

    /// The chunk at `index` of the frame with this number, if it arrived and
    /// is still held.
    #[must_use]
    pub fn chunk(&self, number: FrameNumber, index: u16) -> Option<Chunk<'_>> {
        let start = usize::from(index) * self.size;
        let end = self.frame_len.min(start + self.size);
        Some(Chunk {
            frame: number.seq(),
            frame_len: self.frame_len as u32,
            index,
            size: self.size as u16,
            captured: self.captured,
            frame_crc: self.crc,
            tables: self.tables,
            slice: self.slices.get(&index).copied(),
            data: self
                .frame()
                .get(start..end)
                .filter(|_| self.have.contains(index.into()))?,
        })
    }
}

/// Zeros, with room for frames a little larger: allocations of few different
/// lengths are used again where those of each frame's own length leave gaps
/// between them, and memory grows for minutes.
fn zeros(len: usize) -> Vec<u8> {
    let step = (len.next_power_of_two() / 4).max(LEAST_STEP);
    let mut zeros = vec![0; len.next_multiple_of(step)];
    zeros.truncate(len);
    zeros
}

/// The least difference in length of two allocations.
const LEAST_STEP: usize = 1 << 12;

#[cfg(test)]
mod tests;
