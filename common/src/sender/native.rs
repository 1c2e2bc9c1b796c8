//! The native format: chunks with parity, and answers to NACKs.

use std::sync::Arc;
use std::time::Duration;

use super::jpeg_headers::JpegHeaders;
use super::loss_protection::LossProtection;
use super::packet::{Content, QueuedPacket, To, parity_packets};
use super::plan::Plan;
use super::{Config, FrameError};
use crate::chunk::ChunkedFrame;
use crate::frame::{Frame, FrameSizeError};

/// What the native format makes of frames.
#[derive(Debug)]
pub(super) struct Native {
    headers: JpegHeaders,
    pub(super) protection: LossProtection,
}

/// The packets of a frame.
#[derive(Debug)]
pub(super) struct FramePackets {
    /// What is sent before it.
    pub(super) headers: Vec<QueuedPacket>,
    /// Its chunks, and the parity behind them.
    pub(super) packets: Vec<QueuedPacket>,
}

impl Native {
    pub(super) fn new(config: &Config) -> Self {
        let interval = config.interval.unwrap_or_default();
        Self {
            headers: JpegHeaders::default(),
            protection: LossProtection::new(config.fec, interval),
        }
    }

    /// Cuts a frame that is sent now for datagrams of this many bytes.
    ///
    /// # Errors
    /// If it is empty or too long.
    pub(super) fn packetize(
        &mut self,
        frame: Frame,
        quality: Option<u8>,
        datagram: usize,
        plan: &Plan,
        now: Duration,
    ) -> Result<FramePackets, FrameError> {
        let len = frame.jpeg.len();
        let (header, slices, parts) = self
            .headers
            .find_slices(&frame.jpeg, quality, datagram, now);
        let frame = ChunkedFrame::new(frame, datagram, header, slices);
        let frame = Arc::new(frame.map_err(|_| FrameSizeError(len))?);
        let parts = parts.into_iter().map(Content::JpegHeader);
        let chunks = (0..frame.count()).map(|index| Content::Chunk(Arc::clone(&frame), index));
        let to_all = |content| QueuedPacket::new(content, To::All);
        let mut packets: Vec<_> = chunks.map(to_all).collect();
        let shards = self.protection.protect(&frame, plan, now);
        packets.extend(shards.iter().flat_map(parity_packets));
        Ok(FramePackets {
            headers: parts.map(to_all).collect(),
            packets,
        })
    }
}
