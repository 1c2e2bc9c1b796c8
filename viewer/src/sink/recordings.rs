//! One recording per tile: the first in the named file, the others next to it in numbered files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use framegram_cli::console::Console;
use framegram_cli::errors;
use framegram_cli::paths::numbered;
use framegram_cli::threads::Threads;
use framegram_common::receiver::ReceivedFrame;

use super::recording::{Recording, RecordingFormat};
use super::{Flow, Shown, Sink, Status};
use crate::decoding::DecodingThread;

/// The recordings, one for each tile.
pub struct Recordings {
    tiles: Vec<Recording>,
    /// Claims the file of a tile.
    create: Box<dyn Fn(usize) -> anyhow::Result<Recording> + Send>,
}

impl Recordings {
    /// Claims the file of the first tile, like [`Recording::create`].
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create(
        path: &Path,
        format: RecordingFormat,
        patience: Option<Duration>,
        console: &Arc<Console>,
        (decoding, threads): (&DecodingThread, &Threads),
    ) -> anyhow::Result<Self> {
        let (path, console) = (path.to_owned(), Arc::clone(console));
        let (decoding, threads) = (decoding.clone(), threads.clone());
        let create = Box::new(move |tile| {
            let path = numbered(&path, tile);
            Recording::create(&path, format, patience, &console, (&decoding, &threads))
        });
        Ok(Self {
            tiles: vec![create(0)?],
            create,
        })
    }

    /// Whether the first tile is written to a pipe or a device, which is open already.
    pub fn are_piped(&self) -> bool {
        self.tiles.first().is_some_and(Recording::is_piped)
    }
}

impl Sink for Recordings {
    fn show(&mut self, frame: &ReceivedFrame, status: &Status) -> anyhow::Result<Shown> {
        while self.tiles.len() <= frame.tile {
            self.tiles.push((self.create)(self.tiles.len())?);
        }
        self.tiles[frame.tile].show(frame, status)
    }

    fn tend(&mut self, status: &Status) -> anyhow::Result<Flow> {
        for recording in &mut self.tiles {
            if recording.tend(status)? == Flow::Quit {
                return Ok(Flow::Quit);
            }
        }
        Ok(Flow::Continue)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let finished: Vec<_> = self.tiles.iter_mut().map(Sink::finish).collect();
        errors::all_of(finished)
    }
}
