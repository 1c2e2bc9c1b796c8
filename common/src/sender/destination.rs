//! One destination of the stream: its packet numbers, its rate limit, and what was sent or
//! rejected.

use std::time::Duration;

use super::feedback::{Feedback, short_micros};
use super::packet::QueuedPacket;
use super::path_mtu::PathMtu;
use super::path_rate::PathRate;
use super::plan::Plan;
use super::rate_limit::RateLimit;
use super::send_errors::SendErrors;
use crate::seq::PacketNumber;
use crate::wire::native::{Channel, Header, Packet, SenderReport, micros};

/// How often a viewer that has not sent arrival reports is asked for them.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// The interval of its arrival reports until there is one: the first frame shows what the path
/// carries.
const FIRST_ARRIVALS_EVERY: Duration = Duration::from_millis(10);

/// A destination.
#[derive(Debug)]
pub(super) struct DestinationState {
    index: u16,
    /// The next packet number of each channel.
    next: [u64; 3],
    /// Unused packet numbers.
    skipped: u64,
    bytes: u64,
    errors: SendErrors,
    limit: Option<RateLimit>,
    /// For repair, if several viewers are served.
    repair_limit: Option<RateLimit>,
    is_open: bool,
    /// Time over which the datagrams of a frame are spread.
    spread: Duration,
    /// Set if the rate follows the path.
    pub(super) path: Option<PathRate>,
    /// The path MTU search, unless the size is fixed.
    mtu: Option<PathMtu>,
    /// The feedback of its viewers, and the answers.
    pub(super) feedback: Feedback,
}

impl DestinationState {
    /// An open destination that has not been sent anything.
    pub(super) fn new(index: u16, plan: &Plan, path: Option<PathRate>, now: Duration) -> Self {
        Self {
            index,
            next: [0; 3],
            skipped: 0,
            bytes: 0,
            errors: SendErrors::default(),
            limit: plan.rate.map(RateLimit::new),
            repair_limit: plan.repair_rate.map(RateLimit::new),
            is_open: true,
            spread: plan.spread_to(index.into()),
            path,
            mtu: None,
            feedback: Feedback::new(now),
        }
    }

    /// Adopts a new plan.
    pub(super) fn follow(&mut self, plan: &Plan) {
        set(&mut self.limit, plan.rate);
        set(&mut self.repair_limit, plan.repair_rate);
        self.spread = plan.spread_to(self.index.into());
        self.feedback.follow(self.spread);
    }

    /// Serves a new viewer from now on. Packet numbers and the rate limit continue, so that no
    /// viewer takes two packets for the same one.
    pub(super) fn open(&mut self, now: Duration) {
        self.close();
        self.feedback.open(now);
        if let Some(path) = &mut self.path {
            path.restart(now);
        }
        self.mtu = self.mtu.as_ref().map(|mtu| mtu.restarted(now));
        self.is_open = true;
    }

    /// Stops serving.
    pub(super) fn close(&mut self) {
        self.feedback.close();
        self.is_open = false;
    }

    /// The packets of a frame, parity included, are to leave.
    pub(super) fn record_frame(&mut self, packets: &[QueuedPacket]) {
        if let Some(path) = &mut self.path {
            path.last_frame = packets.iter().map(QueuedPacket::len).sum();
        }
    }

    /// Whether anybody is served.
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    pub(super) fn index(&self) -> u16 {
        self.index
    }

    /// The next packet numbers of each channel.
    pub(super) fn numbers(&self) -> [u64; 3] {
        self.next
    }

    /// Continues with packet numbers no lower than these.
    pub(super) fn skip_to(&mut self, numbers: [u64; 3]) {
        let before = self.next.into_iter().sum::<u64>();
        self.next = numbers;
        self.skipped += numbers.into_iter().sum::<u64>().saturating_sub(before);
    }

    /// Appends a packet as the next datagram to this destination.
    pub(super) fn encode(
        &mut self,
        stream: u32,
        packet: &Packet<'_>,
        now: Duration,
        out: &mut Vec<u8>,
    ) {
        self.encode_padded(stream, packet, 0, now, out);
    }

    fn encode_padded(
        &mut self,
        stream: u32,
        packet: &Packet<'_>,
        len: usize,
        now: Duration,
        out: &mut Vec<u8>,
    ) {
        let channel = packet.channel();
        let header = Header {
            stream,
            destination: self.index,
            channel,
            number: PacketNumber(self.next[channel as usize]),
            sent: micros(now),
        };
        let start = out.len();
        packet.encode_padded(&header, len, out);
        let bytes = out.len() - start;
        if let Some(path) = &mut self.path {
            path.record_sent(channel, header.number.0, bytes, now);
        }
        self.record_sent(channel, bytes as u64, now);
    }

    /// Appends a datagram that is the same for every destination.
    pub(super) fn copy(&mut self, datagram: &[u8], now: Duration, out: &mut Vec<u8>) {
        out.extend_from_slice(datagram);
        self.record_sent(Channel::Media, datagram.len() as u64, now);
    }

    /// Appends an answer to a viewer, if one is due. Returns whether it did.
    pub(super) fn poll_answer(&mut self, stream: u32, now: Duration, out: &mut Vec<u8>) -> bool {
        let answer = self.feedback.poll_answer();
        if let Some(answer) = &answer {
            self.encode(stream, answer, now, out);
        }
        answer.is_some()
    }

    /// Appends a sender report, or a bye.
    pub(super) fn encode_report(
        &mut self,
        stream: u32,
        report: SenderReport,
        now: Duration,
        out: &mut Vec<u8>,
    ) {
        let [media, repair, control] = self.next;
        let is_unknown = self.path.as_ref().is_some_and(|path| !path.is_known());
        let report = SenderReport {
            arrivals_every: if is_unknown {
                short_micros(FIRST_ARRIVALS_EVERY)
            } else {
                report.arrivals_every
            },
            media,
            repair,
            control: control + 1,
            send_errors: self.errors.packets,
            unsent_first: self.errors.run.start,
            unsent_end: self.errors.run.end,
            spread: short_micros(self.spread),
            ..report
        };
        let report = self.feedback.fill(report, now);
        let padded = self.poll_probe(now).unwrap_or(0);
        let report = SenderReport {
            bytes: self.bytes() + padded.max(report.datagram_len()) as u64,
            sent_high: (micros(now) >> 32) as u32,
            ..report
        };
        let packet = self.feedback.next_report(report, now);
        self.encode_padded(stream, &packet, padded, now, out);
        debug_assert_eq!(self.bytes(), report.bytes);
    }

    /// The size to which the next report is padded, if a probe is due.
    fn poll_probe(&mut self, now: Duration) -> Option<usize> {
        let searches = self.feedback.has_rtt() && !self.feedback.is_ending();
        let mtu = self.mtu.as_mut().filter(|_| searches)?;
        if self.feedback.heard(now).is_some() {
            return mtu.poll_probe(now);
        }
        // No viewer is there to acknowledge a probe.
        mtu.postpone(now);
        None
    }

    /// Whether a sender report about send errors must precede everything else.
    pub(super) fn take_error_report(&mut self) -> bool {
        self.is_open && !self.feedback.is_ending() && self.errors.take_report()
    }

    /// Whether a sender report must ask for arrival reports before anything fills the path.
    pub(super) fn take_first_report(&mut self, now: Duration) -> bool {
        let asks = self.is_open && self.path.as_ref().is_some_and(|path| path.asks(now));
        asks && !self.feedback.is_ending() && self.feedback.is_report_older(now, ASK_EVERY)
    }

    /// When the next control packet is due; `None` after the last bye.
    pub(super) fn control_due(&self) -> Option<Duration> {
        let due = self.is_open.then(|| self.feedback.due())??;
        let mtu = self.mtu.as_ref().filter(|_| !self.feedback.is_ending());
        let probe = mtu.and_then(|mtu| self.feedback.has_rtt().then(|| mtu.due()));
        Some(probe.map_or(due, |probe| probe.min(due)))
    }

    /// Counts a control datagram of a format whose reports are not counted with the stream.
    pub(super) fn spend(&mut self, bytes: usize, now: Duration) {
        if let Some(limit) = &mut self.limit {
            limit.spend(bytes as u64, now);
        }
    }

    /// Forgets what was sent too long ago to count.
    pub(super) fn forget_sent(&mut self, now: Duration) {
        for limit in self.limit.iter_mut().chain(&mut self.repair_limit) {
            limit.forget(now);
        }
    }

    /// Bytes of media or repair that may be sent now: at least one `first` datagram of this length.
    pub(super) fn room(&self, first: u64) -> u64 {
        let limit = self.limit.as_ref().filter(|_| self.is_open);
        limit.map_or(u64::MAX, |limit| limit.room(first))
    }

    /// Bytes of repair that may be sent now, if several viewers are served.
    pub(super) fn repair_room(&self) -> u64 {
        let limit = self.repair_limit.as_ref().filter(|_| self.is_open);
        limit.map_or(u64::MAX, RateLimit::left)
    }

    /// When this many bytes may be sent.
    pub(super) fn free_at(&self, bytes: usize) -> Duration {
        let limit = self.limit.as_ref().filter(|_| self.is_open);
        limit.map_or(Duration::ZERO, |limit| limit.free_at(bytes as u64))
    }

    /// Starts the path MTU search; the interface carries `ceiling`.
    pub(super) fn search_mtu(&mut self, ceiling: usize, now: Duration) {
        self.mtu = Some(PathMtu::new(ceiling, now));
    }

    /// The path MTU search, unless the size is fixed.
    pub(super) fn mtu(&self) -> Option<&PathMtu> {
        self.mtu.as_ref()
    }

    /// The newly found path MTU, once.
    pub(super) fn poll_mtu_found(&mut self) -> Option<(usize, Option<usize>)> {
        let mtu = self.mtu.as_mut().filter(|_| self.is_open);
        mtu.and_then(PathMtu::poll_found)
    }

    /// Records that a datagram of this length is too large for the system or the path. Returns
    /// whether smaller ones are sent from now on.
    pub(super) fn handle_too_large(&mut self, len: usize, now: Duration) -> bool {
        let mtu = self.mtu.as_mut();
        mtu.is_some_and(|mtu| mtu.handle_too_large(len, now))
    }

    /// Evaluates a viewer's report. Returns whether the path carries more or less than assumed.
    pub(super) fn compare_sizes(&mut self, now: Duration) -> bool {
        let heard = self.feedback.heard(now);
        let mtu = self.mtu.as_mut().zip(heard);
        mtu.is_some_and(|(mtu, heard)| mtu.handle_report(heard, now))
    }

    /// Records that something other than a sender report is sent.
    pub(super) fn record_attempt(&mut self) {
        self.errors.record_attempt();
    }

    /// Counts a packet of this many bytes that was rejected; one of the media channel has a number.
    pub(super) fn record_error(&mut self, media: Option<PacketNumber>, bytes: u64) {
        self.errors.record(media, bytes);
    }

    /// Packets sent, of all channels.
    pub(super) fn packets(&self) -> u64 {
        let numbers = self.next.into_iter().sum::<u64>();
        numbers.saturating_sub(self.skipped + self.errors.packets)
    }

    /// Packets rejected.
    pub(super) fn send_errors(&self) -> u64 {
        self.errors.packets
    }

    /// UDP payload sent.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.errors.bytes)
    }

    /// UDP payload handed out, sent or not.
    pub(super) fn handed_out(&self) -> u64 {
        self.bytes
    }

    fn record_sent(&mut self, channel: Channel, bytes: u64, now: Duration) {
        self.next[channel as usize] += 1;
        self.bytes += bytes;
        if let Some(mtu) = self.mtu.as_mut().filter(|_| channel != Channel::Control) {
            mtu.record_sent(bytes as usize, now);
        }
        let repair = self.repair_limit.as_mut();
        let repair = repair.filter(|_| channel == Channel::Repair);
        for limit in self.limit.iter_mut().chain(repair) {
            limit.spend(bytes, now);
        }
    }
}

fn set(limit: &mut Option<RateLimit>, most: Option<u64>) {
    match (limit, most) {
        (Some(limit), Some(most)) => limit.set(most),
        (limit, most) => *limit = most.map(RateLimit::new),
    }
}
