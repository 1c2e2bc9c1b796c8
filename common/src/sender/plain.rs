//! A stream in a format that is not framegram's own.

use std::time::Duration;

use bytes::Bytes;

use super::native::{Latency, Volume};
use super::queue::Queue;
use super::rtp::RtpSender;
use super::{Config, FrameError, Transmit};
use crate::frame::{FrameSizeError, MAX_FRAME_BYTES, Times};
use crate::seq::FrameNumber;
use crate::stats::{self, Outcome, Side, Statistics};
use crate::wire::{Format, MAX_DATAGRAM, MIN_DATAGRAM};

/// One stream.
#[derive(Debug)]
pub(super) struct Plain {
    config: Config,
    stream: u64,
    rtp: Option<RtpSender>,
    queue: Queue,
    counts: Counts,
    latency: Latency,
    quality: Option<u8>,
    /// When the first frame was handed in, and the last.
    frames_at: Option<(Duration, Duration)>,
    finishing: bool,
}

#[derive(Debug, Default)]
struct Counts {
    captured: u64,
    replaced: u64,
    not_sent: u64,
    sent: u64,
    jpeg_bytes: u64,
    send_errors: u64,
    /// Bytes of those that the system refused.
    refused_bytes: u64,
    malformed: u64,
}

impl Plain {
    pub(super) fn new(config: Config, stream: u64, now: Duration) -> Self {
        let mut config = config;
        let datagram = &mut config.datagram;
        *datagram = (*datagram).clamp(MIN_DATAGRAM, MAX_DATAGRAM);
        let rtp = config.format == Format::Rtp;
        Self {
            config,
            stream,
            rtp: rtp.then(|| RtpSender::new(stream, config.wall_offset, now)),
            queue: Queue::new(config.bitrate),
            counts: Counts::default(),
            latency: Latency::default(),
            quality: None,
            frames_at: None,
            finishing: false,
        }
    }

    pub(super) fn handle_frame(
        &mut self,
        jpeg: &Bytes,
        times: Times,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<FrameNumber, FrameError> {
        if self.queue.is_full() {
            self.counts.not_sent += 1;
            return Err(FrameError::Waiting);
        }
        let datagrams = self.datagrams(jpeg, times.captured).inspect_err(|_| {
            self.counts.not_sent += 1;
        })?;
        let number = FrameNumber(self.counts.sent);
        self.latency.note_frame(number.0, times);
        self.counts.sent += 1;
        self.counts.captured = self.counts.captured.max(self.counts.sent);
        self.counts.jpeg_bytes += jpeg.len() as u64;
        self.quality = quality;
        let spread = match self.config.interval {
            Some(interval) if self.config.pace => (interval / 2).min(MAX_SPREAD),
            _ => Duration::ZERO,
        };
        self.queue.push_frame(datagrams, now, spread);
        let first = self.frames_at.map_or(now, |(first, _)| first);
        self.frames_at = Some((first, now));
        Ok(number)
    }

    pub(super) fn handle_captured(&mut self, total: u64) {
        self.counts.captured = self.counts.captured.max(total);
    }

    pub(super) fn handle_replaced(&mut self, frames: u64) {
        self.counts.replaced += frames;
    }

    pub(super) fn handle_not_sent(&mut self, frames: u64) {
        self.counts.not_sent += frames;
    }

    pub(super) fn handle_send_error(&mut self, datagrams: u64, bytes: u64) {
        self.counts.send_errors += datagrams;
        self.counts.refused_bytes += bytes;
    }

    pub(super) fn handle_datagram(&mut self, datagram: &[u8]) {
        let sound = self
            .rtp
            .as_mut()
            .is_some_and(|rtp| rtp.handle_control(datagram));
        self.counts.malformed += u64::from(!sound);
    }

    pub(super) fn set_datagram(&mut self, bytes: usize) {
        self.config.datagram = bytes.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
    }

    pub(super) fn datagram(&self) -> usize {
        self.config.datagram
    }

    pub(super) fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        out.clear();
        let destinations = self.config.destinations;
        if let Some(transmit) = self.queue.poll(now, destinations, out) {
            if let Some(frame) = self.queue.begun().checked_sub(1) {
                self.latency.note_sent(frame, now);
            }
            return Some(transmit);
        }
        if self.finishing && !self.queue.is_empty() {
            return None;
        }
        let first = if self.config.rtcp_mux {
            0
        } else {
            destinations
        };
        let destination = self.rtp.as_mut()?.poll_control(now, destinations, out)?;
        if destination == 0 {
            self.queue.spend(out.len(), now);
        }
        Some(Transmit {
            destination: first + destination,
            segment: out.len(),
        })
    }

    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let control = self.rtp.as_ref().and_then(RtpSender::due);
        self.queue.due().into_iter().chain(control).min()
    }

    pub(super) fn is_held_back(&self, now: Duration) -> bool {
        self.queue.is_held_back(now)
    }

    pub(super) fn volume(&self) -> Volume {
        let (_, bytes) = self.queue.handed_out();
        Volume {
            sent: bytes / self.config.destinations.max(1) as u64,
            jpeg: self.counts.jpeg_bytes,
        }
    }

    pub(super) fn finish(&mut self, now: Duration) {
        if !self.finishing {
            self.finishing = true;
            self.queue.hurry(now);
            if let Some(rtp) = &mut self.rtp {
                rtp.finish(now);
            }
        }
    }

    pub(super) fn is_finished(&self) -> bool {
        let farewell_said = self.rtp.as_ref().is_none_or(|rtp| rtp.due().is_none());
        self.finishing && self.queue.is_empty() && farewell_said
    }

    pub(super) fn statistics(&self, now: Duration) -> Statistics {
        let counts = &self.counts;
        let (first, last) = self.frames_at.unwrap_or((now, now));
        let duration = last.saturating_sub(first).as_secs_f64();
        let rate = |amount: f64| (duration > 0.0).then(|| amount / duration);
        let (datagrams, bytes) = self.queue.handed_out();
        let bytes = bytes.saturating_sub(counts.refused_bytes);
        let mut statistics = Statistics {
            stream: stats::Stream {
                side: Side::Sender,
                wire: Some(self.config.format.name()),
                quality: self.quality,
                ended: self.finishing,
                ..stats::Stream::default()
            },
            duration_s: duration,
            fps: stats::fps(counts.sent, duration),
            bitrate_bps: rate(bytes as f64 * 8.0),
            ..Statistics::default()
        };
        statistics.frames.captured = Some(counts.captured);
        statistics.outcomes[Outcome::Replaced] = Some(counts.replaced);
        statistics.frames.not_sent = Some(counts.not_sent);
        statistics.frames.sent = Some(counts.sent);
        self.latency.fill(&mut statistics.delays_ms);
        statistics.packets.sent = Some(datagrams.saturating_sub(counts.send_errors));
        statistics.packets.send_errors = Some(counts.send_errors);
        statistics.packets.malformed = Some(counts.malformed);
        statistics.bytes.sent = Some(bytes);
        statistics.bytes.jpeg = Some(counts.jpeg_bytes);
        match &self.rtp {
            Some(rtp) => rtp.fill(&mut statistics),
            None => statistics.stream.number = Some(format!("{:016x}", self.stream)),
        }
        statistics
    }

    fn datagrams(&mut self, jpeg: &Bytes, captured: Duration) -> Result<Vec<Vec<u8>>, FrameError> {
        if jpeg.is_empty() || jpeg.len() > MAX_FRAME_BYTES {
            return Err(FrameSizeError(jpeg.len()).into());
        }
        let datagram = self.datagram();
        match &mut self.rtp {
            Some(rtp) => Ok(rtp.datagrams(jpeg, captured, datagram)?),
            None if jpeg.len() <= datagram => Ok(vec![jpeg.to_vec()]),
            None => Err(FrameError::Datagram {
                got: jpeg.len(),
                datagram,
            }),
        }
    }
}

/// The longest that the datagrams of a frame are spread over: what a person
/// does not notice as delay.
const MAX_SPREAD: Duration = Duration::from_millis(15);
