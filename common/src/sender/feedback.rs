//! What the viewers of one destination say, and what they are told: sender
//! reports, echoes, answers to path challenges, and the bye.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::path_mtu::Heard;
use super::peer::{MAX_PLAYOUT_DELAY, Peer, figures, planned_loss};
use crate::fec::PathEstimate;
use crate::receiver::EAGER_REPORTS;
use crate::stats::ViewerFigures;
use crate::wire::native::{
    Echo, Nack, Packet, PathChallenge, PathResponse, ReceiverReport, SenderReport, micros,
};

/// The most viewers of one destination (a multicast group, say) whose reports
/// are kept.
const MAX_VIEWERS: usize = 64;

/// The most echoes that wait: beyond that reports come faster than they are
/// worth answering.
const MAX_ECHOES: usize = 16;

/// Who wants this sender's address proved asks five times a second at most: so
/// often as many answers are sent as may wait, whoever asks more often.
const RESPONSES_EVERY: Duration = Duration::from_millis(200);

/// The longest time between sender reports.
const REPORT_EVERY: Duration = Duration::from_millis(900);

/// The shortest time between sender reports with something new.
const REPORT_SOONEST: Duration = Duration::from_millis(50);

/// Reports are echoed so often at the most, but for a viewer's first few.
const ECHO_EVERY: Duration = Duration::from_millis(900);

/// How often the bye is sent: at 20 % loss one stream of six hundred ends
/// without it.
const BYES: u32 = 4;

/// Time between byes at the least: longer than most bursts of loss, and together
/// with the others long enough for NACKs of the last frame.
const BYE_EVERY: Duration = Duration::from_millis(20);

/// However long the RTT, the sender ends within a few of these.
const MAX_BYE_EVERY: Duration = Duration::from_millis(500);

/// The most NACKs that are remembered as answered.
const MAX_ANSWERED: usize = 256;

/// The most bytes that may be retransmitted at once, if the frames are small.
const MAX_CREDIT: usize = 64 << 10;

/// The most frames that may be retransmitted at once, if they are large.
const CREDIT_FRAMES: usize = 3;

/// The conversation with the viewers of one destination.
#[derive(Debug)]
pub(super) struct Feedback {
    report_due: Duration,
    /// When the last sender report was sent, and the spread that it told, in
    /// microseconds.
    reported: Option<(Duration, u32)>,
    /// For how long it said that frames are kept.
    reported_keep: Duration,
    /// Byes still to come, once the stream ends.
    byes: Option<u32>,
    echoes: VecDeque<Echo>,
    /// Answers to viewers that want this sender's address proved.
    responses: VecDeque<PathResponse>,
    /// Since when answers are counted, and how many there are.
    responded: (Duration, usize),
    /// NACKs that were answered, by viewer and number.
    answered: VecDeque<(u64, u32)>,
    /// Bytes that may be retransmitted.
    credit: usize,
    peers: BTreeMap<u64, Peer>,
    /// The last reports of viewers that are gone, the oldest first.
    gone: VecDeque<ReceiverReport>,
}

impl Feedback {
    /// Nobody has said anything; a sender report is due.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            report_due: now,
            reported: None,
            reported_keep: Duration::ZERO,
            byes: None,
            echoes: VecDeque::new(),
            responses: VecDeque::new(),
            responded: (now, 0),
            answered: VecDeque::new(),
            credit: 0,
            peers: BTreeMap::new(),
            gone: VecDeque::new(),
        }
    }

    /// Somebody new is there, whose first packet is a sender report.
    pub(super) fn open(&mut self, now: Duration) {
        self.report_due = now;
    }

    /// Nobody is there any more.
    pub(super) fn close(&mut self) {
        self.echoes.clear();
        self.responses.clear();
        self.answered.clear();
        let peers = std::mem::take(&mut self.peers);
        self.gone
            .extend(peers.into_values().map(|peer| peer.report));
        self.bound_gone();
    }

    /// Viewers give a frame up by what they know of its spread: of more they
    /// are told soon.
    pub(super) fn follow(&mut self, spread: Duration) {
        if let Some((at, reported)) = self.reported
            && self.byes.is_none()
            && micros(spread) > u64::from(reported) + u64::from(reported / 4)
        {
            self.report_due = self.report_due.min(at + REPORT_SOONEST);
        }
    }

    /// From now on only byes are due.
    pub(super) fn finish(&mut self, now: Duration) {
        self.echoes.clear();
        self.responses.clear();
        self.byes = Some(BYES);
        self.report_due = now;
    }

    /// Whether the last sender report is older than this, or there is none.
    pub(super) fn is_report_older(&self, now: Duration, age: Duration) -> bool {
        let age = |(at, _): (Duration, u32)| now.saturating_sub(at) >= age;
        self.reported.is_none_or(age)
    }

    /// Whether the stream ends.
    pub(super) fn is_ending(&self) -> bool {
        self.byes.is_some()
    }

    /// When the next packet is due; `None` after the last bye.
    pub(super) fn due(&self) -> Option<Duration> {
        if !self.echoes.is_empty() || !self.responses.is_empty() {
            return Some(Duration::ZERO);
        }
        (self.byes != Some(0)).then_some(self.report_due)
    }

    /// The next answer to what a viewer said.
    pub(super) fn poll_answer(&mut self) -> Option<Packet<'static>> {
        let response = self.responses.pop_front().map(Packet::PathResponse);
        response.or_else(|| self.echoes.pop_front().map(Packet::Echo))
    }

    /// The report with what only this destination knows: nothing is answered
    /// that nobody here waits for.
    pub(super) fn fill(&mut self, report: SenderReport, now: Duration) -> SenderReport {
        self.reported_keep = self.keep(now);
        SenderReport {
            kept: report.kept.min(short_micros(self.reported_keep)),
            ..report
        }
    }

    /// The report as the packet that is sent now.
    pub(super) fn next_report(&mut self, report: SenderReport, now: Duration) -> Packet<'static> {
        self.reported = Some((now, report.spread));
        let bye_every = self.bye_every(now);
        match &mut self.byes {
            None => {
                self.report_due = now + REPORT_EVERY;
                Packet::SenderReport(report)
            }
            Some(left) => {
                *left -= 1;
                self.report_due = now + bye_every;
                Packet::SenderBye(report)
            }
        }
    }

    /// Answers a viewer that wants this sender's address proved. The answer is
    /// as long as the question.
    pub(super) fn handle_path_challenge(&mut self, challenge: &PathChallenge, now: Duration) {
        let PathChallenge { viewer, nonce } = *challenge;
        let (since, responses) = &mut self.responded;
        if now.saturating_sub(*since) >= RESPONSES_EVERY {
            (*since, *responses) = (now, 0);
        }
        if *responses < MAX_ECHOES && self.byes.is_none() {
            *responses += 1;
            self.responses.push_back(PathResponse { viewer, nonce });
        }
    }

    /// Takes a viewer's report that it sent at `sent` of its own microseconds,
    /// after `media` packets were sent there.
    pub(super) fn handle_report(
        &mut self,
        report: &ReceiverReport,
        sent: u32,
        media: u64,
        now: Duration,
    ) {
        let gone = &mut self.gone;
        self.peers.retain(|_, peer| {
            let present = peer.is_present(now);
            if !present {
                gone.push_back(peer.report);
            }
            present
        });
        self.gone.retain(|gone| gone.viewer != report.viewer);
        self.bound_gone();
        if self.peers.len() >= MAX_VIEWERS && !self.peers.contains_key(&report.viewer) {
            return;
        }
        let delay = Duration::from_micros(report.playout_delay.into());
        if let Some((at, _)) = self.reported
            && self.byes.is_none()
            && delay.min(MAX_PLAYOUT_DELAY) > self.reported_keep
        {
            // It waits only for as long as it knows that it is answered.
            self.report_due = self.report_due.min(at + REPORT_SOONEST);
        }
        let before = self.peers.get(&report.viewer);
        let loss = planned_loss(report, before.map(|peer| peer.loss), media);
        // Until the viewer knows the RTT, every report is echoed.
        let due = report.rtt == 0
            || before.is_none_or(|peer| {
                let eager = peer.echoes < EAGER_REPORTS;
                eager || now.saturating_sub(peer.echoed) >= ECHO_EVERY
            });
        let (echoed, echoes) = match before {
            Some(peer) if !due => (peer.echoed, peer.echoes),
            _ => (now, before.map_or(0, |peer| peer.echoes) + 1),
        };
        let peer = Peer {
            report: *report,
            received: now,
            echoed,
            echoes,
            loss,
        };
        self.peers.insert(report.viewer, peer);
        if due && self.echoes.len() < MAX_ECHOES && self.byes.is_none() {
            self.echoes.push_back(Echo {
                viewer: report.viewer,
                report_sent: sent,
                report_received: micros(now),
            });
        }
    }

    /// Whether a NACK is new; copies of one share its number.
    pub(super) fn is_new(&mut self, nack: &Nack) -> bool {
        let id = (nack.viewer, nack.number);
        if self.answered.contains(&id) {
            return false;
        }
        self.answered.push_back(id);
        if self.answered.len() > MAX_ANSWERED {
            self.answered.pop_front();
        }
        true
    }

    /// Lets retransmission grow with what is sent anyway, by this many bytes.
    pub(super) fn earn(&mut self, bytes: usize) {
        self.credit = (self.credit + bytes).min(MAX_CREDIT.max(CREDIT_FRAMES * bytes));
    }

    /// Spends `bytes` of the retransmission credit; false if too little is left.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        let left = self.credit.checked_sub(bytes);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// The paths to the viewers that are here now; those that have fallen silent
    /// decide nothing.
    pub(super) fn paths(&self, now: Duration, nack: bool) -> Vec<PathEstimate> {
        let present = self.peers.values().filter(|peer| peer.is_present(now));
        present.map(|peer| peer.path(nack)).collect()
    }

    /// Whether all viewers that are here, and some are, know the RTT.
    pub(super) fn has_rtt(&self) -> bool {
        !self.peers.is_empty() && self.peers.values().all(|peer| peer.report.rtt > 0)
    }

    /// What those report of the datagrams that came.
    pub(super) fn heard(&self, now: Duration) -> Option<Heard> {
        let present = || self.peers.values().filter(|peer| peer.is_present(now));
        let longest = present().map(|peer| peer.report.longest as usize).min()?;
        let rtts = present().map(|peer| peer.path(true).rtt);
        let rtt = rtts.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        Some(Heard { longest, rtt })
    }

    /// The path to one viewer, if it has reported of late.
    pub(super) fn path_to(&self, viewer: u64, now: Duration) -> Option<PathEstimate> {
        let peer = self.peers.get(&viewer)?;
        peer.is_present(now).then(|| peer.path(true))
    }

    /// Those who have reported and are not known to be gone.
    pub(super) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// What each viewer reported last, those that are gone behind the others.
    pub(super) fn figures(&self, now: Duration) -> impl Iterator<Item = ViewerFigures> {
        let peers = self.peers.values();
        let known = peers.map(move |peer| (&peer.report, peer.is_present(now)));
        let gone = self.gone.iter().map(|report| (report, false));
        known.chain(gone).map(|(report, present)| ViewerFigures {
            present,
            ..figures(report)
        })
    }

    /// How long frames are kept for those who are here: as long as the most
    /// patient of them waits.
    fn keep(&self, now: Duration) -> Duration {
        let paths = self.paths(now, true).into_iter();
        let longest = paths.map(|path| path.playout_delay).max();
        longest.unwrap_or(PathEstimate::default().playout_delay)
    }

    /// Time from bye to bye: a viewer that waits for that long can ask for what
    /// it lacks of the last frame.
    fn bye_every(&self, now: Duration) -> Duration {
        let rtts = self.paths(now, true).into_iter().filter_map(|path| {
            let rtt = path.rtt?;
            (rtt <= path.playout_delay).then_some(rtt)
        });
        let longest = rtts.max().unwrap_or_default();
        longest.clamp(BYE_EVERY, MAX_BYE_EVERY)
    }

    fn bound_gone(&mut self) {
        while self.gone.len() > MAX_VIEWERS {
            self.gone.pop_front();
        }
    }
}

/// Microseconds in 32 bits, up to 71 minutes: what is longer is as long as can
/// be said, rather than what is left of it.
pub(super) fn short_micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}
