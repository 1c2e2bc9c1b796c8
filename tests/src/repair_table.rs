//! The repair table: frames that arrive complete and the bytes sent for them, by
//! loss, repair and frame size, in virtual time.

use std::fmt::Write as _;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::chunk::chunk_capacity;
use framegram_common::fec::{Fec, LossModel, PathEstimate};
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_common::wire::native::{CHUNK_BODY, FRAME_HEADER, HEADER};
use framegram_lab::impair::{GilbertElliott, Impairment};

use crate::pair::{Scenario, Waiting, run_through};
use crate::repair_bound::{Chain, Limits, fewest, lengths};

/// The loss on the path, and the conditions of repair.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Description of the row.
    pub name: &'static str,
    /// Share of datagrams lost in each direction, independently.
    loss: f64,
    /// Whether loss comes in bursts of five on average instead.
    bursts: bool,
    /// Round-trip time; `None` without feedback.
    rtt: Option<Duration>,
    /// Initial time whose frames do not count.
    warm_up: Duration,
    /// Whether the programs wait for the processor as on a busy machine.
    busy: bool,
}

/// 10 % loss with programs that wait for the processor.
pub const BUSY: Row = Row {
    busy: true,
    ..row("10 % random; turns waited for", 0.1, 20)
};

/// The rows.
pub const ROWS: [Row; 7] = [
    Row {
        name: "none, after 5 s; RTT 20 ms",
        warm_up: Duration::from_secs(5),
        ..row("", 0.0, 20)
    },
    Row {
        rtt: None,
        ..row("1 % random; one way", 0.01, 20)
    },
    row("5 % random; RTT 20 ms", 0.05, 20),
    row("5 % random; RTT 200 ms", 0.05, 200),
    Row {
        bursts: true,
        ..row("5 % in bursts; RTT 20 ms", 0.05, 20)
    },
    row("10 % random; RTT 20 ms", 0.1, 20),
    row("20 % random; RTT 20 ms", 0.2, 20),
];

/// Frame sizes: smallest and largest number of chunks.
pub const SIZES: [(usize, usize); 6] = [(100, 200), (25, 40), (10, 10), (1, 1), (2, 2), (3, 3)];

/// Cells of small frames have more of them, up to this many times, so that they have
/// about as many packets as cells of large ones. With few packets, loss by chance
/// makes a percent of a difference, and a failed frame in a thousand is not seen.
const MOST_TIMES: usize = 25;

/// Bursts of loss.
const BURSTS: Chain = Chain {
    fail: 0.0105,
    recover: 0.2,
};

/// For frames of up to this many chunks, the chain steps with time.
const SMALL: usize = 10;

/// Results for a row and a size.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cell {
    /// Frames sent after the warm-up.
    pub frames: u64,
    /// Of these, frames shown complete.
    pub intact: u64,
    /// UDP payload from sender to viewer.
    pub bytes: u64,
    /// JPEG bytes.
    pub jpeg: u64,
}

impl Cell {
    /// Share of frames that arrived complete, in percent.
    pub fn percent(&self) -> f64 {
        self.intact as f64 * 100.0 / self.frames.max(1) as f64
    }

    /// Bytes sent per byte of JPEG.
    pub fn ratio(&self) -> f64 {
        self.bytes as f64 / self.jpeg.max(1) as f64
    }
}

/// Frames of this size in a cell whose largest frames are `frames`.
pub fn frames_of(size: (usize, usize), frames: usize) -> usize {
    let [largest, ..] = SIZES;
    let times = (largest.0 + largest.1) / (size.0 + size.1);
    frames * times.min(MOST_TIMES)
}

/// Sends `frames` frames, plus those of the warm-up, for each seed.
pub fn measure(
    row: &Row,
    size: (usize, usize),
    frames: usize,
    seeds: std::ops::Range<u64>,
) -> Cell {
    let mut cell = Cell::default();
    for seed in seeds {
        let mut rng = Rng::with_seed(seed ^ 0x7ab1e);
        let scenario = row.scenario(size, &mut rng);
        let skipped = (row.warm_up.as_secs_f64() / scenario.interval.as_secs_f64()) as usize;
        let capacity = chunk_capacity(DEFAULT_DATAGRAM);
        let content = Bytes::from(vec![0x5a; size.1 * capacity]);
        let lengths = (0..skipped + frames).map(|_| {
            let chunks = rng.usize(size.0..=size.1);
            content.slice(..chunks * capacity - rng.usize(..capacity / 8))
        });
        let mut before = (0, 0);
        let mut intact = 0;
        let (total, _) = run_through(
            &scenario,
            lengths,
            &mut |frame| intact += u64::from(frame.id.number.0 >= skipped as u64),
            &mut |index, sender| {
                if index == skipped {
                    before = (
                        sender.bytes.sent.unwrap_or(0),
                        sender.bytes.jpeg.unwrap_or(0),
                    );
                }
            },
        );
        cell.frames += frames as u64;
        cell.intact += intact;
        cell.bytes += total.bytes.sent.unwrap_or(0) - before.0;
        cell.jpeg += total.bytes.jpeg.unwrap_or(0) - before.1;
    }
    cell
}

/// Formats a row: complete frames in percent, bytes sent per byte of JPEG, the lower
/// bound for that share of complete frames, and the ratio to it. Cells of small frames
/// have more than `frames` ([`frames_of`]).
pub fn line(row: &Row, frames: usize, seeds: std::ops::Range<u64>) -> String {
    let mut line = format!("{:<28}", row.name);
    for size in SIZES {
        let cell = measure(row, size, frames_of(size, frames), seeds.clone());
        let (complete, ratio) = (cell.percent(), cell.ratio());
        let failed = (cell.frames - cell.intact).max(1) as f64;
        let bound = row.bound(size, failed / cell.frames as f64);
        let times = ratio / bound;
        let _ = write!(
            line,
            " | {complete:7.3} % {ratio:.3} {bound:.3} x{times:.3}"
        );
    }
    line
}

/// Formats a row as exact numbers: complete frames and all frames, bytes sent and
/// JPEG bytes.
pub fn exact(row: &Row, frames: usize, seeds: std::ops::Range<u64>) -> String {
    let mut line = format!("{:<28}", row.name);
    for size in SIZES {
        let cell = measure(row, size, frames, seeds.clone());
        let (complete, bytes) = ((cell.intact, cell.frames), (cell.bytes, cell.jpeg));
        let _ = write!(
            line,
            " | {}/{} {}/{}",
            complete.0, complete.1, bytes.0, bytes.1
        );
    }
    line
}

impl Row {
    /// Impairments from sender to viewer and back, for frames of up to this many
    /// chunks.
    pub fn path(&self, chunks: usize, rng: &mut Rng) -> (Impairment, Impairment) {
        let chain = GilbertElliott {
            p: BURSTS.fail,
            r: BURSTS.recover,
            // A chain that steps with packets would keep small frames in one
            // burst for many frames, because they are few packets per second.
            step: (chunks <= SMALL).then_some(Duration::from_millis(1)),
        };
        let link = Impairment {
            loss: if self.bursts { 0.0 } else { self.loss },
            bursts: self.bursts.then_some(chain),
            delay: self.rtt.unwrap_or_default() / 2,
            ..Impairment::default()
        };
        let forward = Impairment {
            seed: rng.u64(..),
            ..link.clone()
        };
        let mut backward = Impairment {
            seed: rng.u64(..),
            ..link
        };
        if self.rtt.is_none() {
            backward.loss = 1.0;
        }
        (forward, backward)
    }

    /// Maximum number of frames that real programs may miss out of a few hundred.
    pub fn missed_at_most(&self) -> usize {
        if self.loss < 0.2 { 1 } else { 3 }
    }

    /// Lower bound on the bytes per byte of JPEG, if this share of the frames may
    /// fail.
    pub fn bound(&self, size: (usize, usize), fails: f64) -> f64 {
        let Scenario {
            interval, receiver, ..
        } = Scenario::default();
        let delay = receiver.playout_delay;
        let chain = if self.bursts {
            BURSTS
        } else {
            Chain::independent(self.loss)
        };
        // The last answer must be requested one RTT before the deadline.
        let rounds = self
            .rtt
            .map_or(0, |rtt| (delay.as_micros() - 1) / rtt.as_micros());
        let span = (delay.as_micros() / interval.as_micros()) as usize + 1;
        let mut limits = Limits {
            chain,
            rounds: rounds as usize,
            last: self.last_in_time(delay, interval),
            span,
            beyond: 4 + size.1 / 2,
        };
        let mut chunks = lengths(size.0, size.1);
        if self.bursts && size.1 <= SMALL {
            // All packets of one sending share their fate, and later ones are
            // independent.
            limits.chain = Chain::independent(chain.loss());
            chunks = vec![1];
        }
        let capacity = chunk_capacity(DEFAULT_DATAGRAM) as f64;
        let mean = f64::midpoint(size.0 as f64, size.1 as f64);
        // The last chunk of a frame is a sixteenth short on average.
        let headers = mean * (HEADER + CHUNK_BODY) as f64 + FRAME_HEADER as f64;
        let jpeg = (mean - 1.0 / 16.0) * capacity;
        fewest(&limits, &chunks, fails) * (jpeg + headers) / jpeg
    }

    /// Probability that the second answer arrives in time: 1, unless the programs wait
    /// for the processor.
    fn last_in_time(&self, delay: Duration, interval: Duration) -> f64 {
        let Some(rtt) = self.rtt.filter(|_| self.busy) else {
            return 1.0;
        };
        let path = PathEstimate {
            loss: Some(LossModel::new(self.loss, 1.0)),
            rtt: Some(rtt),
            playout_delay: delay,
            nack: true,
        };
        let spread = path.spread(interval);
        Waiting::MEASURED.two_rounds_in(delay.saturating_sub(spread), rtt)
    }

    fn scenario(&self, size: (usize, usize), rng: &mut Rng) -> Scenario {
        let (forward, backward) = self.path(size.1, rng);
        let mut scenario = Scenario {
            forward,
            backward,
            ..Scenario::default()
        };
        scenario.transmitter.fec = Fec::Auto;
        if self.busy {
            scenario.waits = Waiting::MEASURED;
        }
        scenario
    }
}

const fn row(name: &'static str, loss: f64, rtt_ms: u64) -> Row {
    Row {
        name,
        loss,
        bursts: false,
        rtt: Some(Duration::from_millis(rtt_ms)),
        warm_up: Duration::from_secs(2),
        busy: false,
    }
}
