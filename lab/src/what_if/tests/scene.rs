//! Streams and simulated paths, with a trace recorder at the receiving end.

use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::receiver::Verdict;
use framegram_common::stats::FrameRecord;
use framegram_common::wire::native::{Channel, Packet};
use framegram_common::wire::{DEFAULT_DATAGRAM, Format};
use framegram_common::{receiver, sender};

use crate::impair::{GilbertElliott, Impairment, Link};
use crate::trace::{Recorder, Why};
use crate::what_if::drive::{FrameInput, STREAM, SimulatedNetwork, drive, sender_address};
use crate::what_if::{Prediction, Setting};

/// A simulated path, with a trace recorder at its end.
struct Truth {
    there: Link,
    back: Link,
    recorder: Recorder,
    trace: Vec<u8>,
    waking: u64,
    outage: Range<Duration>,
    sent: u64,
    came: u64,
    /// Control packets below these numbers were sent, and are known to the viewer
    /// to have been sent. The last copies of the bye can be lost unnoticed.
    control: u64,
    control_known: u64,
}

/// The number of a control packet.
fn control_number(datagram: &[u8]) -> Option<u64> {
    let (header, _) = Packet::decode(datagram).ok()?;
    (header.channel == Channel::Control).then_some(header.number.0.into())
}

impl SimulatedNetwork for Truth {
    fn send(&mut self, datagram: &[u8], now: Duration) {
        self.sent += 1;
        if let Some(number) = control_number(datagram) {
            self.control = self.control.max(number + 1);
        }
        if !self.outage.contains(&now) {
            self.there.send(datagram, now);
        }
    }

    fn send_back(&mut self, datagram: &[u8], now: Duration) {
        if !self.outage.contains(&now) {
            self.back.send(datagram, now);
        }
    }

    fn arrive(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.there.poll(now)
    }

    fn arrive_back(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.back.poll(now)
    }

    fn next(&self) -> Option<Duration> {
        let nexts = [self.there.poll_timeout(), self.back.poll_timeout()];
        nexts.into_iter().flatten().min()
    }

    fn record_followed(&mut self, now: Duration) {
        let from = sender_address();
        self.recorder
            .record_followed(STREAM, Format::Native, from, now);
    }

    fn record_taken(&mut self, datagram: &[u8], verdict: Verdict, now: Duration) {
        self.came += 1;
        if let Some(number) = control_number(datagram) {
            self.control_known = self.control_known.max(number + 1);
        }
        // Threads wake up slightly late, by varying amounts.
        self.waking = (self.waking + 7) % 20;
        let now = now + Duration::from_micros(self.waking);
        self.recorder
            .record_datagram(sender_address(), datagram, Some(verdict), now);
        self.trace
            .extend(self.recorder.poll_block().into_iter().flatten());
    }

    fn record_frame(&mut self, record: &FrameRecord, now: Duration) {
        self.recorder.record_frame(record, now);
    }
}

/// A stream and its path.
#[derive(Clone)]
pub(super) struct Scene {
    pub(super) frames: usize,
    pub(super) chunks: (usize, usize),
    pub(super) impairment: Impairment,
    /// Whether feedback is lost as well.
    pub(super) both_ways: bool,
    /// Period of total loss, counted from the first frame.
    pub(super) outage: Range<Duration>,
}

const INTERVAL: Duration = Duration::from_micros(33_333);

impl Scene {
    fn takes(&self) -> impl Iterator<Item = FrameInput> + use<> {
        let mut rng = Rng::with_seed(7);
        let (least, most) = self.chunks;
        let all = Bytes::from(vec![0; 1_350 * most]);
        (0..self.frames).map(move |at| {
            let start = Duration::from_secs(100) + INTERVAL * at as u32;
            FrameInput {
                start,
                captured: start - Duration::from_millis(3),
                jpeg: all.slice(..1_350 * rng.usize(least..=most) - rng.usize(..1_000)),
                datagram: DEFAULT_DATAGRAM,
            }
        })
    }

    /// Runs the stream. Returns the result and the trace.
    pub(super) fn truly(&self, setting: &Setting, seed: u64) -> (Prediction, Vec<u8>) {
        let (outcome, trace, _) = self.counted(setting, seed);
        (outcome, trace)
    }

    /// Like [`Scene::truly`], with the number of datagrams sent, as far as the
    /// viewer can know it, and of those lost.
    pub(super) fn counted(
        &self,
        setting: &Setting,
        seed: u64,
    ) -> (Prediction, Vec<u8>, (u64, u64)) {
        let delay = setting.rtt.unwrap_or_default() / 2;
        let there = Impairment {
            delay,
            seed,
            ..self.impairment.clone()
        };
        let back = if self.both_ways {
            Impairment {
                seed: seed + 1_000,
                ..there.clone()
            }
        } else {
            Impairment {
                delay,
                ..Impairment::default()
            }
        };
        let viewer = receiver::Config {
            playout_delay: setting.latency,
            nack: setting.rtt.is_some(),
            strict: true,
            clock_id: |_| None,
            ..receiver::Config::default()
        };
        let now = Duration::from_secs(100);
        let recorder = Recorder::new(&viewer, 1 << 30, now);
        let mut truth = Truth {
            there: Link::new(there),
            back: Link::new(back),
            recorder,
            trace: Vec::new(),
            waking: 0,
            outage: now + self.outage.start..now + self.outage.end,
            sent: 0,
            came: 0,
            control: 0,
            control_known: 0,
        };
        let sender = sender::Config {
            interval: Some(INTERVAL),
            pace: setting.pace,
            fec: setting.fec,
            retransmit: setting.rtt.is_some(),
            ..sender::Config::default()
        };
        let outcome = drive(sender, viewer, self.takes(), &mut truth);
        truth.recorder.finish(Why::Over, now);
        truth
            .trace
            .extend(truth.recorder.poll_block().into_iter().flatten());
        let sent = truth.sent - (truth.control - truth.control_known);
        let counts = (sent, sent - truth.came);
        (outcome, truth.trace, counts)
    }
}

pub(super) fn random(loss: f64) -> Impairment {
    Impairment {
        loss,
        ..Impairment::default()
    }
}

pub(super) fn bursts(p: f64, r: f64, step: Option<Duration>) -> Impairment {
    Impairment {
        bursts: Some(GilbertElliott { p, r, step }),
        ..Impairment::default()
    }
}
