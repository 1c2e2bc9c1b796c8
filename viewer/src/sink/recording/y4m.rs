//! Records Y4M, whose header fixes one size, one subsampling and one rate for all frames.

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::receiver::ReceivedFrame;
use framegram_media::y4m::{MAX_RATE, Y4mHeader};
use framegram_media::{Planes, Scaler, Undecodable};

use super::{Failure, Out};
use crate::decoding::DecodingThread;

/// Writes pictures as Y4M, without a conversion to RGB.
pub(super) struct Y4mRecorder {
    decoding: DecodingThread,
    /// The image decoded last.
    planes: Planes,
    /// Frames that wait until the rate is known.
    first: Vec<ReceivedFrame>,
    /// The header that was written.
    promised: Option<Y4mHeader>,
    /// Converts frames to the header's size and sampling.
    scaler: Scaler,
    /// Frames that were converted.
    converted: u64,
}

impl Y4mRecorder {
    pub(super) fn new(decoding: DecodingThread) -> Self {
        Self {
            decoding,
            planes: Planes::default(),
            first: Vec::new(),
            promised: None,
            scaler: Scaler::default(),
            converted: 0,
        }
    }

    /// Writes the frame, or keeps it with the first few.
    pub(super) fn write(&mut self, frame: &ReceivedFrame, out: &mut Out) -> Result<(), Failure> {
        if self.promised.is_some() {
            return self.write_picture(frame, out);
        }
        self.decode(&frame.jpeg)?;
        self.first.push(frame.clone());
        if self.first.len() < START_FRAMES {
            return Ok(());
        }
        self.start(out)
    }

    /// Writes the frames that still wait.
    pub(super) fn finish(&mut self, out: &mut Out) -> Result<(), Failure> {
        if self.first.is_empty() {
            return Ok(());
        }
        self.start(out)
    }

    /// How many frames were converted to the header's size and sampling.
    pub(super) fn converted(&self) -> u64 {
        self.converted
    }

    fn decode(&mut self, jpeg: &Bytes) -> Result<(), Undecodable> {
        self.decoding.decode_planes(jpeg, &mut self.planes)
    }

    fn start(&mut self, out: &mut Out) -> Result<(), Failure> {
        let rate = Some(rate(&self.first));
        for frame in std::mem::take(&mut self.first) {
            if self.promised.is_none() {
                self.decode(&frame.jpeg)?;
                let header = header(&self.planes, rate);
                write!(out, "{header}")?;
                self.promised = Some(header);
            }
            match self.write_picture(&frame, out) {
                Err(Failure::Undecodable) => {}
                other => other?,
            }
        }
        Ok(())
    }

    fn write_picture(&mut self, frame: &ReceivedFrame, out: &mut Out) -> Result<(), Failure> {
        self.decode(&frame.jpeg)?;
        let like = |header: &Y4mHeader| *header == self::header(&self.planes, header.rate);
        if let Some(header) = self.promised.filter(|header| !like(header)) {
            let (size, subsampling) = ((header.width, header.height), header.subsampling);
            let fitted = self.scaler.fit(&mut self.planes, size, subsampling);
            fitted.map_err(|_| Failure::Undecodable)?;
            self.converted += 1;
        }
        Ok(out.write_picture(&mut self.planes)?)
    }
}

fn header(planes: &Planes, rate: Option<(u32, u32)>) -> Y4mHeader {
    Y4mHeader {
        width: planes.width,
        height: planes.height,
        rate,
        subsampling: planes.subsampling,
        chroma_rows: 1,
        bits: 8,
        has_alpha: false,
        aspect: (1, 1),
        full_range: true,
    }
}

/// The capture rate as a fraction: the usual rate closest to the median interval, or the measured
/// rate.
fn rate(frames: &[ReceivedFrame]) -> (u32, u32) {
    let mut intervals: Vec<Duration> = frames
        .windows(2)
        .map(|pair| pair[1].captured.saturating_sub(pair[0].captured))
        .filter(|interval| !interval.is_zero())
        .collect();
    intervals.sort_unstable();
    let Some(median) = intervals.get(intervals.len() / 2) else {
        return DEFAULT_RATE;
    };
    let fps = 1.0 / median.as_secs_f64();
    if fps > MAX_RATE {
        // They were captured all at once.
        return DEFAULT_RATE;
    }
    let off = |(number, part): &(u32, u32)| {
        let usual = f64::from(*number) / f64::from(*part);
        ((fps - usual) / usual).abs()
    };
    USUAL_RATES
        .iter()
        .min_by(|a, b| off(a).total_cmp(&off(b)))
        .filter(|usual| off(usual) < TOLERANCE)
        .copied()
        .unwrap_or_else(|| {
            let micros = u32::try_from(median.as_micros()).unwrap_or(u32::MAX);
            (1_000_000, micros.max(1))
        })
}

/// The rate if the capture times say none.
const DEFAULT_RATE: (u32, u32) = (25, 1);

/// Number of frames that determine the rate. The reader of a pipe waits for them once.
const START_FRAMES: usize = 4;

/// The relative difference of a measured rate from a usual one that clock error and jitter explain.
const TOLERANCE: f64 = 0.03;

const USUAL_RATES: [(u32, u32); 15] = [
    (5, 1),
    (10, 1),
    (12, 1),
    (15, 1),
    (20, 1),
    (24_000, 1001),
    (24, 1),
    (25, 1),
    (30_000, 1001),
    (30, 1),
    (48, 1),
    (50, 1),
    (60_000, 1001),
    (60, 1),
    (120, 1),
];

#[cfg(test)]
mod tests {
    use framegram_common::SenderTime;

    use super::*;
    use crate::fixture::frame;

    fn rate_of(micros: &[u64]) -> (u32, u32) {
        let frames: Vec<ReceivedFrame> = micros
            .iter()
            .map(|&micros| ReceivedFrame {
                captured: SenderTime::from_micros(micros),
                ..frame(0, b"")
            })
            .collect();
        rate(&frames)
    }

    #[test]
    fn usual_rates_are_distinguished() {
        assert_eq!(rate_of(&[0, 33_333, 66_667, 100_000]), (30, 1));
        assert_eq!(rate_of(&[0, 33_366, 66_733, 100_100]), (30_000, 1001));
        assert_eq!(rate_of(&[0, 40_000, 80_000, 120_000]), (25, 1));
        assert_eq!(rate_of(&[0, 39_000, 79_200, 160_200]), (25, 1));
    }

    #[test]
    fn states_an_unusual_rate_as_measured() {
        assert_eq!(rate_of(&[0, 700_000, 1_400_000]), (1_000_000, 700_000));
        assert_eq!(rate_of(&[5, 5, 5]), (25, 1));
        // No player believes 4,800 frames per second.
        assert_eq!(rate_of(&[0, 208, 416, 624]), (25, 1));
        assert_eq!(rate_of(&[]), (25, 1));
    }
}
