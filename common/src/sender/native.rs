//! The native format: chunks with parity, and answers to NACKs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::jpeg_headers::JpegHeaders;
use super::loss_protection::LossProtection;
use super::packet::{PacketContent, QueuedPacket, Shards, To, parity_packets};
use super::plan::Plan;
use super::retransmit_buffer::Asked;
use super::thinned::ThinnedStream;
use super::{Config, FrameError};
use crate::chunk::ChunkedFrame;
use crate::fec::Fec;
use crate::frame::{Frame, FrameSizeError};
use crate::seq::{FrameNumber, FrameSeq};
use crate::wire::native::{FrameNack, SenderReport};

/// Turns frames into packets of the native format.
#[derive(Debug)]
pub(super) struct Native {
    fec: Fec,
    headers: JpegHeaders,
    protection: LossProtection,
    /// The streams of destinations that did not get every frame.
    thinned: BTreeMap<usize, ThinnedStream>,
}

/// The packets of a frame.
#[derive(Debug)]
pub(super) struct FramePackets {
    /// Sent before it.
    pub(super) headers: Vec<QueuedPacket>,
    /// For the destinations that get every frame.
    pub(super) common: Protected,
    /// For each other destination that gets this frame.
    pub(super) thinned: Vec<(usize, Protected)>,
}

/// The packets of the second encoding of a frame.
#[derive(Debug)]
pub(super) struct SecondPackets {
    /// Sent before it.
    pub(super) headers: Vec<QueuedPacket>,
    /// For each destination that gets it.
    pub(super) frames: Vec<(usize, Protected)>,
}

/// A frame and the parity that is sent with it.
#[derive(Debug)]
pub(super) struct Protected {
    frame: Arc<ChunkedFrame>,
    shards: Option<Shards>,
}

impl Protected {
    /// Its packets for one destination.
    pub(super) fn to_one(&self, destination: usize) -> Vec<QueuedPacket> {
        let to = To::One(destination);
        let mut packets = self.chunks(&to);
        if let Some((block, counts)) = &self.shards {
            let count = counts.get(destination).copied().flatten().unwrap_or(0);
            let shards = (0..count).map(|index| QueuedPacket::parity(block, index, to.clone()));
            packets.extend(shards);
        }
        packets
    }

    /// Its packets for all destinations.
    pub(super) fn to_all(&self) -> Vec<QueuedPacket> {
        let mut packets = self.chunks(&To::All);
        packets.extend(self.shards.iter().flat_map(parity_packets));
        packets
    }

    /// Its packets for these destinations.
    pub(super) fn to_those(&self, those: &Arc<[usize]>) -> Vec<QueuedPacket> {
        let mut packets = self.chunks(&To::Those(Arc::clone(those)));
        if let Some((block, counts)) = &self.shards {
            let counts = counts.iter().enumerate();
            let counts =
                counts.map(|(at, count)| count.filter(|_| those.contains(&at)).or(Some(0)));
            packets.extend(parity_packets(&(Arc::clone(block), counts.collect())));
        }
        packets
    }

    fn chunks(&self, to: &To) -> Vec<QueuedPacket> {
        let chunk = |index| PacketContent::Chunk(Arc::clone(&self.frame), index);
        let chunks = (0..self.frame.count()).map(chunk);
        chunks
            .map(|chunk| QueuedPacket::new(chunk, to.clone()))
            .collect()
    }
}

impl ThinnedStream {
    /// The frame as it is sent now to its destination, if the frames of the stream are `interval`
    /// apart.
    fn protect(
        &mut self,
        frame: &ChunkedFrame,
        destination: usize,
        interval: Duration,
        plan: &Plan,
        now: Duration,
    ) -> Protected {
        let frame = self.renumber(frame);
        self.protection.set_interval(self.interval(interval));
        let only = |to| to == destination;
        let shards = self.protection.protect(&frame, plan, &only, now);
        Protected { frame, shards }
    }
}

impl Native {
    pub(super) fn new(config: &Config) -> Self {
        let interval = config.interval.unwrap_or_default();
        Self {
            fec: config.fec,
            headers: JpegHeaders::default(),
            protection: LossProtection::new(config.fec, interval),
            thinned: BTreeMap::new(),
        }
    }

    /// Cuts a frame that is sent now into datagrams of this many bytes, leaves it out for some
    /// destinations, and withholds it from others, which get its second encoding.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub(super) fn packetize(
        &mut self,
        frame: Frame,
        (quality, datagram): (Option<u8>, usize),
        (left_out, withheld): (&[usize], &[usize]),
        plan: &Plan,
        now: Duration,
    ) -> Result<FramePackets, FrameError> {
        let (number, len) = (frame.number, frame.jpeg.len());
        let (header, slices, parts) = self
            .headers
            .find_slices(&frame.jpeg, quality, datagram, now);
        let frame = ChunkedFrame::new(frame, datagram, header, slices);
        let frame = Arc::new(frame.map_err(|_| FrameSizeError(len))?);
        let parts = parts.into_iter().map(PacketContent::JpegHeader);
        let interval = self.protection.interval();
        for destination in left_out.iter().chain(withheld) {
            let thinned = self
                .thinned
                .entry(*destination)
                .or_insert_with(|| ThinnedStream::new(self.protection.successor(self.fec), number));
            if left_out.contains(destination) {
                thinned.leave_out(len);
            } else {
                thinned.withhold(len);
            }
        }
        let thinned = self.thinned.iter_mut();
        let thinned = thinned.filter(|(to, _)| !left_out.contains(to) && !withheld.contains(to));
        let thinned = thinned.map(|(destination, stream)| {
            (
                *destination,
                stream.protect(&frame, *destination, interval, plan, now),
            )
        });
        let thinned = thinned.collect();
        let common = |to| !self.thinned.contains_key(&to);
        let shards = self.protection.protect(&frame, plan, &common, now);
        Ok(FramePackets {
            headers: parts.map(|part| QueuedPacket::new(part, To::All)).collect(),
            common: Protected { frame, shards },
            thinned,
        })
    }

    /// Cuts the second encoding of a frame for these destinations.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub(super) fn packetize_second(
        &mut self,
        frame: Frame,
        (quality, datagram): (Option<u8>, usize),
        to: &[usize],
        plan: &Plan,
        now: Duration,
    ) -> Result<SecondPackets, FrameError> {
        let len = frame.jpeg.len();
        let (header, slices, parts) = self
            .headers
            .find_slices(&frame.jpeg, quality, datagram, now);
        let frame = ChunkedFrame::new(frame, datagram, header, slices);
        let frame = frame.map_err(|_| FrameSizeError(len))?;
        let those = To::Those(to.into());
        let headers = parts.into_iter().map(PacketContent::JpegHeader);
        let headers = headers.map(|part| QueuedPacket::new(part, those.clone()));
        let interval = self.protection.interval();
        let streams = self.thinned.iter_mut();
        let streams = streams.filter(|(destination, _)| to.contains(destination));
        let frames = streams.map(|(destination, stream)| {
            stream.record_second(len);
            (
                *destination,
                stream.protect(&frame, *destination, interval, plan, now),
            )
        });
        Ok(SecondPackets {
            headers: headers.collect(),
            frames: frames.collect(),
        })
    }

    /// Leaves out a frame that was withheld from these destinations: its second encoding did not
    /// come.
    pub(super) fn skip(&mut self, to: &[usize]) {
        let streams = self.thinned.iter_mut();
        let streams = streams.filter(|(destination, _)| to.contains(destination));
        streams.for_each(|(_, stream)| stream.skip());
    }

    /// How many frames of the stream there are for each one that a destination gets.
    pub(super) fn distance(&self, destination: usize) -> f64 {
        let thinned = self.thinned.get(&destination);
        thinned.map_or(1.0, ThinnedStream::distance)
    }

    /// Bytes of the JPEGs that were sent to a destination that does not get every frame.
    pub(super) fn jpeg(&self, destination: usize) -> Option<u64> {
        self.thinned.get(&destination).map(ThinnedStream::jpeg)
    }

    /// The number of frames left out for a destination.
    pub(super) fn left_out(&self, destination: usize) -> u64 {
        let thinned = self.thinned.get(&destination);
        thinned.map_or(0, ThinnedStream::left_out)
    }

    /// The interval of the frames to a destination, if those of the stream are `interval` apart.
    pub(super) fn interval(&self, destination: usize, interval: Duration) -> Duration {
        let thinned = self.thinned.get(&destination);
        thinned.map_or(interval, |stream| stream.interval(interval))
    }

    /// Whether a destination gets every frame.
    pub(super) fn gets_all(&self, destination: usize) -> bool {
        !self.thinned.contains_key(&destination)
    }

    /// When parity over several frames is sent, even if no more have been added.
    pub(super) fn closes(&self) -> Option<Duration> {
        let thinned = self.thinned.values().map(|stream| &stream.protection);
        let all = thinned.chain([&self.protection]);
        all.filter_map(LossProtection::closes).min()
    }

    /// The parity that is due by `now` over the waiting frames.
    pub(super) fn close_windows(&mut self, plan: &Plan, now: Duration) -> Vec<QueuedPacket> {
        let due = |protection: &LossProtection| protection.closes().is_some_and(|at| at <= now);
        let mut packets = Vec::new();
        for (destination, stream) in &mut self.thinned {
            if due(&stream.protection) {
                let only = |to| to == *destination;
                let shards = stream.protection.close_window(plan, &only);
                packets.extend(shards.iter().flat_map(parity_packets));
            }
        }
        if due(&self.protection) {
            let common = |to| !self.thinned.contains_key(&to);
            let shards = self.protection.close_window(plan, &common);
            packets.extend(shards.iter().flat_map(parity_packets));
        }
        packets
    }

    /// One above the number of the newest frame of a destination, if not every destination has this
    /// frame.
    pub(super) fn next_frame(&self, destination: usize, all: FrameNumber) -> FrameNumber {
        let thinned = self.thinned.get(&destination);
        thinned.map_or(all, ThinnedStream::next)
    }

    /// The packets that answer the NACK of one frame.
    pub(super) fn answer(
        &mut self,
        number: FrameNumber,
        nack: &FrameNack,
        asked: Asked,
    ) -> Vec<QueuedPacket> {
        let thinned = self.thinned.get_mut(&asked.destination);
        match thinned.filter(|stream| stream.includes(number)) {
            Some(stream) => stream.protection.answer(number, nack, asked),
            None => self.protection.answer(number, nack, asked),
        }
    }

    /// A destination has a new viewer.
    pub(super) fn forget(&mut self, destination: usize) {
        self.thinned.remove(&destination);
        self.protection.forget(destination);
    }

    /// A sender report as a destination gets it.
    pub(super) fn fill_report(&self, destination: usize, report: SenderReport) -> SenderReport {
        match self.thinned.get(&destination) {
            Some(stream) => stream.fill(report),
            None => report,
        }
    }

    /// The common number of a frame, given a destination's number for it.
    pub(super) fn original(&self, destination: usize, number: FrameSeq) -> FrameSeq {
        let thinned = self.thinned.get(&destination);
        thinned.map_or(number, |stream| stream.original(number))
    }
}
