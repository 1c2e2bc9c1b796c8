//! How much parity a frame gets, and over how many frames.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use super::answers::{AnswerPlan, PRICE};
use super::loss_model::LossModel;
use super::path::PathEstimate;
use crate::chunk::BLOCK_FRAMES;

/// How parity is set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fec {
    /// None.
    Off,
    /// As much as the loss that viewers report asks for.
    Auto,
    /// This share of the chunks, 0 to 1 and above.
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

/// Decides on parity block by block.
#[derive(Debug)]
pub struct Planner {
    fec: Fec,
    /// Answers given, which the next frames ask for again.
    known: HashMap<Key, Best>,
    /// Answers that were worked out for this block.
    worked_out: usize,
}

/// Parity for a destination that cannot be sent in whole packets: it is carried
/// over to the next block, so that the shares come true on average.
#[derive(Clone, Copy, Debug, Default)]
pub struct Carry {
    /// In packets.
    packets: f64,
    /// The share that was wanted last.
    share: f64,
}

/// The best parity for a block.
#[derive(Clone, Copy, Debug, Default)]
struct Best {
    /// As a share of the chunks.
    share: f64,
    /// What it costs with answers and failures, in packets for each chunk.
    cost: f64,
}

/// What decides on parity, in steps so coarse that frames share answers.
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
    /// A plan that follows this setting.
    #[must_use]
    pub fn new(fec: Fec) -> Self {
        Self {
            fec,
            known: HashMap::new(),
            worked_out: 0,
        }
    }

    /// Over how many frames like this one, of `chunks` each, `interval` apart
    /// and spread over `spread`, parity is best taken: as few as serve with
    /// little more than the least overhead.
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

    /// Begins with another block.
    pub fn begin_block(&mut self) {
        self.worked_out = 0;
    }

    /// How many parity packets the viewers of a destination, over these paths,
    /// get now for a block of `chunks` in `frames`: as many as the worst of
    /// them needs. Where they are several, all of them receive what one asks
    /// for, and so one that is worse than all others draws no more than
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
        // Whoever is not reached this time gets what it got last.
        let worst = worst.unwrap_or(carry.share);
        carry.share = match (paths, self.fec) {
            ([_, _, ..], Fec::Auto) => worst.min(next.max(MAX_FOR_ONE)),
            _ => worst,
        };
        carry.packets += chunks as f64 * carry.share;
        // A small block has its packets in turn with its like.
        let parity = carry.packets.max(0.0).floor();
        carry.packets -= parity;
        parity as usize
    }

    fn knows(&self, chunks: usize, frames: usize, path: &PathEstimate, spread: Duration) -> bool {
        let key = || Key::new(chunks, frames, path.loss, path.rounds(spread));
        self.fec != Fec::Auto || self.known.contains_key(&key())
    }

    /// The best parity for such a block.
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
                let worked_out = &mut self.worked_out;
                return *self.known.entry(key).or_insert_with(|| {
                    *worked_out += 1;
                    key.best()
                });
            }
        };
        Best { share, cost: share }
    }
}

impl Key {
    fn new(chunks: usize, frames: usize, loss: Option<LossModel>, rounds: u32) -> Self {
        let model = loss.unwrap_or(LossModel::new(DEFAULT_LOSS, 1.0)).rounded();
        // Up to 16 chunks every one matters, then one in sixteen.
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

    /// The best parity: one packet more costs what it saves in answers and in
    /// frames that fail, or as much as leaves no more than [`MAX_FAILS`] of them,
    /// on average over blocks like this.
    fn best(&self) -> Best {
        let [loss, burst] = [self.loss, self.burst].map(f64::from_bits);
        let model = LossModel::new(loss, burst);
        let answers = AnswerPlan::new(&model, self.rounds as usize);
        let mut run = model.run(self.chunks);
        let mut best = Step::default();
        let mut before = best;
        for parity in 0..=self.chunks + MAX_BEYOND {
            let step = self.step(parity, &run, &answers);
            if parity == 0 || step.cost < best.cost {
                best = step;
            }
            if parity > 0 && step.fails <= MAX_FAILS && best.fails > MAX_FAILS {
                // So many blocks with one less that the average is what may be.
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
            share: (best.parity / chunks).max(FLOOR),
            cost: best.cost / chunks,
        }
    }

    /// What comes of this much parity, where `run` has the chances of losses.
    fn step(&self, parity: usize, run: &[[f64; 2]], answers: &AnswerPlan) -> Step {
        // A frame fails with its block only if it is itself hit.
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

/// What comes of some parity for a block.
#[derive(Clone, Copy, Debug, Default)]
struct Step {
    /// In packets.
    parity: f64,
    /// In packets, with answers and failures.
    cost: f64,
    /// The share of frames that stay incomplete.
    fails: f64,
}

/// The most frames that may stay incomplete, if parity can prevent it.
const MAX_FAILS: f64 = 6e-4;

/// The most answers that are remembered: a few spans for each of a few dozen
/// lengths of frames.
const MAX_KNOWN: usize = 256;

/// The most answers that are worked out for one block, each of which takes up to
/// milliseconds: viewers that report something else every time do not hold up
/// the frames.
const MAX_WORKED_OUT: usize = 8;

/// Where several viewers share a destination, the most parity, as a share of the
/// chunks, that is sent for one which loses more than all others: enough for a
/// third of the packets lost, and a viewer that lies adds no more than half.
pub const MAX_FOR_ONE: f64 = 0.5;

/// Longer blocks get the share of this one, which is a little more than they
/// need.
const MAX_PLANNED_CHUNKS: usize = 512;

/// Without any report: as if so much were lost, each packet by itself. It makes
/// the second row of the repair table, 1 % one way, hold before any report, and
/// for ever where none can come.
const DEFAULT_LOSS: f64 = 0.015;

/// Against loss not yet seen: parity for this share of the chunks at least.
const FLOOR: f64 = 0.006;

/// More frames in a block make each of them wait for the last: it takes a tenth
/// less parity, ...
const GAIN: f64 = 1.1;

/// ... and this share of the chunks, to be worth it.
const LEAST_GAIN: f64 = 0.005;

/// Left of the playout delay when the last parity of a block arrives.
const MARGIN: Duration = Duration::from_millis(5);

/// Blocks of more chunks than this gain nothing from more frames.
const MAX_SPANNED_CHUNKS: usize = 100;

/// More parity than this beyond as much again is never sent.
const MAX_BEYOND: usize = 3;

#[cfg(test)]
mod tests;
