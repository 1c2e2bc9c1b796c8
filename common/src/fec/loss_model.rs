//! How packets are lost, and what that does to a block of them.
//!
//! The model is a Gilbert-Elliott chain: in the good state nothing is lost, in
//! the bad one everything. Independent loss is the chain whose next state does
//! not depend on this one, so one model serves both.

use std::time::Duration;

/// Loss and burst are planned for in steps of a twentieth.
const STEP: f64 = 1.05;

/// Loss below this is planned for as this: one packet in a thousand.
const LEAST_LOSS: f64 = 0.001;

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

    /// The same in steps of [`STEP`], which the noise of an estimate is larger
    /// than.
    #[must_use]
    pub fn rounded(&self) -> Self {
        let round = |value: f64| STEP.powf((value.ln() / STEP.ln()).round());
        Self::new(round(self.loss.max(LEAST_LOSS)), round(self.burst))
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

    /// The chances that of `packets` sent in a row 0, 1, 2, … are lost.
    #[must_use]
    pub fn losses(&self, packets: usize) -> Vec<f64> {
        sums(&self.run(packets))
    }

    /// The same for 0, 1, 2, … up to `most` packets.
    pub(super) fn losses_of(&self, most: usize) -> Vec<Vec<f64>> {
        let mut run = self.run(0);
        let mut losses = vec![sums(&run)];
        for _ in 0..most {
            self.send(&mut run);
            losses.push(sums(&run));
        }
        losses
    }

    /// The chances of each number of packets lost, with the last one received
    /// and with it lost.
    pub(super) fn run(&self, packets: usize) -> Vec<[f64; 2]> {
        let mut run = vec![[1.0 - self.loss, self.loss]];
        (0..packets).for_each(|_| self.send(&mut run));
        run
    }

    /// One more packet: the chain steps, and in the bad state the packet is lost.
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

    /// In how many copies a NACK leaves: so many that hardly ever all are
    /// lost, within reason.
    #[must_use]
    pub fn request_copies(&self) -> usize {
        let enough = |copies: &usize| self.all_lost(*copies) <= NACK_RISK;
        (MIN_COPIES..MAX_COPIES).find(enough).unwrap_or(MAX_COPIES)
    }

    /// The chance that this many packets in a row are all lost.
    pub(super) fn all_lost(&self, packets: usize) -> f64 {
        self.loss * (1.0 - 1.0 / self.burst).powi(packets as i32 - 1)
    }
}

fn sums(run: &[[f64; 2]]) -> Vec<f64> {
    run.iter().map(|[good, bad]| good + bad).collect()
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
    /// lost, in how many runs, and how long packets wait in queues. Loss where a
    /// queue stands does not count: it is congestion, and more repair would only
    /// add to it.
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

    /// The path's loss as it is now; `None` before the first packet.
    #[must_use]
    pub fn model(&self) -> Option<LossModel> {
        let slow = self.slow.value()?;
        let fast = self.fast.value()?;
        let spread = (fast * (1.0 - fast) / self.fast.weight.max(1.0)).sqrt();
        let error = (slow * (1.0 - slow) / self.slow.weight.max(1.0)).sqrt();
        let loss = (slow + error * CAUTION).max(fast - CLEARLY * spread);
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

/// A queue of this length is no jitter.
const STANDING_QUEUE: Duration = Duration::from_millis(10);

/// Packets that the long average remembers: enough to tell 5 % from 6 %.
const SLOW_PACKETS: f64 = 4000.0;

/// Runs longer than those of independent loss by this factor are bursts.
const BURSTY: f64 = 1.25;

/// Standard deviations of its error that the estimate is raised by: too little
/// parity costs more than too much.
const CAUTION: f64 = 0.5;

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
}
