//! How packets are lost, and what that does to a block of them.
//!
//! The model is a Gilbert-Elliott chain: in the good state nothing is lost, in
//! the bad one everything. Independent loss is the chain whose next state does
//! not depend on this one, so one model serves both.

/// A path's loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossModel {
    /// Share of packets lost, 0 to [`MAX_LOSS`].
    loss: f64,
    /// Mean length of a run of lost packets; 1 / (1 - loss) where each is lost
    /// by itself.
    burst: f64,
}

/// Above this no repair helps, and the sums below lose their footing.
const MAX_LOSS: f64 = 0.6;

/// The longest mean run that is planned for, in packets.
const MAX_BURST: f64 = 50.0;

impl LossModel {
    /// A path that loses this share of packets, in runs of this mean length.
    #[must_use]
    pub fn new(loss: f64, burst: f64) -> Self {
        let loss = loss.clamp(0.0, MAX_LOSS);
        Self {
            loss,
            burst: burst.clamp(1.0 / (1.0 - loss), MAX_BURST),
        }
    }

    /// Share of packets lost.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Mean length of a run of lost packets.
    #[must_use]
    pub fn burst(&self) -> f64 {
        self.burst
    }

    /// The chances that of `packets` sent in a row 0, 1, 2, … are lost, up to
    /// `most`; the last one stands for that many and more.
    #[must_use]
    pub fn losses(&self, packets: usize, most: usize) -> Vec<f64> {
        let run = self.run(packets, most);
        run.iter().map(|[good, bad]| good + bad).collect()
    }

    /// The same, each with the path in the good and in the bad state behind the
    /// last packet.
    fn run(&self, packets: usize, most: usize) -> Vec<[f64; 2]> {
        let mut run = vec![[0.0; 2]; most + 1];
        run[0] = [1.0 - self.loss, self.loss];
        (0..packets).for_each(|_| self.send(&mut run));
        run
    }

    /// One more packet: sent in the bad state it is lost; then the chain steps.
    fn send(&self, run: &mut [[f64; 2]]) {
        let recover = 1.0 / self.burst;
        let fail = recover * self.loss / (1.0 - self.loss);
        let mut lost = 0.0;
        let most = run.len() - 1;
        for (at, [good, bad]) in run.iter_mut().enumerate() {
            let (sent_good, sent_bad) = (*good, lost);
            lost = *bad;
            let sent_bad = if at == most {
                sent_bad + lost
            } else {
                sent_bad
            };
            *good = sent_good * (1.0 - fail) + sent_bad * recover;
            *bad = sent_good * fail + sent_bad * (1.0 - recover);
        }
    }

    /// The chance that a block of `chunks` with `parity` is not made whole,
    /// where `after` says it for each number of packets missing when all have
    /// been sent once (see [`LossModel::after_rounds`]).
    #[must_use]
    pub fn unrepaired(&self, chunks: usize, parity: usize, after: &[[f64; 2]]) -> f64 {
        let run = self.run(chunks + parity, parity + after.len() - 1);
        let chances = run[parity..].iter().zip(after);
        chances
            .map(|(chance, fails)| chance[0] * fails[0] + chance[1] * fails[1])
            .sum()
    }

    /// For each number of packets missing, from none to more than can be
    /// helped, and for the path in the good and in the bad state, the chance
    /// that `rounds` of NACKs and answers do not make them all good.
    #[must_use]
    pub fn after_rounds(&self, rounds: u32) -> Vec<[f64; 2]> {
        let mut fails = vec![[1.0; 2]; MAX_DEFICIT + 1];
        fails[0] = [0.0; 2];
        if rounds == 0 {
            return fails;
        }
        let answers = [self.answers([1.0, 0.0]), self.answers([0.0, 1.0])];
        let request_lost = self.all_lost(self.request_copies());
        for round in 0..rounds {
            let before = fails.clone();
            for (missing, fails) in fails.iter_mut().enumerate().skip(1) {
                for (state, fails) in fails.iter_mut().enumerate() {
                    let extra = self.extra(missing, round == 0, state == 1);
                    let answer = &answers[state][missing + extra];
                    let answered = answer.iter().enumerate().map(|(lost, chance)| {
                        let before = before[lost.saturating_sub(extra).min(missing)];
                        chance[0] * before[0] + chance[1] * before[1]
                    });
                    *fails = request_lost * before[missing][state]
                        + (1.0 - request_lost) * answered.sum::<f64>();
                }
            }
        }
        fails
    }

    /// What becomes of answers of every length, from this state on.
    fn answers(&self, state: [f64; 2]) -> Vec<Vec<[f64; 2]>> {
        let longest = MAX_DEFICIT + MAX_EXTRA;
        let mut run = vec![[0.0; 2]; longest + 1];
        run[0] = state;
        let mut answers = Vec::with_capacity(longest + 1);
        for packets in 0..=longest {
            answers.push(run[..=packets].to_vec());
            self.send(&mut run);
        }
        answers
    }

    /// In how many copies a NACK leaves: so many that hardly ever all are
    /// lost, within reason.
    #[must_use]
    pub fn request_copies(&self) -> usize {
        let enough = |copies: &usize| self.all_lost(*copies) <= NACK_RISK;
        (MIN_COPIES..MAX_COPIES).find(enough).unwrap_or(MAX_COPIES)
    }

    /// The chance that this many packets in a row are all lost.
    fn all_lost(&self, packets: usize) -> f64 {
        self.loss * (1.0 - 1.0 / self.burst).powi(packets as i32 - 1)
    }

    /// How many packets more than `missing` to ask for, so that what is lost
    /// of the answer seldom (in the last round: hardly ever) leaves a hole.
    /// `bad` tells that the last packets were lost: where loss comes in bursts,
    /// the first of the answer may be lost with them.
    #[must_use]
    pub fn extra(&self, missing: usize, last: bool, bad: bool) -> usize {
        let lost = self.loss * missing as f64;
        let spread = (lost * self.burst).sqrt();
        let Margin { sigmas, bursts } = if last { LAST_ROUND } else { ROUND };
        let extra = (lost + sigmas * spread) / (1.0 - self.loss);
        let extra = (extra.round() as usize).min(missing + 2);
        // What is left of a burst is as long again on average.
        let left = if bad {
            self.burst * (1.0 - self.loss) - 1.0
        } else {
            0.0
        };
        let extra = extra + (left.max(0.0) * bursts).round() as usize;
        extra.min(MAX_EXTRA)
    }
}

/// What the numbers of packets say of a path's loss: an average over many of
/// them, raised at once where the last few are clearly worse.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossEstimate {
    slow: Average,
    fast: Average,
    /// Runs of lost packets for each packet lost.
    runs: Average,
}

impl LossEstimate {
    /// Takes what came of the last `expected` packets: how many of them were
    /// lost, in how many runs.
    pub fn record(&mut self, expected: u64, lost: u64, runs: u64) {
        let share = |part: u64, of: u64| part as f64 / of.max(1) as f64;
        self.slow
            .record(share(lost, expected), expected as f64, SLOW_PACKETS);
        self.fast
            .record(share(lost, expected), expected as f64, FAST_PACKETS);
        if lost > 0 {
            self.runs
                .record(share(runs.min(lost), lost), lost as f64, RUN_PACKETS);
        }
    }

    /// The path's loss as it is now; `None` before the first packet.
    #[must_use]
    pub fn model(&self) -> Option<LossModel> {
        let slow = self.slow.value()?;
        let fast = self.fast.value()?;
        let spread = (fast * (1.0 - fast) / self.fast.weight.max(1.0)).sqrt();
        let loss = slow.max(fast - CLEARLY * spread);
        let burst = self.runs.value().map_or(1.0, |runs| 1.0 / runs);
        // Runs little longer than those of independent loss are chance.
        let bursty = burst * (1.0 - loss) > BURSTY;
        Some(LossModel::new(loss, if bursty { burst } else { 1.0 }))
    }
}

/// A weighted mean that forgets.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    mean: f64,
    weight: f64,
}

impl Average {
    /// Takes a value that stands for `weight` observations, of which about
    /// `memory` are remembered.
    fn record(&mut self, value: f64, weight: f64, memory: f64) {
        let kept = self.weight * (-weight / memory).exp();
        self.weight = kept + weight;
        if self.weight > 0.0 {
            self.mean += (value - self.mean) * weight / self.weight;
        }
    }

    fn value(&self) -> Option<f64> {
        (self.weight > 0.0).then_some(self.mean)
    }
}

/// Two copies of a NACK at the least: what it asks for is worth more.
const MIN_COPIES: usize = 2;

/// The most copies of a NACK.
const MAX_COPIES: usize = 14;

/// How seldom all copies of a NACK may be lost: no more often than the last
/// answer fails, and a round more costs as much as three copies of 60 bytes.
const NACK_RISK: f64 = 0.003;

/// More missing packets than this are past help.
const MAX_DEFICIT: usize = 48;

/// What an answer is provided for beyond its mean loss. The numbers are fitted
/// together with the planner's target, to the same table
/// ([`Planner`](super::Planner)): while there is another round a few packets
/// more save a part of it, in the last one everything depends on them.
#[derive(Clone, Copy, Debug)]
struct Margin {
    /// Standard deviations of what is lost.
    sigmas: f64,
    /// Mean bursts, where the last packets were lost.
    bursts: f64,
}

/// While there is another round.
const ROUND: Margin = Margin {
    sigmas: 0.35,
    bursts: 1.0,
};

/// In the last round.
const LAST_ROUND: Margin = Margin {
    sigmas: 5.0,
    bursts: 3.0,
};

/// The most packets that an answer has beyond the missing ones.
pub const MAX_EXTRA: usize = 32;

/// Packets that the long average remembers: enough to tell 5 % from 6 %.
const SLOW_PACKETS: f64 = 4000.0;

/// Runs longer than those of independent loss by this factor are bursts.
const BURSTY: f64 = 1.25;

/// Standard deviations by which the last few packets must be worse to count.
const CLEARLY: f64 = 3.0;

/// Packets that the short average remembers.
const FAST_PACKETS: f64 = 200.0;

/// Lost packets that the mean run is taken over.
const RUN_PACKETS: f64 = 200.0;

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn independent_loss_is_binomial() {
        let losses = LossModel::new(0.1, 1.0).losses(5, 5);
        for (lost, chance) in losses.iter().enumerate() {
            let choose = [1.0, 5.0, 10.0, 10.0, 5.0, 1.0][lost];
            let binomial = choose * 0.1_f64.powi(lost as i32) * 0.9_f64.powi(5 - lost as i32);
            assert!(
                (chance - binomial).abs() < 1e-12,
                "{lost}: {chance} {binomial}"
            );
        }
    }

    #[test]
    fn bursts_come_out_as_a_simulated_chain() {
        let (p, r, packets) = (0.0105, 0.2, 30);
        let mut rng = Rng::with_seed(3);
        let mut counts = vec![0_u32; packets + 1];
        let mut bad = false;
        let trials = 200_000;
        for _ in 0..trials {
            let mut lost = 0;
            for _ in 0..packets {
                bad ^= rng.f64() < if bad { r } else { p };
                lost += usize::from(bad);
            }
            counts[lost] += 1;
        }
        let model = LossModel::new(p / (p + r), 1.0 / r).losses(packets, packets);
        for lost in 0..packets {
            let simulated = f64::from(counts[lost]) / f64::from(trials);
            assert!(
                (simulated - model[lost]).abs() < 0.004,
                "{lost}: {simulated} {}",
                model[lost]
            );
        }
    }

    #[test]
    fn chances_add_up_to_one_where_they_are_cut_off() {
        for most in [0, 1, 3, 200] {
            let sum: f64 = LossModel::new(0.2, 3.0).losses(100, most).iter().sum();
            assert!((sum - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn every_round_and_every_parity_helps() {
        let model = LossModel::new(0.05, 1.0);
        let fails = |parity, rounds| model.unrepaired(150, parity, &model.after_rounds(rounds));
        assert!(fails(0, 0) > 0.999);
        assert!(fails(10, 0) < 0.3);
        assert!(fails(0, 1) < 0.2);
        assert!(
            fails(0, 2) < fails(0, 1) / 5.0,
            "{} {}",
            fails(0, 2),
            fails(0, 1)
        );
    }

    #[test]
    fn an_estimate_finds_the_loss_and_follows_a_rise() {
        let mut estimate = LossEstimate::default();
        assert_eq!(estimate.model(), None);
        let mut rng = Rng::with_seed(5);
        let mut feed = |estimate: &mut LossEstimate, loss: f64, packets: u64| {
            for _ in 0..packets / 20 {
                let lost = (0..20).filter(|_| rng.f64() < loss).count() as u64;
                estimate.record(20, lost, lost);
            }
        };
        feed(&mut estimate, 0.01, 20_000);
        assert!((estimate.model().unwrap().loss() - 0.01).abs() < 0.01);
        feed(&mut estimate, 0.2, 300);
        assert!(estimate.model().unwrap().loss() > 0.05);
    }
}
