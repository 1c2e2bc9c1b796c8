//! Reads a source: when its frames are due, and which ones are sent.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use framegram_net::clock;

use super::ahead::Early;
use super::bypass::Bypass;
use super::early::EarlyEncoder;
use super::{CapturedFrame, PipelineCounts};
use crate::args::FrameRate;
use crate::encode::Encoded;
use crate::queue::{FrameSlot, Put, PutResult};
use crate::source::{Captured, Content, MediaClock, Source};
use crate::stop::Stop;

/// The work of the source thread.
pub(super) struct SourceLoop {
    pub(super) source: Box<dyn Source>,
    pub(super) captured: Arc<FrameSlot<CapturedFrame>>,
    /// The way of what needs no encoder, unless all frames need one.
    pub(super) bypass: Option<Arc<Bypass>>,
    /// Encodes frames before they are due, if nobody waits for them.
    pub(super) early: Option<EarlyEncoder>,
    pub(super) counts: Arc<PipelineCounts>,
    pub(super) stop: Stop,
    /// Whether its frames come from a pipe.
    pub(super) is_piped: bool,
    pub(super) rate: Option<FrameRate>,
    pub(super) repeat: bool,
    pub(super) frames: u64,
}

impl SourceLoop {
    /// Reads frames until the source ends or a limit is reached, and all of them are due.
    ///
    /// # Errors
    /// The error of the source.
    pub(super) fn run(&mut self) -> Result<()> {
        let ended = self.read();
        if let Some(bypass) = &self.bypass {
            bypass.ahead.wait_until_empty();
        }
        ended
    }

    fn read(&mut self) -> Result<()> {
        let mut clock = match self.is_piped {
            true => MediaClock::of_pipe(),
            false => MediaClock::new(),
        };
        let mut dropper = FrameDropper::new(self.rate, self.source.as_ref());
        let mut captured = 0;
        while captured < self.frames && !self.stop.is_stopped() {
            self.await_early();
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
            let mut passed = None;
            if let Some(bypass) = self.bypass.clone() {
                passed = bypass.passing.pass(&frame.content);
                if let Some(media_time) = self.readable_ahead(&frame) {
                    let now = clock::now();
                    let due = clock.due(media_time, now).max(now);
                    let made = passed.or_else(|| self.encode_early(&bypass, &frame.content, due));
                    if let Some(encoded) = made {
                        let content = frame.content;
                        if !bypass.push(Early {
                            encoded,
                            content,
                            due,
                        }) {
                            return Ok(());
                        }
                        captured += 1;
                        continue;
                    }
                    passed = None;
                }
                bypass.ahead.wait_until_empty();
            }
            let Some(taken) = self.when(&frame, &mut clock) else {
                return Ok(());
            };
            if !dropper.takes(taken) {
                continue;
            }
            if let (Some(bypass), Some(passed)) = (&self.bypass, passed)
                && bypass.pass(passed, taken)
            {
                captured += 1;
                self.counts.record(PutResult::Queued);
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
            self.counts.record(outcome);
        }
        Ok(())
    }

    /// Waits until the frame before is due, if it was encoded early: one is enough, since the length of
    /// the next may have to be another by then.
    fn await_early(&self) {
        if let (Some(bypass), Some(early)) = (&self.bypass, &self.early)
            && early.is_used
        {
            bypass.ahead.wait_until_empty();
        }
    }

    fn encode_early(
        &mut self,
        bypass: &Bypass,
        content: &Content,
        due: Duration,
    ) -> Option<Encoded> {
        let early = self.early.as_mut().filter(|_| bypass.is_wanted())?;
        early.encode(content, due.saturating_sub(clock::now()))
    }

    /// The media time of a frame that may be read before it is due: one of a file. What a pipe holds
    /// decides when its frames are due.
    fn readable_ahead(&self, frame: &Captured) -> Option<Duration> {
        let reads = !self.is_piped && !self.source.is_live() && self.rate != Some(FrameRate::Max);
        frame.media_time.filter(|_| reads)
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
