//! Which frames are waited for, and until when: the playout delay.

use std::time::Duration;

use super::NativeSession;
use super::chunks::Arrived;
use super::deadlines::{Deadline, Deadlines};
use crate::fec::Rebuilder;
use crate::nack::IncompleteFrame;
use crate::reassembly::{Assembly, Reassembly};
use crate::seq::FrameNumber;
use crate::wire::native::Chunk;

impl NativeSession {
    /// Waits for the frames from `first` on below `end`, the newest of them.
    pub(super) fn await_frames(&mut self, first: u64, end: u64, now: Duration) {
        if self.is_ordered {
            // They will not come behind what has come.
            self.deadlines.record_sent(end);
            return;
        }
        let mut wait = self.wait(now, now);
        let mut most = MAX_ABSENT;
        if self.resumed {
            wait.until = wait.until.min(self.hold_until(now));
            most = most.min(self.frames_in_delay());
        }
        for number in (first.max(end.saturating_sub(most))..end).map(FrameNumber) {
            if self.reassembly.get(number).is_none() {
                self.deadlines.insert(number, wait, now);
            }
        }
        self.deadlines.record_sent(end);
    }

    /// Tells the counters of an outage, if the packet of `now` ends one: parity is
    /// not planned for what it took.
    pub(super) fn record_outage(&mut self, now: Duration) {
        // A slow stream is silent between its frames.
        let usual = self.interval().unwrap_or_default() * OUTAGE_INTERVALS;
        if now.saturating_sub(self.last_received()) >= OUTAGE.max(usual) {
            self.counters.record_outage();
        }
    }

    /// A packet arrives after `silence`.
    pub(super) fn handle_silence(&mut self, silence: Duration) {
        if silence >= OUTAGE && !self.is_ordered {
            (self.resumed, self.totals_stale) = (true, true);
            self.nack.handle_outage_end();
        }
    }

    /// A frame begins to arrive as it is sent, with this chunk. After an outage the
    /// frames sent before its end hold newer ones up for a round of NACKs, and not
    /// for the whole playout delay: nothing was shown for long enough.
    pub(super) fn handle_live_frame(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        now: Duration,
    ) {
        if std::mem::take(&mut self.resumed) {
            // One whose head is missing was on its way when the outage ended.
            let whole = chunk.index == 0;
            let first = if whole { number } else { number.next() };
            self.deadlines.limit_before(first, self.hold_until(now));
        }
    }

    /// How long frames of before an outage hold up one that arrives after it.
    fn hold_until(&self, now: Duration) -> Duration {
        let rtt = self.nack.rtt().unwrap_or_default();
        let interval = self.interval().unwrap_or_default();
        now + AFTER_OUTAGE + (rtt + interval) / 2
    }

    /// How many frames come within the playout delay: older ones are past, and the
    /// sender does not have them any more.
    fn frames_in_delay(&self) -> u64 {
        let Some(interval) = self.interval() else {
            return MAX_ABSENT;
        };
        let frames = self.config.playout_delay.as_micros() / interval.as_micros().max(1);
        u64::try_from(frames).map_or(MAX_ABSENT, |frames| frames.saturating_add(1))
    }

    /// Waits for the next frame once it is overdue, so that a NACK for a frame of
    /// which nothing arrives need not wait for the frame behind it.
    pub(super) fn expect_next(&mut self, now: Duration) {
        let Some((number, _)) = self.overdue().filter(|(_, at)| *at <= now) else {
            return;
        };
        let due = self
            .interval()
            .and_then(|interval| self.deadlines.due(number, interval));
        let wait = self.wait(now, due.unwrap_or(now));
        self.deadlines.insert_overdue(number, wait);
    }

    /// The frame that is overdue next, and when.
    pub(super) fn overdue(&self) -> Option<(FrameNumber, Duration)> {
        if self.bye.is_some() || !self.may_nack() {
            return None;
        }
        self.deadlines
            .overdue(self.interval()?, self.counters.frames_sent())
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        let micros = self.counters.totals()?.interval;
        (micros > 0).then(|| Duration::from_micros(micros.into()))
    }

    /// How long the sender spreads the packets of a frame over.
    pub(super) fn spread(&self) -> Duration {
        let spread = self.counters.totals().map_or(0, |totals| totals.spread);
        let spread = Duration::from_micros(spread.into());
        // It may have changed since an outage.
        let most = self.interval().filter(|_| self.totals_stale);
        spread.max(most.unwrap_or_default() / 2)
    }

    /// How long to wait for a frame that was due at `due`, its last packet at
    /// `all_due`.
    pub(super) fn wait(&self, all_due: Duration, due: Duration) -> Deadline {
        if self.is_ordered {
            return Deadline {
                all_due,
                until: all_due + ORDERED_WAIT,
                sent: true,
            };
        }
        let until = (due + self.longest_wait()).max(all_due + MIN_WAIT);
        let repaired = self.may_nack() || self.counters.repair_received() > 0;
        let until = if repaired {
            until
        } else {
            until.min(all_due + REORDER_WAIT)
        };
        Deadline {
            all_due,
            until,
            sent: true,
        }
    }

    /// How long a frame is waited for: no longer than a retransmission can come, so
    /// that one that cannot be repaired holds up none behind it. What is asked for
    /// at the last moment is on its way for as long as the frame was.
    fn longest_wait(&self) -> Duration {
        let kept = self.counters.totals().map_or(0, |totals| totals.kept);
        if kept == 0 {
            return self.config.playout_delay;
        }
        let kept = Duration::from_micros(kept.into());
        self.config
            .playout_delay
            .min(kept + self.spread() + REORDER_WAIT)
    }

    /// Whether the sender answers NACKs.
    pub(super) fn may_nack(&self) -> bool {
        self.config.nack
            && !self.is_ordered
            && self.counters.totals().is_none_or(|totals| totals.kept > 0)
    }

    pub(super) fn incomplete(&self) -> impl Iterator<Item = IncompleteFrame<'_>> {
        incomplete(&self.deadlines, &self.reassembly, &self.rebuilder)
    }
}

/// The frames that are waited for, for the NACK generator.
pub(super) fn incomplete<'a>(
    deadlines: &'a Deadlines,
    reassembly: &'a Reassembly,
    rebuilder: &'a Rebuilder,
) -> impl Iterator<Item = IncompleteFrame<'a>> {
    deadlines.iter().map(|(number, wait)| {
        let assembly = reassembly.get(number);
        let missing = assembly.map_or(1, Assembly::missing);
        let short = rebuilder.short_of(number, &Arrived(reassembly));
        IncompleteFrame {
            number,
            assembly,
            deadline: wait.until,
            all_due: wait.all_due,
            short_of: short.map_or(missing, |short| short.min(missing)),
        }
    })
}

/// When nothing arrives for this long, the path was away: no pause between the
/// packets of a stream of more than 10 frames a second is as long. For a slower
/// one the rule for outages costs nothing, since NACKs for what is missing leave
/// long before the next frame begins.
const OUTAGE: Duration = Duration::from_millis(100);

/// Frames in a row of which nothing arrives are no loss by chance.
const OUTAGE_INTERVALS: u32 = 3;

/// Frames from before an outage hold up one that arrives after it by half an RTT,
/// half the time between frames, and this: a round of NACKs on most paths, and
/// too little for a person to see.
const AFTER_OUTAGE: Duration = Duration::from_millis(40);

/// A frame is waited for this much longer than its last packet was due, however
/// short the playout delay.
const MIN_WAIT: Duration = Duration::from_millis(5);

/// Without repair, a frame is waited for this long after its last packet was due:
/// for packets that are out of order.
const REORDER_WAIT: Duration = Duration::from_millis(15);

/// How long a frame is waited for over a connection that keeps the order: until
/// the connection is as good as broken. None can come before it.
const ORDERED_WAIT: Duration = Duration::from_secs(10);

/// The most frames that are waited for without anything of them having
/// arrived: a second at 60 frames a second.
const MAX_ABSENT: u64 = 64;
