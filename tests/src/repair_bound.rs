//! The fewest packets that a frame takes, whatever is sent when: the bound that
//! the table of repair is compared with. docs/loss.md says what it takes as
//! given.
//!
//! A policy says how many packets leave with the first sending and, for each
//! number still missing and each round of feedback left, how many with the next
//! answer. With a price for a frame that fails, the best policy follows backwards
//! from the last round, as in Hairpin (NSDI '24,
//! <https://www.usenix.org/conference/nsdi24/presentation/meng>). The highest value
//! of all prices, less what the allowed failures cost, is the bound.

use std::collections::BTreeSet;

/// The chances that of some packets 0, 1, 2, … are lost, with the last one of
/// them received and lost.
type Fates = Vec<[f64; 2]>;

/// How packets are lost: a chain with two states steps with each packet, which is
/// lost in the bad one.
#[derive(Clone, Copy, Debug)]
pub struct Chain {
    /// From the good state to the bad one.
    pub fail: f64,
    /// Back again.
    pub recover: f64,
}

/// What a frame is sent over.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Its packets' fates.
    pub chain: Chain,
    /// Answers to feedback that come in time.
    pub rounds: usize,
    /// Frames in a row that can share their parity where there is no feedback.
    pub span: usize,
    /// The most packets of one sending beyond those missing.
    pub beyond: usize,
}

impl Chain {
    /// Each packet is lost by itself.
    #[must_use]
    pub fn independent(loss: f64) -> Self {
        Self {
            fail: loss,
            recover: 1.0 - loss,
        }
    }

    /// The share of packets lost.
    #[must_use]
    pub fn loss(self) -> f64 {
        self.fail / (self.fail + self.recover)
    }

    /// The fates of 0, 1, 2, … up to `most` packets, from a state's chances on.
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

/// Packets for each chunk, on average over frames of these lengths, that at least
/// are sent where this share of the frames may fail.
#[must_use]
pub fn fewest(limits: &Limits, chunks: &[usize], fails: f64) -> f64 {
    let tables = Tables::new(limits, chunks);
    let all = chunks.iter().sum::<usize>() as f64;
    let worth = |price: f64| {
        let least = tables.least(price);
        (least - price * fails * chunks.len() as f64) / all
    };
    // It rises with the price up to the best one, then it falls.
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

/// The thirds of the range of prices that are cut off.
const STEPS: usize = 32;

/// Chances that do not depend on the price.
struct Tables<'a> {
    limits: &'a Limits,
    chunks: &'a [usize],
    /// From the usual state on, then behind a received and behind a lost packet.
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

    /// What all frames cost, one of each length, with this price for a failure.
    fn least(&self, price: f64) -> f64 {
        let longest = self.chunks.iter().copied().max().unwrap_or(0);
        // What it costs from here on, by how many are missing and the state.
        let mut costs = vec![[price; 2]; longest + 1];
        costs[0] = [0.0; 2];
        for round in 0..self.limits.rounds {
            let first = round + 1 == self.limits.rounds;
            let missing = 0..=longest;
            costs = missing
                .map(|missing| {
                    if first {
                        [0, 1].map(|state| self.send(missing, &self.behind[state], &costs, price))
                    } else {
                        // The next frame has passed since the answer before.
                        [self.send(missing, &self.usual, &costs, price); 2]
                    }
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

    /// The least cost where this many are missing.
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
        // Sending nothing is of use where the frame is given up.
        counts.map(cost).fold(price, f64::min)
    }

    /// The least cost of one of `span` frames that share their parity, without
    /// feedback and with each packet lost by itself.
    fn send_block(&self, chunks: usize, span: usize, price: f64) -> f64 {
        let lost = |packets: usize, lost: usize| {
            let fate = self.usual[packets].get(lost);
            fate.map_or(0.0, |[good, bad]| good + bad)
        };
        let whole = lost(chunks, 0);
        let costs = (0..=self.limits.beyond).map(|parity| {
            let packets = chunks * span + parity;
            // More are lost than can be, and one of the frame's own is.
            let fails: f64 = (parity + 1..=packets)
                .map(|many| lost(packets, many) - whole * lost(packets - chunks, many))
                .sum();
            packets as f64 / span as f64 + price * fails
        });
        costs.fold(f64::INFINITY, f64::min)
    }
}

/// The same for one frame of a few chunks by trying everything: each policy that
/// looks at the fate of every packet, and each pattern of losses. What several
/// policies reach in turn lies on the lines between them.
#[must_use]
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

/// What can be reached: packets, and the chance to fail.
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
                frontier(limits, left, known, rounds - 1, false)
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

/// The chance of a pattern of losses, and the fate of the last packet.
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

/// Those that no mixture of others is better than.
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

/// The lengths of frames that stand for those from `least` to `most`.
#[must_use]
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
                    let limits = Limits {
                        chain,
                        rounds,
                        span: 1,
                        beyond: 2 - rounds.min(1),
                    };
                    for fails in [0.001, 0.02, 0.3] {
                        let bound = fewest(&limits, &[chunks], fails);
                        let all = fewest_of_all(&limits, chunks, fails);
                        let case = (rounds, chunks, chain, fails);
                        assert!(
                            (bound - all).abs() < 1e-4 || all.is_infinite(),
                            "{case:?}: {bound}, all policies {all}"
                        );
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
            span: 1,
            beyond: 4,
        };
        let bound = fewest(&limits, &[1, 10], 1e-4);
        assert!((bound - 1.25).abs() < 0.002, "{bound}");
    }
}
