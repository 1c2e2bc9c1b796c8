//! How far the numbers of a stream may jump.
//!
//! Sending takes time: a number is plausible if the stream can have reached it since the last known
//! one. A jump beyond that is believed only once several packets agree on it and nothing continues
//! the old sequence, as in <https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1>.

use std::time::Duration;

use crate::wire::native::Channel;

/// The most packets per second of one channel: 1.1 Gbit/s in datagrams of ordinary size.
const PACKET_RATE: u64 = 100_000;

/// This many packets may be missing at once: a frame of 3 MB.
const PACKET_SLACK: u64 = 2_048;

/// The most frames per second, if the sender does not report its frame rate.
const FRAME_RATE: u64 = 1_000;

/// A late source catches up at this multiple of the reported rate.
const CATCHING_UP: u64 = 2;

/// This many frames may be missing at once.
const FRAME_SLACK: u64 = 8;

/// The longest queueing that is accepted as an explanation: frames leave a queue faster than they
/// were sent.
const MAX_QUEUEING: Duration = Duration::from_secs(1);

/// This many agreeing packets in a row confirm a jump, once nothing continues the old sequence.
const AGREEING: u32 = 2;

/// What is numbered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NumberSpace {
    /// Packets of a channel.
    Packets(Channel),
    /// Frames, with their interval if that is known.
    Frames(Option<Duration>),
}

/// How far the numbers of one stream have come.
#[derive(Debug, Default)]
pub(super) struct Plausibility([NumberProgress; 4]);

/// How far something had come, and when.
#[derive(Debug, Default)]
struct NumberProgress {
    /// When it was last known.
    at: Duration,
    suspect: Option<Suspect>,
}

/// A jump without an explanation.
#[derive(Clone, Copy, Debug)]
struct Suspect {
    newest: u64,
    agreeing: u32,
}

impl Plausibility {
    /// Whether the stream can have reached a number by `now`. `number` is one above the highest
    /// used, `known` one above the highest known.
    pub(super) fn allow(
        &self,
        space: NumberSpace,
        reached: u64,
        known: u64,
        now: Duration,
    ) -> bool {
        let at_once = known.saturating_add(space.slack());
        let passed = || now.saturating_sub(self.0[space.index()].at);
        reached <= at_once || reached <= at_once.saturating_add(space.most_in(passed()))
    }

    /// Records a number that is not allowed. Returns whether it is believed nevertheless: others
    /// agree with it, and all else is `quiet`.
    pub(super) fn suspect(&mut self, space: NumberSpace, number: u64, quiet: bool) -> bool {
        let progress = &mut self.0[space.index()];
        let agreeing = match progress.suspect {
            Some(suspect) if space.agree(suspect.newest, number) => suspect.agreeing + 1,
            _ => 1,
        };
        let newest = number;
        progress.suspect = Some(Suspect { newest, agreeing });
        agreeing >= AGREEING && quiet
    }

    /// Records how far something has come by `now`, from a packet that spent `queueing` in queues.
    pub(super) fn record(&mut self, space: NumberSpace, queueing: Duration, now: Duration) {
        self.0[space.index()] = NumberProgress {
            at: now.saturating_sub(queueing.min(MAX_QUEUEING)),
            suspect: None,
        };
    }
}

impl NumberSpace {
    fn index(self) -> usize {
        match self {
            Self::Packets(channel) => channel as usize,
            Self::Frames(_) => 3,
        }
    }

    fn slack(self) -> u64 {
        match self {
            Self::Packets(_) => PACKET_SLACK,
            Self::Frames(_) => FRAME_SLACK,
        }
    }

    /// How far it can come in this time.
    fn most_in(self, passed: Duration) -> u64 {
        let at = |rate: u64| passed.as_micros().saturating_mul(rate.into()) / 1_000_000;
        let most = match self {
            Self::Packets(_) => at(PACKET_RATE),
            Self::Frames(interval) => {
                let most = at(FRAME_RATE);
                let reported = interval.filter(|interval| !interval.is_zero());
                let reported = reported.map(|interval| {
                    u128::from(CATCHING_UP) * passed.as_micros() / interval.as_micros().max(1)
                });
                reported.map_or(most, |reported| reported.min(most))
            }
        };
        u64::try_from(most).unwrap_or(u64::MAX)
    }

    /// Whether one number can follow another in the same stream. Packets of one frame share the
    /// frame's number; packet numbers are unique.
    fn agree(self, before: u64, number: u64) -> bool {
        let step = number.checked_sub(before);
        let least = match self {
            Self::Packets(_) => 1,
            Self::Frames(_) => 0,
        };
        step.is_some_and(|step| (least..=self.slack()).contains(&step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);
    const MEDIA: NumberSpace = NumberSpace::Packets(Channel::Media);
    const FRAMES: NumberSpace = NumberSpace::Frames(Some(Duration::from_micros(33_333)));

    #[test]
    fn a_jump_may_be_as_far_as_a_stream_gets_in_the_elapsed_time() {
        let mut numbers = Plausibility::default();
        let now = 1_000 * MS;
        numbers.record(MEDIA, Duration::ZERO, now);
        numbers.record(FRAMES, Duration::ZERO, now);
        assert!(numbers.allow(MEDIA, 100 + 2_048, 100, now));
        assert!(!numbers.allow(MEDIA, 100 + 2_049, 100, now));
        assert!(numbers.allow(MEDIA, 100 + 12_048, 100, now + 100 * MS));
        assert!(!numbers.allow(MEDIA, 1 << 23, 100, now + 1_000 * MS));
        assert!(numbers.allow(FRAMES, 18, 10, now));
        assert!(!numbers.allow(FRAMES, 1_010, 10, now + 200 * MS));
        // After an hour of outage at 30 frames a second.
        let hour = Duration::from_secs(3_600);
        assert!(numbers.allow(FRAMES, 10 + 3_600 * 30, 10, now + hour));
        assert!(numbers.allow(MEDIA, 3_600 * 25_000, 10, now + hour));
    }

    #[test]
    fn frames_that_waited_in_a_queue_come_faster() {
        let mut numbers = Plausibility::default();
        numbers.record(FRAMES, 500 * MS, 1_000 * MS);
        assert!(numbers.allow(FRAMES, 10 + 8 + 30, 10, 1_000 * MS));
        numbers.record(FRAMES, Duration::MAX, 1_000 * MS);
        assert!(!numbers.allow(FRAMES, 1_000, 10, 1_000 * MS));
    }

    #[test]
    fn an_unexplained_jump_is_believed_when_two_packets_agree_and_all_else_is_quiet() {
        let mut numbers = Plausibility::default();
        let far = 1 << 40;
        numbers.record(MEDIA, Duration::ZERO, MS);
        assert!(!numbers.suspect(MEDIA, far, true));
        assert!(!numbers.suspect(MEDIA, far + 1, false));
        // A repetition does not count as agreement.
        assert!(!numbers.suspect(MEDIA, far + 1, true));
        assert!(numbers.suspect(MEDIA, far + 2, true));
        // A packet that continues the old sequence refutes it.
        numbers.record(MEDIA, Duration::ZERO, 103 * MS);
        assert!(!numbers.suspect(MEDIA, far + 3, true));
        assert!(!numbers.suspect(MEDIA, 5, true));
    }
}
