//! Numbers in as many bytes as they need.

/// What is left of a block.
#[derive(Debug)]
pub(super) struct Input<'a>(pub(super) &'a [u8]);

impl Input<'_> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    pub(super) fn fixed(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    /// A number below 2^64; `None` where it is longer, or the block ends in it.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..u64::BITS).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if bits << shift >> shift != bits {
                return None;
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    /// A number that fits into fewer bits.
    pub(super) fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        T::try_from(self.number()?).ok()
    }

    /// What is `before` changed by a difference.
    pub(super) fn from(&mut self, before: u64) -> Option<u64> {
        let folded = self.number()?;
        let difference = (folded >> 1) as i64 ^ -((folded & 1) as i64);
        Some(before.wrapping_add_signed(difference))
    }
}

pub(super) fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes how far `to` is from `from`.
pub(super) fn put_from(out: &mut Vec<u8>, from: u64, to: u64) {
    let difference = to.wrapping_sub(from) as i64;
    put(out, ((difference << 1) ^ (difference >> 63)) as u64);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn small_numbers_take_a_byte() {
        for (number, len) in [(0, 1), (127, 1), (128, 2), (u64::MAX, 10)] {
            let mut out = Vec::new();
            put(&mut out, number);
            assert_eq!(out.len(), len);
        }
        let mut out = Vec::new();
        put_from(&mut out, 100, 37);
        assert_eq!(out, [125]);
    }

    #[test]
    fn what_is_too_long_or_cut_off_is_no_number() {
        for bytes in [&[][..], &[0x80], &[0xff; 9], &[0xff; 11]] {
            assert_eq!(Input(bytes).number(), None);
        }
        let mut beyond = [0xff; 10];
        beyond[9] = 2;
        assert_eq!(Input(&beyond).number(), None);
        assert_eq!(Input(&[0x80, 2]).small::<u8>(), None);
    }

    proptest! {
        #[test]
        fn numbers_and_differences_come_back(number: u64, from: u64) {
            let mut out = Vec::new();
            put(&mut out, number);
            put_from(&mut out, from, number);
            let mut input = Input(&out);
            prop_assert_eq!(input.number(), Some(number));
            prop_assert_eq!(input.from(from), Some(number));
            prop_assert!(input.0.is_empty());
        }
    }
}
