//! The senders' pictures: the newest of each to where it is seen, and all of them
//! in one.

use std::time::Duration;

use framegram_common::receiver::SinkOutcome;
use framegram_media::{Reduction, XrgbImage};
use framegram_net::clock;

use super::Grid;
use super::decoding::{self, Job};
use crate::sink::Flow;
use crate::sink::snapshot::Snapshot;
use crate::sink::wall::{self, Tile, Wall};

impl Grid {
    /// Shows what was decoded meanwhile, the newest frame of each sender.
    pub(super) fn show(&mut self, now: Duration, most: Option<u64>) -> anyhow::Result<Flow> {
        while let Some(done) = self.decoding.poll() {
            let place = done.place;
            let sender = &mut self.senders[place];
            sender.decoded = None;
            if done.took >= SLOW {
                sender.slow_until = now + SLOW_FOR;
            }
            let outcome = match (done.outcome, &mut self.wall) {
                (Err(_), _) => SinkOutcome::Undecodable,
                (Ok(()), wall) => {
                    if let Some(wall) = wall {
                        wall.put(place, done.picture);
                    }
                    sender.last = Some(done.jpeg);
                    self.shown += 1;
                    self.first.get_or_insert(now);
                    SinkOutcome::Shown { at: clock::now() }
                }
            };
            self.gallery.handle_outcome(place, done.id, outcome);
            self.decode(place, now);
            if most.is_some_and(|most| self.shown >= most) {
                return Ok(Flow::Quit);
            }
        }
        let Some(mut wall) = self.wall.take() else {
            return Ok(Flow::Continue);
        };
        let flow = wall.tend(&self.tiles(now), &self.live, now);
        self.wall = Some(wall);
        flow
    }

    /// Hands the frame that waits to the decoders, unless they have one of this
    /// sender.
    pub(super) fn decode(&mut self, place: usize, now: Duration) {
        let sender = &mut self.senders[place];
        if sender.decoded.is_some() {
            return;
        }
        let Some(frame) = sender.waiting.take() else {
            return;
        };
        sender.decoded = Some(frame.id);
        let is_slow = now < sender.slow_until || decoding::looks_slow(&frame.jpeg);
        let job = Job {
            place,
            frame,
            before: sender.last.clone(),
            area: self.wall.as_mut().map(|wall| wall.area(place)),
            picture: XrgbImage::default(),
        };
        self.decoding.put(job, is_slow);
    }

    fn tiles(&self, now: Duration) -> Vec<Tile<'_>> {
        let senders = self.senders.iter().enumerate();
        senders
            .map(|(place, sender)| Tile {
                live: &sender.live,
                ended: sender.ended,
                silence: now.saturating_sub(self.gallery.heard(place).unwrap_or(now)),
            })
            .collect()
    }

    /// Writes the picture of all tiles.
    pub(super) fn write_snapshot(&mut self, snapshot: Option<Snapshot>) -> anyhow::Result<()> {
        let Some(snapshot) = snapshot else {
            return Ok(());
        };
        let now = clock::now();
        let mut pictures = Vec::new();
        for sender in &self.senders {
            let mut picture = XrgbImage::default();
            // What would hold up the end is left out.
            let in_time = clock::now().saturating_sub(now) < SNAPSHOT;
            let last = sender.last.as_ref().filter(|_| in_time);
            let seen = last.map(|jpeg| self.decoder.decode(jpeg, Reduction::None, &mut picture));
            pictures.push(matches!(seen, Some(Ok(()))).then_some(picture));
        }
        if pictures.iter().all(Option::is_none) {
            self.console
                .say("No frame was shown, so there is no snapshot.");
            return Ok(());
        }
        let size = self.wall.as_ref().map_or(wall::SIZE, Wall::size);
        let picture = wall::compose(&pictures, &self.tiles(now), size);
        let path = snapshot.write_picture(&picture)?;
        self.console
            .say(&format!("Snapshot of the grid: {}", path.display()));
        Ok(())
    }
}

/// A frame that takes longer to decode is a slow one: at 20 a second a sender has
/// a decoder to itself.
const SLOW: Duration = Duration::from_millis(50);

/// So long after a slow frame the next ones of that sender are taken for slow.
const SLOW_FOR: Duration = Duration::from_secs(10);

/// How long pictures are decoded for the snapshot at the end.
const SNAPSHOT: Duration = Duration::from_secs(2);
