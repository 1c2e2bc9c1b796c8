//! Feedback of the viewers of one destination, and the answers: sender reports, echoes, path
//! responses, and the bye.

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

/// Upper bound on viewers of one destination (such as a multicast group) whose reports are kept.
const MAX_VIEWERS: usize = 64;

/// Upper bound on waiting echoes. Above it, reports arrive faster than they are worth answering.
const MAX_ECHOES: usize = 16;

/// A viewer sends at most five path challenges per second. In this period, no more are answered
/// than may wait, however many arrive.
const RESPONSES_EVERY: Duration = Duration::from_millis(200);

/// The longest time between sender reports.
const REPORT_EVERY: Duration = Duration::from_millis(900);

/// The shortest time between sender reports with something new.
const REPORT_SOONEST: Duration = Duration::from_millis(50);

/// A viewer's reports are echoed no more often than this, except for its first few.
const ECHO_EVERY: Duration = Duration::from_millis(900);

/// How often the bye is sent: at 20 % loss, one stream in six hundred ends without it.
const BYES: u32 = 4;

/// Byes that follow an answer to a NACK, so that what is lost of the answer can be requested again.
const BYES_AFTER_ANSWER: u32 = 3;

/// Upper bound on byes sent only because viewers still send NACKs.
const MAX_EXTRA_BYES: u32 = 24;

/// The least time between byes: longer than most loss bursts, and in total long enough for NACKs of
/// the last frame.
const BYE_EVERY: Duration = Duration::from_millis(20);

/// However long the RTT, the sender ends within a few times this.
const MAX_BYE_EVERY: Duration = Duration::from_millis(500);

/// Upper bound on NACKs remembered as answered.
const MAX_ANSWERED: usize = 256;

/// Upper bound on bytes that may be retransmitted at once, for small frames.
const MAX_CREDIT: usize = 64 << 10;

/// Upper bound on frames that may be retransmitted at once, for large frames.
const CREDIT_FRAMES: usize = 3;

/// The conversation with the viewers of one destination.
#[derive(Debug)]
pub(super) struct Feedback {
    report_due: Duration,
    /// When the last sender report was sent, and the spread that it announced, in microseconds.
    reported: Option<(Duration, u32)>,
    /// The frame interval that it announced, in microseconds.
    reported_interval: u32,
    /// The retention time that it announced.
    reported_keep: Duration,
    /// Byes still to send, once the stream ends.
    byes: Option<u32>,
    /// Byes that may still be added for viewers that send NACKs.
    extra_byes: u32,
    echoes: VecDeque<Echo>,
    /// Path responses to send.
    responses: VecDeque<PathResponse>,
    /// When the current count of responses began, and the count.
    responded: (Duration, usize),
    /// Answered NACKs, by viewer and number.
    answered: VecDeque<(u64, u32)>,
    /// Bytes that may be retransmitted.
    credit: usize,
    peers: BTreeMap<u64, Peer>,
    /// The last reports of viewers that are gone, oldest first.
    gone: VecDeque<ReceiverReport>,
}

impl Feedback {
    /// No viewer has reported yet; a sender report is due.
    pub(super) fn new(now: Duration) -> Self {
        Self {
            report_due: now,
            reported: None,
            reported_interval: 0,
            reported_keep: Duration::ZERO,
            byes: None,
            extra_byes: MAX_EXTRA_BYES,
            echoes: VecDeque::new(),
            responses: VecDeque::new(),
            responded: (now, 0),
            answered: VecDeque::new(),
            credit: 0,
            peers: BTreeMap::new(),
            gone: VecDeque::new(),
        }
    }

    /// Serves a new viewer, whose first packet is a sender report.
    pub(super) fn open(&mut self, now: Duration) {
        self.report_due = now;
    }

    /// Stops serving.
    pub(super) fn close(&mut self) {
        self.echoes.clear();
        self.responses.clear();
        self.answered.clear();
        let peers = std::mem::take(&mut self.peers);
        self.gone
            .extend(peers.into_values().map(|peer| peer.report));
        self.bound_gone();
    }

    /// Adopts a new spread. Viewers give frames up based on the spread that they know, so a longer
    /// one is announced soon.
    pub(super) fn follow(&mut self, spread: Duration) {
        if let Some((at, reported)) = self.reported
            && self.byes.is_none()
            && micros(spread) > u64::from(reported) + u64::from(reported / 4)
        {
            self.report_due = self.report_due.min(at + REPORT_SOONEST);
        }
    }

    /// Adopts a new frame interval, in microseconds. Viewers expect the next frame by it.
    pub(super) fn follow_interval(&mut self, interval: u32) {
        if let Some((at, _)) = self.reported
            && self.byes.is_none()
            && interval.abs_diff(self.reported_interval) > self.reported_interval / 4
        {
            self.report_due = self.report_due.min(at + REPORT_SOONEST);
        }
    }

    /// Ends the stream: from now on only byes are due.
    pub(super) fn finish(&mut self, now: Duration) {
        self.echoes.clear();
        self.responses.clear();
        self.byes = Some(BYES);
        self.report_due = now;
    }

    /// Whether the last sender report is older than this, or there was none.
    pub(super) fn is_report_older(&self, now: Duration, age: Duration) -> bool {
        let age = |(at, _): (Duration, u32)| now.saturating_sub(at) >= age;
        self.reported.is_none_or(age)
    }

    /// Stays for another NACK after one was answered, if the stream ends.
    pub(super) fn prolong(&mut self) {
        if let Some(left) = &mut self.byes {
            let added = BYES_AFTER_ANSWER.saturating_sub(*left).min(self.extra_byes);
            *left += added;
            self.extra_byes -= added;
        }
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

    /// The next answer to a viewer.
    pub(super) fn poll_answer(&mut self) -> Option<Packet<'static>> {
        let response = self.responses.pop_front().map(Packet::PathResponse);
        response.or_else(|| self.echoes.pop_front().map(Packet::Echo))
    }

    /// Completes the report with what only this destination knows. If nobody here waits for
    /// retransmissions, none are announced.
    pub(super) fn fill(&mut self, report: SenderReport, now: Duration) -> SenderReport {
        self.reported_keep = self.keep(now);
        SenderReport {
            kept: report.kept.min(short_micros(self.reported_keep)),
            ..report
        }
    }

    /// The report as the packet to send now.
    pub(super) fn next_report(&mut self, report: SenderReport, now: Duration) -> Packet<'static> {
        self.reported = Some((now, report.spread));
        self.reported_interval = report.interval;
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

    /// Answers a path challenge. The response is as long as the challenge.
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

    /// Records a viewer's report, sent at `sent` in its own microseconds, after `media` packets
    /// were sent there.
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
            // The viewer waits only as long as it knows that it gets answers.
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

    /// Whether a NACK is new; its copies have the same number.
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

    /// Adds retransmission credit for `bytes` that are sent anyway.
    pub(super) fn earn(&mut self, bytes: usize) {
        self.credit = (self.credit + bytes).min(MAX_CREDIT.max(CREDIT_FRAMES * bytes));
    }

    /// Spends `bytes` of the retransmission credit; false if too little is left.
    pub(super) fn spend(&mut self, bytes: usize) -> bool {
        let left = self.credit.checked_sub(bytes);
        self.credit = left.unwrap_or(self.credit);
        left.is_some()
    }

    /// The paths to the present viewers. Silent ones do not count.
    pub(super) fn paths(&self, now: Duration, nack: bool) -> Vec<PathEstimate> {
        let present = self.peers.values().filter(|peer| peer.is_present(now));
        present.map(|peer| peer.path(nack)).collect()
    }

    /// Whether there are viewers and all of them know the RTT.
    pub(super) fn has_rtt(&self) -> bool {
        !self.peers.is_empty() && self.peers.values().all(|peer| peer.report.rtt > 0)
    }

    /// What they report about received datagrams.
    pub(super) fn heard(&self, now: Duration) -> Option<Heard> {
        let present = || self.peers.values().filter(|peer| peer.is_present(now));
        let longest = present().map(|peer| peer.report.longest as usize).min()?;
        let rtts = present().map(|peer| peer.path(true).rtt);
        let rtt = rtts.collect::<Option<Vec<_>>>()?.into_iter().max()?;
        Some(Heard { longest, rtt })
    }

    /// The path to one viewer, if it has reported recently.
    pub(super) fn path_to(&self, viewer: u64, now: Duration) -> Option<PathEstimate> {
        let peer = self.peers.get(&viewer)?;
        peer.is_present(now).then(|| peer.path(true))
    }

    /// Viewers that have reported and are not known to be gone.
    pub(super) fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    /// The last report of each viewer; those that are gone come last.
    pub(super) fn figures(&self, now: Duration) -> impl Iterator<Item = ViewerFigures> {
        let peers = self.peers.values();
        let known = peers.map(move |peer| (&peer.report, peer.is_present(now)));
        let gone = self.gone.iter().map(|report| (report, false));
        known.chain(gone).map(|(report, present)| ViewerFigures {
            present,
            ..figures(report)
        })
    }

    /// How long frames are kept for the present viewers: for the longest of their playout delays.
    fn keep(&self, now: Duration) -> Duration {
        let paths = self.paths(now, true).into_iter();
        let longest = paths.map(|path| path.playout_delay).max();
        longest.unwrap_or(PathEstimate::default().playout_delay)
    }

    /// The interval of byes: in this time, a viewer can request what it lacks of the last frame.
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

/// Microseconds in 32 bits, up to 71 minutes. A longer time has the largest value.
pub(super) fn short_micros(time: Duration) -> u32 {
    u32::try_from(time.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Byes sent in all, if a NACK is answered after each of the first `answers`.
    fn byes(answers: u32) -> u32 {
        let mut feedback = Feedback::new(Duration::ZERO);
        feedback.finish(Duration::ZERO);
        let mut sent = 0;
        while let Some(due) = feedback.due() {
            feedback.next_report(SenderReport::default(), due);
            sent += 1;
            if sent <= answers {
                feedback.prolong();
            }
        }
        sent
    }

    #[test]
    fn the_stream_ends_some_byes_after_the_last_answer_and_at_the_bound() {
        assert_eq!(byes(0), BYES);
        assert_eq!(byes(10), 10 + BYES_AFTER_ANSWER);
        assert_eq!(byes(u32::MAX), BYES + MAX_EXTRA_BYES);
    }
}
