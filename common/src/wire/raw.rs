//! JPEGs without any header: one a datagram, or one after another cut into
//! datagrams at will. Their own markers are all there is to go by.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annex B.

use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::{EOI, JpegHeader, RST0, RST7, SOI, SOS};

/// What the datagrams of one sender made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Joined {
    /// A JPEG from start of image to end of image, whose markers are in order.
    Whole(Vec<u8>),
    /// A JPEG had begun, and something of it is missing or damaged.
    Broken,
    /// Bytes that belong to no JPEG that had begun.
    Stray,
}

/// Datagrams of one sender into JPEGs.
#[derive(Debug, Default)]
pub struct Joiner {
    /// The JPEG that has begun; empty where none has.
    bytes: Vec<u8>,
    /// What may be the start of the next one, cut within.
    start: Vec<u8>,
    scanner: Scanner,
}

impl Joiner {
    /// Takes the next datagram as it came. Returns what it ended.
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
        // Within a segment the bytes may be a small picture of their own.
        if self.is_open() && begins && !self.scanner.is_within_segment(self.bytes.len()) {
            joined.push(Joined::Broken);
            self.reset();
        }
        if !self.is_open() && !begins {
            joined.push(Joined::Stray);
            return joined;
        }
        self.bytes.extend_from_slice(datagram);
        // Where the one that has begun begins: a datagram may hold thousands,
        // and each byte is copied once.
        let mut begin = 0;
        loop {
            let bytes = self.bytes.get(begin..).unwrap_or_default();
            match self.scanner.scan(bytes) {
                Scan::More if bytes.len() <= MAX_FRAME_BYTES => break,
                Scan::More | Scan::Wrong => {
                    joined.push(Joined::Broken);
                    self.reset();
                    return joined;
                }
                Scan::End(end) => {
                    let jpeg = if joined.is_empty() {
                        // It may be large, and what is behind it is not.
                        let rest = self.bytes.split_off(end);
                        std::mem::replace(&mut self.bytes, rest)
                    } else {
                        let jpeg = bytes.get(..end).unwrap_or_default().to_vec();
                        begin += end;
                        jpeg
                    };
                    let in_order = self.scanner.has_all_restarts(&jpeg);
                    self.scanner = Scanner::default();
                    joined.push(if in_order {
                        Joined::Whole(jpeg)
                    } else {
                        Joined::Broken
                    });
                    let rest = self.bytes.get(begin..).unwrap_or_default();
                    if rest.starts_with(&START) {
                        continue;
                    }
                    // Cameras fill the last datagram up with anything.
                    if START.starts_with(rest) {
                        self.start = rest.to_vec();
                    }
                    self.bytes = Vec::new();
                    return joined;
                }
            }
        }
        self.bytes.drain(..begin);
        joined
    }

    /// Whether a JPEG has begun.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Bytes of memory that it takes.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives up the JPEG that has begun.
    pub fn reset(&mut self) {
        self.bytes = Vec::new();
        self.scanner = Scanner::default();
    }
}

/// Where in a JPEG one has come.
#[derive(Debug, Default)]
struct Scanner {
    at: usize,
    /// Behind a start of scan, where coded data stand between markers.
    in_scan: bool,
    /// Restart markers in the present scan.
    restarts: usize,
}

enum Scan {
    /// The JPEG goes on behind the bytes that are there.
    More,
    /// It ends here.
    End(usize),
    /// No JPEG goes on like this.
    Wrong,
}

impl Scanner {
    /// Goes as far as the bytes allow.
    fn scan(&mut self, bytes: &[u8]) -> Scan {
        loop {
            if self.in_scan {
                let found = bytes
                    .get(self.at..)
                    .and_then(|rest| memchr::memchr(0xff, rest));
                let Some(found) = found else {
                    self.at = self.at.max(bytes.len());
                    return Scan::More;
                };
                self.at += found;
            }
            let Some(&[first, marker]) = bytes.get(self.at..).and_then(<[u8]>::first_chunk) else {
                return Scan::More;
            };
            match (first, marker) {
                (0xff, 0xff) => self.at += 1,
                (0xff, EOI) => return Scan::End(self.at + 2),
                (0xff, SOI) if self.at == 0 => self.at = 2,
                (0xff, 0) if self.in_scan => self.at += 2,
                (0xff, RST0..=RST7) if self.in_scan => {
                    if usize::from(marker - RST0) != self.restarts % 8 {
                        return Scan::Wrong;
                    }
                    self.restarts += 1;
                    self.at += 2;
                }
                // Those below are reserved (table B.1).
                (0xff, 0xc0..=0xfe) if !matches!(marker, RST0..=SOI) => {
                    let len = bytes.get(self.at + 2..).and_then(<[u8]>::first_chunk);
                    let Some(len) = len.map(|len| usize::from(u16::from_be_bytes(*len))) else {
                        return Scan::More;
                    };
                    if len < 2 {
                        return Scan::Wrong;
                    }
                    self.at += 2 + len;
                    self.in_scan = marker == SOS;
                    self.restarts = 0;
                }
                _ => return Scan::Wrong,
            }
        }
    }

    /// Whether the next byte, behind `len` others, belongs to a segment of the
    /// header.
    fn is_within_segment(&self, len: usize) -> bool {
        !self.in_scan && self.at > len
    }

    /// Whether the last scan has as many restart markers as it should: data
    /// that are missing between two of them are missed by their count.
    fn has_all_restarts(&self, jpeg: &[u8]) -> bool {
        JpegHeader::parse(jpeg)
            .is_ok_and(|header| !header.has_slices() || self.restarts + 1 == header.slice_count())
    }
}

/// A start of image and the beginning of the marker behind it.
const START: [u8; 3] = [0xff, SOI, 0xff];

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
            vec![Joined::Whole(jpeg.clone()); 3]
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
            [Joined::Whole(jpeg.clone())]
        );
    }

    #[test]
    fn the_next_start_breaks_what_has_not_ended() {
        let (one, two) = (jpeg(0, 4), jpeg(0, 5));
        assert_eq!(
            join([&one[..2000], &two[..]]),
            [Joined::Broken, Joined::Whole(two.clone())]
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
            let whole: Vec<_> = jpegs.iter().cloned().map(Joined::Whole).collect();
            let joined = if aligned {
                join(jpegs.iter().flat_map(|jpeg| jpeg.chunks(cut)))
            } else {
                join(jpegs.concat().chunks(cut))
            };
            prop_assert_eq!(joined, whole);
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
