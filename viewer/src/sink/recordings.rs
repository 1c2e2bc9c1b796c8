//! One recording per tile: the first in the named file, the others next to it in numbered files.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use framegram_cli::console::Console;
use framegram_cli::errors;
use framegram_cli::paths::numbered;
use framegram_cli::threads::Threads;
use framegram_common::receiver::ReceivedFrame;

use super::recording::{Recording, RecordingFormat};
use super::{Flow, Shown, Sink, Status, TICK};
use crate::decoding::DecodingThread;

/// The recordings, one for each tile.
pub struct Recordings {
    tiles: Vec<Recording>,
    path: PathBuf,
    format: RecordingFormat,
    patience: Option<Duration>,
    console: Arc<Console>,
    decoding: DecodingThread,
    threads: Threads,
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
        let owners = (decoding, threads);
        let first = Recording::create(path, format, patience, console, owners)?;
        Ok(Self {
            tiles: vec![first],
            path: path.to_owned(),
            format,
            patience,
            console: Arc::clone(console),
            decoding: decoding.clone(),
            threads: threads.clone(),
        })
    }
}

impl Sink for Recordings {
    fn show(&mut self, frame: &ReceivedFrame, status: &Status) -> anyhow::Result<Shown> {
        while self.tiles.len() <= frame.tile {
            let path = numbered(&self.path, self.tiles.len());
            let (console, owners) = (&self.console, (&self.decoding, &self.threads));
            let next = Recording::create(&path, self.format, self.patience, console, owners)?;
            self.tiles.push(next);
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

    fn patience(&self) -> Duration {
        TICK
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        let finished: Vec<_> = self.tiles.iter_mut().map(Sink::finish).collect();
        errors::all_of(finished)
    }
}
