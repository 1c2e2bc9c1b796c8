//! Accepts frames: decides which destinations get them, and how their packets are paced.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::destination::DestinationState;
use super::feedback::short_micros;
use super::native::{FramePackets, Protected};
use super::pacer::FrameSpread;
use super::packet::{PacketContent, QueuedPacket, To};
use super::plan::Pace;
use super::{FrameError, Protocol, Sender};
use crate::frame::{Frame, FrameSizeError, MAX_FRAME_BYTES, Times};
use crate::seq::FrameNumber;

/// The longest spread of a stream's first frame. A viewer waits for it most of all, and in a few
/// steps it does not overrun a socket buffer.
const FIRST_SPREAD: Duration = Duration::from_millis(2);

/// A viewer that reports has done so this long after the first frame.
const REPORTED_BY: Duration = Duration::from_secs(1);

impl Sender {
    /// Takes a complete JPEG to send, with the time it was captured or all its
    /// times, and the quality it was encoded with, where that is known. Returns
    /// its number.
    ///
    /// # Errors
    /// If the format cannot carry it, or [`MAX_WAITING_FRAMES`](super::MAX_WAITING_FRAMES) frames wait
    /// already, since the bit rate holds them back or nobody polls them: ask
    /// [`Sender::is_held_back`] before. It is then counted as not sent.
    pub fn handle_frame(
        &mut self,
        jpeg: Bytes,
        times: impl Into<Times>,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<FrameNumber, FrameError> {
        let taken = self.take_frame(jpeg, times.into(), quality, now);
        self.counts.not_sent += u64::from(taken.is_err());
        taken
    }

    fn take_frame(
        &mut self,
        jpeg: Bytes,
        times: Times,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<FrameNumber, FrameError> {
        let len = jpeg.len();
        if len == 0 || len > MAX_FRAME_BYTES {
            return Err(FrameSizeError(len).into());
        }
        if self.pacer.is_full() {
            return Err(FrameError::Waiting);
        }
        // Viewers fall silent without notice.
        self.replan(now);
        self.close_window_if_due(now);
        let number = self.next_frame;
        let frame = Frame {
            number,
            jpeg,
            captured: times.captured,
        };
        let left_out = self.left_out(now)?;
        let withheld = self.withheld(&left_out);
        self.queue(frame, quality, (&left_out, &withheld), now)?;
        for (at, to) in self.destinations.iter_mut().enumerate() {
            if !left_out.contains(&at) && !withheld.contains(&at) {
                to.feedback.earn(len);
            }
        }
        self.expect_second(number, times.captured, withheld);
        self.follow_second(len, now);
        self.latency.record_frame(number.0, times);
        self.counts.record_frame(len, quality, now);
        self.next_frame = number.next();
        Ok(number)
    }

    /// The destinations that do not get a frame: more was sent there than the path carries, while
    /// other paths have room. If no path has room, frames wait for those that get the first
    /// encoding.
    fn left_out(&self, now: Duration) -> Result<Vec<usize>, FrameError> {
        let behind = (0..self.destinations.len()).filter(|at| self.is_behind(*at, now));
        let mut behind: Vec<_> = behind.collect();
        let mut first = self.first_encoding().peekable();
        if first.peek().is_none() || first.any(|at| !behind.contains(&at)) {
            return Ok(behind);
        }
        behind.retain(|at| self.second.includes(*at));
        if self.first_encoding().any(|at| self.pacer.is_lane_full(at)) {
            return Err(FrameError::Waiting);
        }
        Ok(behind)
    }

    /// Whether no viewer has reported although the stream is not new.
    fn is_unheard(&self, now: Duration) -> bool {
        let first = self.counts.frames_at.map(|(first, _)| first);
        let is_heard = |to: &DestinationState| to.feedback.peers().next().is_some();
        first.is_some_and(|first| now.saturating_sub(first) >= REPORTED_BY)
            && !self.destinations.iter().any(is_heard)
    }

    /// The open destinations that get the first encoding.
    fn first_encoding(&self) -> impl Iterator<Item = usize> {
        let open = self.destinations.iter().enumerate();
        let open = open.filter(|(at, to)| to.is_open() && !self.second.includes(*at));
        open.map(|(at, _)| at)
    }

    /// Queues the packets of a frame: for each destination at the pace of its path, if known, and
    /// spread for the others.
    fn queue(
        &mut self,
        frame: Frame,
        quality: Option<u8>,
        without: (&[usize], &[usize]),
        now: Duration,
    ) -> Result<(), FrameError> {
        let time = match self.counts.frames_at {
            None => self.plan.spread.min(FIRST_SPREAD),
            Some(_) => self.plan.spread,
        };
        let spread = FrameSpread {
            time,
            in_bursts: self.is_unheard(now) || !matches!(self.protocol, Protocol::Native(_)),
        };
        let (datagram, len) = (self.datagram, frame.jpeg.len());
        let Protocol::Native(native) = &mut self.protocol else {
            let packets = self.datagrams(frame)?;
            self.pacer.push_frame(packets, now, spread);
            return Ok(());
        };
        let settings = (quality, datagram);
        let packets = native.packetize(frame, settings, without, &self.plan, now)?;
        let FramePackets {
            headers,
            common,
            thinned,
        } = packets;
        for header in headers {
            self.pacer.push(header, now);
        }
        self.push_thinned(thinned, len, spread.time, now);
        let Protocol::Native(native) = &self.protocol else {
            return Ok(());
        };
        let interval = self.config.interval.unwrap_or_default();
        for (at, to) in self.destinations.iter_mut().enumerate() {
            let interval = native.interval(at, interval);
            to.feedback.follow_interval(short_micros(interval));
        }
        let open = self.destinations.iter_mut().enumerate();
        let open = open.filter(|(at, to)| to.is_open() && native.gets_all(*at));
        let mut unpaced = Vec::new();
        for (at, to) in open {
            let packets = common.to_one(at);
            to.record_frame(&packets);
            match self.plan.pace_to(at) {
                Some(pace) => self.pacer.push_paced(packets, at, pace, now),
                None => unpaced.push(at),
            }
        }
        let open = self.destinations.iter().filter(|to| to.is_open()).count();
        if unpaced.len() == open {
            self.pacer.push_frame(common.to_all(), now, spread);
        } else if !unpaced.is_empty() {
            let those = Arc::from(unpaced);
            self.pacer.push_frame(common.to_those(&those), now, spread);
        }
        Ok(())
    }

    /// Queues a frame of `len` bytes for destinations that do not get every frame: at the pace of the
    /// path, or within `spread`.
    pub(super) fn push_thinned(
        &mut self,
        frames: Vec<(usize, Protected)>,
        len: usize,
        spread: Duration,
        now: Duration,
    ) {
        for (to, frame) in frames {
            // A new viewer there may not have reported yet.
            let pace = self.plan.pace_to(to).unwrap_or(Pace {
                rate: len as f64 / spread.as_secs_f64(),
                burst: self.datagram as f64,
                carried: f64::INFINITY,
                queue: 0.0,
            });
            let packets = frame.to_one(to);
            self.destinations[to].record_frame(&packets);
            self.pacer.push_paced(packets, to, pace, now);
        }
    }

    /// The datagrams of a frame, which are the same for all destinations.
    fn datagrams(&mut self, frame: Frame) -> Result<Vec<QueuedPacket>, FrameError> {
        let datagram = self.datagram;
        let datagrams = match &mut self.protocol {
            Protocol::Native(_) => Vec::new(),
            Protocol::Rtp(rtp) => rtp.datagrams(&frame.jpeg, frame.captured, datagram)?,
            Protocol::Raw if frame.jpeg.len() <= datagram => vec![frame.jpeg],
            Protocol::Raw => {
                let got = frame.jpeg.len();
                return Err(FrameError::Datagram { got, datagram });
            }
        };
        let last = datagrams.len().saturating_sub(1);
        let datagrams = datagrams.into_iter().enumerate().map(|(index, bytes)| {
            let content = PacketContent::Datagram {
                bytes,
                frame: frame.number,
                begins: index == 0,
                ends: index == last,
            };
            QueuedPacket::new(content, To::All)
        });
        Ok(datagrams.collect())
    }

    /// Whether a frame handed in now would only wait: datagrams that are due exceed the bit rate
    /// limit, or more was sent than the paths to all destinations carry.
    pub fn is_held_back(&self, now: Duration) -> bool {
        let mut first = self.first_encoding().peekable();
        let behind = first.peek().is_some() && first.all(|at| self.is_behind(at, now));
        behind || self.pacer.is_held_back(now, self.room())
    }

    /// Whether a frame would wait for what the path to a destination has not carried yet.
    fn is_behind(&self, destination: usize, now: Duration) -> bool {
        let to = self.destinations.get(destination);
        let path = to.filter(|to| to.is_open()).and_then(|to| to.path.as_ref());
        path.is_some_and(|path| path.is_in_debt(now))
            || self.pacer.is_behind(destination, now, self.room())
    }
}
