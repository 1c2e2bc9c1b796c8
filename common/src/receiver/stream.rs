//! The stream that is followed: its packets in, its frames and the reports to
//! its sender out.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use super::order::Order;
use super::{Config, FrameId, Outcome, ReceivedFrame, SILENCE};
use crate::jpeg::JpegHeader;
use crate::ledger::{Arrival, Ledger};
use crate::reassembly::{Origin, Placed, Reassembly, WholeFrame};
use crate::seq::{FrameNumber, PacketNumber};
use crate::statistics::{self, Statistics};
use crate::wire::native::{Channel, Chunk, Header, Packet, Reply, Report, Totals, micros};

/// Time between reports.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// The most frames between being handed out and having their fate told: more
/// than any sink keeps waiting.
const MAX_DELIVERED: usize = 1024;

/// The furthest that frame numbers may leap: hours of outage.
const MAX_FRAME_LEAP: u64 = 1 << 20;

/// The most frames that are waited for without anything of them having
/// arrived: a second at 60 frames a second.
const MAX_ABSENT: usize = 64;

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    number: u64,
    from: SocketAddr,
    destination: u16,
    config: Config,
    free_since: Duration,
    heard: Duration,
    ledger: Ledger,
    reassembly: Reassembly,
    /// Frames known to be under way of which nothing arrived, with the time
    /// until which they are waited for.
    absent: BTreeMap<FrameNumber, Duration>,
    /// The frame that was under way when this side joined.
    joined_within: Option<FrameNumber>,
    order: Order,
    out: VecDeque<ReceivedFrame>,
    delivered: BTreeMap<FrameNumber, Delivered>,
    size: Option<(u16, u16)>,
    quality: Option<u8>,
    shared_clock: bool,
    farewell: Option<Duration>,
    ended: bool,
    rtt: Option<Duration>,
    report_due: Duration,
    report_number: u64,
}

/// What is remembered of a frame until its fate is told.
#[derive(Debug)]
struct Delivered {
    captured: Duration,
    resent: bool,
    rebuilt: bool,
}

impl Stream {
    pub(super) fn new(
        number: u64,
        from: SocketAddr,
        config: &Config,
        free_since: Duration,
        now: Duration,
    ) -> Self {
        Self {
            number,
            from,
            destination: 0,
            config: config.clone(),
            free_since,
            heard: now,
            ledger: Ledger::default(),
            reassembly: Reassembly::default(),
            absent: BTreeMap::new(),
            joined_within: None,
            order: Order::default(),
            out: VecDeque::new(),
            delivered: BTreeMap::new(),
            size: None,
            quality: None,
            shared_clock: false,
            farewell: None,
            ended: false,
            rtt: None,
            report_due: now,
            report_number: 0,
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Where its newest packet came from.
    pub(super) fn from(&self) -> SocketAddr {
        self.from
    }

    /// When the newest packet arrived.
    pub(super) fn heard(&self) -> Duration {
        self.heard
    }

    /// Whether it goes on, as far as one can hear.
    pub(super) fn is_living(&self, now: Duration) -> bool {
        !self.ended && now.saturating_sub(self.heard) < SILENCE
    }

    /// Takes a packet of `len` bytes. Returns whether it can be one of this
    /// stream.
    pub(super) fn handle_packet(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        from: SocketAddr,
        len: usize,
        now: Duration,
    ) -> bool {
        let begins = self.ledger.frames.first().is_none();
        match self.ledger.note_packet(header, len, now) {
            Arrival::New => {}
            Arrival::Duplicate => return true,
            Arrival::Implausible => return false,
        }
        (self.from, self.destination, self.heard) = (from, header.destination, now);
        match packet {
            Packet::Chunk(chunk) => {
                if begins && chunk.index > 0 {
                    self.joined_within = Some(self.extend(chunk));
                }
                self.handle_chunk(chunk, Origin::Sent, now)
            }
            Packet::Resent(chunk) => self.handle_chunk(chunk, Origin::Resent, now),
            Packet::Tables(tables) => {
                self.quality = tables.quality;
                true
            }
            Packet::Parity(_) => true,
            Packet::Totals(totals) => self.handle_totals(totals, header.sent, now),
            Packet::Farewell(totals) => {
                self.farewell.get_or_insert(now);
                self.handle_totals(totals, header.sent, now)
            }
            Packet::Reply(reply) => self.handle_reply(reply, header.sent, now),
            Packet::Report(_)
            | Packet::Request(_)
            | Packet::Connect(_)
            | Packet::Challenge(_)
            | Packet::Refusal(_) => false,
        }
    }

    /// Counts a damaged packet from where this stream comes from.
    pub(super) fn handle_corrupt(&mut self, claimed: Option<Header>) {
        self.ledger
            .note_corrupt(claimed.filter(|claimed| claimed.stream == self.number));
    }

    /// Counts datagrams dropped in the socket's buffer.
    pub(super) fn handle_socket_drops(&mut self, datagrams: u64) {
        self.ledger.note_socket_drops(datagrams);
    }

    /// Gives up what has had its time. Returns whether the stream ends by it.
    pub(super) fn handle_timeout(&mut self, now: Duration) -> bool {
        let expired = |stream: &Self| {
            stream
                .reassembly
                .open()
                .find(|(_, assembly)| assembly.first_arrival() + stream.config.budget <= now)
                .map(|(number, _)| number)
        };
        while let Some(number) = expired(self).or_else(|| self.reassembly.excess()) {
            self.give_up(number);
        }
        self.reassembly.forget();
        self.absent.retain(|_, until| *until > now);
        self.hand_out();
        let over = self
            .farewell
            .is_some_and(|farewell| now >= farewell + self.config.budget);
        if over && !self.ended {
            self.end(now);
            return true;
        }
        false
    }

    /// Gives up everything that is waited for.
    pub(super) fn end(&mut self, now: Duration) {
        self.ended = true;
        self.absent.clear();
        let open: Vec<_> = self.reassembly.open().map(|(number, _)| number).collect();
        open.into_iter().for_each(|number| self.give_up(number));
        debug_assert!(self.heard <= now);
        self.hand_out();
    }

    pub(super) fn poll_frame(&mut self) -> Option<ReceivedFrame> {
        self.out.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let report = (!self.ended).then_some(self.report_due);
        let open = self
            .reassembly
            .open()
            .map(|(_, open)| open.first_arrival() + self.config.budget);
        let absent = self.absent.values().copied();
        let end = self
            .farewell
            .filter(|_| !self.ended)
            .map(|at| at + self.config.budget);
        open.chain(absent).chain(report).chain(end).min()
    }

    pub(super) fn poll_transmit(
        &mut self,
        viewer: u64,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Option<SocketAddr> {
        if self.ended || now < self.report_due {
            return None;
        }
        self.report_due = now + REPORT_EVERY;
        let mut report = Report {
            viewer,
            rtt: self.rtt.map_or(0, |rtt| rtt.as_micros() as u32),
            budget: self.config.budget.as_micros() as u32,
            ..Report::default()
        };
        self.ledger
            .fill_report(self.absent.len() as u64, &mut report);
        let header = Header {
            stream: self.number,
            destination: self.destination,
            channel: Channel::Control,
            number: PacketNumber(self.report_number),
            sent: micros(now),
        };
        self.report_number += 1;
        Packet::Report(report).encode(&header, out);
        Some(self.from)
    }

    pub(super) fn handle_fate(&mut self, number: FrameNumber, outcome: Outcome) {
        let Some(delivered) = self.delivered.remove(&number) else {
            return;
        };
        let frames = &mut self.ledger.frames;
        match outcome {
            Outcome::Shown { at } => {
                frames.intact += 1;
                frames.repaired_by_parity += u64::from(delivered.rebuilt);
                frames.repaired_by_request += u64::from(delivered.resent && !delivered.rebuilt);
                if self.shared_clock {
                    self.ledger
                        .latency
                        .note(at.saturating_sub(delivered.captured));
                }
            }
            Outcome::Superseded => frames.superseded += 1,
            Outcome::Undecodable => frames.undecodable += 1,
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        let mut statistics = self.ledger.statistics(self.absent.len() as u64);
        statistics.stream = statistics::Stream {
            number: Some(format!("{:016x}", self.number)),
            addresses: vec![self.from.to_string()],
            wire: Some("native"),
            width: self.size.map(|(width, _)| width.into()),
            height: self.size.map(|(_, height)| height.into()),
            quality: self.quality,
            shared_clock: self.shared_clock,
            ended: self.farewell.is_some(),
            ..statistics::Stream::default()
        };
        statistics
    }

    fn handle_chunk(&mut self, chunk: &Chunk<'_>, origin: Origin, now: Duration) -> bool {
        let number = self.extend(chunk);
        let next = self.ledger.frames_sent();
        if next > 0 && number.0 > next + MAX_FRAME_LEAP {
            return false;
        }
        let new = self.reassembly.get(number).is_none();
        let placed = self.reassembly.place(number, chunk, origin, now);
        if new && placed != Placed::Forgotten {
            self.ledger.frames.begin(number);
            self.absent.remove(&number);
            if next > 0 {
                self.await_frames(next, number.0, now);
            }
        }
        match placed {
            Placed::Filled | Placed::Redundant | Placed::Forgotten => {}
            Placed::Whole(frame) => self.handle_whole(frame, now),
            Placed::WholeTooLate => {
                self.ledger.frames.incomplete -= 1;
                self.ledger.frames.late += 1;
                self.ledger
                    .frames
                    .joined_within
                    .take_if(|within| *within == number.0);
            }
            Placed::Corrupt => self.ledger.frames.incomplete += 1,
            Placed::Contradiction => return false,
        }
        if self
            .order
            .handed_out()
            .is_some_and(|newest| number < newest)
        {
            self.give_up(number);
        }
        true
    }

    fn handle_whole(&mut self, frame: WholeFrame, now: Duration) {
        self.ledger.note_whole(frame.jpeg.len());
        if let Ok(header) = JpegHeader::parse(&frame.jpeg) {
            self.size = Some((header.width, header.height));
        }
        if self.order.push(frame, now).is_some() {
            self.ledger.frames.superseded += 1;
        }
    }

    fn handle_totals(&mut self, totals: &Totals, sent: u64, now: Duration) -> bool {
        let age = sent.saturating_sub(totals.started);
        let listening = micros(now.saturating_sub(self.free_since));
        self.shared_clock =
            totals.boot_mark != 0 && (self.config.boot_mark)(self.number) == Some(totals.boot_mark);
        let next = self.ledger.frames_sent();
        self.ledger.note_totals(*totals, listening >= age);
        if next > 0 || self.ledger.is_from_start() {
            self.await_frames(next, self.ledger.frames_sent(), now);
        }
        true
    }

    fn handle_reply(&mut self, reply: &Reply, sent: u64, now: Duration) -> bool {
        let away = micros(now).saturating_sub(reply.report_sent);
        let held = sent.saturating_sub(reply.report_received);
        self.rtt = Some(Duration::from_micros(away.saturating_sub(held)));
        true
    }

    /// Waits for the frames from `first` on below `end`, the newest of them.
    fn await_frames(&mut self, first: u64, end: u64, now: Duration) {
        let until = now + self.config.budget;
        for number in first.max(end.saturating_sub(MAX_ABSENT as u64))..end {
            if self.reassembly.get(FrameNumber(number)).is_none() {
                self.absent.entry(FrameNumber(number)).or_insert(until);
            }
        }
        while self.absent.len() > MAX_ABSENT {
            self.absent.pop_first();
        }
    }

    fn give_up(&mut self, number: FrameNumber) {
        if self.reassembly.give_up(number).is_none() {
            return;
        }
        self.ledger.frames.incomplete += 1;
        if self.joined_within == Some(number) {
            self.ledger.frames.joined_within = Some(number.0);
        }
    }

    fn hand_out(&mut self) {
        let open = self.reassembly.open().next().map(|(number, _)| number);
        let absent = self.absent.first_key_value().map(|(number, _)| *number);
        let awaited = open.into_iter().chain(absent).min();
        while let Some((frame, completed)) = self.order.pop(awaited) {
            let captured = Duration::from_micros(frame.captured);
            let delivered = Delivered {
                captured,
                resent: frame.resent > 0,
                rebuilt: frame.rebuilt > 0,
            };
            self.delivered.insert(frame.number, delivered);
            if self.delivered.len() > MAX_DELIVERED {
                self.delivered.pop_first();
            }
            let id = FrameId {
                stream: self.number,
                number: frame.number,
            };
            self.out.push_back(ReceivedFrame {
                id,
                jpeg: frame.jpeg,
                captured,
                completed,
            });
        }
    }

    fn extend(&self, chunk: &Chunk<'_>) -> FrameNumber {
        chunk.frame.extend(FrameNumber(self.ledger.frames_sent()))
    }
}
