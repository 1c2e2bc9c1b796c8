//! Decoding blocks: the code's own decoder, but for what it spends on finding
//! out where shards are missing, which for the short codes here would cost more
//! than the rest.

use std::fmt;

use reed_solomon_simd::Error;
use reed_solomon_simd::engine::{
    DefaultEngine, Engine, GF_MODULUS, GF_ORDER, GfElement, ShardsRefMut, tables,
};
use reed_solomon_simd::rate::{DecoderWork, DefaultRateDecoder, RateDecoder};

/// Decodes one block after another in the same work space.
#[derive(Default)]
pub(super) struct Decoder {
    work: DecoderWork,
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").finish_non_exhaustive()
    }
}

impl Decoder {
    /// Restores the missing ones of `count` chunks of `size` bytes, of a code
    /// with `shards` parity shards: `fill` gives those that are there to the
    /// code, `take` gets the restored ones.
    pub(super) fn decode<T>(
        &mut self,
        (count, shards, size): (usize, usize, usize),
        fill: impl FnOnce(&mut Code) -> Result<(), Error>,
        take: impl FnOnce(&dyn Fn(usize) -> Option<Vec<u8>>) -> T,
    ) -> Result<T, Error> {
        let work = std::mem::take(&mut self.work);
        let mut code = Code::new(count, shards, size, ShortCodes::default(), Some(work))?;
        fill(&mut code)?;
        let decoded = code.decode()?;
        let taken = take(&|index| Some(decoded.restored_original(index)?.to_vec()));
        drop(decoded);
        if 2 * (count + shards).next_power_of_two() * size <= MAX_KEPT_WORK {
            self.work = code.into_parts().1;
        }
        Ok(taken)
    }
}

/// The code that is used.
pub(super) type Code = DefaultRateDecoder<ShortCodes>;

/// The default engine, but for the evaluation of the erasure polynomial.
#[derive(Default)]
pub(super) struct ShortCodes(DefaultEngine);

impl Engine for ShortCodes {
    fn fft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.fft(data, pos, size, truncated_size, skew_delta);
    }

    fn ifft(
        &self,
        data: &mut ShardsRefMut<'_>,
        pos: usize,
        size: usize,
        truncated_size: usize,
        skew_delta: usize,
    ) {
        self.0.ifft(data, pos, size, truncated_size, skew_delta);
    }

    fn mul(&self, x: &mut [[u8; 64]], log_m: GfElement) {
        self.0.mul(x, log_m);
    }

    /// Puts at each place the logarithm of the product of its differences from
    /// all erased places. The default does it over the whole field, by two
    /// transforms of 65,536 elements; for a code of a few hundred shards the
    /// plain sum is ten times cheaper.
    fn eval_poly(erasures: &mut [GfElement; GF_ORDER], truncated_size: usize) {
        // A code with more parity than data counts the rest of the field as
        // erased. The logarithms of the whole field add up to nothing, so that
        // what is not erased says the same with the other sign.
        let rest_erased = truncated_size == GF_ORDER;
        let end = if rest_erased {
            let last = erasures.iter().rposition(|erased| *erased == 0);
            last.map_or(0, |last| last + 1)
        } else {
            truncated_size
        };
        let listed = GfElement::from(!rest_erased);
        let places: Vec<_> = (0..end).filter(|at| erasures[*at] == listed).collect();
        if end * places.len() > MAX_PLAIN_SUM {
            DefaultEngine::eval_poly(erasures, truncated_size);
            return;
        }
        let logs = &tables::get_exp_log().log;
        for at in 0..end {
            let sum: u64 = places.iter().map(|place| u64::from(logs[at ^ place])).sum();
            let sum = (sum % u64::from(GF_MODULUS)) as GfElement;
            erasures[at] = if rest_erased { GF_MODULUS - sum } else { sum };
        }
    }
}

/// From this many steps on the transforms of the default are quicker.
const MAX_PLAIN_SUM: usize = 1 << 17;

/// Larger work spaces are not kept: no frame in common use takes more.
const MAX_KEPT_WORK: usize = 4 << 20;

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    fn compare(erasures: &[GfElement; GF_ORDER], truncated_size: usize, used: usize) {
        let (mut plain, mut fast) = (*erasures, *erasures);
        ShortCodes::eval_poly(&mut plain, truncated_size);
        DefaultEngine::eval_poly(&mut fast, truncated_size);
        for at in 0..used {
            // Both 0 and the modulus stand for nothing.
            let [plain, fast] = [plain, fast].map(|logs| logs[at] % GF_MODULUS);
            assert_eq!(plain, fast, "at {at} of {truncated_size}");
        }
    }

    #[test]
    fn the_plain_sum_is_what_the_transforms_give() {
        let mut rng = Rng::with_seed(8);
        for _ in 0..60 {
            let end = rng.usize(1..600);
            let share = rng.f64();
            let mut erasures = [0; GF_ORDER];
            erasures[..end].fill_with(|| GfElement::from(rng.f64() < share));
            compare(&erasures, end, end);
            // The rest of the field erased, the last shard of the code there.
            erasures[end - 1] = 0;
            erasures[end..].fill(1);
            compare(&erasures, GF_ORDER, end);
        }
    }
}
