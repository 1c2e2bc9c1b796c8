//! Sends the second encoding of frames.

use std::time::Duration;

use bytes::Bytes;

use super::second_encoding::Receives;
use super::{FrameError, Protocol, Sender, Volume};
use crate::frame::{Frame, FrameSizeError, MAX_FRAME_BYTES};
use crate::seq::FrameNumber;

/// The interval of frames whose source does not tell it.
const UNKNOWN_INTERVAL: Duration = Duration::from_micros(33_333);

/// The second encoding that is to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondTarget {
    /// Bits per second that it may take, including parity and retransmissions.
    pub bitrate: u64,
    /// The destinations that get it.
    pub destinations: Vec<usize>,
    /// The one whose path carries least, and what was sent there so far.
    pub slowest: (usize, Volume),
}

impl Sender {
    /// The second encoding to make of each frame from now on, if there is
    /// [`Config::second_encoding`](super::Config::second_encoding) and viewers need it. Each frame
    /// that is handed in then needs a [`handle_second`](Self::handle_second).
    pub fn second_encoding(&self, now: Duration) -> Option<SecondTarget> {
        let Protocol::Native(native) = &self.protocol else {
            return None;
        };
        let target = self.second.rate(&self.receive(now))?;
        let slowest = target.destination;
        let volume = Volume {
            sent: self.destinations.get(slowest)?.handed_out(),
            jpeg: native.jpeg(slowest).unwrap_or(0),
        };
        Some(SecondTarget {
            bitrate: (target.rate * 8.0) as u64,
            destinations: self.second.members().collect(),
            slowest: (slowest, volume),
        })
    }

    /// Takes the second encoding of the frame that was captured then, and the quality it was encoded
    /// with, where that is known. Does nothing if no viewer gets it.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub fn handle_second(
        &mut self,
        jpeg: Bytes,
        captured: Duration,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<(), FrameError> {
        let len = jpeg.len();
        if len == 0 || len > MAX_FRAME_BYTES {
            return Err(FrameSizeError(len).into());
        }
        while let Some(awaited) = self.second.take(captured) {
            if awaited.captured < captured {
                self.skip(&awaited.to);
                continue;
            }
            let Protocol::Native(native) = &mut self.protocol else {
                return Ok(());
            };
            let frame = Frame {
                number: awaited.number,
                jpeg,
                captured,
            };
            let settings = (quality, self.datagram);
            let packets = native.packetize_second(frame, settings, &awaited.to, &self.plan, now)?;
            for header in packets.headers {
                self.pacer.push(header, now);
            }
            for (to, _) in &packets.frames {
                self.destinations[*to].feedback.earn(len);
                self.second.record_sent(*to);
            }
            self.push_thinned(packets.frames, len, self.plan.spread, now);
            break;
        }
        Ok(())
    }

    /// The destinations that get the second encoding of a frame.
    pub(super) fn withheld(&self, left_out: &[usize]) -> Vec<usize> {
        let members = self.second.members();
        members.filter(|at| !left_out.contains(at)).collect()
    }

    /// Awaits the second encoding of a frame.
    pub(super) fn expect_second(
        &mut self,
        number: FrameNumber,
        captured: Duration,
        to: Vec<usize>,
    ) {
        if to.is_empty() {
            return;
        }
        if let Some(oldest) = self.second.expect(number, captured, to) {
            self.skip(&oldest.to);
        }
    }

    /// Decides who gets the second encoding from now on, after a frame of this many bytes.
    pub(super) fn follow_second(&mut self, len: usize, now: Duration) {
        if !self.config.second_encoding {
            return;
        }
        self.second.record_first(len);
        let all = self.receive(now);
        let interval = self.config.interval.unwrap_or(UNKNOWN_INTERVAL);
        for left in self.second.update(&all, interval, now) {
            // What still comes would arrive after newer frames of the first encoding.
            for _ in 0..self.second.withdraw(left) {
                self.skip(&[left]);
            }
        }
    }

    /// Gives up the second encodings that have not come.
    pub(super) fn give_up_second(&mut self) {
        while let Some(awaited) = self.second.take(Duration::MAX) {
            self.skip(&awaited.to);
        }
    }

    fn skip(&mut self, to: &[usize]) {
        if let Protocol::Native(native) = &mut self.protocol {
            native.skip(to);
        }
    }

    /// What the open destinations whose viewer has reported get.
    fn receive(&self, now: Duration) -> Vec<Receives> {
        let Protocol::Native(native) = &self.protocol else {
            return Vec::new();
        };
        let open = self.destinations.iter().enumerate();
        let open = open.filter(|(_, to)| to.is_open());
        let known = open.filter_map(|(destination, to)| {
            let path = to.path.as_ref().filter(|path| path.is_known())?;
            Some(Receives {
                destination,
                rate: path.rate(now).unwrap_or(f64::INFINITY),
                distance: native.distance(destination),
            })
        });
        known.collect()
    }
}
