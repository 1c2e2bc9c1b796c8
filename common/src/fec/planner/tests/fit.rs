//! Effect of the price of a frame: simulates a path, the estimate of its loss, parity and answers,
//! and counts complete frames and packets.

use fastrand::Rng;

use super::*;
use crate::fec::LossEstimate;

/// A path and its frame lengths in chunks.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Probability per packet that a burst begins, and that it ends.
    begin: f64,
    end: f64,
    rounds: u32,
    chunks: (usize, usize),
}

const fn row(loss: f64, rounds: u32, chunks: (usize, usize)) -> Row {
    Row {
        begin: loss,
        end: 1.0 - loss,
        rounds,
        chunks,
    }
}

const fn bursts(rounds: u32, chunks: (usize, usize)) -> Row {
    Row {
        begin: 0.0105,
        end: 0.2,
        ..row(0.0, rounds, chunks)
    }
}

const LONG: (usize, usize) = (100, 200);
const SHORT: (usize, usize) = (25, 40);

/// Rows of the repair table, each with the incomplete frames allowed per
/// thousand.
const ROWS: [(Row, f64); 10] = [
    (row(0.05, 0, LONG), 1.0),
    (row(0.05, 0, SHORT), 1.0),
    (row(0.05, 0, (10, 10)), 1.0),
    (row(0.05, 2, LONG), 1.0),
    (row(0.05, 2, SHORT), 1.0),
    (bursts(2, LONG), 1.0),
    (bursts(2, SHORT), 1.0),
    (row(0.1, 2, LONG), 1.0),
    (row(0.2, 2, LONG), 1.5),
    (row(0.2, 2, SHORT), 1.5),
];

/// A path that loses packets.
struct Path {
    row: Row,
    rng: Rng,
    is_bad: bool,
}

impl Path {
    /// Sends packets. Returns how many are lost, and in how many runs.
    fn send(&mut self, packets: usize) -> (usize, usize) {
        let (mut lost, mut runs, mut last) = (0, 0, false);
        for _ in 0..packets {
            let change = if self.is_bad {
                self.row.end
            } else {
                self.row.begin
            };
            self.is_bad ^= self.rng.f64() < change;
            runs += usize::from(self.is_bad && !last);
            lost += usize::from(self.is_bad);
            last = self.is_bad;
        }
        (lost, runs)
    }
}

/// Sends `frames` frames after a warm-up. Returns the incomplete frames per
/// thousand and the packets per chunk.
fn simulate(row: Row, frames: usize, seed: u64) -> (f64, f64) {
    let [mut path, mut back] = [seed, !seed].map(|seed| Path {
        row,
        rng: Rng::with_seed(seed),
        is_bad: false,
    });
    let mut planner = Planner::new(Fec::Auto);
    let (mut estimate, mut carry) = (LossEstimate::default(), Carry::default());
    let (mut incomplete, mut chunks_sent, mut packets_sent) = (0, 0, 0);
    for frame in 0..WARM_UP + frames {
        let chunks = path.rng.usize(row.chunks.0..=row.chunks.1);
        let loss = estimate.model();
        let rounds = if loss.is_some() { row.rounds } else { 0 };
        let known = PathEstimate {
            loss,
            rtt: Some(Duration::from_millis(14)),
            playout_delay: Duration::from_millis(20 * u64::from(rounds)),
            nack: true,
        };
        let parity = planner.parity(chunks, 1, &[known], Duration::ZERO, &mut carry);
        let (lost, runs) = path.send(chunks);
        estimate.record(chunks as u64, lost as u64, runs as u64, Duration::ZERO);
        let (parity_lost, _) = path.send(parity);
        let mut missing = lost.saturating_sub(parity - parity_lost);
        let mut packets = chunks + parity;
        let model = loss.unwrap_or(LossModel::new(DEFAULT_LOSS, 1.0));
        let answers = AnswerPlan::new(&model.rounded(), rounds as usize);
        for round in 0..rounds {
            let copies = model.request_copies();
            if missing == 0 || back.send(copies).0 == copies {
                continue;
            }
            let more = rounds - round - 1;
            let answer = missing + answers.extra(missing, more as usize);
            // The chain goes on while the NACK is on its way.
            path.send(PAUSE);
            let (lost, _) = path.send(answer);
            packets += answer;
            missing = missing.saturating_sub(answer - lost);
        }
        if frame >= WARM_UP {
            incomplete += usize::from(missing > 0);
            chunks_sent += chunks;
            packets_sent += packets;
        }
    }
    let share = 1_000.0 * incomplete as f64 / frames as f64;
    (share, packets_sent as f64 / chunks_sent as f64)
}

/// Frames that only train the estimate.
const WARM_UP: usize = 200;

/// Packets after which a burst has ended.
const PAUSE: usize = 20;

#[test]
fn few_frames_stay_incomplete_on_every_path() {
    for (seed, (row, most)) in ROWS.into_iter().enumerate() {
        let (incomplete, packets) = simulate(row, 4_000, seed as u64);
        // The few failures there are vary by chance: allow as many again.
        assert!(incomplete <= 2.0 * most, "{row:?}: {incomplete} of 1,000");
        assert!(packets < 1.8, "{row:?}: {packets} packets a chunk");
    }
}

/// Prints the results of the plan.
#[test]
#[ignore = "a table to look at"]
fn fit() {
    println!("frames of 1,000 incomplete, packets a chunk");
    for (row, most) in ROWS {
        let (incomplete, packets) = simulate(row, 100_000, 1);
        println!("{row:?}, {most} may stay incomplete: {incomplete:5.2} {packets:.3}");
    }
}
