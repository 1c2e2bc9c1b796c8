//! Model of packet loss, and its effect on a block of packets.
//!
//! The model is a Gilbert-Elliott chain. The good state loses nothing, the bad
//! one everything. Independent loss is the chain whose next state does not depend
//! on the current one, so one model covers both.

use std::time::Duration;

/// Step of rounded loss and burst length: 5 %.
const STEP: f64 = 1.05;

/// Smallest loss that is planned for: one packet in a thousand.
const LEAST_LOSS: f64 = 0.001;

/// The packet loss of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossModel {
    /// Share of packets lost, 0 to [`MAX_LOSS`].
    loss: f64,
    /// Mean length of a run of lost packets; 1 / (1 - loss) if losses are
    /// independent.
    burst: f64,
}

/// Above this loss no repair helps, and the sums below become inaccurate.
const MAX_LOSS: f64 = 0.6;

/// Longest mean run that is planned for, in packets.
const MAX_BURST: f64 = 50.0;

impl LossModel {
    /// A path that loses `loss` of its packets, from 0 to 1, in runs of `burst`
    /// packets on average. Both are clamped to what the model covers.
    pub fn new(loss: f64, burst: f64) -> Self {
        let loss = loss.clamp(0.0, MAX_LOSS);
        Self {
            loss,
            burst: burst.clamp(1.0 / (1.0 - loss), MAX_BURST),
        }
    }

    /// Rounds loss and burst to steps of `STEP`, which are finer than the noise
    /// of an estimate.
    pub fn rounded(&self) -> Self {
        let round = |value: f64| STEP.powf((value.ln() / STEP.ln()).round());
        Self::new(round(self.loss.max(LEAST_LOSS)), round(self.burst))
    }

    /// Share of packets lost.
    pub fn loss(&self) -> f64 {
        self.loss
    }

    /// Mean length of a run of lost packets.
    pub fn burst(&self) -> f64 {
        self.burst
    }

    /// Probabilities that 0, 1, 2, … of `packets` consecutive packets are lost.
    pub fn losses(&self, packets: usize) -> Vec<f64> {
        sums(&self.run(packets))
    }

    /// [`LossModel::losses`] for each number of packets from 0 to `most`.
    pub(super) fn losses_of(&self, most: usize) -> Vec<Vec<f64>> {
        let mut run = self.run(0);
        let mut losses = vec![sums(&run)];
        for _ in 0..most {
            self.send(&mut run);
            losses.push(sums(&run));
        }
        losses
    }

    /// Probabilities of each number of lost packets, split by the state of the
    /// chain after the last packet: good, bad.
    pub(super) fn run(&self, packets: usize) -> Vec<[f64; 2]> {
        let mut run = vec![[1.0 - self.loss, self.loss]];
        (0..packets).for_each(|_| self.send(&mut run));
        run
    }

    /// Adds one packet: the chain steps, and the packet is lost in the bad state.
    pub(super) fn send(&self, run: &mut Vec<[f64; 2]>) {
        let recover = 1.0 / self.burst;
        let fail = recover * self.loss / (1.0 - self.loss);
        let mut lost = 0.0;
        run.push([0.0; 2]);
        for [good, bad] in run {
            let before = (*good, *bad);
            *good = before.0 * (1.0 - fail) + before.1 * recover;
            *bad = lost;
            lost = before.0 * fail + before.1 * (1.0 - recover);
        }
    }

    /// Number of copies of each NACK: the fewest for which losing all of them is
    /// as rare as `NACK_RISK`, within `MIN_COPIES` and `MAX_COPIES`.
    pub fn request_copies(&self) -> usize {
        let enough = |copies: &usize| self.all_lost(*copies) <= NACK_RISK;
        (MIN_COPIES..MAX_COPIES).find(enough).unwrap_or(MAX_COPIES)
    }

    /// Probability that `packets` consecutive packets are all lost.
    pub(super) fn all_lost(&self, packets: usize) -> f64 {
        self.loss * (1.0 - 1.0 / self.burst).powi(packets as i32 - 1)
    }
}

fn sums(run: &[[f64; 2]]) -> Vec<f64> {
    run.iter().map(|[good, bad]| good + bad).collect()
}

/// Estimate of a path's loss from packet numbers: a long average, raised at once
/// if the most recent packets are clearly worse.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossEstimate {
    slow: Average,
    fast: Average,
    /// Runs of lost packets per packet lost.
    runs: Average,
}

impl LossEstimate {
    /// Takes the loss among the last `expected` packets: how many were lost, in
    /// how many runs, and the current queueing delay. Loss while a queue stands
    /// is congestion. It does not count, because more repair would make it worse.
    pub fn record(&mut self, expected: u64, lost: u64, runs: u64, queueing: Duration) {
        if queueing > STANDING_QUEUE {
            return;
        }
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

    /// The current estimate of the path's loss; `None` before the first packet.
    pub fn model(&self) -> Option<LossModel> {
        let slow = self.slow.value()?;
        let fast = self.fast.value()?;
        let spread = (fast * (1.0 - fast) / self.fast.weight.max(1.0)).sqrt();
        let error = (slow * (1.0 - slow) / self.slow.weight.max(1.0)).sqrt();
        let loss = (slow + error * CAUTION).max(fast - CLEARLY * spread);
        let burst = self.runs.value().map_or(1.0, |runs| 1.0 / runs);
        // Runs barely longer than those of independent loss are chance.
        let bursty = burst * (1.0 - loss) > BURSTY;
        Some(LossModel::new(loss, if bursty { burst } else { 1.0 }))
    }
}

/// A weighted mean with exponential forgetting.
#[derive(Clone, Copy, Debug, Default)]
struct Average {
    mean: f64,
    weight: f64,
}

impl Average {
    /// Takes a value with the weight of `weight` observations. `memory` is the
    /// number of observations after which the weight of older ones has fallen to
    /// 1/e.
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

/// Minimum number of copies of a NACK: the chunks that it asks for are worth
/// more.
const MIN_COPIES: usize = 2;

/// Maximum number of copies of a NACK.
const MAX_COPIES: usize = 14;

/// Acceptable probability that all copies of a NACK are lost: about that with
/// which the last answer fails. One more round costs as much as three copies of
/// 60 bytes.
const NACK_RISK: f64 = 0.003;

/// Above this, queueing delay is a standing queue, not jitter.
const STANDING_QUEUE: Duration = Duration::from_millis(10);

/// Memory of the long average in packets: enough to tell 5 % from 6 %.
const SLOW_PACKETS: f64 = 4000.0;

/// Runs are bursts if they are longer than those of independent loss by this
/// factor.
const BURSTY: f64 = 1.25;

/// Standard deviations of its error by which the long average is raised: too
/// little parity costs more than too much.
const CAUTION: f64 = 0.5;

/// Standard deviations by which the short average is lowered before it may raise
/// the estimate.
const CLEARLY: f64 = 3.0;

/// Memory of the short average in packets.
const FAST_PACKETS: f64 = 200.0;

/// Memory of the mean run length in lost packets.
const RUN_PACKETS: f64 = 200.0;

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;

    #[test]
    fn independent_loss_is_binomial() {
        let losses = LossModel::new(0.1, 1.0).losses(5);
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
        let model = LossModel::new(p / (p + r), 1.0 / r).losses(packets);
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
    fn chances_add_up_to_one() {
        for packets in [0, 1, 3, 200] {
            let sum: f64 = LossModel::new(0.2, 3.0).losses(packets).iter().sum();
            assert!((sum - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn an_estimate_finds_the_loss_and_follows_a_rise() {
        let mut estimate = LossEstimate::default();
        assert_eq!(estimate.model(), None);
        let mut rng = Rng::with_seed(5);
        let mut feed = |estimate: &mut LossEstimate, loss: f64, packets: u64| {
            for _ in 0..packets / 20 {
                let lost = (0..20).filter(|_| rng.f64() < loss).count() as u64;
                estimate.record(20, lost, lost, Duration::ZERO);
            }
        };
        feed(&mut estimate, 0.01, 20_000);
        assert!((estimate.model().unwrap().loss() - 0.01).abs() < 0.01);
        feed(&mut estimate, 0.2, 300);
        assert!(estimate.model().unwrap().loss() > 0.05);
    }

    #[test]
    fn loss_while_a_queue_stands_is_not_planned_for() {
        let mut estimate = LossEstimate::default();
        let mut loss = |expected, lost, queueing| {
            estimate.record(expected, lost, lost, Duration::from_millis(queueing));
            estimate.model().unwrap().loss()
        };
        let before = loss(2_000, 20, 0);
        assert_eq!(loss(500, 200, 30), before);
        assert!(loss(500, 5, 3) <= before);
        assert!(loss(500, 100, 3) > 2.0 * before);
    }

    #[test]
    fn nacks_are_copied_until_the_loss_of_all_copies_is_rare() {
        let copies = |loss, burst| LossModel::new(loss, burst).request_copies();
        assert_eq!(copies(0.0, 1.0), MIN_COPIES);
        // 0.05 squared is below the risk, 0.06 squared above.
        assert_eq!((copies(0.05, 1.0), copies(0.06, 1.0)), (2, 3));
        assert_eq!(
            (copies(MAX_LOSS, 1.0), copies(MAX_LOSS, 50.0)),
            (12, MAX_COPIES)
        );
        let model = LossModel::new(0.2, 4.0);
        assert_eq!((model.all_lost(1), model.burst()), (0.2, 4.0));
        assert!((model.all_lost(3) - 0.2 * 0.75 * 0.75).abs() < 1e-12);
    }

    #[test]
    fn an_estimate_tells_bursts_from_chance() {
        let burst = |lost, runs| {
            let mut estimate = LossEstimate::default();
            for _ in 0..40 {
                estimate.record(100, lost, runs, Duration::ZERO);
                // Times without loss say nothing about runs.
                estimate.record(100, 0, 0, Duration::ZERO);
            }
            estimate.model().unwrap().burst()
        };
        assert!((burst(10, 2) - 5.0).abs() < 1e-9);
        // Independent losses are next to each other now and then.
        assert!(burst(10, 9) < 1.1);
        // More runs than packets are those of a liar.
        assert!(burst(10, 50) < 1.1);
    }

    #[test]
    fn an_estimate_is_cautious_as_long_as_it_has_seen_little() {
        let after = |packets: u64| {
            let mut estimate = LossEstimate::default();
            estimate.record(packets, packets / 20, packets / 20, STANDING_QUEUE);
            estimate.model().unwrap().loss()
        };
        let error = |packets: f64| (0.05_f64 * 0.95 / packets).sqrt() * CAUTION;
        for packets in [100, 400, 1_600] {
            assert!((after(packets) - 0.05 - error(packets as f64)).abs() < 1e-9);
        }
    }
}
