//! JPEGs without any header: one per datagram, or a sequence cut into datagrams at any place. Only
//! the JPEG's own markers separate them.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annex B.

use bytes::Bytes;

use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::markers::{ALONE, EOI, Marker, Markers, RST0, RST7, SOI, SOS, START, is_reserved};
use crate::jpeg::scan::may_be_complete;
use crate::jpeg::{JpegHeader, clean};

/// How often a JPEG without an end is checked for completeness. Each check reads all of it.
const MAX_LOOKS: u32 = 4;

/// The result of joining the datagrams of one sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// A JPEG from start of image to end of image, with its markers in order.
    Complete(Bytes),
    /// A JPEG had begun, and part of it is missing or damaged.
    Broken,
    /// Bytes that belong to no JPEG that has begun.
    Stray,
}

/// Joins the datagrams of one sender into JPEGs.
#[derive(Debug, Default)]
pub struct Joiner {
    /// The incomplete JPEG; empty if there is none.
    bytes: Vec<u8>,
    /// A partial start of image at the end of a datagram, perhaps of the next JPEG.
    start: Vec<u8>,
    scanner: Scanner,
    /// Bytes of the longest datagram of the incomplete JPEG.
    longest: usize,
    looks: u32,
}

impl Joiner {
    /// Joins the next datagram, in the order of arrival. Returns what it ended.
    pub fn push(&mut self, datagram: &[u8]) -> Vec<Joined> {
        let mut joined = Vec::new();
        let mut datagram = datagram;
        let together;
        if !self.start.is_empty() {
            let start = std::mem::take(&mut self.start);
            if !datagram.starts_with(&START) {
                together = [&start, datagram].concat();
                datagram = &together;
            }
        }
        let begins = datagram.starts_with(&START);
        // Within a segment, the bytes may be a thumbnail.
        if begins && self.is_open() && !self.scanner.markers.is_within_segment(&self.bytes) {
            joined.extend(self.finish());
        }
        if !self.is_open() && !begins {
            joined.push(Joined::Stray);
            return joined;
        }
        self.bytes.extend_from_slice(datagram);
        // Where the incomplete JPEG begins. A datagram may hold thousands of JPEGs, and each byte
        // is copied once.
        let mut begin = 0;
        loop {
            let bytes = self.bytes.get(begin..).unwrap_or_default();
            let end = match self.scanner.scan(bytes) {
                Scanned::More if bytes.len() <= MAX_FRAME_BYTES => break,
                Scanned::More | Scanned::Wrong => {
                    joined.push(Joined::Broken);
                    self.reset();
                    return joined;
                }
                Scanned::End(end) => end,
            };
            let jpeg = if joined.is_empty() {
                // The JPEG may be large, and the rest is not.
                let rest = self.bytes.split_off(end);
                std::mem::replace(&mut self.bytes, rest)
            } else {
                let jpeg = bytes.get(..end).unwrap_or_default().to_vec();
                begin += end;
                jpeg
            };
            joined.push(self.scanner.judge(jpeg));
            self.scanner = Scanner::default();
            (self.longest, self.looks) = (0, 0);
            let rest = self.bytes.get(begin..).unwrap_or_default();
            if rest.starts_with(&START) {
                continue;
            }
            // Cameras pad the last datagram with arbitrary bytes.
            if START.starts_with(rest) {
                self.start = rest.to_vec();
            }
            self.bytes = Vec::new();
            return joined;
        }
        self.bytes.drain(..begin);
        joined.extend(self.look(begins, datagram.len()));
        joined
    }

    /// Whether a JPEG has begun.
    pub fn is_open(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Bytes of memory that it holds.
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Ends the incomplete JPEG: some devices write no end of image.
    pub fn finish(&mut self) -> Option<Joined> {
        if !self.is_open() {
            return None;
        }
        let jpeg = std::mem::take(&mut self.bytes);
        let joined = self.scanner.judge(jpeg);
        self.reset();
        Some(joined)
    }

    /// Checks whether the newest datagram, of this length, may be the last of a JPEG without an
    /// end. Returns the JPEG if it is complete.
    fn look(&mut self, begins: bool, len: usize) -> Option<Joined> {
        let may_be_last = begins || len < self.longest;
        self.longest = self.longest.max(len);
        if !may_be_last || !self.scanner.in_scan || self.looks == MAX_LOOKS {
            return None;
        }
        self.looks += 1;
        let joined = self.scanner.judge(self.bytes.clone());
        let is_complete = matches!(joined, Joined::Complete(_));
        is_complete.then(|| {
            self.reset();
            joined
        })
    }

    /// Gives up the incomplete JPEG.
    fn reset(&mut self) {
        self.bytes = Vec::new();
        self.scanner = Scanner::default();
        (self.longest, self.looks) = (0, 0);
    }
}

/// The position of a scan through a JPEG.
#[derive(Debug, Default)]
struct Scanner {
    markers: Markers,
    /// After a start of scan, where coded data stand between markers.
    in_scan: bool,
    /// In the present scan: the number of restart markers, and the newest.
    restarts: usize,
    newest: Option<Marker>,
}

enum Scanned {
    /// The JPEG continues beyond these bytes.
    More,
    /// The JPEG ends here, by its own marker or because another one begins.
    End(usize),
    /// No JPEG continues like this.
    Wrong,
}

impl Scanner {
    /// Scans as far as the bytes allow.
    fn scan(&mut self, bytes: &[u8]) -> Scanned {
        while let Some(marker) = self.markers.next(bytes) {
            match marker.code {
                EOI => return Scanned::End(marker.end),
                // Its own start of image, which may be doubled.
                SOI if marker.end <= 2 * ALONE => {}
                SOI => return Scanned::End(marker.end - ALONE),
                RST0..=RST7 if self.in_scan => {
                    // The first may have any number; each further one is one higher.
                    let next = |newest: Marker| RST0 + (newest.code - RST0 + 1) % 8;
                    if self
                        .newest
                        .is_some_and(|newest| next(newest) != marker.code)
                    {
                        return Scanned::Wrong;
                    }
                    self.newest = Some(marker);
                    self.restarts += 1;
                }
                code if self.in_scan && is_reserved(code) => return Scanned::Wrong,
                code => {
                    self.in_scan = code == SOS;
                    (self.restarts, self.newest) = (0, None);
                }
            }
        }
        Scanned::More
    }

    /// Checks a JPEG that has ended. The numbers of restart markers reveal data missing between
    /// them, and the number of coded units reveals a missing end.
    fn judge(&self, jpeg: Vec<u8>) -> Joined {
        let has_end = jpeg.ends_with(&[0xff, EOI]);
        let jpeg = Bytes::from(jpeg);
        let Ok(jpeg) = clean(&jpeg) else {
            return Joined::Broken;
        };
        let Ok(header) = JpegHeader::parse(&jpeg) else {
            return Joined::Broken;
        };
        let is_last = |marker: Marker| marker.end + ALONE == jpeg.len();
        let restarts = self.restarts - usize::from(self.newest.is_some_and(is_last));
        let adds_up = !header.has_slices() || restarts + 1 == header.slice_count();
        if adds_up && (has_end || may_be_complete(&jpeg)) {
            Joined::Complete(jpeg)
        } else {
            Joined::Broken
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use turbojpeg::Subsamp;

    use super::*;
    use crate::slices::encoder::{Settings, encode};

    fn jpeg(interval: u16, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(3 * 96 * 64)
            .collect();
        let settings = Settings {
            width: 96,
            height: 64,
            subsamp: Subsamp::Sub2x2,
            quality: 70,
            interval,
            optimize: false,
        };
        encode(&pixels, &settings)
    }

    fn join<'a>(datagrams: impl IntoIterator<Item = &'a [u8]>) -> Vec<Joined> {
        let mut joiner = Joiner::default();
        datagrams
            .into_iter()
            .flat_map(|datagram| joiner.push(datagram))
            .collect()
    }

    #[test]
    fn one_a_datagram_with_padding_or_without() {
        let jpeg = jpeg(0, 1);
        let mut padded = jpeg.clone();
        padded.extend([0; 40]);
        assert_eq!(
            join([&jpeg[..], &padded, &jpeg]),
            vec![Joined::Complete(jpeg.clone().into()); 3]
        );
    }

    #[test]
    fn a_thumbnail_ends_nothing() {
        let small = jpeg(0, 2);
        let mut jpeg = jpeg(0, 3);
        let mut segment = vec![0xff, 0xe1];
        segment.extend((small.len() as u16 + 2).to_be_bytes());
        segment.extend(&small);
        jpeg.splice(2..2, segment);
        // The second datagram begins with the thumbnail.
        let cut = 6;
        assert_eq!(
            join([&jpeg[..cut], &jpeg[cut..]]),
            [Joined::Complete(jpeg.clone().into())]
        );
    }

    #[test]
    fn the_next_start_breaks_what_has_not_ended() {
        let (one, two) = (jpeg(0, 4), jpeg(0, 5));
        assert_eq!(
            join([&one[..2000], &two[..]]),
            [Joined::Broken, Joined::Complete(two.clone().into())]
        );
        assert_eq!(join([&one[2000..]]), [Joined::Stray]);
    }

    #[test]
    fn a_missing_datagram_breaks_the_order_or_the_count_of_restarts() {
        let jpeg = jpeg(1, 6);
        let pieces: Vec<_> = jpeg.chunks(jpeg.len() / 12).collect();
        for missing in 1..pieces.len() - 1 {
            let mut pieces = pieces.clone();
            pieces.remove(missing);
            assert!(join(pieces).contains(&Joined::Broken), "without {missing}");
        }
    }

    proptest! {
        #[test]
        fn cut_anywhere_they_come_back(
            intervals in prop::collection::vec(0_u16..8, 1..4), cut in 3_usize..3000, aligned: bool,
        ) {
            let jpegs: Vec<_> = intervals.iter().map(|interval| jpeg(*interval, 7)).collect();
            let complete: Vec<_> = jpegs.iter().cloned().map(|jpeg| Joined::Complete(jpeg.into())).collect();
            let joined = if aligned {
                join(jpegs.iter().flat_map(|jpeg| jpeg.chunks(cut)))
            } else {
                join(jpegs.concat().chunks(cut))
            };
            prop_assert_eq!(joined, complete);
        }

        #[test]
        fn any_bytes_are_bounded(
            datagrams in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..20),
            damage in prop::collection::vec((0_usize..3000, any::<u8>()), 0..6),
        ) {
            let mut joiner = Joiner::default();
            let mut start = jpeg(2, 8);
            for (at, byte) in damage {
                if let Some(place) = start.get_mut(at) {
                    *place = byte;
                }
            }
            let mut sum = start.len();
            joiner.push(&start);
            for datagram in datagrams {
                sum += datagram.len();
                joiner.push(&datagram);
                prop_assert!(joiner.bytes.len() <= sum);
            }
        }
    }
}
