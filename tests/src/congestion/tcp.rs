//! A TCP flow with CUBIC (<https://www.rfc-editor.org/rfc/rfc9438>). Only sizes and times are
//! simulated.

use std::collections::BTreeMap;

use fastrand::Rng;

use super::{Asked, Content, MS, Nanos, Packet, SECOND};

/// Bytes of a segment with its headers.
const SEGMENT: u64 = 1_500;

/// Bytes of an acknowledgement with its headers.
const ACKNOWLEDGEMENT: u64 = 52;

const FIRST_WINDOW: f64 = 10.0;
const BETA: f64 = 0.7;
const C: f64 = 0.4;

/// Both ends of a TCP flow.
#[derive(Debug)]
pub struct Tcp {
    flow: usize,
    start: Nanos,
    stop: Nanos,
    /// Segments of the current file that are still to be sent.
    left: u64,
    /// Whether the flow sends files with pauses between them.
    is_short: bool,
    rng: Rng,
    resume_at: Nanos,
    next: u64,
    sent: BTreeMap<u64, Nanos>,
    highest: u64,
    window: f64,
    threshold: f64,
    /// The window before the last loss, and after it.
    most: f64,
    least: f64,
    /// The window that a Reno flow would have.
    reno: f64,
    epoch: Option<Nanos>,
    recovery: u64,
    rtt: Nanos,
    least_rtt: Nanos,
    check_at: Nanos,
}

impl Tcp {
    /// A flow that always has data to send.
    pub fn long(flow: usize, start: Nanos, stop: Nanos) -> Self {
        Self {
            flow,
            start,
            stop,
            left: u64::MAX,
            is_short: false,
            rng: Rng::with_seed(flow as u64),
            resume_at: 0,
            next: 0,
            sent: BTreeMap::new(),
            highest: 0,
            window: FIRST_WINDOW,
            threshold: f64::MAX,
            most: 0.0,
            least: 0.0,
            reno: 0.0,
            epoch: None,
            recovery: 0,
            rtt: 100 * MS,
            least_rtt: Nanos::MAX,
            check_at: 0,
        }
    }

    /// A flow that sends files of 30 to 50 kB, with a pause of 10 s on average before each.
    pub fn short(flow: usize, seed: u64, stop: Nanos) -> Self {
        let mut rng = Rng::with_seed(seed * 64 + flow as u64);
        let start = pause(&mut rng);
        Self {
            left: 0,
            is_short: true,
            rng,
            ..Self::long(flow, start, stop)
        }
    }

    pub(super) fn starts_at(&self) -> Nanos {
        self.start
    }

    fn begin_file(&mut self) {
        self.left = self.rng.u64(30_000..50_000) / SEGMENT;
        self.window = FIRST_WINDOW;
        self.threshold = f64::MAX;
        self.epoch = None;
    }

    fn is_done(&self) -> bool {
        self.left == 0 && self.sent.is_empty()
    }

    pub(super) fn turn(&mut self, now: Nanos) -> Asked {
        let mut asked = Asked::default();
        if now < self.start || now >= self.stop {
            return asked;
        }
        if self.is_short && self.is_done() && now >= self.resume_at {
            self.begin_file();
        }
        let oldest = self.sent.values().next();
        if oldest.is_some_and(|oldest| now > oldest + SECOND.max(2 * self.rtt)) {
            if self.is_short {
                self.left += self.sent.len() as u64;
            }
            self.sent.clear();
            self.threshold = (self.window / 2.0).max(2.0);
            (self.window, self.most, self.epoch) = (2.0, 0.0, None);
        }
        while self.left > 0 && (self.sent.len() as f64) < self.window {
            asked.packets.push(Packet {
                flow: self.flow,
                bytes: SEGMENT,
                content: Content::Segment(self.next),
            });
            self.sent.insert(self.next, now);
            self.next += 1;
            if self.is_short {
                self.left -= 1;
            }
        }
        if self.check_at <= now {
            self.check_at = now + 100 * MS;
            asked.turn = Some(self.check_at);
        }
        asked
    }

    pub(super) fn arrives(&mut self, content: &Content, now: Nanos) -> Asked {
        match content {
            Content::Segment(number) => {
                return Asked {
                    back: vec![Packet {
                        flow: self.flow,
                        bytes: ACKNOWLEDGEMENT,
                        content: Content::Acknowledgement(*number),
                    }],
                    ..Asked::default()
                };
            }
            Content::Acknowledgement(number) => self.acknowledge(*number, now),
            Content::Media(_) | Content::Feedback(_) => {}
        }
        self.turn(now)
    }

    fn acknowledge(&mut self, number: u64, now: Nanos) {
        let Some(sent) = self.sent.remove(&number) else {
            return;
        };
        let rtt = now - sent;
        self.rtt = (7 * self.rtt + rtt) / 8;
        self.least_rtt = self.least_rtt.min(rtt);
        self.highest = self.highest.max(number);
        let kept = self.sent.split_off(&self.highest.saturating_sub(2));
        let lost = std::mem::replace(&mut self.sent, kept);
        if self.is_short {
            self.left += lost.len() as u64;
        }
        if lost.keys().any(|number| *number >= self.recovery) {
            self.shrink(now);
            return;
        }
        if self.is_short && self.is_done() {
            self.resume_at = now + pause(&mut self.rng);
        }
        // An approximation of HyStart (<https://www.rfc-editor.org/rfc/rfc9406>).
        let more = (self.least_rtt / 8).clamp(4 * MS, 16 * MS);
        if self.window > 16.0 && rtt > self.least_rtt + more {
            self.threshold = self.threshold.min(self.window);
        }
        if self.window < self.threshold {
            self.window += 1.0;
        } else {
            self.grow(now);
        }
    }

    fn shrink(&mut self, now: Nanos) {
        self.recovery = self.next;
        self.most = if self.window < self.most {
            self.window * (1.0 + BETA) / 2.0
        } else {
            self.window
        };
        self.window = (self.window * BETA).max(2.0);
        (self.threshold, self.least, self.reno) = (self.window, self.window, self.window);
        self.epoch = Some(now);
    }

    fn grow(&mut self, now: Nanos) {
        let epoch = match self.epoch {
            Some(epoch) => epoch,
            None => {
                (self.most, self.least, self.reno) = (self.window, self.window, self.window);
                self.epoch = Some(now);
                now
            }
        };
        let k = ((self.most - self.least).max(0.0) / C).cbrt();
        let t = (now - epoch + self.rtt) as f64 / 1e9;
        let target = (C * (t - k).powi(3) + self.most).clamp(self.window, 1.5 * self.window);
        self.reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) / self.window;
        self.window = (self.window + (target - self.window) / self.window).max(self.reno);
    }
}

fn pause(rng: &mut Rng) -> Nanos {
    (-(1.0 - rng.f64()).ln() * 10.0 * 1e9) as Nanos
}
