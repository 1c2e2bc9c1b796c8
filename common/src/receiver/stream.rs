//! The stream that is followed: its packets in, its frames and the reports to
//! its sender out.

mod chunks;
mod clocks;
mod credit;
mod feedback;
mod memory;
mod waits;

use std::net::SocketAddr;
use std::time::Duration;

use super::awaiting::Awaiting;
use super::bye::Bye;
use super::clock::Clock;
use super::concealment::TableSets;
use super::delivery::Delivery;
use super::leaps::{Leaps, Line};
use super::peer::Peer;
use super::requests::Requests;
use super::stages::Stages;
use super::succession::{self, Succession};
use super::transit::Transit;
use super::{Config, EAGER_REPORTS, ReceivedFrame, SILENCE, SinkOutcome, Verdict};
use crate::fec::{LossEstimate, Rebuilder};
use crate::reassembly::{Origin, Reassembly};
use crate::seq::FrameNumber;
use crate::stats::{self, Arrival, Counters, FrameRecord, JoinPoint, LossCounts, Statistics};
use crate::wire::native::{
    Channel, Chunk, HEADER, Header, MAX_GAPS, MAX_NACK_FRAMES, Nack, Packet, ReceiverReport,
};

/// Time between reports.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Time between the first reports.
const EAGER_EVERY: Duration = Duration::from_millis(20);

/// Bytes of the longest request.
const LONGEST_REQUEST: usize = HEADER + 14 + MAX_NACK_FRAMES * 6 + MAX_GAPS * 4;

/// A stream of which no frame came whole in this time is followed in vain: half
/// a second has several frames of any video.
const IN_VAIN: Duration = Duration::from_millis(500);

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    number: u64,
    viewer: u64,
    /// Where it comes from.
    peer: Peer,
    /// Where else it seems to come from.
    succession: Succession,
    /// Whether the sender has answered from there.
    answers: bool,
    /// Nothing may be sent there as long as nothing comes.
    muted: bool,
    leaps: Leaps,
    destination: u16,
    config: Config,
    free_since: Duration,
    /// Since when it is followed, and whether a frame came whole.
    since: Option<Duration>,
    has_frames: bool,
    counters: Counters,
    reassembly: Reassembly,
    rebuilder: Rebuilder,
    requests: Requests,
    awaiting: Awaiting,
    delivery: Delivery,
    tables: TableSets,
    size: Option<(u16, u16)>,
    quality: Option<u8>,
    shared_clock: bool,
    /// Both ends have one boot identity, and the exchanges say that they do not
    /// have one clock.
    cloned: bool,
    clock: Clock,
    stages: Stages,
    /// When the newest packet was sent, in the sender's microseconds.
    newest_sent: u64,
    /// The longest datagram of media that arrived, in bytes.
    widest: usize,
    bye: Option<Bye>,
    ended: bool,
    /// Whether the path is back after an outage, and no frame has begun since.
    resumed: bool,
    /// Whether no totals have come since then.
    totals_stale: bool,
    transit: Transit,
    loss: LossEstimate,
    loss_noted: LossCounts,
    report_due: Duration,
    reports: u32,
    control_number: u64,
}

impl Stream {
    pub(super) fn new(
        number: u64,
        viewer: u64,
        from: SocketAddr,
        config: &Config,
        free_since: Duration,
        passed: JoinPoint,
        now: Duration,
    ) -> Self {
        Self {
            number,
            viewer,
            peer: Peer::new(from, config.secret, number, now),
            succession: Succession::default(),
            answers: false,
            muted: false,
            leaps: Leaps::default(),
            destination: 0,
            config: config.clone(),
            free_since,
            since: None,
            has_frames: false,
            counters: Counters::new(number).joined_after(passed),
            reassembly: Reassembly::default(),
            rebuilder: Rebuilder::default(),
            requests: Requests::default(),
            awaiting: Awaiting::default(),
            delivery: Delivery::default(),
            tables: TableSets::default(),
            size: None,
            quality: None,
            shared_clock: false,
            cloned: false,
            clock: Clock::default(),
            stages: Stages::default(),
            newest_sent: 0,
            widest: 0,
            bye: None,
            ended: false,
            resumed: false,
            totals_stale: false,
            transit: Transit::default(),
            loss: LossEstimate::default(),
            loss_noted: LossCounts::default(),
            report_due: now,
            reports: 0,
            control_number: 0,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where it comes from.
    pub(super) fn from(&self) -> SocketAddr {
        self.peer.address()
    }

    /// When the newest packet arrived.
    pub(super) fn heard(&self) -> Duration {
        self.peer.heard()
    }

    /// Whether it goes on, as far as one can hear.
    pub(super) fn is_living(&self, now: Duration) -> bool {
        !self.has_said_farewell() && now.saturating_sub(self.heard()) < SILENCE
    }

    /// Whether it has brought no frame in all its time: another one that brings
    /// frames takes its place.
    pub(super) fn is_in_vain(&self, now: Duration) -> bool {
        let long = |since: Duration| now.saturating_sub(since) >= IN_VAIN;
        !self.has_frames && self.since.is_some_and(long)
    }

    /// Counts its time from now on, as that of a stream that is followed.
    pub(super) fn follow(&mut self, now: Duration) {
        self.since = Some(now);
    }

    /// Whether a packet was sent before this side joined.
    pub(super) fn is_before_joining(&mut self, header: &Header) -> bool {
        self.counters.is_before_joining(header)
    }

    /// Takes a packet of `len` bytes.
    pub(super) fn handle_packet(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        from: SocketAddr,
        len: usize,
        now: Duration,
    ) -> Verdict {
        // A viewer's own packets may be thrown back at it.
        if !packet.is_from_sender() {
            return Verdict::Malformed;
        }
        // The handshake is no part of the stream.
        if matches!(packet, Packet::Challenge(_) | Packet::Reject(_)) {
            return Verdict::Foreign;
        }
        if from == self.peer.address() {
            self.peer.note_bytes(len);
        } else if !self.succeed(header, packet, (from, len), now) {
            return Verdict::Foreign;
        }
        self.muted = false;
        if !self.is_credible(header, packet, now) {
            return Verdict::Malformed;
        }
        let known = self.known(header.channel);
        let begins = self.counters.frames.first().is_none();
        self.note_outage(now);
        match self.counters.note_packet(header, len, now) {
            Arrival::New => {}
            Arrival::Duplicate => return Verdict::Duplicate,
            Arrival::Implausible => return Verdict::Malformed,
        }
        self.note_silence(now.saturating_sub(self.heard()));
        self.destination = header.destination;
        self.peer.note_heard(now);
        self.newest_sent = header.sent;
        if header.channel != Channel::Control {
            self.requests.note_arrival(now);
        }
        if header.channel == Channel::Media {
            self.widest = self.widest.max(len);
            self.requests
                .note_lateness(self.transit.note(header.sent, header.number, now));
            let offset = self.offset(header.sent);
            self.stages.note_packet(header.sent, now, offset);
            let outlived = |bye: &mut Bye| !bye.note_media(header.number.0, now);
            self.bye.take_if(outlived);
        }
        self.note_progress(header, packet, known, now);
        let ours = match packet {
            Packet::Chunk(chunk) => {
                if begins && chunk.index > 0 {
                    self.counters.frames.join_within(self.extend(chunk));
                }
                self.handle_chunk(header, chunk, Origin::Sent, now)
            }
            Packet::Retransmission(chunk) => {
                self.requests
                    .note_answer(self.extend(chunk), chunk.index, now);
                self.handle_chunk(header, chunk, Origin::Retransmission, now)
            }
            Packet::Tables(tables) => {
                self.quality = tables.quality;
                self.tables.insert(tables)
            }
            Packet::Parity(parity) => self.handle_parity(parity, now),
            Packet::SenderReport(totals) => self.handle_totals(totals, header.sent, now),
            Packet::SenderBye(totals) => {
                let ours = self.handle_totals(totals, header.sent, now);
                match &mut self.bye {
                    _ if !ours => {}
                    Some(bye) => bye.note_again(totals.media),
                    None => {
                        // The sender stays a moment longer, and hears the last word.
                        self.report_due = now;
                        self.bye = Some(Bye::new(totals.media, now));
                    }
                }
                ours
            }
            Packet::Echo(reply) => self.handle_reply(reply, header.sent, now),
            Packet::PathResponse(response) => {
                self.answers |= self.peer.handle_response(response);
                true
            }
            Packet::ReceiverReport(_)
            | Packet::Nack(_)
            | Packet::Connect(_)
            | Packet::Challenge(_)
            | Packet::Reject(_)
            | Packet::ReceiverBye(_)
            | Packet::PathChallenge(_) => false,
        };
        if ours {
            Verdict::Received
        } else {
            Verdict::Malformed
        }
    }

    /// Counts a corrupt datagram from this stream's address.
    pub(super) fn handle_corrupt(&mut self) {
        self.counters.record_corrupt();
    }

    /// Counts datagrams dropped in the socket's buffer.
    pub(super) fn handle_socket_drops(&mut self, datagrams: u64) {
        self.counters.note_socket_drops(datagrams);
    }

    /// Hears of datagrams dropped in the buffer of a shared socket.
    pub(super) fn handle_shared_drops(&mut self) {
        self.counters.note_shared_drops();
    }

    /// Gives up what has had its time. Returns whether the stream ends by it.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        self.expect_next(now);
        while let Some(number) = self
            .awaiting
            .expired(now)
            .or_else(|| self.reassembly.excess())
            .or_else(|| self.awaiting.first().filter(|_| self.delivery.is_full()))
        {
            self.give_up(number, now);
            self.reassembly.forget();
            self.hand_out();
        }
        self.reassembly.forget();
        self.hand_out();
        self.settle(false);
        let interval = self.interval();
        if let Some(bye) = &mut self.bye
            && bye.counts_at(interval) <= now
        {
            bye.count();
        }
        let mut over = false;
        if let Some(bye) = self.bye.filter(Bye::counts) {
            over = now >= bye.over_at(self.config.budget);
        }
        if over && !self.ended {
            self.end(now);
            return true;
        }
        false
    }

    /// Whether its sender said that nothing follows.
    pub(super) fn has_said_farewell(&self) -> bool {
        self.bye.is_some_and(|bye| bye.counts())
    }

    /// Media packets that it consists of, as far as its sender said.
    pub(super) fn last_media(&self) -> u64 {
        self.bye.map_or(0, |bye| bye.media())
    }

    /// Believes a farewell, since nothing can follow it any more.
    pub(super) fn finish(&mut self) {
        if let Some(bye) = &mut self.bye {
            bye.count();
        }
    }

    /// Whether it has ended by its own farewell.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Gives up everything that is waited for.
    pub(super) fn end(&mut self, now: Duration) {
        self.ended = true;
        while let Some(number) = self.awaiting.first() {
            self.give_up(number, now);
        }
        self.hand_out();
    }

    /// Nothing more is counted: another stream takes its place.
    pub(super) fn close(&mut self, now: Duration) {
        self.counters.close(now);
    }

    pub(super) fn poll_frame(&mut self) -> Option<ReceivedFrame> {
        self.delivery.poll()
    }

    /// The next record of a frame whose outcome is settled, in order.
    pub(super) fn poll_record(&mut self) -> Option<FrameRecord> {
        self.counters.frames.poll()
    }

    /// Settles all frames whose outcome is; at the `end` the others as they stand.
    pub(super) fn settle(&mut self, end: bool) {
        let outlook = self.outlook();
        let stages = &mut self.stages;
        let mut settled = |record: &FrameRecord| stages.note_shown(record, record.offset_micros);
        self.counters.settle(&outlook, end, &mut settled);
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        let given_up = self.awaiting.deadline();
        let end = self.bye.map(|bye| {
            let counts = bye.counts_at(self.interval());
            bye.over_at(self.config.budget).max(counts)
        });
        let counts = self.bye.filter(|bye| !bye.counts());
        let counts = counts.map(|bye| bye.counts_at(self.interval()));
        let report_due = Some(self.report_due).filter(|due| self.peer.may_take(1, *due));
        let request = if self.may_ask() {
            self.requests.due(self.incomplete())
        } else {
            None
        };
        // What would not be sent is not waited for.
        let request = request.filter(|_| !self.muted);
        let next = self.overdue().map(|(_, at)| at);
        [report_due, given_up, end, counts, request, next]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.ended {
            return None;
        }
        if let Some((peer, challenge)) = self.succession.poll_challenge(self.viewer, now) {
            let to = peer.address();
            let packet = Packet::PathChallenge(challenge);
            Self::encode(
                (self.number, self.destination),
                &mut self.control_number,
                &packet,
                now,
                out,
            );
            peer.note_sent(out.len());
            return Some(to);
        }
        let may_ask = self.peer.may_take(LONGEST_REQUEST, now);
        self.muted = !may_ask;
        let packet =
            if let Some((number, wants)) = may_ask.then(|| self.poll_request(now)).flatten() {
                Packet::Nack(Nack {
                    viewer: self.viewer,
                    number,
                    frames: wants,
                })
            } else if now >= self.report_due {
                self.report_due = now
                    + if self.reports < EAGER_REPORTS {
                        EAGER_EVERY
                    } else {
                        REPORT_EVERY
                    };
                if self.peer.may_take(HEADER + ReceiverReport::LEN, now) {
                    self.reports += 1;
                    Packet::ReceiverReport(self.report())
                } else {
                    Packet::PathChallenge(self.peer.challenge(self.viewer, now)?)
                }
            } else {
                return None;
            };
        let place = (self.number, self.destination);
        Self::encode(place, &mut self.control_number, &packet, now, out);
        self.peer.note_sent(out.len());
        Some(self.peer.address())
    }

    /// Takes what became of a frame. Returns whether it was handed out, and its
    /// outcome not told before.
    pub(super) fn handle_outcome(&mut self, number: FrameNumber, outcome: SinkOutcome) -> bool {
        if !self.delivery.settle(number) {
            return false;
        }
        let frames = &mut self.counters.frames;
        match outcome {
            SinkOutcome::Skipped => frames.note_skipped(number),
            SinkOutcome::Undecodable => frames.note_undecodable(number),
            SinkOutcome::Shown { at } => frames.note_shown(number, at),
        }
        true
    }

    /// Where the time of its frames went, by what is known of the clock now.
    pub(super) fn stages(&self) -> Stages {
        let mut stages = self.stages.clone();
        let offset = self.offset(self.newest_sent);
        let open = self.counters.frames.open();
        open.for_each(|record| stages.note_shown(record, offset));
        stages
    }

    /// What was counted; the distributions of delays are those of the streams
    /// followed `earlier` too.
    pub(super) fn statistics(&self, earlier: &Stages) -> Statistics {
        let mut stages = self.stages();
        stages.add(earlier);
        let mut statistics = self.counters.statistics(&self.outlook());
        statistics.stream = stats::Stream {
            number: Some(format!("{:016x}", self.number)),
            addresses: vec![self.from().to_string()],
            wire: Some("native"),
            width: self.size.map(|(width, _)| width.into()),
            height: self.size.map(|(_, height)| height.into()),
            quality: self.quality,
            shared_clock: self.shared_clock,
            ended: self.has_said_farewell(),
            ..stats::Stream::default()
        };
        statistics.delays_ms = stages.delays(self.counters.totals());
        statistics.clock = self.clock();
        let latency = statistics.delays_ms.capture_to_shown;
        statistics.latency_ms = latency.filter(|_| self.shared_clock);
        statistics
    }

    fn extend(&self, chunk: &Chunk<'_>) -> FrameNumber {
        chunk.frame.extend(FrameNumber(self.counters.frames_sent()))
    }
}
