//! Lengths of Huffman codes within the limit of T.81.

/// Longest code in bits (T.81, C.1).
pub(super) const MAX_LENGTH: usize = 16;

/// A number of symbols, and by how much the code of each of them grows.
#[derive(Clone)]
struct Package {
    weight: u64,
    codes: Vec<usize>,
}

/// The code lengths with the least sum of length times weight, for 2 to 256 symbols (package-merge:
/// Larmore and Hirschberg, "A fast algorithm for optimal length-limited Huffman codes", 1990). The
/// first of the lightest symbols gets the longest code.
pub(super) fn code_lengths(weights: &[u64]) -> Vec<u8> {
    let mut singles: Vec<_> = (0..)
        .zip(weights)
        .map(|(code, weight)| Package {
            weight: *weight,
            codes: vec![code],
        })
        .collect();
    singles.sort_by_key(|package| package.weight);
    let mut packages = singles.clone();
    for _ in 1..MAX_LENGTH {
        let pairs = packages.chunks_exact(2).map(|pair| Package {
            weight: pair[0].weight + pair[1].weight,
            codes: [&pair[0].codes[..], &pair[1].codes].concat(),
        });
        packages = singles.iter().cloned().chain(pairs).collect();
        packages.sort_by_key(|package| package.weight);
    }
    let mut lengths = vec![0; weights.len()];
    let cheapest = packages.iter().take(2 * (weights.len() - 1));
    for code in cheapest.flat_map(|package| &package.codes) {
        lengths[*code] += 1;
    }
    lengths
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(weights: &[u64], lengths: &[u8]) -> u64 {
        let products = weights.iter().zip(lengths);
        products.map(|(weight, len)| weight * u64::from(*len)).sum()
    }

    /// The sum that Huffman's algorithm reaches without a limit.
    fn without_limit(weights: &[u64]) -> u64 {
        let mut left = weights.to_vec();
        let mut sum = 0;
        while left.len() > 1 {
            left.sort_by_key(|weight| std::cmp::Reverse(*weight));
            let merged = left.pop().unwrap() + left.pop().unwrap();
            sum += merged;
            left.push(merged);
        }
        sum
    }

    #[test]
    fn codes_are_complete_and_none_is_too_long() {
        let mut random = fastrand::Rng::with_seed(6);
        for _ in 0..100 {
            let count = random.usize(2..=256);
            let steep = random.u32(1..40);
            let weights: Vec<u64> = (0..count)
                .map(|_| {
                    let power = random.u32(0..steep);
                    random.u64(0..1 << power)
                })
                .collect();
            let lengths = code_lengths(&weights);
            let room: u32 = lengths.iter().map(|len| 1 << (16 - len)).sum();
            assert_eq!(room, 1 << 16);
            assert!(sum(&weights, &lengths) >= without_limit(&weights));
            let lightest = (0..count).min_by_key(|at| weights[*at]).unwrap();
            assert!(lengths.iter().all(|len| *len <= lengths[lightest]));
        }
    }

    #[test]
    fn codes_below_the_limit_are_optimal() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..100 {
            let weights: Vec<u64> = (0..random.usize(2..200))
                .map(|_| random.u64(100..2_000))
                .collect();
            assert_eq!(
                sum(&weights, &code_lengths(&weights)),
                without_limit(&weights)
            );
        }
    }

    #[test]
    fn doubling_weights_reach_the_limit() {
        let weights: Vec<u64> = (0..40).map(|power| 1 << power).collect();
        let lengths = code_lengths(&weights);
        assert_eq!(lengths.iter().max(), Some(&16));
        assert!(lengths.is_sorted_by(|lighter, heavier| lighter >= heavier));
    }
}
