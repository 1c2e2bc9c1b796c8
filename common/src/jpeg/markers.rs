//! Finds the markers of a JPEG (T.81, B.1.1). All code of this crate that looks for markers uses
//! this reader.

/// A marker, and its segment if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Marker {
    /// Its second byte.
    pub(crate) code: u8,
    /// Its first byte, or the first of the fill bytes before it.
    pub(crate) start: usize,
    /// Offset after its second byte, or after its segment's length.
    pub(crate) payload: usize,
    /// Offset after it and its segment.
    pub(crate) end: usize,
}

impl Marker {
    /// The payload of its segment.
    pub(crate) fn payload<'a>(&self, jpeg: &'a [u8]) -> &'a [u8] {
        jpeg.get(self.payload..self.end).unwrap_or_default()
    }
}

/// Iterates over the markers in bytes that may be incomplete. Skips entropy-coded data, stuffed
/// bytes and stray bytes between segments, as decoders do.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Markers {
    at: usize,
}

impl Markers {
    /// Starts at this offset.
    pub(crate) fn from(at: usize) -> Self {
        Self { at }
    }

    /// The current offset.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next marker; `None` if it, or its segment, continues beyond `bytes`. Then call it again
    /// with more bytes.
    pub(crate) fn next(&mut self, bytes: &[u8]) -> Option<Marker> {
        loop {
            let Some(found) = find_marker(bytes.get(self.at..)?) else {
                self.at = bytes.len();
                return None;
            };
            let start = self.at + found;
            let Some(fill) = bytes[start..].iter().position(|byte| *byte != 0xff) else {
                self.at = bytes.len() - 1;
                return None;
            };
            self.at = start;
            let code = bytes[start + fill];
            let behind = start + fill + 1;
            let (payload, end) = match code {
                0 => {
                    self.at = behind;
                    continue;
                }
                SOF0.. if !is_alone(code) => {
                    let len = *bytes.get(behind..)?.first_chunk()?;
                    let end = behind + usize::from(u16::from_be_bytes(len)).max(2);
                    (behind + 2, end)
                }
                _ => (behind, behind),
            };
            if bytes.len() < end {
                return None;
            }
            self.at = end;
            return Some(Marker {
                code,
                start,
                payload,
                end,
            });
        }
    }

    /// Whether a segment has begun and continues beyond `bytes`.
    pub(crate) fn is_within_segment(&self, bytes: &[u8]) -> bool {
        bytes.get(self.at..).is_some_and(|rest| {
            let code = rest.iter().find(|byte| **byte != 0xff);
            rest.starts_with(&[0xff]) && code.is_some_and(|code| *code >= SOF0 && !is_alone(*code))
        })
    }
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// The offset of the first 0xff that is not stuffed: another byte than 0 follows it, or none.
///
/// In coded data of high quality, every thirtieth byte is a stuffed 0xff, so that it does not pay to
/// stop at each.
fn find_marker(bytes: &[u8]) -> Option<usize> {
    let behind = bytes.get(1..)?;
    let blocks = bytes.chunks_exact(BLOCK).zip(behind.chunks_exact(BLOCK));
    let skipped = BLOCK * blocks.take_while(|block| !has_marker(*block)).count();
    let behind = behind[skipped..].iter().map(Some).chain([None]);
    let mut pairs = bytes[skipped..].iter().zip(behind);
    let found = pairs.position(|(byte, next)| *byte == 0xff && next != Some(&0))?;
    Some(skipped + found)
}

/// The loop is written to be vectorised.
fn has_marker((block, behind): (&[u8], &[u8])) -> bool {
    let pairs = block.iter().zip(behind);
    let found = pairs.map(|(byte, next)| u8::from(*byte == 0xff) & u8::from(*next != 0));
    found.fold(0, |any, found| any | found) != 0
}

/// Whether a marker from [`SOF0`] on has no segment.
fn is_alone(code: u8) -> bool {
    matches!(code, RST0..=EOI)
}

/// Whether a marker begins a frame: C0 to CF except the tables and the reserved one.
pub(crate) fn is_start_of_frame(code: u8) -> bool {
    matches!(code, SOF0..=0xcf) && !matches!(code, DHT | 0xc8 | 0xcc)
}

/// Whether a marker has no meaning (T.81, table B.1).
pub(crate) fn is_reserved(code: u8) -> bool {
    matches!(code, 0x02..SOF0)
}

pub(crate) const SOF0: u8 = 0xc0;
pub(crate) const SOF1: u8 = 0xc1;
pub(crate) const SOF2: u8 = 0xc2;
pub(crate) const SOF3: u8 = 0xc3;
pub(crate) const DHT: u8 = 0xc4;
pub(crate) const RST0: u8 = 0xd0;
pub(crate) const RST7: u8 = 0xd7;
pub(crate) const SOI: u8 = 0xd8;
pub(crate) const EOI: u8 = 0xd9;
pub(crate) const SOS: u8 = 0xda;
pub(crate) const DQT: u8 = 0xdb;
pub(crate) const DNL: u8 = 0xdc;
pub(crate) const DRI: u8 = 0xdd;
pub(crate) const APP0: u8 = 0xe0;
pub(crate) const APP14: u8 = 0xee;
pub(crate) const APP15: u8 = 0xef;
pub(crate) const COM: u8 = 0xfe;

/// Bytes of a marker that has no segment.
pub(crate) const ALONE: usize = 2;

/// The end of an image.
pub(crate) const END: [u8; 2] = [0xff, EOI];

/// A start of image and the first byte of the next marker.
pub(crate) const START: [u8; 3] = [0xff, SOI, 0xff];

/// The second byte of the marker after the restart interval with this number.
pub(crate) fn restart_marker(number: usize) -> u8 {
    RST0 + (number % 8) as u8
}

/// The first restart marker in a part of a scan: its number, 0 to 7, and where the data after it
/// begins.
pub(crate) fn first_restart(bytes: &[u8]) -> Option<(u8, usize)> {
    let mut markers = Markers::from(0);
    let is_restart = |marker: &Marker| matches!(marker.code, RST0..=RST7);
    let first = std::iter::from_fn(|| markers.next(bytes)).find(is_restart)?;
    Some((first.code - RST0, first.end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_unstuffed_byte_is_found_wherever_it_is() {
        let slow = |bytes: &[u8]| {
            let pair = |at: &usize| bytes[*at] == 0xff && bytes.get(at + 1) != Some(&0);
            (0..bytes.len()).find(pair)
        };
        let mut rng = fastrand::Rng::with_seed(3);
        for len in 0..3 * BLOCK + 2 {
            let stuffed = |rng: &mut fastrand::Rng| {
                if rng.u8(..) < 60 {
                    0xff
                } else {
                    rng.u8(1..255)
                }
            };
            let mut bytes: Vec<u8> = (0..len).map(|_| stuffed(&mut rng)).collect();
            for at in 1..len {
                if bytes[at - 1] == 0xff {
                    bytes[at] = 0;
                }
            }
            assert_eq!(find_marker(&bytes), slow(&bytes), "{len}");
            for _ in 0..4.min(len) {
                bytes[rng.usize(..len)] = 0xff;
                assert_eq!(find_marker(&bytes), slow(&bytes), "{bytes:?}");
            }
        }
    }
}
