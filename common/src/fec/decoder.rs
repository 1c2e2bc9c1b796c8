//! Decodes blocks with the decoder of `reed_solomon_simd`. Its evaluation of the
//! erasure polynomial is replaced, because for short codes that would cost more
//! than everything else.

use std::fmt;

use reed_solomon_simd::Error;
use reed_solomon_simd::engine::{
    DefaultEngine, Engine, GF_MODULUS, GF_ORDER, GfElement, ShardsRefMut, tables,
};
use reed_solomon_simd::rate::{DecoderWork, DefaultRateDecoder, RateDecoder};

/// Decodes one block after another and reuses the work space.
#[derive(Default)]
pub(super) struct ParityDecoder {
    work: DecoderWork,
}

impl fmt::Debug for ParityDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParityDecoder").finish_non_exhaustive()
    }
}

impl ParityDecoder {
    /// Restores the missing chunks of a block with `count` chunks of `size` bytes
    /// and `shards` parity shards. `fill` adds the shards that arrived, `take`
    /// receives the restored ones.
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

/// The Reed-Solomon code.
pub(super) type Code = DefaultRateDecoder<ShortCodes>;

/// The default engine, with its own evaluation of the erasure polynomial.
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

    /// Writes to each position the logarithm of the product of its differences
    /// from all erased positions. The default engine computes this over the whole
    /// field, with two transforms of 65,536 elements. For a code of a few hundred
    /// shards, the plain sum is ten times cheaper.
    fn eval_poly(erasures: &mut [GfElement; GF_ORDER], truncated_size: usize) {
        // If a code has more parity than data, the rest of the field counts as
        // erased. The logarithms of the whole field sum to zero, so the sum over
        // the positions not erased is the same with the opposite sign.
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

/// Above this number of steps, the default engine's transforms are faster.
const MAX_PLAIN_SUM: usize = 1 << 17;

/// A larger work space is freed after use. Frames in common use need less.
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
            // 0 and the modulus are the same logarithm.
            let [plain, fast] = [plain, fast].map(|logs| logs[at] % GF_MODULUS);
            assert_eq!(plain, fast, "at {at} of {truncated_size}");
        }
    }

    #[test]
    fn the_plain_sum_equals_the_transforms() {
        let mut rng = Rng::with_seed(8);
        for _ in 0..60 {
            let end = rng.usize(1..600);
            let share = rng.f64();
            let mut erasures = [0; GF_ORDER];
            erasures[..end].fill_with(|| GfElement::from(rng.f64() < share));
            compare(&erasures, end, end);
            // The rest of the field is erased, the last shard of the code is not.
            erasures[end - 1] = 0;
            erasures[end..].fill(1);
            compare(&erasures, GF_ORDER, end);
        }
    }
}
