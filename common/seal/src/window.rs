//! The replay window of one channel
//! (<https://www.rfc-editor.org/rfc/rfc4303#section-3.4.3>).

/// The numbers taken recently. It allocates with the first one.
#[derive(Debug)]
pub(crate) struct ReplayWindow {
    /// A bit for each of the newest numbers, indexed by the number modulo their count.
    bits: Vec<u64>,
    size: u64,
    highest: Option<u64>,
}

impl ReplayWindow {
    /// A window of `size` numbers, rounded up to a multiple of 64.
    pub(crate) fn new(size: u64) -> Self {
        Self {
            bits: Vec::new(),
            size: size.next_multiple_of(u64::BITS.into()),
            highest: None,
        }
    }

    /// The highest number taken.
    pub(crate) fn highest(&self) -> Option<u64> {
        self.highest
    }

    /// Takes a number. Returns false if it was taken before or is too old for the window.
    pub(crate) fn take(&mut self, number: u64) -> bool {
        let words = (self.size / u64::from(u64::BITS)) as usize;
        self.bits.resize(words, 0);
        let highest = self.highest.unwrap_or(number);
        if number.saturating_add(self.size) <= highest {
            return false;
        }
        if number > highest {
            self.forget(highest + 1, number);
        }
        self.highest = Some(highest.max(number));
        let (word, bit) = self.place(number);
        let is_new = self.bits[word] & bit == 0;
        self.bits[word] |= bit;
        is_new
    }

    /// Clears the bits of the numbers from `first` to `last`.
    fn forget(&mut self, first: u64, last: u64) {
        if last - first >= self.size {
            self.bits.fill(0);
            return;
        }
        let mut number = first;
        while number <= last {
            let (word, bit) = self.place(number);
            let whole = bit == 1 && last - number >= u64::from(u64::BITS);
            if whole {
                self.bits[word] = 0;
                number += u64::from(u64::BITS);
            } else {
                self.bits[word] &= !bit;
                number += 1;
            }
        }
    }

    fn place(&self, number: u64) -> (usize, u64) {
        let at = number % self.size;
        ((at / 64) as usize, 1 << (at % 64))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Compares with a set that remembers all numbers. The window is small, so that numbers
        /// come again while they are in it, and at its end.
        #[test]
        fn each_number_is_taken_once(
            start in 0_u64..1 << 40,
            steps in prop::collection::vec(prop_oneof![
                4 => -150_i64..150,
                2 => -1_i64..=1,
                1 => prop_oneof![Just(-128_i64), Just(128)],
                1 => -2_000_i64..2_000,
            ], 1..400),
        ) {
            let size = 128;
            let mut window = ReplayWindow::new(size);
            let (mut seen, mut highest, mut at) = (BTreeSet::new(), None, start);
            for step in steps {
                at = at.saturating_add_signed(step);
                let old = highest.is_some_and(|highest: u64| at + size <= highest);
                let expected = !old && seen.insert(at);
                prop_assert_eq!(window.take(at), expected, "{}", at);
                highest = highest.max(Some(at));
                prop_assert_eq!(window.highest(), highest);
            }
        }
    }

    #[test]
    fn allocates_with_the_first_number() {
        let mut window = ReplayWindow::new(1 << 18);
        assert_eq!((window.bits.capacity(), window.highest()), (0, None));
        assert!(window.take(5) && !window.take(5));
        assert_eq!(window.bits.len(), 1 << 12);
    }
}
