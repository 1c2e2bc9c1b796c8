//! A session of the native format: takes its packets, hands out its frames and the feedback to its
//! sender.

mod arrivals;
mod bye;
mod chunks;
mod clock;
mod conceal;
mod credibility;
mod deadlines;
mod delay;
mod feedback;
mod figures;
mod latency;
mod longest;
mod memory;
mod migration;
mod packets;
mod path;
mod plausibility;
mod playout_delay;

use std::net::SocketAddr;
use std::time::Duration;

use super::playout::Playout;
use super::{Config, SILENCE, SinkOutcome, Verdict};
use crate::fec::{LossEstimate, Rebuilder};
use crate::nack::NackGenerator;
use crate::reassembly::Reassembly;
use crate::seq::FrameNumber;
use crate::stats::{Counters, FrameRecord, JoinPoint, LossCounts};
use crate::time::SenderTime;
use crate::wire::native::{Channel, Expected, micros};
use arrivals::ArrivalLog;
use bye::Bye;
use clock::Clock;
use conceal::ReceivedHeaders;
use deadlines::Deadlines;
use delay::OneWayDelay;
pub(super) use latency::LatencyBreakdown;
use longest::Longest;
use migration::Migration;
use path::SenderPath;
use plausibility::Plausibility;

/// A stream is followed in vain when no frame of it was complete in this time. In half a second,
/// any video has several frames.
const IN_VAIN: Duration = Duration::from_millis(500);

/// A native stream.
#[derive(Debug)]
pub(super) struct NativeSession {
    number: u64,
    /// The sender's own id, if it has reported.
    id: Option<u64>,
    viewer: u64,
    secret: (u64, u64),
    config: Config,
    /// Where it comes from.
    path: SenderPath,
    /// Other addresses that it seems to come from.
    migration: Migration,
    /// Whether the sender has answered from its address.
    answers: bool,
    /// Set while the address is silent: nothing may be sent there.
    muted: bool,
    plausibility: Plausibility,
    destination: u16,
    is_ordered: bool,
    /// When this stream could first have been followed at once; `None` if some of its packets may
    /// have been ignored.
    free_since: Option<Duration>,
    /// When it was first followed, and whether a frame was complete.
    since: Option<Duration>,
    has_frames: bool,
    counters: Counters,
    reassembly: Reassembly,
    rebuilder: Rebuilder,
    nack: NackGenerator,
    arrivals: ArrivalLog,
    deadlines: Deadlines,
    playout: Playout,
    headers: ReceivedHeaders,
    size: Option<(u16, u16)>,
    quality: Option<u8>,
    shared_clock: bool,
    /// Both ends have the same clock id, but the exchanges prove two clocks.
    cloned: bool,
    clock: Clock,
    latency: LatencyBreakdown,
    /// When the newest packet was sent.
    newest_sent: SenderTime,
    /// When a packet was sent and when it arrived: the first, then that of each sender report. Send
    /// times are extended from here.
    anchor: Option<(SenderTime, Duration)>,
    /// Offset of send times as they are extended here, in microseconds.
    epoch: u64,
    /// Frames that the sender had numbered before those known here.
    passed: u64,
    /// The longest media datagram that arrived, in bytes.
    widest: usize,
    /// The longest recent datagram, whatever it carried.
    longest: Longest,
    bye: Option<Bye>,
    ended: bool,
    /// The path is back after an outage, and no frame has begun since.
    resumed: bool,
    /// No sender report has arrived since then.
    totals_stale: bool,
    delay: OneWayDelay,
    loss: LossEstimate,
    loss_reported: LossCounts,
    report_due: Duration,
    reports: u32,
    control_number: u64,
}

/// The initial state of a session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Joining {
    pub(super) number: u64,
    pub(super) from: SocketAddr,
    /// When this stream could first have been followed at once; `None` if some of its packets may
    /// have been ignored.
    pub(super) free_since: Option<Duration>,
    /// Which packets arrived before it could be followed.
    pub(super) passed: JoinPoint,
    /// Whether it comes over a connection that keeps the order.
    pub(super) is_ordered: bool,
}

impl NativeSession {
    pub(super) fn new(
        joining: Joining,
        (viewer, secret): (u64, (u64, u64)),
        config: &Config,
        now: Duration,
    ) -> Self {
        let number = joining.number;
        Self {
            number,
            id: None,
            viewer,
            secret,
            config: config.clone(),
            path: SenderPath::new(joining.from, secret, number, now),
            migration: Migration::default(),
            answers: false,
            muted: false,
            plausibility: Plausibility::default(),
            destination: 0,
            is_ordered: joining.is_ordered,
            free_since: joining.free_since,
            since: None,
            has_frames: false,
            counters: Counters::new(number).joined_after(joining.passed),
            reassembly: Reassembly::default(),
            rebuilder: Rebuilder::default(),
            nack: NackGenerator::default(),
            arrivals: ArrivalLog::default(),
            deadlines: Deadlines::default(),
            playout: Playout::new(number),
            headers: ReceivedHeaders::default(),
            size: None,
            quality: None,
            shared_clock: false,
            cloned: false,
            clock: Clock::default(),
            latency: LatencyBreakdown::default(),
            newest_sent: SenderTime::default(),
            anchor: None,
            epoch: 0,
            passed: 0,
            widest: 0,
            longest: Longest::default(),
            bye: None,
            ended: false,
            resumed: false,
            totals_stale: false,
            delay: OneWayDelay::default(),
            loss: LossEstimate::default(),
            loss_reported: LossCounts::default(),
            report_due: now,
            reports: 0,
            control_number: 0,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// The sender's own id, if it has reported.
    pub(super) fn id(&self) -> Option<u64> {
        self.id
    }

    /// What its next packet must match.
    pub(super) fn expected(&self, now: Duration) -> Expected {
        let near = |(sent, at): (SenderTime, Duration)| sent + now.saturating_sub(at);
        Expected {
            numbers: Channel::ALL.map(|channel| self.counters.reached(channel)),
            sent: self
                .anchor
                .map_or(micros(now), |anchor| near(anchor).as_micros()),
        }
    }

    /// Where it comes from.
    pub(super) fn from(&self) -> SocketAddr {
        self.path.address()
    }

    /// When the newest packet arrived.
    pub(super) fn last_received(&self) -> Duration {
        self.path.last_received()
    }

    /// Whether it seems to continue.
    pub(super) fn is_living(&self, now: Duration) -> bool {
        !self.has_said_bye() && now.saturating_sub(self.last_received()) < SILENCE
    }

    /// Whether no frame was complete for long enough: another stream that brings frames replaces
    /// it.
    pub(super) fn is_in_vain(&self, now: Duration) -> bool {
        let long = |since: Duration| now.saturating_sub(since) >= IN_VAIN;
        !self.has_frames && self.since.is_some_and(long)
    }

    /// When this stream could first have been followed at once; `None` if some of its packets may
    /// have been ignored.
    pub(super) fn free_since(&self) -> Option<Duration> {
        self.free_since
    }

    /// Whether a frame of it was complete.
    pub(super) fn has_frames(&self) -> bool {
        self.has_frames
    }

    /// Follows the stream from `now` on.
    pub(super) fn follow(&mut self, now: Duration) {
        self.since = Some(now);
    }

    pub(super) fn playout(&self) -> &Playout {
        &self.playout
    }

    pub(super) fn playout_mut(&mut self) -> &mut Playout {
        &mut self.playout
    }

    /// Counts a corrupt datagram from this stream's address.
    pub(super) fn handle_corrupt(&mut self) {
        self.counters.record_corrupt();
    }

    /// Counts datagrams that this machine's socket dropped.
    pub(super) fn handle_socket_drops(&mut self, datagrams: u64) {
        self.counters.record_socket_drops(datagrams);
    }

    /// Records that a socket which several streams share dropped datagrams.
    pub(super) fn handle_shared_drops(&mut self) {
        self.counters.record_shared_drops();
    }

    /// Gives up what is past its deadline. Returns whether that ends the stream.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        self.expect_next(now);
        while let Some(number) = self
            .deadlines
            .expired(now)
            .or_else(|| self.reassembly.excess())
            .or_else(|| self.deadlines.first().filter(|_| self.playout.is_full()))
        {
            self.give_up(number, now);
            self.reassembly.forget();
            self.release();
        }
        self.reassembly.forget();
        self.release();
        self.settle(false);
        let interval = self.interval();
        if let Some(bye) = &mut self.bye
            && bye.counts_at(interval) <= now
        {
            bye.count();
        }
        let over = self.bye.filter(Bye::counts);
        let over = over.is_some_and(|bye| now >= bye.over_at(self.config.playout_delay));
        if over && !self.ended {
            self.end(now);
            return true;
        }
        false
    }

    /// Whether its sender has said bye.
    pub(super) fn has_said_bye(&self) -> bool {
        self.bye.is_some_and(|bye| bye.counts())
    }

    /// The number of media packets in the stream, according to its sender.
    pub(super) fn last_media(&self) -> u64 {
        self.bye.map_or(0, |bye| bye.media())
    }

    /// Accepts a bye, since nothing can follow it any more, and settles all frames.
    pub(super) fn finish(&mut self) {
        if let Some(bye) = &mut self.bye {
            bye.count();
        }
        self.settle(true);
    }

    /// Whether it has ended by its own bye.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Gives up everything that it waits for.
    fn end(&mut self, now: Duration) {
        self.ended = true;
        while let Some(number) = self.deadlines.first() {
            self.give_up(number, now);
        }
        self.release();
    }

    /// Ends it for another stream. Nothing more is counted.
    pub(super) fn close(&mut self, now: Duration) {
        self.end(now);
        self.counters.close(now);
    }

    /// The next record of a frame whose outcome is final, in order.
    pub(super) fn poll_record(&mut self) -> Option<FrameRecord> {
        let mut record = self.counters.frames.poll()?;
        record.number.0 = record.number.0.wrapping_add(self.passed);
        for time in record.captured.iter_mut().chain(&mut record.sent) {
            *time = self.in_full(*time);
        }
        let offset = |offset: i64| offset.wrapping_sub(self.epoch as i64);
        record.offset_micros = record.offset_micros.map(offset);
        Some(record)
    }

    /// Settles all frames whose outcome is final; at the `end` all others too.
    pub(super) fn settle(&mut self, end: bool) {
        let outlook = self.outlook();
        let latency = &mut self.latency;
        let mut settled = |record: &FrameRecord| latency.record_frame(record, record.offset_micros);
        self.counters.settle(&outlook, end, &mut settled);
    }

    /// Records what a sink did with a frame. Returns whether its outcome was open.
    pub(super) fn handle_outcome(&mut self, number: FrameNumber, outcome: SinkOutcome) -> bool {
        if self.playout.close(number).is_none() {
            return false;
        }
        let frames = &mut self.counters.frames;
        match outcome {
            SinkOutcome::Skipped => frames.record_skipped(number),
            SinkOutcome::Undecodable => frames.record_undecodable(number),
            SinkOutcome::Shown { at } => frames.record_shown(number, at),
        }
        true
    }

    /// The sender's time in full, of which `time` has the low bits.
    fn in_full(&self, time: SenderTime) -> SenderTime {
        SenderTime::from_micros(time.as_micros().wrapping_add(self.epoch))
    }
}
