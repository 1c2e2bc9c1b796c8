//! Rows of the repair table with the real programs: sender and viewer as
//! processes, with a relay between them that impairs both directions as the row
//! says.

use std::io::Write;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use fastrand::Rng;
use framegram_common::chunk::chunk_capacity;
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Content, Pattern};

use crate::odd_jpeg::in_recording;
use crate::program::{Ended, SENDER, Start, VIEWER, address};
use crate::relay::Relay;
use crate::repair_table::Row;

/// Frames per second.
const RATE: usize = 30;

/// The JPEGs to send, all different.
#[derive(Clone, Debug)]
pub struct Footage {
    jpegs: Vec<Bytes>,
}

/// Results of a row.
#[derive(Clone, Debug)]
pub struct Played {
    /// Frames sent after the warm-up.
    pub frames: usize,
    /// Numbers of those that were not shown byte for byte.
    pub missed: Vec<usize>,
    /// UDP payload from sender to viewer per byte of JPEG, over all frames.
    pub ratio: f64,
}

impl Footage {
    /// This many frames of the test pattern, encoded with slices as the sender
    /// does.
    ///
    /// # Errors
    /// If the size is invalid.
    pub fn new(width: usize, height: usize, frames: usize) -> Result<Self> {
        let pattern = Pattern::new(width, height, RATE as f64)?;
        let mut encoder = Encoder::new(Settings {
            slices: Some(DEFAULT_DATAGRAM),
            ..Settings::default()
        })?;
        let jpegs = (0..frames as u64).map(|number| {
            let content = Content::Image(pattern.picture(number)?);
            Ok(encoder.encode(&content)?.jpeg)
        });
        let jpegs = jpegs.collect::<Result<_>>()?;
        Ok(Self { jpegs })
    }

    /// Smallest and largest number of chunks of a frame.
    pub fn chunks(&self) -> (usize, usize) {
        let chunks = |jpeg: &Bytes| jpeg.len().div_ceil(chunk_capacity(DEFAULT_DATAGRAM));
        let fewest = self.jpegs.iter().map(chunks).min();
        let most = self.jpegs.iter().map(chunks).max();
        (fewest.unwrap_or(0), most.unwrap_or(0))
    }

    /// Plays all frames over the path of a row. `viewing` are arguments of the
    /// viewer. Frames of the first `warm_up` do not count.
    ///
    /// # Errors
    /// If the viewer shows something that was not sent, or shows it out of order.
    pub fn play(&self, row: &Row, seed: u64, warm_up: Duration, viewing: &str) -> Result<Played> {
        let (near, far) = (address(), address());
        let (forward, backward) = row.path(self.chunks().1, &mut Rng::with_seed(seed));
        let _relay = Relay::new(near, far, forward, backward);
        let viewing = format!("--strict {viewing}");
        let (sender, viewer) = self.run(near, far, "", &viewing)?;
        let intact = self.intact(&viewer.output)?;
        let skipped = warm_up.as_millis() as usize * RATE / 1000;
        let frames = intact
            .len()
            .checked_sub(skipped)
            .context("too few frames")?;
        Ok(Played {
            frames,
            missed: (skipped..intact.len()).filter(|at| !intact[*at]).collect(),
            ratio: sender.count("bytes.sent") as f64 / sender.count("bytes.jpeg") as f64,
        })
    }

    /// Plays all frames over a path with this loss and without repair. Returns
    /// the ended viewer.
    ///
    /// # Errors
    /// If the sender fails.
    pub fn play_unrepaired(&self, loss: f64) -> Result<Ended> {
        let (near, far) = (address(), address());
        let _relay = Relay::lossy(near, far, loss);
        let (_, viewer) = self.run(near, far, "--fec off --no-retransmit", "")?;
        Ok(viewer)
    }

    fn run(
        &self,
        near: SocketAddr,
        far: SocketAddr,
        sending: &str,
        viewing: &str,
    ) -> Result<(Ended, Ended)> {
        let arguments = format!("{far} --headless --once --output - --output-format mjpeg");
        let mut viewer = Start::new(VIEWER, &format!("{arguments} {viewing}")).run();
        viewer.wait_for("Waiting for a stream");
        let mut sender = Start::new(
            SENDER,
            &format!("- {near} --fps {RATE} --packet-size 1452 {sending}"),
        )
        .piped()
        .run();
        let mut input = sender.input().context("no pipe to the sender")?;
        let jpegs = self.jpegs.clone();
        let feeder = thread::spawn(move || jpegs.iter().try_for_each(|jpeg| input.write_all(jpeg)));
        let sender = sender.end().well();
        let fed = feeder.join();
        ensure!(matches!(fed, Ok(Ok(()))), "the sender did not take it all");
        Ok((sender, viewer.end().well()))
    }

    /// For each frame, whether it is in the recording byte for byte.
    fn intact(&self, recording: &[u8]) -> Result<Vec<bool>> {
        let mut shown = in_recording(recording).into_iter().peekable();
        let jpegs = self.jpegs.iter();
        let found = jpegs.map(|jpeg| shown.next_if(|shown| shown == jpeg).is_some());
        let found = found.collect();
        ensure!(shown.next().is_none(), "shown, but not what was sent");
        Ok(found)
    }
}
