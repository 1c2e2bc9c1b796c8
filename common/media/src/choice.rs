//! Chooses whether one thread or two work on a frame, by what each took of late. Pure: durations
//! in, a choice out.

use std::time::Duration;

use log::{Level, log};

/// Smaller images have one thread: handing over half of them takes as long as it saves.
pub(crate) const LEAST_PIXELS: usize = 500_000;

/// Frames of each kind whose median is compared.
const RECENT: usize = 5;

/// After this many frames with the better choice, one is tried with the other one. The first
/// durations are often those of a backlog or of a cold start, so that the first tries come soon; each
/// that confirms the choice doubles the time to the next.
const TRY_SOON: u32 = 3;
const TRY_EVERY: u32 = 30;

/// Two threads are chosen if they take at most this share of the time of one, in percent: they cost
/// some processor time.
const WORTH: u32 = 85;

/// Frames with one thread after two could not do it.
const REST: u32 = 150;

/// The choice for the frames of one stream.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// What is done, for the log.
    what: &'static str,
    /// The size that the durations are of.
    size: (usize, usize),
    one: Recent,
    two: Recent,
    /// Whether two threads are better, once that is known.
    chosen: Option<bool>,
    /// Frames since the other choice was tried, and after how many it is tried again.
    frames: u32,
    try_after: u32,
    /// Frames for which two threads are not tried.
    rest: u32,
}

impl Choice {
    pub(crate) fn new(what: &'static str) -> Self {
        Self {
            what,
            try_after: TRY_SOON,
            ..Self::default()
        }
    }

    /// Whether two threads are to work on the next frame.
    pub(crate) fn next(&mut self, size: (usize, usize)) -> bool {
        if size.0 * size.1 < LEAST_PIXELS {
            return false;
        }
        if self.size != size {
            *self = Self {
                size,
                ..Self::new(self.what)
            };
        }
        if self.rest > 0 {
            self.rest -= 1;
            return false;
        }
        let Some(chosen) = self.chosen else {
            return self.two.count < self.one.count;
        };
        self.frames += 1;
        if self.frames > self.try_after {
            self.frames = 0;
            return !chosen;
        }
        chosen
    }

    /// Records how long a frame took with one thread or with `two`.
    pub(crate) fn record(&mut self, two: bool, took: Duration) {
        if two {
            self.two.record(took);
        } else {
            self.one.record(took);
        }
        let (Some(one), Some(both)) = (self.one.median(), self.two.median()) else {
            return;
        };
        let is_worth = |both: Duration, one: Duration| both * 100 <= one * WORTH;
        if let Some(chosen) = self.chosen.filter(|chosen| *chosen != two) {
            // The other choice was tried.
            let shows = if two {
                is_worth(took, one)
            } else {
                is_worth(both, took)
            };
            self.try_after = if shows == chosen {
                (self.try_after * 2).min(TRY_EVERY)
            } else {
                TRY_SOON
            };
        }
        let chosen = is_worth(both, one);
        let level = match self.chosen.replace(chosen) {
            None => Level::Info,
            Some(before) if before != chosen => Level::Debug,
            Some(_) => return,
        };
        let (what, (width, height)) = (self.what, self.size);
        let threads = if chosen { "two threads" } else { "one thread" };
        log!(
            level,
            "{what} {width}x{height} with {threads}: one takes {one:.1?}, two {both:.1?}"
        );
    }

    /// Records that two threads could not do it.
    pub(crate) fn refuse(&mut self) {
        self.rest = REST;
    }
}

/// The newest durations, the newest last, and how many there are.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    durations: [Duration; RECENT],
    count: usize,
}

impl Recent {
    fn record(&mut self, took: Duration) {
        self.durations.rotate_left(1);
        self.durations[RECENT - 1] = took;
        self.count = (self.count + 1).min(RECENT);
    }

    /// `None` until there are enough.
    fn median(&self) -> Option<Duration> {
        let mut sorted = self.durations;
        sorted.sort_unstable();
        (self.count == RECENT).then(|| sorted[RECENT / 2])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (usize, usize) = (1920, 1080);
    const ONE: Duration = Duration::from_micros(4_000);

    /// How many of these frames two threads work on, which take this many microseconds.
    fn by_two(choice: &mut Choice, frames: u32, two: u64) -> u32 {
        (0..frames).fold(0, |count, _| {
            let is_two = choice.next(SIZE);
            let took = Duration::from_micros(two);
            choice.record(is_two, if is_two { took } else { ONE });
            count + u32::from(is_two)
        })
    }

    #[test]
    fn two_threads_work_where_they_are_faster_and_one_is_tried_now_and_then() {
        let mut choice = Choice::new("test");
        assert_eq!(by_two(&mut choice, 10, 2_300), 5);
        // After 3, 6, 12, 24 frames, then every 30.
        assert_eq!(by_two(&mut choice, 49, 2_300), 45);
        assert_eq!(by_two(&mut choice, 310, 2_300), 300);
    }

    #[test]
    fn a_choice_made_during_a_backlog_is_changed_within_thirty_frames() {
        let mut choice = Choice::new("test");
        by_two(&mut choice, 10, 3_900);
        by_two(&mut choice, 30, 2_300);
        assert_eq!(by_two(&mut choice, 3, 2_300), 3);
    }

    #[test]
    fn one_thread_works_while_the_processors_are_busy() {
        let mut choice = Choice::new("test");
        by_two(&mut choice, 59, 3_900);
        assert_eq!(by_two(&mut choice, 310, 3_900), 10);
        // They become idle, which three tries show, and busy.
        assert!(by_two(&mut choice, 310, 2_300) > 240);
        assert_eq!(by_two(&mut choice, 310, 2_300), 300);
        assert!(by_two(&mut choice, 310, 4_100) < 30);
    }

    #[test]
    fn small_images_have_one_thread_and_other_sizes_are_measured_again() {
        let mut choice = Choice::new("test");
        assert!((0..100).all(|_| !choice.next((640, 360))));
        by_two(&mut choice, 10, 2_300);
        assert!(choice.next(SIZE));
        assert!(!choice.next((1280, 720)));
    }

    #[test]
    fn what_two_threads_cannot_do_one_does_for_a_while() {
        let mut choice = Choice::new("test");
        by_two(&mut choice, 10, 2_300);
        assert!(choice.next(SIZE));
        choice.refuse();
        assert_eq!(by_two(&mut choice, REST, 2_300), 0);
        assert!(by_two(&mut choice, 10, 2_300) > 0);
    }
}
