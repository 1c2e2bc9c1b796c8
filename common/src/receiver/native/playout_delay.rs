//! Which frames are waited for, and until when: the playout delay.

use std::time::Duration;

use super::NativeSession;
use super::chunks::ArrivedChunks;
use super::deadlines::{Deadline, Deadlines};
use crate::fec::Rebuilder;
use crate::nack::IncompleteFrame;
use crate::reassembly::{Assembly, Reassembly};
use crate::seq::FrameNumber;
use crate::wire::native::Chunk;

impl NativeSession {
    /// Waits for the frames from `first` up to but excluding `end`.
    pub(super) fn await_frames(&mut self, first: u64, end: u64, now: Duration) {
        if self.is_ordered {
            // A frame below `end` was sent before the newest packet.
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

    /// Records an outage if the packet of `now` ends one. Parity is not planned for what an outage
    /// took.
    pub(super) fn record_outage(&mut self, now: Duration) {
        // A slow stream is silent between its frames.
        let usual = self.interval().unwrap_or_default() * OUTAGE_INTERVALS;
        if now.saturating_sub(self.last_received()) >= OUTAGE.max(usual) {
            self.counters.record_outage();
        }
    }

    /// Handles a packet that arrives after `silence`.
    pub(super) fn handle_silence(&mut self, silence: Duration) {
        if silence >= OUTAGE && !self.is_ordered {
            (self.resumed, self.totals_stale) = (true, true);
            self.nack.handle_outage_end();
        }
    }

    /// Handles the first chunk of a frame that arrives as it is sent. After an outage, frames from
    /// before its end delay newer ones by one round of NACKs instead of the full playout delay: the
    /// viewer has shown nothing for long enough.
    pub(super) fn handle_live_frame(
        &mut self,
        number: FrameNumber,
        chunk: &Chunk<'_>,
        now: Duration,
    ) {
        if std::mem::take(&mut self.resumed) {
            // A frame without its head was on its way when the outage ended.
            let has_head = chunk.index == 0;
            let first = if has_head { number } else { number.next() };
            self.deadlines.limit_before(first, self.hold_until(now));
        }
    }

    /// How long frames from before an outage delay one that arrives after it.
    fn hold_until(&self, now: Duration) -> Duration {
        let rtt = self.nack.rtt().unwrap_or_default();
        let interval = self.interval().unwrap_or_default();
        now + AFTER_OUTAGE + (rtt + interval) / 2
    }

    /// How many frames arrive within the playout delay. The sender does not keep older ones.
    fn frames_in_delay(&self) -> u64 {
        let Some(interval) = self.interval() else {
            return MAX_ABSENT;
        };
        let frames = self.config.playout_delay.as_micros() / interval.as_micros().max(1);
        u64::try_from(frames).map_or(MAX_ABSENT, |frames| frames.saturating_add(1))
    }

    /// Waits for the next frame once it is overdue, so that a NACK for a frame of which nothing
    /// arrives need not wait for the frame after it.
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

    /// The next overdue frame, and when it is overdue.
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

    /// How long the sender spreads the packets of a frame.
    pub(super) fn spread(&self) -> Duration {
        let spread = self.counters.totals().map_or(0, |totals| totals.spread);
        let spread = Duration::from_micros(spread.into());
        // It may have changed since an outage.
        let most = self.interval().filter(|_| self.totals_stale);
        spread.max(most.unwrap_or_default() / 2)
    }

    /// How long to wait for a frame that was due at `due`, and its last packet at `all_due`.
    pub(super) fn wait(&self, all_due: Duration, due: Duration) -> Deadline {
        if self.is_ordered {
            return Deadline {
                all_due,
                until: all_due + ORDERED_WAIT,
                sent: true,
            };
        }
        let until = (due + self.longest_wait(due)).max(all_due + MIN_WAIT);
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

    /// How long a frame is waited for. No longer than a retransmission can take, so that a frame
    /// that cannot be repaired delays none after it. A retransmission that was requested at the
    /// last moment travels for as long as the frame did. A new stream's sender does not know yet how
    /// long this viewer waits, and may be slow to send its first frames.
    fn longest_wait(&self, due: Duration) -> Duration {
        let kept = self.counters.totals().map_or(0, |totals| totals.kept);
        if kept == 0 || self.is_new(due) {
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
        let short = rebuilder.short_of(number, &ArrivedChunks(reassembly));
        IncompleteFrame {
            number,
            assembly,
            deadline: wait.until,
            all_due: wait.all_due,
            short_of: short.map_or(missing, |short| short.min(missing)),
        }
    })
}

/// When nothing arrives for this long, the path was down: a stream of more than 10 frames per
/// second has no such pause between packets. For a slower stream the outage rule costs nothing,
/// since NACKs leave long before the next frame begins.
const OUTAGE: Duration = Duration::from_millis(100);

/// This many frames in a row of which nothing arrives are not lost by chance.
const OUTAGE_INTERVALS: u32 = 3;

/// Frames from before an outage delay one that arrives after it by half an RTT, half a frame
/// interval, and this: a round of NACKs on most paths, and too short for a person to see.
const AFTER_OUTAGE: Duration = Duration::from_millis(40);

/// A frame is waited for at least this long after its last packet was due, however short the
/// playout delay.
const MIN_WAIT: Duration = Duration::from_millis(5);

/// Without repair, a frame is waited for this long after its last packet was due, since packets may
/// be reordered.
const REORDER_WAIT: Duration = Duration::from_millis(15);

/// How long a frame is waited for over a connection that keeps the order: until the connection is
/// as good as broken. No newer frame can arrive before it.
const ORDERED_WAIT: Duration = Duration::from_secs(10);

/// Upper bound on frames that are waited for without a chunk of them: a second at 60 frames per
/// second.
const MAX_ABSENT: u64 = 64;
