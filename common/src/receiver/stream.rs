//! The stream that is followed: its packets in, its frames and the reports to
//! its sender out.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;

use super::awaiting::{Awaited, Awaiting};
use super::concealment::TableSets;
use super::delivery::{Delivery, Ready};
use super::requests::{Incomplete, Requests};
use super::transit::Transit;
use super::{Config, EAGER_REPORTS, Outcome, ReceivedFrame, SILENCE};
use crate::jpeg::JpegHeader;
use crate::ledger::{Arrival, Contents, FrameRecord, Ledger, LossCounts, Outlook};
use crate::reassembly::{Assembly, Origin, Placed, Reassembly, WholeFrame};
use crate::repair::{Chunks, LossEstimate, LossModel, Rebuilder};
use crate::seq::{FrameNumber, PacketNumber};
use crate::statistics::{self, Statistics};
use crate::wire::native::{
    Channel, Chunk, Header, Packet, Parity, Reply, Report, Request, Totals, Want, micros,
};

/// Time between reports.
const REPORT_EVERY: Duration = Duration::from_millis(200);

/// Time between the first reports.
const EAGER_EVERY: Duration = Duration::from_millis(20);

/// A frame is waited for so much longer than its last packet was due, however
/// short the budget.
const LEAST_WAIT: Duration = Duration::from_millis(5);

/// The furthest that frame numbers may leap: hours of outage.
const MAX_FRAME_LEAP: u64 = 1 << 20;

/// No stream counts so far: above it sums could overflow.
const MAX_COUNT: u64 = 1 << 48;

/// The most frames that are waited for without anything of them having
/// arrived: a second at 60 frames a second.
const MAX_ABSENT: u64 = 64;

/// Where nothing repairs, a frame is waited for so long after its last packet
/// was due: for what is out of order.
const REORDER_WAIT: Duration = Duration::from_millis(15);

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    number: u64,
    viewer: u64,
    from: SocketAddr,
    destination: u16,
    config: Config,
    free_since: Duration,
    heard: Duration,
    ledger: Ledger,
    reassembly: Reassembly,
    rebuilder: Rebuilder,
    requests: Requests,
    awaiting: Awaiting,
    delivery: Delivery,
    tables: TableSets,
    size: Option<(u16, u16)>,
    quality: Option<u8>,
    shared_clock: bool,
    farewell: Option<Duration>,
    ended: bool,
    /// Chunks that parity rebuilt, and chunks that came because they were asked
    /// for.
    repaired_by_parity: u64,
    repaired_by_request: u64,
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
        now: Duration,
    ) -> Self {
        Self {
            number,
            viewer,
            from,
            destination: 0,
            config: config.clone(),
            free_since,
            heard: now,
            ledger: Ledger::new(number),
            reassembly: Reassembly::default(),
            rebuilder: Rebuilder::default(),
            requests: Requests::default(),
            awaiting: Awaiting::default(),
            delivery: Delivery::default(),
            tables: TableSets::default(),
            size: None,
            quality: None,
            shared_clock: false,
            farewell: None,
            ended: false,
            repaired_by_parity: 0,
            repaired_by_request: 0,
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
        self.farewell.is_none() && now.saturating_sub(self.heard) < SILENCE
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
        // A viewer's own packets may be thrown back at it.
        if !packet.is_from_sender() {
            return false;
        }
        let begins = self.ledger.frames.first().is_none();
        match self.ledger.note_packet(header, len, now) {
            Arrival::New => {}
            Arrival::Duplicate => return true,
            Arrival::Implausible => return false,
        }
        (self.from, self.destination, self.heard) = (from, header.destination, now);
        if header.channel != Channel::Control {
            self.requests.note_arrival(now);
        }
        if header.channel == Channel::Media {
            self.requests
                .note_lateness(self.transit.note(header.sent, now));
        }
        match packet {
            Packet::Chunk(chunk) => {
                if begins && chunk.index > 0 {
                    self.ledger.frames.join_within(self.extend(chunk));
                }
                self.handle_chunk(header, chunk, Origin::Sent, now)
            }
            Packet::Resent(chunk) => self.handle_chunk(header, chunk, Origin::Resent, now),
            Packet::Tables(tables) => {
                self.quality = tables.quality;
                self.tables.insert(tables)
            }
            Packet::Parity(parity) => self.handle_parity(parity, now),
            Packet::Totals(totals) => self.handle_totals(totals, header.sent, now),
            Packet::Farewell(totals) => {
                if self.farewell.is_none() {
                    // The sender stays a moment longer, and hears the last word.
                    self.report_due = now;
                    self.farewell = Some(now);
                }
                self.handle_totals(totals, header.sent, now)
            }
            Packet::Reply(reply) => self.handle_reply(reply, header.sent, now),
            Packet::Report(_)
            | Packet::Request(_)
            | Packet::Connect(_)
            | Packet::Challenge(_)
            | Packet::Refusal(_)
            | Packet::Leave(_) => false,
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
        let over = self
            .farewell
            .is_some_and(|farewell| now >= farewell + self.config.budget);
        if over && !self.ended {
            self.end(now);
            return true;
        }
        false
    }

    /// Whether its sender said that nothing follows.
    pub(super) fn has_said_farewell(&self) -> bool {
        self.farewell.is_some()
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

    pub(super) fn poll_frame(&mut self) -> Option<ReceivedFrame> {
        self.delivery.poll()
    }

    /// The next record of a frame whose fate is settled, in order.
    pub(super) fn poll_record(&mut self) -> Option<FrameRecord> {
        self.ledger.frames.poll()
    }

    /// Settles all frames whose fate is; at the `end` the others as they stand.
    pub(super) fn settle(&mut self, end: bool) {
        let outlook = self.outlook();
        self.ledger.settle(&outlook, end);
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        if self.ended {
            return None;
        }
        let given_up = self.awaiting.deadline();
        let end = self.farewell.map(|at| at + self.config.budget);
        let request = if self.may_ask() {
            self.requests.due(self.incomplete())
        } else {
            None
        };
        let next = self.overdue().map(|(_, at)| at);
        [Some(self.report_due), given_up, end, request, next]
            .into_iter()
            .flatten()
            .min()
    }

    pub(super) fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        if self.ended {
            return None;
        }
        if let Some((number, wants)) = self.poll_request(now) {
            self.encode(
                &Packet::Request(Request {
                    viewer: self.viewer,
                    number,
                    wants,
                }),
                now,
                out,
            );
        } else if now >= self.report_due {
            self.reports += 1;
            self.report_due = now
                + if self.reports < EAGER_REPORTS {
                    EAGER_EVERY
                } else {
                    REPORT_EVERY
                };
            let report = self.report();
            self.encode(&Packet::Report(report), now, out);
        } else {
            return None;
        }
        Some(self.from)
    }

    pub(super) fn handle_fate(&mut self, number: FrameNumber, outcome: Outcome) {
        if !self.delivery.settle(number) {
            return;
        }
        let frames = &mut self.ledger.frames;
        match outcome {
            Outcome::Superseded => frames.note_superseded(number),
            Outcome::Undecodable => frames.note_undecodable(number),
            Outcome::Shown { at } => {
                let captured = frames
                    .note_shown(number, at)
                    .and_then(|record| record.captured);
                if let (Some(captured), true) = (captured, self.shared_clock) {
                    self.ledger.latency.note(at.saturating_sub(captured));
                }
            }
        }
    }

    pub(super) fn statistics(&self) -> Statistics {
        let mut statistics = self.ledger.statistics(&self.outlook());
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
        statistics.packets.repaired_by_parity = Some(self.repaired_by_parity);
        statistics.packets.repaired_by_request = Some(self.repaired_by_request);
        statistics
    }

    fn handle_chunk(
        &mut self,
        header: &Header,
        chunk: &Chunk<'_>,
        origin: Origin,
        now: Duration,
    ) -> bool {
        let number = self.extend(chunk);
        if !self.is_plausible(number) || !self.place(number, chunk, origin, now) {
            return false;
        }
        let base = (origin == Origin::Sent)
            .then(|| header.number.0.checked_sub(chunk.index.into()))
            .flatten();
        let sent = Duration::from_micros(header.sent);
        self.ledger.frames.note_chunk(number, base, sent, now);
        self.rebuild(number, now)
    }

    /// Puts a chunk in its place. Returns whether it fits there.
    fn place(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        origin: Origin,
        now: Duration,
    ) -> bool {
        if self.ledger.frames.is_settled(number) {
            return true;
        }
        let new = self.reassembly.get(number).is_none();
        let placed = self.reassembly.place(number, chunk, origin, now);
        if new && placed != Placed::Forgotten {
            self.begin(number, chunk, origin, now);
        }
        if matches!(placed, Placed::Filled | Placed::Whole(_)) && origin != Origin::Sent {
            let by_parity = origin == Origin::Parity;
            self.repaired_by_parity += u64::from(by_parity);
            self.repaired_by_request += u64::from(!by_parity);
            self.ledger.frames.note_repaired(number, by_parity);
        }
        match placed {
            Placed::Filled => {
                let reached = self.reassembly.get(number).map_or(0, Assembly::reached);
                self.requests.note_progress(number, reached, now);
            }
            Placed::Redundant | Placed::Forgotten => {}
            Placed::Whole(frame) => self.handle_whole(frame, now),
            Placed::WholeTooLate => self.ledger.frames.complete_late(number, now),
            Placed::Corrupt => {
                self.awaiting.remove(number);
                self.ledger.frames.note_broken(number);
            }
            Placed::Contradiction => return false,
        }
        true
    }

    /// Notes that a frame begins to arrive.
    fn begin(&mut self, number: FrameNumber, chunk: &Chunk<'_>, origin: Origin, now: Duration) {
        let next = self.ledger.frames_sent();
        let joining = self.ledger.frames.first().is_none() && !self.ledger.is_from_start();
        self.awaiting.note_began(number, now);
        let contents = Contents {
            chunks: chunk.count() as u32,
            bytes: chunk.frame_len,
            captured: Duration::from_micros(chunk.captured),
        };
        self.ledger.begin_frame(number, contents, now);
        if !joining {
            self.await_frames(next, number.0, now);
        }
        let wait = self.wait(now + self.spread(), now);
        if origin == Origin::Sent {
            self.awaiting.insert_begun(number, wait);
        } else {
            self.awaiting.insert(number, wait, now);
        }
        if self.delivery.is_past(number) {
            self.give_up(number, now);
        }
    }

    fn handle_parity(&mut self, parity: &Parity<'_>, now: Duration) -> bool {
        let first = parity.first.extend(FrameNumber(self.ledger.frames_sent()));
        let last = FrameNumber(first.0 + parity.counts.len() as u64 - 1);
        if !self.is_plausible(last) {
            return false;
        }
        let of_use = self
            .awaiting
            .iter()
            .any(|(number, _)| (first..=last).contains(&number));
        let ahead = last.0 >= self.ledger.frames_sent();
        if !of_use && !ahead {
            return true;
        }
        if self.ledger.frames.first().is_some() || self.ledger.is_from_start() {
            self.await_frames(self.ledger.frames_sent(), last.0 + 1, now);
        }
        self.rebuilder.add(first, parity) && self.rebuild(first, now)
    }

    /// Rebuilds what parity can of the blocks that cover a frame, and of those
    /// that overlap what was rebuilt. Returns whether the parity was true.
    fn rebuild(&mut self, frame: FrameNumber, now: Duration) -> bool {
        if self.rebuilder.is_empty() {
            return true;
        }
        let mut touched = BTreeSet::from([frame]);
        while let Some(frame) = touched.first().copied() {
            let Some(bodies) = self.rebuilder.rebuild(frame, &Arrived(&self.reassembly)) else {
                touched.remove(&frame);
                continue;
            };
            for (number, index, body) in bodies {
                let chunk = Chunk::decode_padded(&body).ok();
                let chunk =
                    chunk.filter(|chunk| (chunk.frame, chunk.index) == (number.seq(), index));
                if !chunk.is_some_and(|chunk| self.place(number, &chunk, Origin::Parity, now)) {
                    return false;
                }
                touched.insert(number);
            }
        }
        true
    }

    fn handle_whole(&mut self, frame: WholeFrame, now: Duration) {
        self.awaiting.remove(frame.number);
        self.ledger.note_whole(frame.jpeg.len());
        if let Ok(header) = JpegHeader::parse(&frame.jpeg) {
            self.size = Some((header.width, header.height));
        }
        self.ledger.frames.complete(frame.number, now);
        let number = frame.number;
        let ready = Ready {
            number,
            jpeg: frame.jpeg,
            stale: Vec::new(),
            captured: Duration::from_micros(frame.captured),
            completed: now,
        };
        if !self.delivery.push(ready) {
            self.ledger.frames.complete_late(number, now);
        }
    }

    fn handle_totals(&mut self, totals: &Totals, sent: u64, now: Duration) -> bool {
        let counts = [
            totals.frames_captured,
            totals.frames_replaced,
            totals.frames_not_sent,
            totals.frames_sent,
            totals.media,
            totals.repair,
            totals.control,
            totals.bytes,
            totals.jpeg_bytes,
        ];
        let plausible = self.is_plausible(FrameNumber(totals.frames_sent));
        if !plausible || counts.into_iter().any(|count| count > MAX_COUNT) {
            return false;
        }
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
        if reply.viewer == self.viewer {
            let away = micros(now).saturating_sub(reply.report_sent);
            let held = sent.saturating_sub(reply.report_received);
            self.requests
                .note_rtt(Duration::from_micros(away.saturating_sub(held)));
        }
        true
    }

    /// Waits for the frames from `first` on below `end`, the newest of them.
    fn await_frames(&mut self, first: u64, end: u64, now: Duration) {
        let wait = self.wait(now, now);
        for number in (first.max(end.saturating_sub(MAX_ABSENT))..end).map(FrameNumber) {
            if self.reassembly.get(number).is_none() {
                self.awaiting.insert(number, wait, now);
            }
        }
    }

    /// Waits for the next frame once it is overdue, so that one of which
    /// nothing arrives is asked for before the one behind it tells.
    fn expect_next(&mut self, now: Duration) {
        let Some((number, _)) = self.overdue().filter(|(_, at)| *at <= now) else {
            return;
        };
        let due = self
            .interval()
            .and_then(|interval| self.awaiting.due(number, interval));
        let wait = self.wait(now, due.unwrap_or(now));
        self.awaiting.insert_overdue(number, wait);
    }

    /// The frame that is overdue next, and when.
    fn overdue(&self) -> Option<(FrameNumber, Duration)> {
        if self.farewell.is_some() || !self.may_ask() {
            return None;
        }
        self.awaiting
            .overdue(self.interval()?, self.ledger.frames_sent())
    }

    fn interval(&self) -> Option<Duration> {
        let micros = self.ledger.totals()?.interval;
        (micros > 0).then(|| Duration::from_micros(micros.into()))
    }

    /// How long the sender spreads the packets of a frame over.
    fn spread(&self) -> Duration {
        Duration::from_micros(
            self.ledger
                .totals()
                .map_or(0, |totals| totals.spread)
                .into(),
        )
    }

    /// How long to wait for a frame that was due at `due`, its last packet at
    /// `all_due`.
    fn wait(&self, all_due: Duration, due: Duration) -> Awaited {
        let until = (due + self.config.budget).max(all_due + LEAST_WAIT);
        let repaired = self.may_ask() || self.ledger.repair_received() > 0;
        let until = if repaired {
            until
        } else {
            until.min(all_due + REORDER_WAIT)
        };
        Awaited {
            all_due,
            until,
            sent: true,
        }
    }

    /// Whether the sender answers requests.
    fn may_ask(&self) -> bool {
        self.config.requests && self.ledger.totals().is_none_or(|totals| totals.kept > 0)
    }

    fn incomplete(&self) -> impl Iterator<Item = Incomplete<'_>> {
        self.awaiting.iter().map(|(number, wait)| {
            let assembly = self.reassembly.get(number);
            let missing = assembly.map_or(1, Assembly::missing);
            let short = self.rebuilder.short_of(number, &Arrived(&self.reassembly));
            Incomplete {
                number,
                assembly,
                deadline: wait.until,
                all_due: wait.all_due,
                short_of: short.map_or(missing, |short| short.min(missing)),
            }
        })
    }

    fn poll_request(&mut self, now: Duration) -> Option<(u32, Vec<Want>)> {
        if !self.may_ask() {
            return None;
        }
        let model = self.loss.model().unwrap_or(LossModel::new(0.0, 1.0));
        // Lent out, so that the frames can be looked at meanwhile.
        let mut requests = std::mem::take(&mut self.requests);
        let request = requests.poll(self.incomplete(), model, now);
        self.requests = requests;
        request
    }

    fn report(&mut self) -> Report {
        let counts = self.ledger.loss_counts();
        let before = std::mem::replace(&mut self.loss_noted, counts);
        self.loss.note(
            counts.expected.saturating_sub(before.expected),
            counts.missing.saturating_sub(before.missing),
            counts.gaps.saturating_sub(before.gaps),
        );
        let model = self.loss.model().unwrap_or(LossModel::new(0.0, 1.0));
        let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
        let mut report = Report {
            viewer: self.viewer,
            loss_ppm: (model.loss() * 1e6) as u32,
            burst_milli: (model.burst() * 1e3) as u32,
            rtt: self.requests.rtt().map_or(0, |rtt| micros(rtt).max(1)),
            queueing: micros(self.transit.queueing()),
            budget: micros(self.config.budget),
            ..Report::default()
        };
        self.ledger.fill_report(&self.outlook(), &mut report);
        report
    }

    fn encode(&mut self, packet: &Packet<'_>, now: Duration, out: &mut Vec<u8>) {
        let header = Header {
            stream: self.number,
            destination: self.destination,
            channel: packet.channel(),
            number: PacketNumber(self.control_number),
            sent: micros(now),
        };
        self.control_number += 1;
        packet.encode(&header, out);
    }

    /// What of the accounts is still open.
    fn outlook(&self) -> Outlook {
        Outlook {
            awaited: self.awaiting.first(),
            offset_micros: self.shared_clock.then_some(0),
            farewell: self.farewell.is_some(),
        }
    }

    /// Gives a frame up, or shows what arrived of it.
    fn give_up(&mut self, number: FrameNumber, now: Duration) {
        self.awaiting.remove(number);
        let Some(assembly) = self.reassembly.give_up(number) else {
            return;
        };
        if !self.config.strict
            && !self.delivery.is_past(number)
            && let Some(spliced) = self.tables.conceal(number, assembly)
        {
            let captured = Duration::from_micros(assembly.captured());
            let (jpeg, stale) = (Bytes::from(spliced.jpeg), spliced.stale);
            self.ledger.frames.note_stale(number, 1.0 - spliced.fresh);
            self.delivery.push(Ready {
                number,
                jpeg,
                stale,
                captured,
                completed: now,
            });
            return;
        }
        self.ledger.frames.give_up(number);
    }

    fn is_plausible(&self, number: FrameNumber) -> bool {
        let next = self.ledger.frames_sent();
        next == 0 || number.0 <= next.saturating_add(MAX_FRAME_LEAP)
    }

    fn hand_out(&mut self) {
        let awaited = self.awaiting.first();
        if let Some(settled) = awaited.or(self.delivery.handed_out()) {
            self.rebuilder.forget_before(settled);
            self.requests.forget_before(settled);
        }
        self.delivery.hand_out(self.number, awaited);
    }

    fn extend(&self, chunk: &Chunk<'_>) -> FrameNumber {
        chunk.frame.extend(FrameNumber(self.ledger.frames_sent()))
    }
}

/// What the rebuilder may know of the chunks.
struct Arrived<'a>(&'a Reassembly);

impl Chunks for Arrived<'_> {
    fn missing(&self, frame: FrameNumber, count: u16) -> Option<usize> {
        match self.0.get(frame) {
            None => Some(count.into()),
            Some(assembly) if assembly.count() != usize::from(count) => None,
            Some(assembly) if assembly.frame().is_empty() => Some(count.into()),
            Some(assembly) => Some(assembly.missing()),
        }
    }

    fn body(&self, frame: FrameNumber, index: u16, out: &mut Vec<u8>) -> bool {
        let chunk = self
            .0
            .get(frame)
            .and_then(|assembly| assembly.chunk(frame, index));
        chunk.is_some_and(|chunk| {
            chunk.encode(out);
            true
        })
    }
}
