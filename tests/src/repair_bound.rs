//! The fewest packets that any policy needs for a frame: the bound for the repair
//! table. docs/loss.md lists its assumptions.
//!
//! A policy says how many packets the first sending has and, for each number of
//! missing packets and each remaining round of feedback, how many the next answer
//! has. With a price for a failed frame, the best policy follows backwards from
//! the last round, as in Hairpin (NSDI '24,
//! <https://www.usenix.org/conference/nsdi24/presentation/meng>). For each price,
//! its cost minus the cost of the allowed failures is a lower bound. The result
//! is the highest of these.

use std::collections::BTreeSet;

/// Probabilities that 0, 1, 2, … packets are lost, split by whether the last
/// packet was received or lost.
type Fates = Vec<[f64; 2]>;

/// Loss model: a two-state chain that steps with each packet. Packets are lost in
/// the bad state.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// Probability of going from the good to the bad state.
    pub fail: f64,
    /// Probability of going back.
    pub recover: f64,
}

/// The path of a frame.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Loss of packets.
    pub chain: Chain,
    /// Number of answers that arrive in time.
    pub rounds: usize,
    /// Probability that the last of them does. Whether it will is known when it is
    /// requested, and not before.
    pub last: f64,
    /// Number of consecutive frames that can share their parity without feedback.
    pub span: usize,
    /// Maximum number of packets of one sending beyond the missing ones.
    pub beyond: usize,
}

impl Chain {
    /// Independent loss.
    pub fn independent(loss: f64) -> Self {
        Self {
            fail: loss,
            recover: 1.0 - loss,
        }
    }

    /// Share of lost packets.
    pub fn loss(self) -> f64 {
        self.fail / (self.fail + self.recover)
    }

    /// Loss probabilities for each number of packets from 0 to `most`, from given
    /// state probabilities.
    fn fates(self, state: [f64; 2], most: usize) -> Vec<Fates> {
        let mut fates = vec![vec![state]];
        for packets in 1..=most {
            let mut next = vec![[0.0; 2]; packets + 1];
            for (lost, [good, bad]) in fates[packets - 1].iter().enumerate() {
                next[lost][0] += good * (1.0 - self.fail) + bad * self.recover;
                next[lost + 1][1] += good * self.fail + bad * (1.0 - self.recover);
            }
            fates.push(next);
        }
        fates
    }

    fn usual(self) -> [f64; 2] {
        [1.0 - self.loss(), self.loss()]
    }
}

/// Lower bound on the packets per chunk, on average over frames of these lengths,
/// if this share of the frames may fail.
pub fn fewest(limits: &Limits, chunks: &[usize], fails: f64) -> f64 {
    let tables = Tables::new(limits, chunks);
    let all = chunks.iter().sum::<usize>() as f64;
    let worth = |price: f64| {
        let least = tables.least(price);
        (least - price * fails * chunks.len() as f64) / all
    };
    // The value rises with the price up to the best one, then falls.
    let (mut low, mut high) = (-2.0_f64, 14.0_f64);
    for _ in 0..STEPS {
        let third = (high - low) / 3.0;
        if worth((low + third).exp()) < worth((high - third).exp()) {
            low += third;
        } else {
            high -= third;
        }
    }
    worth(f64::midpoint(low, high).exp())
}

/// Number of steps that each cut a third off the range of prices.
const STEPS: usize = 32;

/// Probabilities that do not depend on the price.
struct Tables<'a> {
    limits: &'a Limits,
    chunks: &'a [usize],
    /// Starting from the stationary state; after a received packet, and after a
    /// lost one.
    usual: Vec<Fates>,
    behind: [Vec<Fates>; 2],
}

impl<'a> Tables<'a> {
    fn new(limits: &'a Limits, chunks: &'a [usize]) -> Self {
        let longest = chunks.iter().copied().max().unwrap_or(0);
        let most = longest * limits.span.max(1) + limits.beyond;
        let fates = |state| limits.chain.fates(state, most);
        Self {
            limits,
            chunks,
            usual: fates(limits.chain.usual()),
            behind: [fates([1.0, 0.0]), fates([0.0, 1.0])],
        }
    }

    /// Minimum cost of all frames, one of each length, at this price of a
    /// failure.
    fn least(&self, price: f64) -> f64 {
        let longest = self.chunks.iter().copied().max().unwrap_or(0);
        // Cost from here on, by number of missing packets and state.
        let mut costs = vec![[price; 2]; longest + 1];
        costs[0] = [0.0; 2];
        for round in 0..self.limits.rounds {
            let in_time = if round == 0 { self.limits.last } else { 1.0 };
            let first = round + 1 == self.limits.rounds;
            let missing = 0..=longest;
            costs = missing
                .map(|missing| {
                    let answered = if first {
                        [0, 1].map(|state| self.send(missing, &self.behind[state], &costs, price))
                    } else {
                        // The next frame has passed since the previous answer, so
                        // the state is stationary again.
                        [self.send(missing, &self.usual, &costs, price); 2]
                    };
                    let over = if missing > 0 { price } else { 0.0 };
                    answered.map(|cost| in_time * cost + (1.0 - in_time) * over)
                })
                .collect();
        }
        let frames = self.chunks.iter().map(|chunks| {
            let alone = self.send(*chunks, &self.usual, &costs, price);
            let shared = (2..=self.limits.span).map(|span| self.send_block(*chunks, span, price));
            shared.fold(alone, f64::min)
        });
        frames.sum()
    }

    /// Minimum cost if `missing` packets are missing.
    fn send(&self, missing: usize, fates: &[Fates], costs: &[[f64; 2]], price: f64) -> f64 {
        if missing == 0 {
            return 0.0;
        }
        let counts = 1..=missing + self.limits.beyond;
        let cost = |packets: usize| {
            let lost = fates[packets].iter().enumerate();
            let rest = lost.map(|(lost, chance)| {
                let after = costs[missing.saturating_sub(packets - lost)];
                chance[0] * after[0] + chance[1] * after[1]
            });
            packets as f64 + rest.sum::<f64>()
        };
        // Sending nothing pays if the frame is given up.
        counts.map(cost).fold(price, f64::min)
    }

    /// Minimum cost of each of `span` frames that share their parity, without
    /// feedback and with independent loss.
    fn send_block(&self, chunks: usize, span: usize, price: f64) -> f64 {
        let lost = |packets: usize, lost: usize| {
            let fate = self.usual[packets].get(lost);
            fate.map_or(0.0, |[good, bad]| good + bad)
        };
        let whole = lost(chunks, 0);
        let costs = (0..=self.limits.beyond).map(|parity| {
            let packets = chunks * span + parity;
            // Probability that more packets are lost than parity can replace, and
            // at least one of them belongs to the frame.
            let fails: f64 = (parity + 1..=packets)
                .map(|many| lost(packets, many) - whole * lost(packets - chunks, many))
                .sum();
            packets as f64 / span as f64 + price * fails
        });
        costs.fold(f64::INFINITY, f64::min)
    }
}

/// The same for a frame of a few chunks by exhaustive search over all policies
/// that know the fate of every packet, and all patterns of loss. Mixtures of
/// policies lie on the lines between them.
pub fn fewest_of_all(limits: &Limits, chunks: usize, fails: f64) -> f64 {
    let all = frontier(limits, chunks, None, limits.rounds, true);
    let mut best = f64::INFINITY;
    for (more, (packets, rate)) in all.iter().enumerate() {
        if *rate <= fails {
            best = best.min(*packets);
        }
        for (others, failing) in &all[..more] {
            let (low, high) = (rate.min(*failing), rate.max(*failing));
            if low < fails && fails < high {
                let part = (fails - rate) / (failing - rate);
                best = best.min(packets + part * (others - packets));
            }
        }
    }
    best / chunks as f64
}

/// Attainable pairs of packets and failure probability.
fn frontier(
    limits: &Limits,
    missing: usize,
    last: Option<bool>,
    rounds: usize,
    first: bool,
) -> Vec<(f64, f64)> {
    if missing == 0 {
        return vec![(0.0, 0.0)];
    }
    let mut reached = vec![(0.0, 1.0)];
    for packets in 0..=missing + limits.beyond {
        let mut sums = vec![(packets as f64, 0.0)];
        for pattern in 0..1_u32 << packets {
            let (chance, end) = chance(limits.chain, pattern, packets, last);
            let received = packets - pattern.count_ones() as usize;
            let left = missing.saturating_sub(received);
            let after = if rounds > 0 {
                let known = if first { end } else { None };
                let answered = frontier(limits, left, known, rounds - 1, false);
                let in_time = if rounds == 1 { limits.last } else { 1.0 };
                let over = if left > 0 { 1.0 - in_time } else { 0.0 };
                let answered = answered.into_iter();
                answered
                    .map(|(packets, fails)| (in_time * packets, in_time * fails + over))
                    .collect()
            } else {
                vec![(0.0, if left > 0 { 1.0 } else { 0.0 })]
            };
            let pairs = sums.iter().flat_map(|sum| {
                let after = after.iter();
                after
                    .map(move |(packets, fails)| (sum.0 + chance * packets, sum.1 + chance * fails))
            });
            sums = hull(pairs.collect());
        }
        reached.extend(sums);
    }
    hull(reached)
}

/// Probability of a pattern of losses, and whether the last packet is lost.
fn chance(chain: Chain, pattern: u32, packets: usize, last: Option<bool>) -> (f64, Option<bool>) {
    let (mut chance, mut last) = (1.0, last);
    for at in 0..packets {
        let lost = (pattern >> at) & 1 == 1;
        let loses = match last {
            None => chain.loss(),
            Some(false) => chain.fail,
            Some(true) => 1.0 - chain.recover,
        };
        chance *= if lost { loses } else { 1.0 - loses };
        last = Some(lost);
    }
    (chance, last)
}

/// The points that no mixture of others improves on.
fn hull(mut points: Vec<(f64, f64)>) -> Vec<(f64, f64)> {
    points.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut hull: Vec<(f64, f64)> = Vec::new();
    for point in points {
        if hull.last().is_some_and(|last| last.1 <= point.1) {
            continue;
        }
        while let [.., a, b] = hull[..] {
            if (b.1 - a.1) * (point.0 - a.0) < (point.1 - a.1) * (b.0 - a.0) {
                break;
            }
            hull.pop();
        }
        hull.push(point);
    }
    hull
}

/// Frame lengths that represent the range from `least` to `most`.
pub fn lengths(least: usize, most: usize) -> Vec<usize> {
    let steps = (most - least).min(MAX_LENGTHS - 1);
    let lengths: BTreeSet<_> = (0..=steps)
        .map(|step| least + (most - least) * step / steps.max(1))
        .collect();
    lengths.into_iter().collect()
}

const MAX_LENGTHS: usize = 11;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_what_trying_everything_gives() {
        let bursts = Chain {
            fail: 0.1,
            recover: 0.4,
        };
        let chains = [Chain::independent(0.1), Chain::independent(0.3), bursts];
        for (rounds, most) in [(0, 4), (1, 4), (2, 2)] {
            for chunks in 1..=most {
                for chain in chains {
                    for last in [1.0, 0.8] {
                        let limits = Limits {
                            chain,
                            rounds,
                            last,
                            span: 1,
                            beyond: 2 - rounds.min(1),
                        };
                        for fails in [0.001, 0.02, 0.3] {
                            let bound = fewest(&limits, &[chunks], fails);
                            let all = fewest_of_all(&limits, chunks, fails);
                            let case = (limits, chunks, fails);
                            assert!(
                                (bound - all).abs() < 1e-4 || all.is_infinite(),
                                "{case:?}: {bound}, all policies {all}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn rounds_without_end_leave_what_the_path_carries() {
        let limits = Limits {
            chain: Chain::independent(0.2),
            rounds: 12,
            last: 1.0,
            span: 1,
            beyond: 4,
        };
        let bound = fewest(&limits, &[1, 10], 1e-4);
        assert!((bound - 1.25).abs() < 0.002, "{bound}");
    }
}
