//! One place that the stream goes to: its packet numbers, what it is told
//! about the stream, and the viewers that answer from there.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::peer::{MAX_BUDGET, Peer, figures, planned_loss};
use super::rate_limit::RateLimit;
use super::send_errors::SendErrors;
use crate::fec::PathEstimate;
use crate::receiver::EAGER_REPORTS;
use crate::seq::PacketNumber;
use crate::stats::ViewerFigures;
use crate::wire::native::{
    Channel, Echo, Header, Nack, Packet, PathChallenge, PathResponse, ReceiverReport, SenderReport,
    micros,
};

/// The most viewers of one destination (a multicast group, say) whose reports
/// are kept.
const MAX_VIEWERS: usize = 64;

/// The most replies that wait: beyond that reports come faster than they are
/// worth answering.
const MAX_REPLIES: usize = 16;

/// Who wants this sender's address proved asks five times a second at most: so
/// often as many answers are sent as may wait, whoever asks more often.
const RESPONSES_EVERY: Duration = Duration::from_millis(200);

/// The longest time between totals.
const TOTALS_EVERY: Duration = Duration::from_millis(900);

/// The shortest time between totals that tell of something new.
const TOTALS_SOONEST: Duration = Duration::from_millis(50);

/// Reports are answered so often at the most, but for a viewer's first few.
const REPLY_EVERY: Duration = Duration::from_millis(900);

/// How often the farewell is sent: at 20 % loss one stream of six hundred ends
/// without it.
const FAREWELLS: u32 = 4;

/// Time between farewells at the least: longer than most bursts of loss, and together with
/// the others long enough for requests for the last frame.
const FAREWELL_EVERY: Duration = Duration::from_millis(20);

/// However long the round trip, the sender ends within a few of these.
const MAX_STAY: Duration = Duration::from_millis(500);

/// A destination.
#[derive(Debug)]
pub(super) struct Destination {
    index: u16,
    media: u64,
    repair: u64,
    control: u64,
    /// Numbers that no packet has.
    skipped: u64,
    bytes: u64,
    refused: SendErrors,
    totals_due: Duration,
    /// When totals were sent last, and the spread that they told, in
    /// microseconds.
    told: Option<(Duration, u32)>,
    /// For how long the last totals said that frames are kept.
    told_keeps: Duration,
    /// Farewells still to come, once the stream ends.
    farewells: Option<u32>,
    replies: VecDeque<Echo>,
    /// Answers to viewers that want this sender's address proved.
    responses: VecDeque<PathResponse>,
    /// Since when answers are counted, and how many there are.
    responded: (Duration, usize),
    /// Requests that were answered, by viewer and number.
    answered: VecDeque<(u64, u32)>,
    /// Bytes that may be sent on request.
    credit: usize,
    cap: Option<RateLimit>,
    /// The share of it that repair may take where several are served.
    repair_cap: Option<RateLimit>,
    viewers: BTreeMap<u64, Peer>,
    is_open: bool,
    /// The last words of viewers that are gone, the oldest first.
    gone: VecDeque<ReceiverReport>,
}

impl Destination {
    pub(super) fn new(index: u16, bitrate: Option<u64>, now: Duration) -> Self {
        Self {
            index,
            media: 0,
            repair: 0,
            control: 0,
            skipped: 0,
            bytes: 0,
            refused: SendErrors::default(),
            totals_due: now,
            told: None,
            told_keeps: Duration::ZERO,
            farewells: None,
            replies: VecDeque::new(),
            responses: VecDeque::new(),
            responded: (now, 0),
            answered: VecDeque::new(),
            credit: 0,
            cap: bitrate.map(RateLimit::new),
            repair_cap: bitrate.map(|bitrate| RateLimit::new(bitrate).share(REPAIR_SHARE)),
            viewers: BTreeMap::new(),
            is_open: true,
            gone: VecDeque::new(),
        }
    }

    /// Serves whoever is there from now on as somebody new, whose first word
    /// is about the stream. Packet numbers and the rate go on: nobody is to
    /// take two packets for one.
    pub(super) fn open(&mut self, now: Duration) {
        self.close();
        self.totals_due = now;
        self.is_open = true;
    }

    /// Serves nobody.
    pub(super) fn close(&mut self) {
        self.replies.clear();
        self.responses.clear();
        self.answered.clear();
        let served = std::mem::take(&mut self.viewers);
        self.gone
            .extend(served.into_values().map(|viewer| viewer.report));
        while self.gone.len() > MAX_VIEWERS {
            self.gone.pop_front();
        }
        self.is_open = false;
    }

    /// The next packet numbers of each channel.
    pub(super) fn numbers(&self) -> [u64; 3] {
        [self.media, self.repair, self.control]
    }

    /// Goes on with packet numbers no lower than these.
    pub(super) fn go_on_above(&mut self, numbers: [u64; 3]) {
        let before = self.numbers().into_iter().sum::<u64>();
        [self.media, self.repair, self.control] = numbers;
        self.skipped += numbers.into_iter().sum::<u64>().saturating_sub(before);
    }

    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Appends a packet as the next datagram to this destination.
    pub(super) fn encode(
        &mut self,
        stream: u64,
        packet: &Packet<'_>,
        now: Duration,
        out: &mut Vec<u8>,
    ) {
        let channel = packet.channel();
        let counter = match channel {
            Channel::Media => &mut self.media,
            Channel::Repair => &mut self.repair,
            Channel::Control => &mut self.control,
        };
        let number = PacketNumber(*counter);
        *counter += 1;
        let sent = micros(now);
        let start = out.len();
        packet.encode(
            &Header {
                stream,
                destination: self.index,
                channel,
                number,
                sent,
            },
            out,
        );
        let bytes = (out.len() - start) as u64;
        self.bytes += bytes;
        if let Some(cap) = &mut self.cap {
            cap.spend(bytes, now);
        }
        if let Some(cap) = self
            .repair_cap
            .as_mut()
            .filter(|_| channel == Channel::Repair)
        {
            cap.spend(bytes, now);
        }
    }

    /// Appends the control packet that is due, if one is.
    pub(super) fn poll_control(
        &mut self,
        stream: u64,
        totals: SenderReport,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> bool {
        if !self.is_open {
            return false;
        }
        if let Some(response) = self.responses.pop_front() {
            self.encode(stream, &Packet::PathResponse(response), now, out);
            return true;
        }
        if let Some(reply) = self.replies.pop_front() {
            self.encode(stream, &Packet::Echo(reply), now, out);
            return true;
        }
        if now < self.totals_due || self.farewells == Some(0) {
            return false;
        }
        self.encode_totals(stream, totals, now, out);
        true
    }

    /// Appends totals, or a farewell.
    pub(super) fn encode_totals(
        &mut self,
        stream: u64,
        totals: SenderReport,
        now: Duration,
        out: &mut Vec<u8>,
    ) {
        let keeps = self.keeps(now);
        self.told_keeps = keeps;
        let totals = SenderReport {
            // Nothing is answered that nobody here waits for.
            kept: totals.kept.min(short_micros(keeps)),
            media: self.media,
            repair: self.repair,
            control: self.control + 1,
            send_errors: self.refused.packets,
            unsent_first: self.refused.run.start,
            unsent_end: self.refused.run.end,
            ..totals
        };
        let totals = SenderReport {
            bytes: self.bytes() + totals.datagram_len() as u64,
            ..totals
        };
        self.told = Some((now, totals.spread));
        let stay = self.stay(now);
        let packet = match &mut self.farewells {
            None => {
                self.totals_due = now + TOTALS_EVERY;
                Packet::SenderReport(totals)
            }
            Some(left) => {
                *left -= 1;
                self.totals_due = now + stay;
                Packet::SenderBye(totals)
            }
        };
        self.encode(stream, &packet, now, out);
        debug_assert_eq!(self.bytes(), totals.bytes);
    }

    /// Notes over how long frames are spread from now on. Viewers give a frame
    /// up by what they were told of that: more is told soon.
    pub(super) fn note_spread(&mut self, spread: Duration) {
        if let Some((at, told)) = self.told
            && self.farewells.is_none()
            && micros(spread) > u64::from(told) + u64::from(told / 4)
        {
            self.totals_due = self.totals_due.min(at + TOTALS_SOONEST);
        }
    }

    /// Time from farewell to farewell: where a viewer waits for that long, it
    /// can ask for what it misses of the last frame.
    fn stay(&self, now: Duration) -> Duration {
        let rtts = self.paths(now, true).into_iter().filter_map(|path| {
            let rtt = path.rtt?;
            (rtt <= path.budget).then_some(rtt)
        });
        rtts.max()
            .unwrap_or_default()
            .clamp(FAREWELL_EVERY, MAX_STAY)
    }

    /// When the next control packet is due; `None` after the last farewell.
    pub(super) fn control_due(&self) -> Option<Duration> {
        if !self.is_open {
            return None;
        }
        if !self.replies.is_empty() || !self.responses.is_empty() {
            return Some(Duration::ZERO);
        }
        (self.farewells != Some(0)).then_some(self.totals_due)
    }

    /// From now on only farewells are due.
    pub(super) fn finish(&mut self, now: Duration) {
        self.replies.clear();
        self.responses.clear();
        self.farewells = Some(FAREWELLS);
        self.totals_due = now;
    }

    /// Answers a viewer that wants this sender's address proved. The answer is
    /// as long as the question.
    pub(super) fn handle_path_challenge(&mut self, challenge: &PathChallenge, now: Duration) {
        let PathChallenge { viewer, nonce } = *challenge;
        let (since, responses) = &mut self.responded;
        if now.saturating_sub(*since) >= RESPONSES_EVERY {
            (*since, *responses) = (now, 0);
        }
        if *responses < MAX_REPLIES && self.farewells.is_none() {
            *responses += 1;
            self.responses.push_back(PathResponse { viewer, nonce });
        }
    }

    /// Takes a viewer's report that it sent at `sent` of its own microseconds.
    pub(super) fn handle_report(&mut self, report: &ReceiverReport, sent: u64, now: Duration) {
        let gone = &mut self.gone;
        self.viewers.retain(|_, viewer| {
            let present = viewer.is_present(now);
            if !present {
                gone.push_back(viewer.report);
            }
            present
        });
        self.gone.retain(|gone| gone.viewer != report.viewer);
        while self.gone.len() > MAX_VIEWERS {
            self.gone.pop_front();
        }
        if self.viewers.len() >= MAX_VIEWERS && !self.viewers.contains_key(&report.viewer) {
            return;
        }
        let budget = Duration::from_micros(report.playout_delay.into());
        if let Some((at, _)) = self.told
            && self.farewells.is_none()
            && budget.min(MAX_BUDGET) > self.told_keeps
        {
            // It waits only for as long as it knows that it is answered.
            self.totals_due = self.totals_due.min(at + TOTALS_SOONEST);
        }
        let before = self.viewers.get(&report.viewer);
        let loss = planned_loss(report, before.map(|viewer| viewer.loss), self.media);
        // Until the viewer knows the round trip, every report is answered.
        let due = report.rtt == 0
            || before.is_none_or(|viewer| {
                let eager = viewer.replies < EAGER_REPORTS;
                eager || now.saturating_sub(viewer.replied) >= REPLY_EVERY
            });
        let (replied, replies) = match before {
            Some(viewer) if !due => (viewer.replied, viewer.replies),
            _ => (now, before.map_or(0, |viewer| viewer.replies) + 1),
        };
        self.viewers.insert(
            report.viewer,
            Peer {
                report: *report,
                heard: now,
                replied,
                replies,
                loss,
            },
        );
        if due && self.replies.len() < MAX_REPLIES && self.farewells.is_none() {
            self.replies.push_back(Echo {
                viewer: report.viewer,
                report_sent: sent,
                report_received: micros(now),
            });
        }
    }

    /// How long frames are kept for those who are here: as long as the most
    /// patient of them waits.
    fn keeps(&self, now: Duration) -> Duration {
        let budgets = self.paths(now, true).into_iter().map(|path| path.budget);
        budgets.max().unwrap_or(PathEstimate::default().budget)
    }

    /// Whether a request is new; copies of one share its number.
    pub(super) fn is_new(&mut self, request: &Nack) -> bool {
        let id = (request.viewer, request.number);
        if self.answered.contains(&id) {
            return false;
        }
        self.answered.push_back(id);
        if self.answered.len() > MAX_ANSWERED {
            self.answered.pop_front();
        }
        true
    }

    /// Lets repair on request grow with what is sent anyway, by so many bytes.
    pub(super) fn earn(&mut self, bytes: usize) {
        self.credit = (self.credit + bytes).min(MAX_CREDIT.max(CREDIT_FRAMES * bytes));
    }

    /// Takes credit for sending a packet of `bytes`, if there is so much.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        let left = self.credit.checked_sub(bytes);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// The ways to the viewers that are here now; those that have fallen silent
    /// decide nothing.
    pub(super) fn paths(&self, now: Duration, requests: bool) -> Vec<PathEstimate> {
        let present = self.viewers.values();
        let present = present.filter(|viewer| viewer.is_present(now));
        present.map(|viewer| viewer.path(requests)).collect()
    }

    /// The way to one viewer, if it has spoken of late.
    pub(super) fn path_to(&self, viewer: u64, now: Duration) -> Option<PathEstimate> {
        let viewer = self.viewers.get(&viewer)?;
        viewer.is_present(now).then(|| viewer.path(true))
    }

    pub(super) fn viewers(&self) -> impl Iterator<Item = &Peer> {
        self.viewers.values()
    }

    /// What each viewer said last, those that are gone behind the others.
    pub(super) fn figures(&self, now: Duration) -> impl Iterator<Item = ViewerFigures> {
        let viewers = self.viewers.values();
        let heard = viewers.map(move |viewer| (&viewer.report, viewer.is_present(now)));
        let gone = self.gone.iter().map(|report| (report, false));
        heard.chain(gone).map(|(report, present)| ViewerFigures {
            destination: self.index,
            present,
            ..figures(report)
        })
    }

    /// Forgets what was sent so long ago that it does not count any more.
    pub(super) fn forget_sent(&mut self, now: Duration) {
        for cap in self.cap.iter_mut().chain(&mut self.repair_cap) {
            cap.forget(now);
        }
    }

    /// Bytes of media or repair that may be sent now.
    /// At least a `first` datagram of so many gets through.
    pub(super) fn room(&self, first: u64) -> u64 {
        let cap = self.cap.as_ref().filter(|_| self.is_open);
        cap.map_or(u64::MAX, |cap| cap.room(first))
    }

    /// Bytes of repair that may be sent now where several are served.
    pub(super) fn repair_room(&self) -> u64 {
        let cap = self.repair_cap.as_ref().filter(|_| self.is_open);
        cap.map_or(u64::MAX, RateLimit::left)
    }

    /// When so many bytes may be sent.
    pub(super) fn free_at(&self, bytes: usize) -> Duration {
        let cap = self.cap.as_ref().filter(|_| self.is_open);
        cap.map_or(Duration::ZERO, |cap| cap.free_at(bytes as u64))
    }

    /// Packets sent, of all channels.
    pub(super) fn packets(&self) -> u64 {
        let numbers = self.numbers().into_iter().sum::<u64>();
        numbers.saturating_sub(self.skipped + self.refused.packets)
    }

    /// Counts a packet of so many bytes that did not leave.
    pub(super) fn note_refused(&mut self, channel: Channel, number: PacketNumber, bytes: u64) {
        self.refused.note(channel, number, bytes);
    }

    /// Packets that did not leave.
    pub(super) fn refused(&self) -> u64 {
        self.refused.packets
    }

    /// Whether totals are to tell now of packets that did not leave. Once for
    /// each time that something else leaves: they may be refused as well.
    pub(super) fn tell_refused(&mut self) -> bool {
        self.is_open && self.farewells.is_none() && self.refused.tell()
    }

    /// Notes that something else than totals leaves.
    pub(super) fn note_leaving(&mut self) {
        self.refused.tried = false;
    }

    /// UDP payload sent.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes.saturating_sub(self.refused.bytes)
    }

    /// UDP payload handed out, whether it left or not.
    pub(super) fn handed_out(&self) -> u64 {
        self.bytes
    }
}

/// The part of the rate to a destination that repair takes at the most where
/// several are served, one in so many: what all wait for leaves at the pace of
/// the slowest, and a viewer that needs or wants more repair than others does
/// not slow it down by more than that.
const REPAIR_SHARE: u64 = 5;

/// The most requests that are remembered as answered.
const MAX_ANSWERED: usize = 256;

/// The most bytes that may be sent on request at once, if the frames are small.
const MAX_CREDIT: usize = 64 << 10;

/// The most frames that may be sent again at once, if they are large.
const CREDIT_FRAMES: usize = 3;

/// Microseconds in 32 bits, up to 71 minutes: what is longer is as long as can
/// be said, rather than what is left of it.
pub(super) fn short_micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
