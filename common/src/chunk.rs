//! Cuts a frame into chunks of equal size.

use std::time::Duration;

use crate::frame::{Frame, FrameSizeError, MAX_FRAME_BYTES};
use crate::seq::FrameNumber;
use crate::wire::native::{Chunk, FrameHeader, HEADER, PARITY_BODY, SHARD_BODY, micros};
use crate::wire::{MAX_DATAGRAM, MIN_DATAGRAM};

/// Why a frame cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// The frame is empty or too long.
    #[error(transparent)]
    Size(#[from] FrameSizeError),
    /// The datagram size is out of range.
    #[error("a datagram has {MIN_DATAGRAM} to {MAX_DATAGRAM} bytes, not {0}")]
    Datagram(usize),
}

/// A frame cut into chunks. Their sizes differ as little as possible, so that
/// parity over them needs almost no padding.
#[derive(Clone, Debug)]
pub struct ChunkedFrame {
    frame: Frame,
    /// Its number when it was cut.
    original: FrameNumber,
    crc: u32,
    size: usize,
    tables: u16,
    /// Offset of each slice in the JPEG.
    slices: Vec<u32>,
}

impl ChunkedFrame {
    /// Cuts `frame` so that each chunk, and parity over up to [`BLOCK_FRAMES`]
    /// such frames, fits a datagram of `datagram` bytes. `tables` is the number
    /// of the table set that decodes the frame, 0 if there is none. `slices` has
    /// the offset of each slice, and is empty for a JPEG without restart markers.
    ///
    /// # Errors
    /// If the frame is empty or longer than [`MAX_FRAME_BYTES`], or `datagram` is
    /// not between [`MIN_DATAGRAM`] and [`MAX_DATAGRAM`].
    pub fn new(
        frame: Frame,
        datagram: usize,
        tables: u16,
        slices: Vec<u32>,
    ) -> Result<Self, CutError> {
        let len = frame.jpeg.len();
        if len == 0 || len > MAX_FRAME_BYTES {
            return Err(FrameSizeError(len).into());
        }
        if !(MIN_DATAGRAM..=MAX_DATAGRAM).contains(&datagram) {
            return Err(CutError::Datagram(datagram));
        }
        let count = len.div_ceil(chunk_capacity(datagram));
        Ok(Self {
            crc: FrameHeader::checksum(frame.number.seq(), &frame.jpeg),
            size: len.div_ceil(count),
            original: frame.number,
            frame,
            tables,
            slices,
        })
    }

    /// The frame number.
    pub fn number(&self) -> FrameNumber {
        self.frame.number
    }

    /// The same frame with another number, which its checksum covers.
    pub fn renumbered(&self, number: FrameNumber) -> Self {
        let mut other = self.clone();
        other.frame.number = number;
        other.crc = FrameHeader::checksum(number.seq(), &other.frame.jpeg);
        other
    }

    /// The number that the frame had when it was cut.
    pub fn original(&self) -> FrameNumber {
        self.original
    }

    /// The length of the frame in bytes, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    pub fn len(&self) -> usize {
        self.frame.jpeg.len()
    }

    /// The capture time.
    pub fn captured(&self) -> Duration {
        self.frame.captured
    }

    /// Number of chunks, from 1 to
    /// [`MAX_CHUNKS`](crate::wire::native::MAX_CHUNKS).
    pub fn count(&self) -> usize {
        self.len().div_ceil(self.size)
    }

    /// Length of every chunk but the last, in bytes. It fits 16 bits, because a
    /// chunk fits a datagram.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The chunk at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`ChunkedFrame::count`].
    pub fn chunk(&self, index: usize) -> Chunk<'_> {
        let start = index * self.size;
        let end = (start + self.size).min(self.len());
        let slice = self.slice_in(start, end);
        let chunk = Chunk {
            frame: self.frame.number.seq(),
            index: index as u16,
            count: self.count() as u16,
            restart_cycle: slice.and_then(|(number, _)| Chunk::cycle_before(number)),
            header: None,
            data: &self.frame.jpeg[start..end],
        };
        // In a JPEG's header anything may look like a restart marker.
        let may_mislead = self.slices.first().is_some_and(|end| *end as usize > start);
        let found = || chunk.slice_start().map(|(_, at)| start + at);
        let misleads = may_mislead && found() != slice.map(|(_, begin)| begin);
        Chunk {
            restart_cycle: chunk.restart_cycle.filter(|_| !misleads),
            header: chunk.has_header().then(|| self.header()),
            ..chunk
        }
    }

    fn header(&self) -> FrameHeader {
        FrameHeader {
            len: self.len() as u32,
            crc: self.crc,
            captured: micros(self.frame.captured) as u32,
            size: self.size as u16,
            tables: self.tables,
        }
    }

    /// The slice after the first restart marker within these bytes, and where it begins.
    fn slice_in(&self, start: usize, end: usize) -> Option<(usize, usize)> {
        let behind = start + MARKER;
        let number = self
            .slices
            .partition_point(|begin| (*begin as usize) < behind);
        // The first slice has no marker.
        let number = number.max(1);
        let begin = *self.slices.get(number)? as usize;
        (begin <= end).then_some((number, begin))
    }
}

/// Bytes of a restart marker, which precedes its slice.
const MARKER: usize = 2;

/// Upper bound on the frames that share parity in one block: as many as fit the
/// default playout delay at 60 frames per second.
pub const BLOCK_FRAMES: usize = 4;

/// The most bytes of a frame that fit a chunk, so that a datagram with the chunk,
/// and one with parity over such chunks, has at most `datagram` bytes. `datagram`
/// is clamped to [`MIN_DATAGRAM`] and [`MAX_DATAGRAM`].
pub fn chunk_capacity(datagram: usize) -> usize {
    let datagram = datagram.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
    // Shards have an even size, so parity is limited to the even size below.
    let shard = (datagram - HEADER - PARITY_BODY - 2 * BLOCK_FRAMES) & !1;
    shard - SHARD_BODY
}

/// The inverse of [`chunk_capacity`]: the smallest datagram size that allows
/// chunks of `size` bytes.
pub fn datagram_for(size: usize) -> usize {
    let size = size.min(MAX_DATAGRAM);
    ((size + SHARD_BODY + 1) & !1) + HEADER + PARITY_BODY + 2 * BLOCK_FRAMES
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::wire::DEFAULT_DATAGRAM;
    use crate::wire::native::MAX_CHUNKS;

    fn frame(len: usize) -> Frame {
        let jpeg = (0..len).map(|i| (i * 31) as u8).collect::<Vec<_>>();
        Frame {
            number: FrameNumber(7),
            jpeg: Bytes::from(jpeg),
            captured: Duration::ZERO,
        }
    }

    fn cut(frame: Frame, datagram: usize, tables: u16, slices: Vec<u32>) -> ChunkedFrame {
        ChunkedFrame::new(frame, datagram, tables, slices).unwrap()
    }

    #[test]
    fn a_frame_with_another_number_is_as_one_that_was_cut_with_it() {
        let renumbered = cut(frame(5_000), 1_452, 0, vec![]).renumbered(FrameNumber(3));
        let other = Frame {
            number: FrameNumber(3),
            ..frame(5_000)
        };
        let other = cut(other, 1_452, 0, vec![]);
        assert_eq!(renumbered.original(), FrameNumber(7));
        assert_eq!(renumbered.count(), other.count());
        for index in 0..other.count() {
            assert_eq!(renumbered.chunk(index), other.chunk(index), "{index}");
        }
    }

    #[test]
    fn what_cannot_be_cut_is_refused_and_no_number_is_cut_short() {
        let refused = |len: usize, datagram: usize| {
            ChunkedFrame::new(frame(len), datagram, 0, vec![]).unwrap_err()
        };
        let longest = MAX_FRAME_BYTES + 1;
        assert_eq!(refused(0, 1_452), FrameSizeError(0).into());
        assert_eq!(refused(longest, 1_452), FrameSizeError(longest).into());
        for datagram in [0, 59, MIN_DATAGRAM - 1, MAX_DATAGRAM + 1, usize::MAX] {
            assert_eq!(refused(1_000, datagram), CutError::Datagram(datagram));
        }
        for datagram in [0, 59, 60, 70_000, usize::MAX] {
            let capacity = chunk_capacity(datagram);
            assert!((500..65_507).contains(&capacity), "{datagram}: {capacity}");
        }
        assert!(datagram_for(usize::MAX) < 70_000);
        let large = cut(frame(200_000), MAX_DATAGRAM, 0, vec![]);
        let header = large.chunk(0).header.unwrap();
        assert_eq!(usize::from(header.size), large.size());
        let slices = (0..70_000).collect();
        let sliced = cut(frame(70_000), MIN_DATAGRAM, 1, slices);
        let last = sliced.chunk(sliced.count() - 1);
        assert_eq!(last.restart_cycle, None);
    }

    #[test]
    fn the_longest_frame_fits_the_smallest_datagrams() {
        let chunked = cut(frame(MAX_FRAME_BYTES), MIN_DATAGRAM, 0, vec![]);
        assert!(chunked.count() <= MAX_CHUNKS);
        assert!(chunked.size() <= chunk_capacity(MIN_DATAGRAM));
    }

    #[test]
    fn a_frame_is_cut_as_before_by_the_datagram_for_its_chunks() {
        for len in [1, 549, 5_000, 40_000, 200_001] {
            for datagram in [MIN_DATAGRAM, DEFAULT_DATAGRAM, 9_000, MAX_DATAGRAM] {
                let size = cut(frame(len), datagram, 0, vec![]).size();
                let again = datagram_for(size).clamp(MIN_DATAGRAM, MAX_DATAGRAM);
                let again = cut(frame(len), again, 0, vec![]);
                assert_eq!(again.size(), size, "{len} in {datagram}");
            }
        }
    }

    #[test]
    fn says_which_slice_begins_where() {
        // The marker before the one at 1,000 is in the chunk before, that of the one at
        // 2,001 in both. The first one has none.
        let slices = [600, 900, 1000, 2001, 2500];
        let mut jpeg = vec![0; 3000];
        for (marker, begin) in (0xd0..).zip(&slices[1..]) {
            jpeg[begin - 2..*begin].copy_from_slice(&[0xff, marker]);
        }
        let frame = Frame {
            jpeg: Bytes::from(jpeg),
            ..frame(1)
        };
        let slices = slices.iter().map(|begin| *begin as u32).collect();
        let chunked = cut(frame, DEFAULT_DATAGRAM, 1, slices);
        assert_eq!((chunked.count(), chunked.size()), (3, 1000));
        let starts = (0..3).map(|index| chunked.chunk(index).slice_start());
        let starts: Vec<_> = starts.collect();
        assert_eq!(starts, [Some((1, 900)), None, Some((4, 500))]);
    }

    #[test]
    fn a_restart_marker_pattern_in_a_header_starts_no_slice() {
        let jpeg = [&[0xff, 0xd7, 0, 0xff, 0xd0, 1][..], &[0; 2000]].concat();
        let frame = Frame {
            jpeg: Bytes::from(jpeg),
            ..frame(1)
        };
        let chunked = cut(frame, DEFAULT_DATAGRAM, 1, vec![3, 5]);
        assert_eq!(chunked.chunk(0).restart_cycle, None);
    }

    proptest! {
        #[test]
        fn the_chunks_are_equal_and_are_the_frame(
            len in 1_usize..200_000,
            datagram in MIN_DATAGRAM..=MAX_DATAGRAM,
        ) {
            let chunked = cut(frame(len), datagram, 0, vec![]);
            let mut joined = Vec::new();
            for index in 0..chunked.count() {
                let chunk = chunked.chunk(index);
                let header = chunk.header.map_or(chunked.count(), |header| header.count());
                prop_assert_eq!(header, chunked.count());
                let carries = index % 8 == 0 || index + 1 == chunked.count();
                prop_assert_eq!(chunk.header.is_some(), carries);
                prop_assert!(chunk.data.len() == chunked.size() || index + 1 == chunked.count());
                let mut body = Vec::new();
                chunk.encode(&mut body);
                prop_assert!(HEADER + body.len() <= datagram);
                prop_assert_eq!(Chunk::decode(&body).unwrap(), chunk);
                joined.extend_from_slice(chunk.data);
            }
            prop_assert_eq!(&joined[..], &frame(len).jpeg[..]);
        }
    }
}
