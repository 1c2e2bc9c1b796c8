//! What of a stream is waited for, and until when.

use std::time::Duration;

use super::super::awaiting::Awaited;
use super::super::requests::Incomplete;
use super::Stream;
use super::chunks::Arrived;
use crate::reassembly::Assembly;
use crate::seq::FrameNumber;

impl Stream {
    /// Waits for the frames from `first` on below `end`, the newest of them.
    pub(super) fn await_frames(&mut self, first: u64, end: u64, now: Duration) {
        let wait = self.wait(now, now);
        for number in (first.max(end.saturating_sub(MAX_ABSENT))..end).map(FrameNumber) {
            if self.reassembly.get(number).is_none() {
                self.awaiting.insert(number, wait, now);
            }
        }
    }

    /// Waits for the next frame once it is overdue, so that one of which
    /// nothing arrives is asked for before the one behind it tells.
    pub(super) fn expect_next(&mut self, now: Duration) {
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
    pub(super) fn overdue(&self) -> Option<(FrameNumber, Duration)> {
        if self.farewell.is_some() || !self.may_ask() {
            return None;
        }
        self.awaiting
            .overdue(self.interval()?, self.ledger.frames_sent())
    }

    pub(super) fn interval(&self) -> Option<Duration> {
        let micros = self.ledger.totals()?.interval;
        (micros > 0).then(|| Duration::from_micros(micros.into()))
    }

    /// How long the sender spreads the packets of a frame over.
    pub(super) fn spread(&self) -> Duration {
        Duration::from_micros(
            self.ledger
                .totals()
                .map_or(0, |totals| totals.spread)
                .into(),
        )
    }

    /// How long to wait for a frame that was due at `due`, its last packet at
    /// `all_due`.
    pub(super) fn wait(&self, all_due: Duration, due: Duration) -> Awaited {
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
    pub(super) fn may_ask(&self) -> bool {
        self.config.requests && self.ledger.totals().is_none_or(|totals| totals.kept > 0)
    }

    pub(super) fn incomplete(&self) -> impl Iterator<Item = Incomplete<'_>> {
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
}

/// A frame is waited for so much longer than its last packet was due, however
/// short the budget.
const LEAST_WAIT: Duration = Duration::from_millis(5);

/// Where nothing repairs, a frame is waited for so long after its last packet
/// was due: for what is out of order.
const REORDER_WAIT: Duration = Duration::from_millis(15);

/// The most frames that are waited for without anything of them having
/// arrived: a second at 60 frames a second.
const MAX_ABSENT: u64 = 64;
