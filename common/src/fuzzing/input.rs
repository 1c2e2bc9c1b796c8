//! Bytes as choices. After the last byte, every choice is the first one.

/// The remaining bytes.
#[derive(Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn u8(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    pub(super) fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.u8(), self.u8()])
    }

    pub(super) fn u32(&mut self) -> u32 {
        u32::from(self.u16()) << 16 | u32::from(self.u16())
    }

    /// Small numbers take one byte, others eight more.
    pub(super) fn number(&mut self) -> u64 {
        match self.u8() {
            small @ 0..=239 => small.into(),
            240..=244 => u64::MAX - u64::from(self.u8()),
            245..=249 => 1 << (self.u8() % 64),
            _ => u64::from(self.u32()) << 32 | u64::from(self.u32()),
        }
    }

    /// A choice among this many.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.u8()) % count.max(1)
    }

    /// The next bytes, at most `len`.
    pub(super) fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }
}
