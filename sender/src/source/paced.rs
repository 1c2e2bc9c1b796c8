//! When the frames of a source that is not live are due.

use std::time::Duration;

/// How far behind a source may fall before its schedule is shifted: more than a hiccup. A rush of
/// late frames helps nobody.
const FORGIVEN: Duration = Duration::from_millis(500);

/// By how much the schedule of a pipe may be moved forward, in total. What a program has written
/// while this one started would otherwise delay all later frames. A pipe does not tell whether its
/// frames are captured or read from a file: a file's first frames play twice as fast.
const LEAD: Duration = Duration::from_millis(300);

/// A frame of a pipe that waits moves the schedule forward by this part of its wait.
const HASTE: u32 = 2;

/// The longest plausible duration of a frame: a longer jump is a bad timestamp.
const LONGEST_FRAME: Duration = Duration::from_secs(600);

/// Maps media times to the clock. Pure.
#[derive(Clone, Copy, Debug, Default)]
pub struct MediaClock {
    start: Option<Duration>,
    /// By how much the schedule may still be moved forward.
    lead: Duration,
}

impl MediaClock {
    /// A clock that starts with the first frame.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for frames from a pipe.
    pub fn of_pipe() -> Self {
        Self {
            lead: LEAD,
            ..Self::default()
        }
    }

    /// When a frame with `media_time` is due, at the time `now`. A time at or before `now` means at
    /// once.
    pub fn due(&mut self, media_time: Duration, now: Duration) -> Duration {
        let start = *self.start.get_or_insert(now.saturating_sub(media_time));
        let due = start.saturating_add(media_time);
        if due.saturating_add(FORGIVEN) < now {
            self.start = Some(now.saturating_sub(media_time));
            return now;
        }
        let earlier = (due.saturating_sub(now) / HASTE).min(self.lead).min(start);
        self.lead -= earlier;
        self.start = Some(start - earlier);
        due - earlier
    }
}

/// The media time of a frame by its number, at `rate` frames per second.
pub(super) fn media_time(number: u64, rate: f64) -> Duration {
    Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX)
}

/// Media times that increase across repetitions of a file and bad timestamps.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct MediaTimeline {
    /// The timestamp that is `offset` on the timeline.
    first: Option<Duration>,
    offset: Duration,
    last: Option<Duration>,
    /// The duration of the newest frame between two good timestamps.
    lasted: Option<Duration>,
}

impl MediaTimeline {
    /// The media time of a frame with this timestamp. A frame without one lasts as long as the
    /// previous frame or, if that is unknown, `usual`.
    pub(super) fn place(&mut self, stamp: Option<Duration>, usual: Duration) -> Duration {
        let Some(last) = self.last else {
            self.first = stamp;
            self.last = Some(self.offset);
            return self.offset;
        };
        let guess = last.saturating_add(self.lasted.unwrap_or(usual));
        let time = match stamp {
            None => guess,
            Some(stamp) => {
                let first = *self.first.get_or_insert(stamp);
                let time = self.offset.saturating_add(stamp.saturating_sub(first));
                if time > last && time - last <= LONGEST_FRAME {
                    self.lasted = Some(time - last);
                    time
                } else {
                    self.offset = guess;
                    self.first = Some(stamp);
                    guess
                }
            }
        };
        self.last = Some(time);
        time
    }

    /// The next timestamp is that of a first frame again.
    pub(super) fn rewind(&mut self, usual: Duration) {
        if let Some(last) = self.last.take() {
            self.offset = last.saturating_add(self.lasted.unwrap_or(usual));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn keeps_the_distances_of_the_frames() {
        let mut clock = MediaClock::new();
        let now = 5000 * MS;
        assert_eq!(clock.due(100 * MS, now), now);
        assert_eq!(clock.due(140 * MS, now), now + 40 * MS);
        assert_eq!(clock.due(1140 * MS, now + 41 * MS), now + 1040 * MS);
    }

    #[test]
    fn catches_up_after_a_hiccup_but_not_after_a_stall() {
        let mut clock = MediaClock::new();
        let now = 5000 * MS;
        clock.due(Duration::ZERO, now);
        assert_eq!(clock.due(40 * MS, now + 300 * MS), now + 40 * MS);
        assert_eq!(clock.due(80 * MS, now + 2000 * MS), now + 2000 * MS);
        assert_eq!(clock.due(120 * MS, now + 2000 * MS), now + 2040 * MS);
    }

    /// How late each frame of a pipe is sent, in milliseconds: frame `number` is written at the
    /// time that `written` tells, and read from `begun` on.
    fn delays(begun: Duration, written: impl Fn(u32) -> Duration) -> Vec<u128> {
        let (mut clock, mut now) = (MediaClock::of_pipe(), begun);
        let frames = 0..90;
        let delays = frames.map(|number| {
            let media_time = number * 33 * MS;
            now = now.max(written(number));
            now = now.max(clock.due(media_time, now));
            (now - written(number)).as_millis()
        });
        delays.collect()
    }

    #[test]
    fn what_a_camera_wrote_before_the_start_delays_its_frames_for_less_than_a_second() {
        for late in [0, 40, 150, 250] {
            let begun = 1_000 * MS;
            let delays = delays(begun, |number| begun + number * 33 * MS - late * MS);
            assert_eq!(delays[0], u128::from(late));
            assert!(delays[30..].iter().all(|delay| *delay <= 1), "{delays:?}");
        }
    }

    #[test]
    fn a_file_in_a_pipe_gains_no_more_than_the_lead() {
        let begun = 1_000 * MS;
        let delays = delays(begun, |_| begun);
        let sent = |frame: usize| delays[frame];
        assert_eq!(sent(89), 89 * 33 - LEAD.as_millis());
        assert!((45..90).all(|frame| sent(frame) - sent(frame - 1) == 33));
        assert!((1..45).all(|frame| sent(frame) - sent(frame - 1) >= 16));
    }

    #[test]
    fn grows_through_repeats_and_broken_stamps() {
        let mut timeline = MediaTimeline::default();
        let mut place = |stamp: Option<u32>| {
            let time = timeline.place(stamp.map(|stamp| stamp * MS), 40 * MS);
            time.as_millis()
        };
        assert_eq!(place(Some(1000)), 0);
        assert_eq!(place(None), 40);
        assert_eq!(place(Some(1100)), 100);
        assert_eq!(place(None), 160);
        assert_eq!(place(Some(1180)), 180);
        assert_eq!(place(Some(0)), 200);
        assert_eq!(place(Some(30)), 230);
        assert_eq!(place(Some(u32::MAX)), 260);
        timeline.rewind(40 * MS);
        assert_eq!(timeline.place(Some(1000 * MS), 40 * MS), 290 * MS);
        assert_eq!(timeline.place(Some(1010 * MS), 40 * MS), 300 * MS);
        assert_eq!(timeline.place(Some(Duration::MAX), 40 * MS), 310 * MS);
    }
}
