//! A stream with rate control. Only sizes and times are simulated.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use fastrand::Rng;
use framegram_common::rate::{Arrival, RateController};
use framegram_common::wire::native::Channel;

use super::{Asked, Content, MS, Nanos, Packet, SECOND};

/// Bytes of the longest datagram.
const DATAGRAM: u64 = 1_452;

/// Bytes of the headers before a datagram.
const IP: u64 = 28;

/// Frame interval.
pub const INTERVAL: Nanos = SECOND / 30;

/// The shortest time between two reports.
const REPORT_EVERY: Nanos = 20 * MS;

/// The first rate, in bytes per second.
const FIRST_RATE: f64 = 125_000.0;

/// An encoded frame.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// When it was encoded.
    pub at: Nanos,
    /// The bytes that it was intended to have, including the headers of its datagrams.
    pub budget: f64,
}

/// Both ends of a stream.
#[derive(Debug)]
pub struct Media {
    flow: usize,
    active: Vec<Range<Nanos>>,
    control: RateController,
    rng: Rng,
    frame_at: Nanos,
    frames: u64,
    /// Bytes that the next frame may have.
    credit: f64,
    /// Datagrams that wait: their bytes and frames.
    waiting: VecDeque<(u64, u64)>,
    waiting_bytes: u64,
    pace_at: Nanos,
    number: u64,
    turn_at: Nanos,
    /// The encoded frames.
    pub frames_sent: Vec<Frame>,
    /// When reports reached the sender.
    pub reports: Vec<Nanos>,
    /// The receiver: how far its clock is ahead in microseconds, what it has not reported yet, and
    /// when it reports next.
    offset: u64,
    unreported: Vec<(u64, u64)>,
    report_at: Nanos,
    reported: Nanos,
}

impl Media {
    /// A stream that is active in these periods.
    pub fn new(flow: usize, active: Vec<Range<Nanos>>, seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed * 64 + flow as u64);
        let start = active.first().map_or(0, |active| active.start);
        Self {
            flow,
            active,
            control: RateController::new(Some(FIRST_RATE), 1e9, Duration::ZERO),
            frame_at: start + rng.u64(..INTERVAL),
            frames: 0,
            credit: 0.0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            pace_at: 0,
            number: 0,
            turn_at: 0,
            frames_sent: Vec::new(),
            reports: Vec::new(),
            offset: rng.u64(..1 << 40),
            unreported: Vec::new(),
            report_at: Nanos::MAX,
            reported: 0,
            rng,
        }
    }

    pub(super) fn starts_at(&self) -> Nanos {
        self.frame_at
    }

    /// The length of a frame for a budget: normally distributed, with a deviation of 10 %.
    fn encode(&mut self, now: Nanos) {
        let rate = self
            .control
            .rate(Duration::from_nanos(now))
            .unwrap_or(FIRST_RATE);
        let earned = rate * INTERVAL as f64 / 1e9;
        self.credit = (self.credit + earned).min(earned.max(DATAGRAM as f64));
        let budget = self.credit - self.waiting_bytes as f64;
        let noise = (0..12).map(|_| self.rng.f64()).sum::<f64>() - 6.0;
        let bytes = (budget * (1.0 + noise * 0.1)) as i64;
        self.frames += 1;
        if bytes < 500 {
            return;
        }
        let bytes = bytes as u64;
        self.credit -= bytes as f64;
        self.frames_sent.push(Frame { at: now, budget });
        // Datagrams of equal length.
        let count = bytes.div_ceil(DATAGRAM);
        for _ in 0..count {
            self.waiting.push_back((bytes / count, self.frames));
            self.waiting_bytes += bytes / count;
        }
    }

    pub(super) fn turn(&mut self, now: Nanos) -> Asked {
        let mut asked = Asked::default();
        while self.frame_at <= now {
            if self.active.iter().any(|active| active.contains(&now)) {
                self.encode(now);
            }
            self.frame_at += INTERVAL - MS / 2 + self.rng.u64(..MS);
        }
        let pace = self
            .control
            .pace(Duration::from_nanos(now))
            .unwrap_or(FIRST_RATE);
        while self.pace_at <= now && !self.waiting.is_empty() {
            let sent = self.send_burst(RateController::burst(pace), now, &mut asked);
            self.pace_at = now + (sent as f64 / pace * 1e9) as Nanos;
        }
        if self.report_at <= now {
            (self.report_at, self.reported) = (Nanos::MAX, now);
            let unreported = std::mem::take(&mut self.unreported);
            asked.back.push(Packet {
                flow: self.flow,
                bytes: IP + 36 + 16 + 3 * unreported.len() as u64,
                content: Content::Feedback(unreported),
            });
        }
        let mut next = self.frame_at.min(self.report_at);
        if !self.waiting.is_empty() {
            next = next.min(self.pace_at);
        }
        if next < self.turn_at || self.turn_at <= now {
            self.turn_at = next;
            asked.turn = Some(next);
        }
        asked
    }

    fn send_burst(&mut self, burst: f64, now: Nanos, asked: &mut Asked) -> u64 {
        let mut sent = 0;
        while let Some((bytes, train)) = self.waiting.front().copied() {
            if sent > 0 && (sent + bytes) as f64 > burst {
                break;
            }
            self.waiting.pop_front();
            self.waiting_bytes -= bytes;
            sent += bytes;
            let at = Duration::from_nanos(now);
            let channel = Channel::Media;
            self.control
                .handle_sent(channel, self.number, bytes as usize, train, at);
            asked.packets.push(Packet {
                flow: self.flow,
                bytes: bytes + IP,
                content: Content::Media(self.number),
            });
            self.number += 1;
        }
        sent
    }

    pub(super) fn arrives(&mut self, content: Content, now: Nanos) -> Asked {
        match content {
            Content::Media(number) => {
                self.unreported.push((number, now / 1_000 + self.offset));
                if self.report_at == Nanos::MAX {
                    self.report_at = (self.reported + REPORT_EVERY).max(now + MS);
                }
            }
            Content::Feedback(arrived) => {
                let arrived = arrived.into_iter().map(|(number, at)| Arrival {
                    channel: Channel::Media,
                    number,
                    at,
                });
                let arrived: Vec<_> = arrived.collect();
                self.control
                    .handle_arrivals(&arrived, Duration::from_nanos(now));
                self.reports.push(now);
            }
            Content::Segment(_) | Content::Acknowledgement(_) => {}
        }
        self.turn(now)
    }
}
