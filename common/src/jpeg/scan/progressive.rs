//! Progressive coding of AC coefficients (T.81, G.1.2).

use super::bits::BitReader;
use super::read_symbol;
use super::tables::Codes;

/// The AC coefficients of a block in a progressive scan.
pub(super) struct Spectrum<'r, 'j> {
    pub(super) bits: &'r mut BitReader<'j>,
    pub(super) ac: &'r Codes,
    pub(super) run: &'r mut u32,
    pub(super) is_sound: &'r mut bool,
    pub(super) last: usize,
}

impl Spectrum<'_, '_> {
    /// Reads the first bits of coefficients (T.81, G.1.2.2).
    pub(super) fn first(&mut self, first: usize, present: &mut u64) {
        if *self.run > 0 {
            *self.run -= 1;
            return;
        }
        let mut at = first;
        while at <= self.last && !self.bits.is_exhausted() {
            let symbol = read_symbol(self.bits, self.ac, self.is_sound);
            let (run, size) = (u32::from(symbol >> 4), symbol & 15);
            match (run, size) {
                (15, 0) => at += 16,
                (_, 0) => {
                    *self.run = (1 << run) - 1 + self.bits.take(run);
                    return;
                }
                _ => {
                    at += run as usize;
                    self.bits.value(size.into());
                    if at <= self.last {
                        *present |= 1 << at;
                    } else {
                        *self.is_sound = false;
                    }
                    at += 1;
                }
            }
        }
    }

    /// Reads one more bit of nonzero coefficients, and those that become nonzero (T.81, G.1.2.3).
    pub(super) fn refine(&mut self, first: usize, present: &mut u64) {
        let mut at = first;
        if *self.run == 0 {
            while at <= self.last && !self.bits.is_exhausted() {
                let symbol = read_symbol(self.bits, self.ac, self.is_sound);
                let (mut run, size) = (u32::from(symbol >> 4), symbol & 15);
                if size > 0 {
                    *self.is_sound &= size == 1;
                    self.bits.take(1);
                } else if run < 15 {
                    *self.run = (1 << run) + self.bits.take(run);
                    break;
                }
                let begin = *present;
                while at <= self.last {
                    if begin & 1 << at != 0 {
                        self.bits.take(1);
                    } else if run == 0 {
                        break;
                    } else {
                        run -= 1;
                    }
                    at += 1;
                }
                if size > 0 && at <= self.last {
                    *present |= 1 << at;
                }
                at += 1;
            }
        }
        if *self.run > 0 {
            while at <= self.last {
                if *present & 1 << at != 0 {
                    self.bits.take(1);
                }
                at += 1;
            }
            *self.run -= 1;
        }
    }
}
