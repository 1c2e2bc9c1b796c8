//! Cuts a frame into chunks of equal size.

use std::time::Duration;

use crate::frame::{Frame, FrameSizeError, MAX_FRAME_BYTES};
use crate::seq::FrameNumber;
use crate::wire::native::{CHUNK_BODY, Chunk, HEADER, PARITY_BODY, SliceStart, micros};
use crate::wire::{MAX_DATAGRAM, MIN_DATAGRAM};

/// Why a frame cannot be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutError {
    /// The frame is empty or too long.
    #[error(transparent)]
    Size(#[from] FrameSizeError),
    /// The datagram size is out of range.
    #[error("datagrams cannot have {0} bytes, only {MIN_DATAGRAM} to {MAX_DATAGRAM}")]
    Datagram(usize),
}

/// A frame cut into chunks. Their sizes differ as little as possible, so that
/// parity over them needs almost no padding.
#[derive(Clone, Debug)]
pub struct ChunkedFrame {
    frame: Frame,
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
            crc: crc32c::crc32c(&frame.jpeg),
            size: len.div_ceil(count),
            frame,
            tables,
            slices,
        })
    }

    /// The frame number.
    #[must_use]
    pub fn number(&self) -> FrameNumber {
        self.frame.number
    }

    /// The length of the frame in bytes, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "none is empty")]
    #[must_use]
    pub fn len(&self) -> usize {
        self.frame.jpeg.len()
    }

    /// The capture time.
    #[must_use]
    pub fn captured(&self) -> Duration {
        self.frame.captured
    }

    /// Number of chunks, from 1 to
    /// [`MAX_CHUNKS`](crate::wire::native::MAX_CHUNKS).
    #[must_use]
    pub fn count(&self) -> usize {
        self.len().div_ceil(self.size)
    }

    /// Length of every chunk but the last, in bytes. It fits 16 bits, because a
    /// chunk fits a datagram.
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    /// The chunk at `index`.
    ///
    /// # Panics
    /// If `index` is not below [`ChunkedFrame::count`].
    #[must_use]
    pub fn chunk(&self, index: usize) -> Chunk<'_> {
        let start = index * self.size;
        let end = (start + self.size).min(self.len());
        Chunk {
            frame: self.frame.number.seq(),
            frame_len: self.len() as u32,
            index: index as u16,
            size: self.size as u16,
            captured: micros(self.frame.captured),
            frame_crc: self.crc,
            tables: self.tables,
            slice: self.slice_from(start, end),
            data: &self.frame.jpeg[start..end],
        }
    }

    fn slice_from(&self, start: usize, end: usize) -> Option<SliceStart> {
        let number = self
            .slices
            .partition_point(|begin| (*begin as usize) < start);
        let begin = *self.slices.get(number)? as usize;
        // Slices beyond the largest slice number are not announced.
        let number = u16::try_from(number).ok()?;
        (begin < end).then(|| SliceStart {
            number,
            offset: (begin - start) as u16,
        })
    }
}

/// Upper bound on the frames that share parity in one block: as many as fit the
/// default playout delay at 60 frames per second.
pub const BLOCK_FRAMES: usize = 4;

/// The most bytes of a frame that fit a chunk, so that a datagram with the chunk,
/// and one with parity over such chunks, has at most `datagram` bytes. `datagram`
/// is clamped to [`MIN_DATAGRAM`] and [`MAX_DATAGRAM`].
#[must_use]
pub fn chunk_capacity(datagram: usize) -> usize {
    let datagram = datagram.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
    // Shards have an even size, so parity is limited to the even size below.
    let shard = (datagram - HEADER - PARITY_BODY - 2 * BLOCK_FRAMES) & !1;
    shard - CHUNK_BODY
}

/// The inverse of [`chunk_capacity`]: the smallest datagram size that allows
/// chunks of `size` bytes.
#[must_use]
pub fn datagram_for(size: usize) -> usize {
    let size = size.min(MAX_DATAGRAM);
    ((size + CHUNK_BODY + 1) & !1) + HEADER + PARITY_BODY + 2 * BLOCK_FRAMES
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
        assert_eq!(usize::from(large.chunk(0).size), large.size());
        // Only 65,536 slices have a number.
        let slices = (0..70_000).collect();
        let sliced = cut(frame(70_000), MIN_DATAGRAM, 1, slices);
        let last = sliced.chunk(sliced.count() - 1);
        assert_eq!(last.slice, None);
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
        let chunked = cut(frame(3000), DEFAULT_DATAGRAM, 1, vec![600, 900, 1000, 2500]);
        assert_eq!((chunked.count(), chunked.size()), (3, 1000));
        let starts: Vec<_> = (0..3).map(|index| chunked.chunk(index).slice).collect();
        assert_eq!(
            starts,
            [
                Some(SliceStart {
                    number: 0,
                    offset: 600
                }),
                Some(SliceStart {
                    number: 2,
                    offset: 0
                }),
                Some(SliceStart {
                    number: 3,
                    offset: 500
                }),
            ]
        );
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
                prop_assert_eq!(chunk.count(), chunked.count());
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
