//! Entropy coding of quantized blocks with the tables of annex K.

use framegram_common::jpeg::STANDARD_TABLES;

/// Writes a block of coefficients in zigzag order; `before` is the DC coefficient of the previous
/// block.
pub(super) fn write_block(
    bits: &mut Bits,
    out: &mut Vec<u8>,
    block: &[i32; 64],
    before: &mut i32,
    is_chroma: bool,
) {
    let [dc, ac] = [0, 1].map(|class| 2 * usize::from(is_chroma) + class);
    let difference = block[0] - *before;
    *before = block[0];
    let (size, value) = magnitude(difference);
    bits.symbol(out, dc, size as u8);
    bits.put(out, value, size);
    let last = block.iter().rposition(|value| *value != 0).unwrap_or(0);
    let mut run = 0;
    for value in block.iter().take(last + 1).skip(1) {
        if *value == 0 {
            run += 1;
            continue;
        }
        while run > 15 {
            bits.symbol(out, ac, 0xf0);
            run -= 16;
        }
        let (size, value) = magnitude(*value);
        bits.symbol(out, ac, run << 4 | size as u8);
        bits.put(out, value, size);
        run = 0;
    }
    if last < 63 {
        bits.symbol(out, ac, 0);
    }
}

/// The size category of a value, and its additional bits.
fn magnitude(value: i32) -> (u32, u32) {
    let size = 32 - value.unsigned_abs().leading_zeros();
    let bits = if value < 0 {
        value + (1 << size) - 1
    } else {
        value
    };
    (size, bits as u32)
}

/// Bits of an incomplete byte.
#[derive(Default)]
pub(super) struct Bits {
    held: u32,
    count: u32,
}

impl Bits {
    fn put(&mut self, out: &mut Vec<u8>, bits: u32, count: u32) {
        for bit in (0..count).rev() {
            self.held = self.held << 1 | bits >> bit & 1;
            self.count += 1;
            if self.count == 8 {
                out.push(self.held as u8);
                if self.held as u8 == 0xff {
                    out.push(0);
                }
                (self.held, self.count) = (0, 0);
            }
        }
    }

    /// The code word of a symbol in a standard table.
    fn symbol(&mut self, out: &mut Vec<u8>, table: usize, symbol: u8) {
        let table = &STANDARD_TABLES[table];
        let (mut code, mut symbols) = (0_u32, table.symbols.iter());
        for (len, count) in (1..).zip(table.lengths) {
            for known in symbols.by_ref().take(usize::from(count)) {
                if *known == symbol {
                    return self.put(out, code, len);
                }
                code += 1;
            }
            code <<= 1;
        }
        panic!("symbol {symbol:02x} has no code");
    }

    /// Pads the last byte with ones.
    pub(super) fn align(&mut self, out: &mut Vec<u8>) {
        while self.count > 0 {
            self.put(out, 1, 1);
        }
    }
}

/// The position of each coefficient in a block, row by row, in scan order.
pub(super) const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];
