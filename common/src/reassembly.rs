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

/// The most bytes of unfinished frames: four of the longest.
pub const MAX_OPEN_BYTES: usize = 64 << 20;

/// How a chunk came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// As it was sent first.
    Sent,
    /// Sent again on request.
    Resent,
    /// Rebuilt from parity.
    Parity,
}

/// What a chunk did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placed {
    /// It is a part of its frame that was missing.
    Filled,
    /// It, or its whole frame, was there already.
    Redundant,
    /// It completes its frame.
    Whole(WholeFrame),
    /// It completes a frame that had been given up.
    WholeTooLate,
    /// The last hole is filled, and the frame's checksum does not hold.
    Corrupt,
    /// It does not fit the chunks of its frame that came before.
    Contradiction,
    /// Its frame is older than all that are remembered.
    Forgotten,
}

/// A frame, byte for byte as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WholeFrame {
    /// Its number.
    pub number: FrameNumber,
    /// Its bytes.
    pub jpeg: Bytes,
    /// When the picture was taken, in the sender's microseconds.
    pub captured: u64,
    /// How many of its chunks were sent again.
    pub resent: u32,
    /// How many of its chunks parity rebuilt.
    pub rebuilt: u32,
}

/// The frames of one stream.
#[derive(Debug, Default)]
pub struct Reassembly {
    frames: BTreeMap<FrameNumber, Assembly>,
    open_bytes: usize,
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
    resent: u32,
    rebuilt: u32,
    first_arrival: Duration,
    /// The bytes; empty once closed.
    buffer: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Whole,
    GivenUp,
}

impl Reassembly {
    /// Puts a chunk in its place.
    pub fn place(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        origin: Origin,
        now: Duration,
    ) -> Placed {
        let oldest = self.frames.first_key_value().map(|(oldest, _)| *oldest);
        let full = self.frames.len() >= MAX_FRAMES;
        if !self.frames.contains_key(&number) {
            if full && oldest.is_some_and(|oldest| number < oldest) {
                return Placed::Forgotten;
            }
            self.open_bytes += chunk.frame_len as usize;
            self.frames.insert(number, Assembly::new(chunk, now));
        }
        let Some(assembly) = self.frames.get_mut(&number) else {
            return Placed::Forgotten;
        };
        let was_open = assembly.state == State::Open;
        let placed = assembly.place(number, chunk, origin);
        if was_open && assembly.state != State::Open {
            self.open_bytes -= assembly.frame_len;
        }
        placed
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

    /// Gives up an unfinished frame. Returns its bytes with zeros in the
    /// holes, or `None` where there is no such unfinished frame.
    pub fn give_up(&mut self, number: FrameNumber) -> Option<Vec<u8>> {
        let assembly = self.frames.get_mut(&number)?;
        if assembly.state != State::Open {
            return None;
        }
        assembly.state = State::GivenUp;
        self.open_bytes -= assembly.frame_len;
        Some(std::mem::take(&mut assembly.buffer))
    }

    /// The oldest unfinished frame, where the frames exceed their bounds: to
    /// be given up before its time.
    #[must_use]
    pub fn excess(&self) -> Option<FrameNumber> {
        let oldest = self.open().next()?.0;
        let forgotten_next =
            self.frames.first_key_value().map(|(number, _)| *number) == Some(oldest);
        let full = self.frames.len() > MAX_FRAMES && forgotten_next;
        (full || self.open_bytes > MAX_OPEN_BYTES).then_some(oldest)
    }

    /// Forgets closed frames beyond the bound, oldest first.
    pub fn forget(&mut self) {
        while self.frames.len() > MAX_FRAMES {
            let Some(oldest) = self.frames.first_entry() else {
                return;
            };
            if oldest.get().state == State::Open {
                return;
            }
            oldest.remove();
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
            resent: 0,
            rebuilt: 0,
            first_arrival: now,
            buffer: vec![0; chunk.frame_len as usize],
            state: State::Open,
        }
    }

    fn place(&mut self, number: FrameNumber, chunk: &Chunk<'_>, origin: Origin) -> Placed {
        if !self.fits(chunk) {
            return Placed::Contradiction;
        }
        let index = usize::from(chunk.index);
        if self.have.put(index) {
            return Placed::Redundant;
        }
        self.missing -= 1;
        match origin {
            Origin::Sent => {}
            Origin::Resent => self.resent += 1,
            Origin::Parity => self.rebuilt += 1,
        }
        match self.state {
            State::Open => {}
            State::Whole => return Placed::Redundant,
            State::GivenUp if self.missing == 0 => return Placed::WholeTooLate,
            State::GivenUp => return Placed::Filled,
        }
        self.buffer[index * self.size..][..chunk.data.len()].copy_from_slice(chunk.data);
        if let Some(slice) = chunk.slice {
            self.slices.insert(chunk.index, slice);
        }
        if self.missing == 0 {
            return self.close(number);
        }
        Placed::Filled
    }

    fn close(&mut self, number: FrameNumber) -> Placed {
        let buffer = std::mem::take(&mut self.buffer);
        if crc32c::crc32c(&buffer) != self.crc {
            self.state = State::GivenUp;
            return Placed::Corrupt;
        }
        self.state = State::Whole;
        Placed::Whole(WholeFrame {
            number,
            jpeg: Bytes::from(buffer),
            captured: self.captured,
            resent: self.resent,
            rebuilt: self.rebuilt,
        })
    }

    fn fits(&self, chunk: &Chunk<'_>) -> bool {
        self.frame_len == chunk.frame_len as usize
            && self.size == usize::from(chunk.size)
            && self.crc == chunk.frame_crc
            && self.captured == chunk.captured
            && self.tables == chunk.tables
    }

    /// Whether chunks are missing and still wanted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether every chunk arrived in time.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.state == State::Whole
    }

    /// How many chunks are missing.
    #[must_use]
    pub fn missing(&self) -> usize {
        self.missing
    }

    /// When the first chunk arrived.
    #[must_use]
    pub fn first_arrival(&self) -> Duration {
        self.first_arrival
    }

    /// Which chunks have arrived, one bit a chunk.
    #[must_use]
    pub fn have(&self) -> &FixedBitSet {
        &self.have
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::chunk::ChunkedFrame;
    use crate::frame::Frame;
    use crate::wire::DEFAULT_DATAGRAM;

    const NOW: Duration = Duration::ZERO;

    fn frame(number: u64, len: usize) -> ChunkedFrame {
        let jpeg = (0..len)
            .map(|i| (i as u64 * 31 + number) as u8)
            .collect::<Vec<_>>();
        let number = FrameNumber(number);
        let frame = Frame {
            number,
            jpeg: Bytes::from(jpeg),
            captured: Duration::ZERO,
        };
        ChunkedFrame::new(frame, DEFAULT_DATAGRAM, 0, vec![])
    }

    fn place(reassembly: &mut Reassembly, frame: &ChunkedFrame, index: usize) -> Placed {
        reassembly.place(frame.number(), &frame.chunk(index), Origin::Sent, NOW)
    }

    #[test]
    fn a_frame_in_any_order_with_duplicates_is_the_frame_sent() {
        for seed in 0..200 {
            let mut rng = Rng::with_seed(seed);
            let sent = frame(seed, rng.usize(1..40_000));
            let mut order: Vec<_> = (0..sent.count()).chain(0..sent.count()).collect();
            rng.shuffle(&mut order);
            let mut reassembly = Reassembly::default();
            let placed: Vec<_> = order
                .iter()
                .map(|index| place(&mut reassembly, &sent, *index))
                .collect();
            let whole: Vec<_> = placed
                .iter()
                .filter_map(|placed| {
                    if let Placed::Whole(frame) = placed {
                        Some(frame)
                    } else {
                        None
                    }
                })
                .collect();
            assert_eq!(whole.len(), 1, "seed {seed}");
            for index in 0..sent.count() {
                let chunk = sent.chunk(index);
                assert_eq!(
                    &whole[0].jpeg[index * sent.size()..][..chunk.data.len()],
                    chunk.data
                );
            }
            let redundant = placed
                .iter()
                .filter(|placed| **placed == Placed::Redundant)
                .count();
            assert_eq!(redundant, sent.count());
            assert_eq!(reassembly.open_bytes, 0);
        }
    }

    #[test]
    fn a_chunk_of_another_shape_is_refused() {
        let mut reassembly = Reassembly::default();
        let sent = frame(1, 5000);
        assert_eq!(place(&mut reassembly, &sent, 0), Placed::Filled);
        let mut other = sent.chunk(1);
        other.frame_crc ^= 1;
        let placed = reassembly.place(sent.number(), &other, Origin::Sent, NOW);
        assert_eq!(placed, Placed::Contradiction);
    }

    #[test]
    fn a_frame_whose_checksum_fails_is_corrupt() {
        let mut reassembly = Reassembly::default();
        let sent = frame(1, 100);
        let damaged = vec![0; 100];
        let chunk = Chunk {
            data: &damaged,
            ..sent.chunk(0)
        };
        let placed = reassembly.place(sent.number(), &chunk, Origin::Sent, NOW);
        assert_eq!(placed, Placed::Corrupt);
        assert_eq!(reassembly.open_bytes, 0);
    }

    #[test]
    fn what_completes_a_frame_after_it_was_given_up_is_late() {
        let mut reassembly = Reassembly::default();
        let sent = frame(1, 3000);
        place(&mut reassembly, &sent, 0);
        place(&mut reassembly, &sent, 1);
        assert!(reassembly.give_up(sent.number()).is_some());
        assert!(reassembly.give_up(sent.number()).is_none());
        assert_eq!(place(&mut reassembly, &sent, 2), Placed::WholeTooLate);
    }

    #[test]
    fn stays_within_its_bounds_when_every_frame_is_incomplete() {
        let mut reassembly = Reassembly::default();
        for number in 0..2000 {
            place(&mut reassembly, &frame(number, 300_000), 0);
            while let Some(oldest) = reassembly.excess() {
                reassembly.give_up(oldest);
            }
            reassembly.forget();
            assert!(reassembly.frames.len() <= MAX_FRAMES);
            assert!(reassembly.open_bytes <= MAX_OPEN_BYTES);
        }
        assert_eq!(place(&mut reassembly, &frame(3, 100), 0), Placed::Forgotten);
    }
}
