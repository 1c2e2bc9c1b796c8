//! The senders' pictures: the newest of each to where it is seen, and all of them
//! in one.

use std::time::Duration;

use bytes::Bytes;
use framegram_common::receiver::{Outcome, ReceivedFrame};
use framegram_common::{os, slices};

use super::Grid;
use crate::decode::{Picture, Reduction};
use crate::sink::Flow;
use crate::sink::snapshot::Snapshot;
use crate::sink::wall::{self, Tile, Wall};

impl Grid {
    /// Shows the newest frame of each sender.
    pub(super) fn show(&mut self, now: Duration, most: Option<u64>) -> anyhow::Result<Flow> {
        let enough = |shown: u64| most.is_some_and(|most| shown >= most);
        for place in 0..self.senders.len() {
            let sender = &mut self.senders[place];
            let Some(frame) = sender.waiting.take() else {
                continue;
            };
            let jpeg = filled(&frame, sender.last.as_ref());
            let seen = match &mut self.wall {
                Some(wall) => wall.take(place, &jpeg),
                None => self
                    .decoder
                    .decode(&jpeg, Reduction::Eighth, &mut self.spare),
            };
            let outcome = if seen.is_ok() {
                sender.last = Some(jpeg);
                self.shown += 1;
                self.first.get_or_insert(now);
                Outcome::Shown { at: os::now() }
            } else {
                Outcome::Undecodable
            };
            self.gallery.handle_fate(place, frame.id, outcome);
            if enough(self.shown) {
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
        let now = os::now();
        let mut pictures = Vec::new();
        for sender in &self.senders {
            let mut picture = Picture::default();
            let last = sender.last.as_ref();
            let seen = last.map(|jpeg| self.decoder.decode(jpeg, Reduction::None, &mut picture));
            pictures.push(matches!(seen, Some(Ok(()))).then_some(picture));
        }
        if pictures.iter().all(Option::is_none) {
            self.console
                .notice("No frame was shown, so there is no snapshot.");
            return Ok(());
        }
        let size = self.wall.as_ref().map_or(wall::SIZE, Wall::size);
        let picture = wall::compose(&pictures, &self.tiles(now), size);
        let path = snapshot.write_picture(&picture)?;
        self.console
            .notice(&format!("Snapshot of the grid: {}", path.display()));
        Ok(())
    }
}

/// The JPEG of a frame, its holes filled from the one before.
fn filled(frame: &ReceivedFrame, before: Option<&Bytes>) -> Bytes {
    let filled = before
        .filter(|_| !frame.stale.is_empty())
        .and_then(|before| slices::fill(&frame.jpeg, &frame.stale, before));
    filled.map_or_else(|| frame.jpeg.clone(), Bytes::from)
}
