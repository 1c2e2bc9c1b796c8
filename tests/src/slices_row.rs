//! The last row of the repair table: no parity, no requests, only slices.

use anyhow::{Result, ensure};
use bytes::Bytes;
use fastrand::Rng;
use framegram_common::fec::Fec;
use framegram_common::jpeg::JpegHeader;
use framegram_common::stats::Outcome;
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_lab::impair::Impairment;
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Content, Pattern};

use crate::pair::{Scenario, run_through};

/// Picture sizes whose frames have about 140, 30 and 10 chunks.
pub const SIZES: [(usize, usize); 3] = [(1600, 900), (704, 416), (384, 224)];

/// Number of pictures, sent cyclically.
const PICTURES: u64 = 60;

/// Share of lost datagrams.
const LOSS: f64 = 0.05;

/// Results for a size.
#[derive(Clone, Copy, Debug, Default)]
pub struct Slices {
    /// Frames sent.
    pub frames: u64,
    /// Frames of which nothing arrived.
    pub nothing: u64,
    /// Frames shown.
    pub shown: u64,
    /// Share of the picture that was fresh, summed over frames shown.
    pub fresh: f64,
    /// UDP payload from sender to viewer.
    pub bytes: u64,
    /// JPEG bytes.
    pub jpeg: u64,
}

impl Slices {
    /// Frames shown of those of which something arrived, in percent.
    pub fn percent(&self) -> f64 {
        self.shown as f64 * 100.0 / (self.frames - self.nothing).max(1) as f64
    }

    /// Mean share of the picture that was fresh, in percent.
    pub fn percent_fresh(&self) -> f64 {
        self.fresh * 100.0 / self.shown.max(1) as f64
    }

    /// Bytes sent per byte of JPEG.
    pub fn ratio(&self) -> f64 {
        self.bytes as f64 / self.jpeg.max(1) as f64
    }
}

/// Sends `frames` frames of a size for each seed.
///
/// # Errors
/// If the size is invalid.
pub fn measure(
    (width, height): (usize, usize),
    frames: usize,
    seeds: std::ops::Range<u64>,
) -> Result<Slices> {
    let jpegs = jpegs(width, height)?;
    let mut slices = Slices::default();
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let mut scenario = Scenario::default();
        scenario.transmitter.fec = Fec::Off;
        scenario.transmitter.retransmit = false;
        for link in [&mut scenario.forward, &mut scenario.backward] {
            *link = Impairment {
                loss: LOSS,
                seed: rng.u64(..),
                ..Impairment::default()
            };
        }
        let mut fresh = 0.0;
        let (sender, viewer) = run_through(
            &scenario,
            jpegs.iter().cycle().take(frames).cloned(),
            &mut |frame| {
                let units = JpegHeader::parse(&frame.jpeg).map_or(0, |header| header.mcu_count());
                let stale: u32 = frame
                    .stale
                    .iter()
                    .map(ExactSizeIterator::len)
                    .map(|len| len as u32)
                    .sum();
                fresh += 1.0 - f64::from(stale) / f64::from(units.max(1));
            },
            &mut |_, _| {},
        );
        let count = |count: Option<u64>| count.unwrap_or(0);
        slices.frames += count(sender.frames.sent);
        slices.nothing +=
            count(viewer.frames.lost) + count(viewer.outcomes[Outcome::BeforeJoining]);
        slices.shown += count(viewer.frames.shown);
        slices.fresh += fresh;
        slices.bytes += count(sender.bytes.sent);
        slices.jpeg += count(sender.bytes.jpeg);
    }
    Ok(slices)
}

fn jpegs(width: usize, height: usize) -> Result<Vec<Bytes>> {
    let pattern = Pattern::new(width, height, 30.0)?;
    let mut encoder = Encoder::new(Settings {
        slices: Some(DEFAULT_DATAGRAM),
        ..Settings::default()
    })?;
    // During the first frames, the encoder adapts the restart interval.
    let pictures = (0..2 * PICTURES).map(|number| {
        let encoded = encoder.encode(&Content::Image(pattern.picture(number)?))?;
        Ok(encoded.jpeg)
    });
    let jpegs: Vec<_> = pictures.collect::<Result<_>>()?;
    let jpegs = jpegs[PICTURES as usize..].to_vec();
    ensure!(!jpegs.is_empty(), "no pictures");
    Ok(jpegs)
}
