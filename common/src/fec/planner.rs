//! Plans how much parity a frame gets, and over how many frames it is computed.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::answers::{AnswerPlan, MAX_ROUNDS, PRICE};
use super::loss_model::LossModel;
use super::path::PathEstimate;
use crate::chunk::BLOCK_FRAMES;

/// Setting of the amount of parity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fec {
    /// No parity.
    Off,
    /// As much as the reported loss requires.
    Auto,
    /// A fixed share of the chunks; 1 is one parity packet per chunk.
    Fixed(f64),
}

impl fmt::Display for Fec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::Auto => f.write_str("auto"),
            Self::Fixed(share) => write!(f, "{:.0} %", share * 100.0),
        }
    }
}

/// Plans the parity of each block.
#[derive(Debug)]
pub struct Planner {
    fec: Fec,
    /// Cache of plans; consecutive frames need the same ones.
    known: HashMap<Key, Best>,
    /// The answers to NACKs that all plans for this loss, burst and number of rounds share: those
    /// of the path that was planned for last.
    answers: Option<((u64, u64, u32), AnswerPlan)>,
    /// Plans computed for the current block.
    worked_out: usize,
}

/// Fraction of a parity packet that a destination is owed. It is carried over to
/// the next block, so that the shares are met on average.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carry {
    /// In packets.
    packets: f64,
    /// The share planned last.
    share: f64,
}

/// The best parity for a block.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    /// Parity packets per chunk.
    share: f64,
    /// Expected cost with answers and failures, in packets per chunk.
    cost: f64,
}

/// Input of a plan, rounded so that frames share plans.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    chunks: usize,
    frames: usize,
    /// Bits of the rounded loss and burst.
    loss: u64,
    burst: u64,
    rounds: u32,
}

impl Planner {
    /// A planner with this setting.
    pub fn new(fec: Fec) -> Self {
        Self {
            fec,
            known: HashMap::new(),
            answers: None,
            worked_out: 0,
        }
    }

    /// Number of frames that share parity best, for frames of `chunks` chunks,
    /// `interval` apart and spread over `spread`: the fewest whose cost is close
    /// to the least.
    pub fn span(
        &mut self,
        chunks: usize,
        interval: Duration,
        spread: Duration,
        path: &PathEstimate,
    ) -> usize {
        let fits =
            |frames: usize| interval * (frames as u32 - 1) + spread + MARGIN <= path.playout_delay;
        let most = (1..=BLOCK_FRAMES)
            .take_while(|frames| *frames == 1 || fits(*frames))
            .count();
        if most == 1 || chunks * most > MAX_SPANNED_CHUNKS || self.fec == Fec::Off {
            return 1;
        }
        let costs: Vec<_> = (1..=most)
            .map(|frames| self.best(chunks * frames, frames, path, spread).cost)
            .collect();
        let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
        costs
            .iter()
            .position(|cost| *cost <= least * GAIN + LEAST_GAIN)
            .map_or(1, |at| at + 1)
    }

    /// Starts a new block.
    pub fn begin_block(&mut self) {
        self.worked_out = 0;
    }

    /// Number of parity packets for a block of `chunks` chunks in `frames`
    /// frames, sent to viewers over `paths`: as many as the worst path needs. If
    /// a destination has several viewers, all of them receive this parity. So a
    /// viewer whose loss is worse than all others' raises it to at most
    /// [`MAX_FOR_ONE`].
    pub fn parity(
        &mut self,
        chunks: usize,
        frames: usize,
        paths: &[PathEstimate],
        spread: Duration,
        carry: &mut Carry,
    ) -> usize {
        let (mut worst, mut next) = (None, 0.0_f64);
        for path in paths {
            if self.worked_out >= MAX_WORKED_OUT && !self.knows(chunks, frames, path, spread) {
                continue;
            }
            let Best { share, .. } = self.best(chunks, frames, path, spread);
            next = next.max(share.min(worst.unwrap_or(0.0)));
            worst = Some(share.max(worst.unwrap_or(0.0)));
        }
        // If no plan was available within the limit, the last share stands.
        let worst = worst.unwrap_or(carry.share);
        carry.share = match (paths, self.fec) {
            ([_, _, ..], Fec::Auto) => worst.min(next.max(MAX_FOR_ONE)),
            _ => worst,
        };
        carry.packets += chunks as f64 * carry.share;
        // Blocks that need less than a packet of parity get one in turn.
        let parity = carry.packets.max(0.0).floor();
        carry.packets -= parity;
        parity as usize
    }

    fn knows(&self, chunks: usize, frames: usize, path: &PathEstimate, spread: Duration) -> bool {
        let key = || Key::new(chunks, frames, path.loss, path.rounds(spread));
        self.fec != Fec::Auto || self.known.contains_key(&key())
    }

    /// The best parity for a block.
    fn best(
        &mut self,
        chunks: usize,
        frames: usize,
        path: &PathEstimate,
        spread: Duration,
    ) -> Best {
        let share = match self.fec {
            Fec::Off => 0.0,
            Fec::Fixed(share) => share,
            Fec::Auto => {
                let key = Key::new(chunks, frames, path.loss, path.rounds(spread));
                if self.known.len() >= MAX_KNOWN {
                    self.known.clear();
                }
                let (worked_out, answers) = (&mut self.worked_out, &mut self.answers);
                return *self.known.entry(key).or_insert_with(|| {
                    *worked_out += 1;
                    let path = (key.loss, key.burst, key.rounds);
                    answers.take_if(|(of, _)| *of != path);
                    let plan = || AnswerPlan::new(&key.model(), key.rounds as usize);
                    let (_, answers) = answers.get_or_insert_with(|| (path, plan()));
                    key.best(answers)
                });
            }
        };
        Best { share, cost: share }
    }
}

impl Key {
    fn new(chunks: usize, frames: usize, loss: Option<LossModel>, rounds: u32) -> Self {
        let model = loss.unwrap_or(LossModel::new(DEFAULT_LOSS, 1.0)).rounded();
        // Frames from 32 chunks on are rounded up, by less than an eighth.
        let chunks = chunks.min(MAX_PLANNED_CHUNKS);
        let grain = (chunks / 16).next_power_of_two();
        Self {
            chunks: chunks.div_ceil(grain) * grain,
            frames,
            loss: model.loss().to_bits(),
            burst: model.burst().to_bits(),
            rounds,
        }
    }

    fn model(&self) -> LossModel {
        let [loss, burst] = [self.loss, self.burst].map(f64::from_bits);
        LossModel::new(loss, burst)
    }

    /// Computes the best parity: the number of packets at which one more costs
    /// what it saves in answers and failed frames. If more than [`MAX_FAILS`] would
    /// still fail, returns the parity that meets this limit on average over similar
    /// blocks.
    fn best(&self, answers: &AnswerPlan) -> Best {
        let model = self.model();
        let mut run = model.run(self.chunks);
        let mut best = Step::default();
        let mut before = best;
        for parity in 0..=self.chunks + MAX_BEYOND {
            let step = self.step(parity, &run, answers);
            if parity == 0 || step.cost < best.cost {
                best = step;
            }
            if parity > 0 && step.fails <= MAX_FAILS && best.fails > MAX_FAILS {
                // Mixes blocks with one packet less and one more, so that on
                // average exactly the allowed share fails.
                let fewer = (MAX_FAILS - step.fails) / (before.fails - step.fails);
                let mix = |less: f64, more: f64| more + fewer.clamp(0.0, 1.0) * (less - more);
                best = Step {
                    parity: mix(before.parity, step.parity),
                    cost: mix(before.cost, step.cost),
                    fails: MAX_FAILS,
                };
            }
            if best.fails <= MAX_FAILS && step.parity >= best.cost {
                break;
            }
            before = step;
            model.send(&mut run);
        }
        let chunks = self.chunks as f64;
        Best {
            share: (best.parity / chunks).max(self.floor()),
            cost: best.cost / chunks,
        }
    }

    /// The least parity per chunk. Loss that has not been seen yet needs none where there is time for
    /// all rounds of NACK and answer.
    fn floor(&self) -> f64 {
        if self.rounds as usize >= MAX_ROUNDS {
            0.0
        } else {
            FLOOR
        }
    }

    /// Expected result of `parity` packets; `run` has the probabilities of losses
    /// among chunks and parity.
    fn step(&self, parity: usize, run: &[[f64; 2]], answers: &AnswerPlan) -> Step {
        // A frame of a failed block fails only if it lost packets itself.
        let hit = 1.0 - (1.0 - 1.0 / self.frames as f64).powi(parity as i32 + 1);
        let mut step = Step {
            parity: parity as f64,
            cost: parity as f64,
            fails: 0.0,
        };
        for (lost, [good, bad]) in run.iter().enumerate().skip(parity + 1) {
            let after = answers.outcome(lost - parity);
            step.cost += (good + bad) * after.packets;
            step.fails += (good + bad) * hit * after.fails;
        }
        step.cost += PRICE * self.frames as f64 * step.fails;
        step
    }
}

/// Expected result of an amount of parity.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// Parity packets.
    parity: f64,
    /// Expected cost with answers and failures, in packets.
    cost: f64,
    /// Share of frames that stay incomplete.
    fails: f64,
}

/// Largest share of frames that may stay incomplete, if parity can prevent it.
const MAX_FAILS: f64 = 6e-4;

/// Upper bound on cached plans: a few spans for each of a few dozen frame
/// lengths.
const MAX_KNOWN: usize = 256;

/// Upper bound on plans computed for one block. Each takes up to several
/// milliseconds, and viewers whose reports keep changing must not hold up frames.
const MAX_WORKED_OUT: usize = 8;

/// Upper bound on the parity that one viewer can cause if several share a
/// destination and its loss is worse than all others', as a share of the chunks.
/// It covers a loss of a third of the packets. A viewer that lies adds at most
/// half.
pub const MAX_FOR_ONE: f64 = 0.5;

/// Longer blocks get the share planned for this length, which is slightly more
/// than they need.
const MAX_PLANNED_CHUNKS: usize = 512;

/// Loss that is assumed without a report, independent per packet. It is enough
/// for the row "1 % random; one way" of the repair table, on paths that never
/// report as well as before the first report.
const DEFAULT_LOSS: f64 = 0.015;

/// Least parity per chunk against loss that has not been seen yet, unless repair has time for all
/// rounds.
const FLOOR: f64 = 0.006;

/// A longer block makes each frame wait for the last one. It is chosen only if it
/// is cheaper by this factor ...
const GAIN: f64 = 1.1;

/// ... and by this many packets per chunk.
const LEAST_GAIN: f64 = 0.005;

/// Time left of the playout delay when the last parity of a block arrives.
const MARGIN: Duration = Duration::from_millis(5);

/// Longest block, in chunks, that is considered for several frames. Longer ones
/// gain nothing.
const MAX_SPANNED_CHUNKS: usize = 100;

/// The search for the best parity ends at the number of chunks plus this.
const MAX_BEYOND: usize = 3;

#[cfg(test)]
mod tests;
