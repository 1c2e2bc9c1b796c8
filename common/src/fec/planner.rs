//! How much parity a frame gets, and over how many frames.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

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
    target: Target,
    /// Answers given, which the next frames ask for again.
    known: HashMap<Key, f64>,
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

/// What decides on parity, in steps so coarse that frames share answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    chunks: usize,
    frames: usize,
    loss: i32,
    burst: i32,
    rounds: u32,
}

impl Planner {
    /// A plan that follows this setting.
    #[must_use]
    pub fn new(fec: Fec) -> Self {
        Self {
            fec,
            target: FITTED,
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
        let shares: Vec<_> = (1..=most)
            .map(|frames| self.share(chunks * frames, frames, path, spread))
            .collect();
        let least = shares.iter().copied().fold(f64::INFINITY, f64::min);
        shares
            .iter()
            .position(|share| *share <= least * GAIN + LEAST_GAIN)
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
            let share = self.share(chunks, frames, path, spread);
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

    /// Packets of parity wanted on average for such a block, as a share of its
    /// chunks.
    fn share(
        &mut self,
        chunks: usize,
        frames: usize,
        path: &PathEstimate,
        spread: Duration,
    ) -> f64 {
        match self.fec {
            Fec::Off => 0.0,
            Fec::Fixed(share) => share,
            Fec::Auto => {
                let key = Key::new(chunks, frames, path.loss, path.rounds(spread));
                if self.known.len() >= MAX_KNOWN {
                    self.known.clear();
                }
                let (target, worked_out) = (&self.target, &mut self.worked_out);
                let share = *self.known.entry(key).or_insert_with(|| {
                    *worked_out += 1;
                    key.share(target)
                });
                share.max(FLOOR)
            }
        }
    }
}

impl Key {
    fn new(chunks: usize, frames: usize, loss: Option<LossModel>, rounds: u32) -> Self {
        let model = loss.unwrap_or(LossModel::new(DEFAULT_LOSS, 1.0));
        let step = |value: f64| (value.ln() / STEP.ln()).round() as i32;
        // Up to 16 chunks every one matters, then one in sixteen.
        let chunks = chunks.min(MAX_PLANNED_CHUNKS);
        let grain = (chunks / 16).next_power_of_two();
        Self {
            chunks: chunks.div_ceil(grain) * grain,
            frames,
            loss: step(model.loss().max(LEAST_LOSS)),
            burst: step(model.burst()),
            rounds,
        }
    }

    fn model(&self) -> LossModel {
        LossModel::new(STEP.powi(self.loss), STEP.powi(self.burst))
    }

    /// The least parity, as a share of the chunks and on average over blocks
    /// like this, that leaves no more of the frames incomplete than may stay so.
    fn share(&self, target: &Target) -> f64 {
        let model = self.model();
        let target = target.of(model, self.chunks);
        let after = model.after_rounds(self.rounds);
        let risk = |parity: usize| {
            // A frame fails with its block only if it is itself hit.
            let hit = 1.0 - (1.0 - 1.0 / self.frames as f64).powi(parity as i32 + 1);
            hit * model.unrepaired(self.chunks, parity, &after)
        };
        if risk(0) <= target {
            return 0.0;
        }
        let most = self.chunks + MAX_BEYOND;
        let (mut fails, mut serves) = (0, most);
        while serves - fails > 1 {
            let middle = usize::midpoint(fails, serves);
            if risk(middle) <= target {
                serves = middle;
            } else {
                fails = middle;
            }
        }
        // So many blocks with one less that the average is the target.
        let (before, with) = (risk(fails), risk(serves));
        let fewer = ((target - with) / (before - with).max(f64::MIN_POSITIVE)).clamp(0.0, 1.0);
        (serves as f64 - fewer) / self.chunks as f64
    }
}

/// Loss and burst are planned for in steps of a twentieth: their noise is larger.
const STEP: f64 = 1.05;

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

/// The share of frames that may stay incomplete.
///
/// The model is not the path: loss is estimated from a few hundred packets,
/// bursts are less alike than a chain with two states has them, and parity comes
/// in whole packets. The numbers are fitted by hand, so that every cell of the
/// repair table (docs/loss.md; `cargo bench -p framegram-tests --bench repair`)
/// has 99.9 % of its frames whole, 99.85 % at 20 % loss, for the fewest bytes.
/// What each of them does, by itself, in a simulation of path, estimate and
/// answers that takes a minute:
/// `cargo test --release -p framegram-common planner::tests::fit -- --ignored --nocapture`.
#[derive(Clone, Copy, Debug)]
struct Target {
    /// Where a few percent are lost, each packet by itself, and a block is short.
    base: f64,
    /// A small error in the loss hits long blocks the hardest, and they cost the
    /// least to protect: the share falls with this power of their length, in
    /// pairs of bursts.
    length: f64,
    /// Where much is lost, the last frames cost the most: what is added for each
    /// share of packets lost above [`MUCH_LOSS`].
    loss: f64,
    /// Bursts vary more than the model has it: the share falls with this power
    /// of their length, compared with that of independent loss.
    burst: f64,
}

const FITTED: Target = Target {
    base: 8.4e-4,
    length: 0.2,
    loss: 0.055,
    burst: 0.45,
};

/// From so much loss on more frames may stay incomplete.
const MUCH_LOSS: f64 = 0.1;

impl Target {
    fn of(&self, model: LossModel, chunks: usize) -> f64 {
        let burstiness = model.burst() * (1.0 - model.loss());
        let pairs = chunks as f64 / burstiness / 2.0;
        let short = self.base / pairs.max(1.0).powf(self.length);
        let much = (model.loss() - MUCH_LOSS).max(0.0) * self.loss;
        (short + much) / burstiness.powf(self.burst)
    }
}

/// Without any report: as if so much were lost, each packet by itself. It makes
/// the second row of the repair table, 1 % one way, hold before any report, and
/// for ever where none can come.
const DEFAULT_LOSS: f64 = 0.015;

/// Against loss not yet seen: parity for this share of the chunks at least.
const FLOOR: f64 = 0.006;

/// Loss below this is planned for as this: one packet in a thousand.
const LEAST_LOSS: f64 = 0.001;

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
