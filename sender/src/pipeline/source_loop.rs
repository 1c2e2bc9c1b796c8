//! Reads a source: when its frames are due, and which ones are sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use framegram_net::clock;

use super::{CapturedFrame, PipelineCounts};
use crate::args::FrameRate;
use crate::queue::{FrameSlot, Put, PutResult};
use crate::source::{Captured, MediaClock, Source};
use crate::stop::Stop;

/// The work of the source thread.
pub(super) struct SourceLoop {
    pub(super) source: Box<dyn Source>,
    pub(super) captured: Arc<FrameSlot<CapturedFrame>>,
    pub(super) counts: Arc<PipelineCounts>,
    pub(super) stop: Stop,
    /// Whether its frames come from a pipe.
    pub(super) is_piped: bool,
    pub(super) rate: Option<FrameRate>,
    pub(super) repeat: bool,
    pub(super) frames: u64,
}

impl SourceLoop {
    /// Reads frames until the source ends or a limit is reached.
    ///
    /// # Errors
    /// The error of the source.
    pub(super) fn run(&mut self) -> Result<()> {
        let mut clock = match self.is_piped {
            true => MediaClock::of_pipe(),
            false => MediaClock::new(),
        };
        let mut dropper = FrameDropper::new(self.rate, self.source.as_ref());
        let mut captured = 0;
        while captured < self.frames && !self.stop.is_stopped() {
            let next = self.source.next();
            self.counts
                .unreadable
                .store(self.source.unreadable(), Ordering::Relaxed);
            let Some(frame) = next? else {
                if self.repeat && captured > 0 && self.source.rewind()? {
                    continue;
                }
                return Ok(());
            };
            let Some(taken) = self.when(&frame, &mut clock) else {
                return Ok(());
            };
            if !dropper.takes(taken) {
                continue;
            }
            let frame = CapturedFrame {
                content: frame.content,
                captured: taken,
            };
            let put = if self.source.is_live() {
                Put::Newest
            } else if self.rate == Some(FrameRate::Max) {
                // Without a pace, it waits only until the frame is taken.
                Put::Waiting
            } else {
                Put::InTurn
            };
            let outcome = self.captured.put(frame, put);
            if outcome == PutResult::Closed {
                return Ok(());
            }
            captured += 1;
            self.counts.captured.store(captured, Ordering::Relaxed);
            if outcome == PutResult::Replaced {
                self.counts.replaced.fetch_add(1, Ordering::Relaxed);
            }
        }
        Ok(())
    }

    /// Waits until the frame is due. Returns its capture time, or `None` if the stream ends first.
    fn when(&self, frame: &Captured, clock: &mut MediaClock) -> Option<Duration> {
        if let (Some(media_time), false) = (frame.media_time, self.rate == Some(FrameRate::Max)) {
            let now = clock::now();
            let wait = clock.due(media_time, now).saturating_sub(now);
            if !wait.is_zero() && self.stop.wait(wait) {
                return None;
            }
        }
        Some(frame.taken.unwrap_or_else(clock::now))
    }
}

/// Drops frames of a live source that exceed the requested rate.
struct FrameDropper {
    interval: Option<Duration>,
    next: Option<Duration>,
}

impl FrameDropper {
    fn new(rate: Option<FrameRate>, source: &dyn Source) -> Self {
        let interval = match rate {
            Some(FrameRate::Fixed(rate)) if source.is_live() => {
                Some(Duration::from_secs_f64(1.0 / rate))
            }
            _ => None,
        };
        Self {
            interval,
            next: None,
        }
    }

    fn takes(&mut self, taken: Duration) -> bool {
        let Some(interval) = self.interval else {
            return true;
        };
        let next = self.next.unwrap_or(taken);
        // A camera's clock jitters: a quarter of an interval early is in time.
        if taken + interval / 4 < next {
            return false;
        }
        self.next = Some(if taken > next + interval { taken } else { next } + interval);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Pattern;

    struct Live;

    impl Source for Live {
        fn next(&mut self) -> Result<Option<Captured>> {
            Ok(None)
        }
        fn is_live(&self) -> bool {
            true
        }
    }

    fn taken_of(rate: f64, source: &dyn Source, camera: f64, seconds: f64) -> usize {
        let mut dropper = FrameDropper::new(Some(FrameRate::Fixed(rate)), source);
        let frames = (camera * seconds) as u32;
        (0..frames)
            .filter(|&frame| {
                // Every other frame is three milliseconds late.
                let late = f64::from(frame % 2) * 0.003;
                dropper.takes(Duration::from_secs_f64(
                    10.0 + f64::from(frame) / camera + late,
                ))
            })
            .count()
    }

    #[test]
    fn drops_only_surplus_frames_of_a_camera() {
        assert_eq!(taken_of(30.0, &Live, 30.0, 10.0), 300);
        assert_eq!(taken_of(30.0, &Live, 15.0, 10.0), 150);
        assert_eq!(taken_of(10.0, &Live, 30.0, 10.0), 100);
        let some = taken_of(25.0, &Live, 30.0, 10.0);
        assert!((245..=255).contains(&some), "{some}");
        let pattern = Pattern::new(16, 16, 30.0).unwrap();
        assert_eq!(taken_of(10.0, &pattern, 30.0, 10.0), 300);
    }
}
