//! Neutral slices in entropy-coded form: the DC value never changes, which starts
//! in the middle of its range, and all AC coefficients are zero. They decode to
//! grey.

use crate::jpeg::markers::DHT;
use crate::jpeg::{Component, JpegHeader, Segments};

/// Maximum number of blocks in an MCU (T.81, B.2.3).
const MAX_BLOCKS: u32 = 10;

/// Makes neutral slices for one picture.
#[derive(Debug)]
pub(super) struct Neutral {
    /// The code words of one MCU.
    unit: Vec<CodeWord>,
    /// The last slice made, and its number of MCUs.
    slice: Vec<u8>,
    units: u32,
}

impl Neutral {
    /// For a picture with this header, in bytes and parsed. `None` if its tables
    /// have no code for a neutral block.
    pub(super) fn new(bytes: &[u8], header: &JpegHeader) -> Option<Self> {
        let codes = NeutralCodes::of(bytes)?;
        let single = header.components.len() == 1;
        let blocks = |component: &Component| match single {
            // A single component is not interleaved (A.2.2).
            true => 1,
            false => u32::from(component.horizontal) * u32::from(component.vertical),
        };
        if header.components.iter().map(blocks).sum::<u32>() > MAX_BLOCKS {
            return None;
        }
        let mut unit = Vec::new();
        for component in &header.components {
            let dc = (*codes.dc.get(usize::from(component.dc_table))?)?;
            let ac = (*codes.ac.get(usize::from(component.ac_table))?)?;
            for _ in 0..blocks(component) {
                unit.extend([dc, ac]);
            }
        }
        Some(Self {
            unit,
            slice: Vec::new(),
            units: 0,
        })
    }

    /// A slice of `units` MCUs, without markers.
    pub(super) fn slice(&mut self, units: u32) -> &[u8] {
        if self.units != units {
            self.units = units;
            let mut bits = BitWriter::new(std::mem::take(&mut self.slice));
            for _ in 0..units {
                for word in &self.unit {
                    bits.put(*word);
                }
            }
            self.slice = bits.finish();
        }
        &self.slice
    }
}

/// The code words of symbol 0 in each table. For DC it means no difference, for
/// AC the end of the block.
struct NeutralCodes {
    dc: [Option<CodeWord>; TABLES],
    ac: [Option<CodeWord>; TABLES],
}

impl NeutralCodes {
    /// Reads the tables of the header. Missing ones are replaced by those of
    /// T.81, annex K.3, as decoders do, because camera frames often have none.
    fn of(header: &[u8]) -> Option<Self> {
        let word = |bits, len| Some(CodeWord { bits, len });
        let mut codes = Self {
            dc: [word(0b00, 2), word(0b00, 2), None, None],
            ac: [word(0b1010, 4), word(0b00, 2), None, None],
        };
        for segment in Segments::new(header).ok()? {
            let segment = segment.ok()?;
            if segment.code() == DHT {
                codes.read(segment.payload)?;
            }
        }
        Some(codes)
    }

    /// Reads one table segment.
    fn read(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((head, rest)) = payload.split_first_chunk::<17>() {
            let [which, counts @ ..] = head;
            let total = counts.iter().map(|count| usize::from(*count)).sum();
            let symbols = rest.get(..total)?;
            let tables = if which >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *tables.get_mut(usize::from(which & 15))? = CodeWord::of_zero(*counts, symbols);
            payload = &rest[total..];
        }
        Some(())
    }
}

/// The code word of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CodeWord {
    /// Bits, right-aligned.
    bits: u16,
    /// Number of bits, from 1 to 16.
    len: u8,
}

impl CodeWord {
    /// The code word of symbol 0 in a table, given the number of symbols of each
    /// length (T.81, C.2).
    fn of_zero(counts: [u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut symbols = symbols.iter();
        let mut next = 0_u32;
        for (len, count) in (1..).zip(counts) {
            for symbol in symbols.by_ref().take(usize::from(count)) {
                if *symbol == 0 {
                    let bits = u16::try_from(next).ok()?;
                    return (next < 1 << len).then_some(Self { bits, len });
                }
                next += 1;
            }
            next <<= 1;
        }
        None
    }
}

/// Writes bits to bytes, most significant bit first.
struct BitWriter {
    bytes: Vec<u8>,
    /// Bits of an incomplete byte, right-aligned, and their number.
    rest: u32,
    len: u8,
}

impl BitWriter {
    /// Clears `bytes` and writes into it.
    fn new(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self {
            bytes,
            rest: 0,
            len: 0,
        }
    }

    fn put(&mut self, word: CodeWord) {
        self.rest = self.rest << word.len | u32::from(word.bits);
        self.len += word.len;
        while self.len >= 8 {
            self.len -= 8;
            let byte = (self.rest >> self.len) as u8;
            self.bytes.push(byte);
            if byte == 0xff {
                // A zero after 0xff, which would start a marker otherwise
                // (F.1.2.3).
                self.bytes.push(0);
            }
        }
        self.rest &= (1 << self.len) - 1;
    }

    /// Pads the last byte with ones (F.1.2.3).
    fn finish(mut self) -> Vec<u8> {
        if self.len > 0 {
            let len = 8 - self.len;
            let bits = (1 << len) - 1;
            self.put(CodeWord { bits, len });
        }
        self.bytes
    }
}

/// Number of table slots of each class.
const TABLES: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_through_the_lengths_to_the_code_word() {
        let mut counts = [0; 16];
        (counts[1], counts[2], counts[3]) = (2, 1, 3);
        let symbols = [1, 2, 3, 0x11, 0, 4];
        // 00 01 100 1010 1011 1100
        let word = CodeWord {
            bits: 0b1011,
            len: 4,
        };
        assert_eq!(CodeWord::of_zero(counts, &symbols), Some(word));
        assert_eq!(CodeWord::of_zero(counts, &symbols[..4]), None);
    }

    #[test]
    fn a_table_with_more_words_than_fit_has_none() {
        let mut counts = [0; 16];
        counts[0] = 3;
        assert_eq!(CodeWord::of_zero(counts, &[1, 2, 0]), None);
    }

    #[test]
    fn stuffs_bytes_that_look_like_markers_and_pads_with_ones() {
        let mut bits = BitWriter::new(vec![1, 2]);
        bits.put(CodeWord {
            bits: 0x1ff,
            len: 10,
        });
        bits.put(CodeWord { bits: 0xff, len: 8 });
        // 0111 1111 1111 1111 11, padded with six ones.
        assert_eq!(bits.finish(), [0x7f, 0xff, 0, 0xff, 0]);
    }
}
