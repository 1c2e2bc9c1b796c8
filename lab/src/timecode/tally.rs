//! Derives figures from a series of timecodes.

use std::collections::BTreeSet;
use std::time::Duration;

use framegram_cli::numbers::count;
use framegram_common::stats::{DelayHistogram, TimecodeCounts};

use super::Timecode;

/// Counts images by their timecodes.
#[derive(Debug, Default)]
pub struct TimecodeTally {
    figures: TimecodeCounts,
    clock: Option<u16>,
    last: Option<Timecode>,
    /// Number of consecutive images with the last frame.
    row: u64,
    /// The newest frame of the run, and earlier ones not seen.
    newest: u32,
    missing: BTreeSet<u32>,
    delays: DelayHistogram,
}

impl TimecodeTally {
    /// Measures delays of timecodes with this clock; with `None`, of no timecode.
    pub fn new(clock: Option<u16>) -> Self {
        Self {
            clock,
            ..Self::default()
        }
    }

    /// Counts an image seen at `now`, with the timecode read from it.
    pub fn record(&mut self, timecode: Option<Timecode>, now: Duration) {
        self.figures.images += 1;
        let Some(timecode) = timecode else {
            self.figures.unread += 1;
            return;
        };
        let before = self.last.replace(timecode);
        match before {
            Some(before) if before.run == timecode.run && before.clock == timecode.clock => {
                if before.number == timecode.number {
                    self.figures.repeated += 1;
                    self.row += 1;
                    self.figures.longest = self.figures.longest.max(self.row);
                    return;
                }
                self.follow(timecode, now);
            }
            _ => {
                self.figures.runs += 1;
                self.newest = timecode.number;
                self.missing.clear();
                self.see(timecode, now);
            }
        }
        self.row = 1;
        self.figures.longest = self.figures.longest.max(self.row);
    }

    /// The figures so far.
    pub fn figures(&self) -> TimecodeCounts {
        TimecodeCounts {
            delay_ms: self.delays.percentiles(),
            ..self.figures.clone()
        }
    }

    /// Number of the last frame seen.
    pub fn last(&self) -> Option<u32> {
        self.last.map(|timecode| timecode.number)
    }

    fn follow(&mut self, timecode: Timecode, now: Duration) {
        let is_after = |number: u32, other: u32| (number.wrapping_sub(other) as i32) > 0;
        if is_after(timecode.number, self.newest) {
            let skipped = timecode.number.wrapping_sub(self.newest) - 1;
            self.figures.lost += u64::from(skipped);
            let remembered = skipped.min(MOST_MISSING as u32);
            for back in 1..=remembered {
                self.missing.insert(timecode.number.wrapping_sub(back));
            }
            while self.missing.len() > MOST_MISSING {
                self.missing.pop_first();
            }
            self.newest = timecode.number;
            self.see(timecode, now);
        } else if self.missing.remove(&timecode.number) {
            self.figures.lost -= 1;
            self.figures.overtaken += 1;
            self.see(timecode, now);
        } else {
            self.figures.backward += 1;
        }
    }

    fn see(&mut self, timecode: Timecode, now: Duration) {
        self.figures.shown += 1;
        if self.clock == Some(timecode.clock)
            && let Some(age) = timecode.age(now)
        {
            self.delays.record(age);
        }
    }
}

/// The figures in one line.
pub fn summary(counts: &TimecodeCounts) -> String {
    let mut parts = vec![
        format!("{} frames seen", count(counts.shown)),
        format!("{} lost", count(counts.lost)),
        format!("{} repeated", count(counts.repeated)),
    ];
    let more = [
        (counts.backward, "out of order"),
        (counts.overtaken, "seen after a newer one"),
        (counts.unread, "without a timecode"),
    ];
    let more = more.into_iter().filter(|(number, _)| *number > 0);
    parts.extend(more.map(|(number, what)| format!("{} {what}", count(number))));
    if counts.runs > 1 {
        parts.push(format!("{} runs of the sender", count(counts.runs)));
    }
    if counts.longest > 1 {
        let longest = count(counts.longest);
        parts.push(format!("one frame up to {longest} images in a row"));
    }
    if let Some(delay) = &counts.delay_ms {
        parts.push(format!(
            "seen {:.1} ms after capture (p95 {:.1}, p99 {:.1}, max {:.1})",
            delay.p50, delay.p95, delay.p99, delay.max
        ));
    }
    parts.join(", ")
}

/// Upper bound on missing frames that are remembered, in case they are seen
/// later.
const MOST_MISSING: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn timecode(number: u32, micros: u64) -> Timecode {
        Timecode {
            number,
            micros,
            clock: 7,
            run: 1,
        }
    }

    fn tally(numbers: &[u32]) -> TimecodeCounts {
        let mut tally = TimecodeTally::new(None);
        for &number in numbers {
            tally.record(Some(timecode(number, 0)), Duration::ZERO);
        }
        tally.figures()
    }

    #[test]
    fn counts_what_is_repeated_skipped_and_behind() {
        let figures = tally(&[5, 5, 6, 9, 9, 9, 8, 9, 12, 12]);
        assert_eq!(figures.images, 10);
        assert_eq!(figures.shown, 5);
        // 7, 10 and 11; 8 was seen later.
        assert_eq!(figures.lost, 3);
        assert_eq!(figures.repeated, 4);
        // The 9 after the 8; the 8 was overtaken.
        assert_eq!((figures.backward, figures.overtaken), (1, 1));
        assert_eq!(figures.longest, 3);
        assert_eq!(figures.delay_ms, None);
    }

    #[test]
    fn every_picture_is_in_one_class() {
        let again = (0..=20).chain(5..=7).chain(21..=30);
        let figures = tally(&again.collect::<Vec<_>>());
        assert_eq!((figures.images, figures.shown), (34, 31));
        assert_eq!((figures.backward, figures.overtaken), (3, 0));
        let mut rng = fastrand::Rng::with_seed(5);
        for _ in 0..200 {
            let mut tally = TimecodeTally::new(None);
            for _ in 0..40 {
                let run = rng.u8(..10) / 9;
                let some = Timecode {
                    run,
                    ..timecode(rng.u32(..12), 0)
                };
                tally.record(Some(some).filter(|_| rng.u8(..6) > 0), Duration::ZERO);
            }
            let figures = tally.figures();
            let classes = figures.shown + figures.repeated + figures.backward + figures.unread;
            assert_eq!(figures.images, classes, "{figures:?}");
        }
    }

    #[test]
    fn continues_where_numbers_restart() {
        let figures = tally(&[u32::MAX - 1, u32::MAX, 1, 2]);
        assert_eq!((figures.shown, figures.lost, figures.backward), (4, 1, 0));
    }

    #[test]
    fn another_run_of_the_sender_does_not_count_as_loss() {
        let mut tally = TimecodeTally::new(None);
        tally.record(Some(timecode(900, 0)), Duration::ZERO);
        tally.record(None, Duration::ZERO);
        tally.record(
            Some(Timecode {
                run: 2,
                ..timecode(0, 0)
            }),
            Duration::ZERO,
        );
        let figures = tally.figures();
        assert_eq!((figures.shown, figures.lost, figures.runs), (2, 0, 2));
        assert_eq!((figures.images, figures.unread), (3, 1));
    }

    #[test]
    fn delays_are_of_the_first_sight_of_a_frame_on_one_clock() {
        let millis = Duration::from_millis;
        let mut ours = TimecodeTally::new(Some(7));
        let mut theirs = TimecodeTally::new(Some(8));
        for tally in [&mut ours, &mut theirs] {
            tally.record(Some(timecode(0, 1_000_000)), millis(1_020));
            tally.record(Some(timecode(0, 1_000_000)), millis(1_090));
            tally.record(Some(timecode(1, 1_040_000)), millis(1_060));
            // A capture time in the future means another clock.
            tally.record(Some(timecode(2, 9_000_000)), millis(1_100));
        }
        let delay = ours.figures().delay_ms.expect("one clock");
        assert!((delay.max - 20.0).abs() < 0.1, "{delay:?}");
        assert_eq!(theirs.figures().delay_ms, None);
    }

    #[test]
    fn remembers_no_more_than_it_says() {
        let mut tally = TimecodeTally::new(None);
        for number in [0, 1 << 30, (1 << 30) + 9000] {
            tally.record(Some(timecode(number, 0)), Duration::ZERO);
        }
        assert_eq!(tally.missing.len(), MOST_MISSING);
        assert_eq!(tally.figures().lost, (1 << 30) - 1 + 8999);
    }
}
