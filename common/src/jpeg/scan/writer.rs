//! Writes entropy-coded data.

use crate::jpeg::huffman::HuffmanTable;

/// Code words and their lengths by symbol; of length 0 for symbols without a code.
pub(super) type CodeWords = [(u16, u8); 256];

/// The code words of a table (T.81, C.2); `None` if it has more than fit.
pub(super) fn code_words(table: &HuffmanTable<'_>) -> Option<CodeWords> {
    let mut words = [(0, 0); 256];
    let mut symbols = table.symbols.iter();
    let mut code = 0_u32;
    for (len, count) in (1_u8..).zip(table.lengths) {
        for _ in 0..*count {
            (code < 1 << len).then_some(())?;
            words[usize::from(*symbols.next()?)] = (code as u16, len);
            code += 1;
        }
        code <<= 1;
    }
    Some(words)
}

/// Appends bits to bytes, the first of them highest.
pub(super) struct ScanWriter {
    bytes: Vec<u8>,
    /// Bits that do not fill 32 yet, right-aligned, and their number.
    held: u64,
    count: u32,
}

impl ScanWriter {
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self {
            bytes,
            held: 0,
            count: 0,
        }
    }

    /// A code word; `None` if it is none.
    pub(super) fn put(&mut self, (code, len): (u16, u8)) -> Option<()> {
        (len > 0).then(|| self.put_bits(code.into(), len.into()))
    }

    /// A value (T.81, F.1.2): the code word of its size and the run of zeros before it, then its
    /// bits.
    pub(super) fn put_value(&mut self, words: &CodeWords, run: u8, value: i32) -> Option<()> {
        let size = 32 - value.unsigned_abs().leading_zeros();
        let (code, len) = *words.get(usize::from(run) + size as usize)?;
        (len > 0 && size < 16).then_some(())?;
        let bits = if value < 0 { value - 1 } else { value } as u32 & ((1 << size) - 1);
        self.put_bits(u32::from(code) << size | bits, u32::from(len) + size);
        Some(())
    }

    /// At most 31 bits.
    fn put_bits(&mut self, bits: u32, len: u32) {
        self.held = self.held << len | u64::from(bits);
        self.count += len;
        if self.count >= 32 {
            self.count -= 32;
            let word = (self.held >> self.count) as u32;
            self.held &= (1 << self.count) - 1;
            let bytes = word.to_be_bytes();
            if bytes.contains(&0xff) {
                bytes.into_iter().for_each(|byte| self.put_byte(byte));
            } else {
                self.bytes.extend_from_slice(&bytes);
            }
        }
    }

    fn put_byte(&mut self, byte: u8) {
        self.bytes.push(byte);
        if byte == 0xff {
            // Otherwise it would begin a marker (F.1.2.3).
            self.bytes.push(0);
        }
    }

    /// Fills the last byte with ones (F.1.2.3), and appends a marker.
    pub(super) fn marker(&mut self, code: u8) {
        let missing = (8 - self.count % 8) % 8;
        self.put_bits((1 << missing) - 1, missing);
        while self.count >= 8 {
            self.count -= 8;
            self.put_byte((self.held >> self.count) as u8);
        }
        (self.held, self.count) = (0, 0);
        self.bytes.extend([0xff, code]);
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}
