//! The bits of a scan.

use super::is_padding;
use super::tables::{Codes, LOOK};
use crate::jpeg::markers::{Markers, RST0, RST7};

/// Bits of the longest code, and of the longest value that its symbol can announce.
const MAX_SYMBOL_AND_VALUE: u32 = 16 + 15;

/// The bits of a scan. After the last byte before a marker, it yields ones.
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, the first of them highest.
    held: u64,
    count: u32,
    /// The number of held bits that are not in the data.
    beyond: u32,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Self {
            bytes,
            at,
            held: 0,
            count: 0,
            beyond: 0,
        }
    }

    /// Offset of the first byte not read yet.
    pub(super) fn at(&self) -> usize {
        self.at
    }

    /// Whether more bits were read than there are.
    pub(super) fn is_exhausted(&self) -> bool {
        self.count < self.beyond
    }

    fn fill(&mut self) {
        let next = self.bytes.get(self.at..).and_then(<[u8]>::first_chunk);
        if let Some(word) = next.map(|next| u64::from_be_bytes(*next))
            && !has_marker_byte(word)
        {
            // As many whole bytes as there is room for.
            let room = (64 - self.count) / 8;
            let unused = 64 - self.count - 8 * room;
            self.held |= word >> self.count >> unused << unused;
            self.at += room as usize;
            self.count += 8 * room;
            return;
        }
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                None | Some([] | [0xff, ..]) => {
                    self.beyond += 8;
                    0xff
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `count` bits, at most 16.
    pub(super) fn take(&mut self, count: u32) -> u32 {
        if count == 0 {
            return 0;
        }
        if self.count < count {
            self.fill();
        }
        let bits = (self.held >> (64 - count)) as u32;
        self.drop(count);
        bits
    }

    fn drop(&mut self, count: u32) {
        self.held <<= count;
        self.count -= count;
    }

    /// The next symbol; `None` if no code begins like that.
    pub(super) fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        if self.count < 16 {
            self.fill();
        }
        let (symbol, len) = codes.short[(self.held >> 56) as usize];
        if len > 0 {
            self.drop(len.into());
            return Some(symbol);
        }
        for (index, (first, count, begin)) in codes.lengths.iter().enumerate().skip(8) {
            let code = (self.held >> (63 - index)) as u32;
            if let Some(own) = code.checked_sub(*first).filter(|own| own < count) {
                self.drop(index as u32 + 1);
                return codes.symbols.get(begin + own as usize).copied();
            }
        }
        self.drop(16);
        None
    }

    /// Skips a symbol, and the bits that its low half counts; 0 if no code begins like that.
    fn skip(&mut self, codes: &Codes) -> u8 {
        if self.count < MAX_SYMBOL_AND_VALUE {
            self.fill();
        }
        let (symbol, len) = codes.short[(self.held >> 56) as usize];
        if len > 0 {
            self.drop(u32::from(len) + u32::from(symbol & 15));
            return symbol;
        }
        let symbol = self.symbol(codes).unwrap_or(0);
        self.drop(u32::from(symbol & 15));
        symbol
    }

    /// Skips what follows in a block from its coefficient `at` on: one symbol or several, and the
    /// bits that they count. Returns the next coefficient; 64 or more at the end of the block.
    pub(super) fn skip_coefficients(&mut self, codes: &Codes, at: usize) -> usize {
        if self.count < MAX_SYMBOL_AND_VALUE {
            self.fill();
        }
        let several = codes.several().get((self.held >> (64 - LOOK)) as usize);
        if let Some(several) = several.filter(|several| several.bits > 0) {
            let next = at + usize::from(several.coefficients);
            // Else the block ends before the last of them.
            if next <= 64 {
                self.drop(several.bits.into());
                return if several.ends { 64 } else { next };
            }
        }
        match self.skip(codes) {
            0 => 64,
            symbol => at + usize::from(symbol >> 4) + 1,
        }
    }

    /// A value of this many bits (T.81, F.2.2.1).
    pub(super) fn value(&mut self, size: u32) -> i32 {
        let bits = self.take(size) as i32;
        let is_negative = size > 0 && bits < 1 << (size - 1);
        if is_negative {
            bits - (1 << size) + 1
        } else {
            bits
        }
    }

    /// Advances to the next marker. Returns whether only padding stood before it: the rest of a
    /// byte, a few bytes, or many that are all alike.
    pub(super) fn end(&mut self) -> bool {
        let left = self.count.saturating_sub(self.beyond);
        self.take(left % 8);
        let mut left_over = Vec::new();
        for _ in 0..left / 8 {
            left_over.push(self.take(8) as u8);
        }
        (self.held, self.count, self.beyond) = (0, 0, 0);
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let is_marker = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0;
        let marker = rest.windows(2).position(is_marker);
        let len = marker.unwrap_or(rest.len());
        left_over.extend_from_slice(&rest[..len]);
        self.at += len;
        marker.is_some() && is_padding(&left_over)
    }

    /// Whether there are no more bits, and no restart marker before them.
    pub(super) fn is_at_end(&self) -> bool {
        let has_bits = match self.bytes.get(self.at..) {
            Some([0xff, next, ..]) => *next == 0,
            Some([0xff] | []) | None => false,
            Some(_) => true,
        };
        let next = Markers::from(self.at).next(self.bytes);
        !has_bits && next.is_none_or(|marker| !matches!(marker.code, RST0..=RST7))
    }

    /// Advances past the restart marker with this number, if there is one; fill bytes may precede
    /// it. Returns whether it is the expected one.
    pub(super) fn restart(&mut self, expected: usize) -> bool {
        let mut markers = Markers::from(self.at);
        while let Some(marker) = markers.next(self.bytes) {
            // As decoders do (<https://github.com/libjpeg-turbo/libjpeg-turbo>, jdmarker.c,
            // `jpeg_resync_to_restart`): one of the next two markers follows a gap, one of the last
            // two is late.
            let RST0..=RST7 = marker.code else { break };
            match (usize::from(marker.code - RST0) + 8 - expected) % 8 {
                0 => {
                    self.at = marker.end;
                    return true;
                }
                1 | 2 => break,
                6 | 7 => {}
                _ => {
                    self.at = marker.end;
                    break;
                }
            }
        }
        false
    }
}

/// Whether one of the eight bytes is the first of a marker or of a stuffed pair.
fn has_marker_byte(word: u64) -> bool {
    const LOW: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // A byte of the inverse is 0 where one of the word is 0xff.
    (!word).wrapping_sub(LOW) & word & HIGH != 0
}
