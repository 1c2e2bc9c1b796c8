//! The native format: chunks, parity and retransmissions out, feedback in.

mod destination;
mod jpeg_headers;
mod latency;
mod loss_protection;
mod pacer;
mod paths;
mod peer;
mod rate_limit;
mod retransmit_buffer;
mod send_errors;
mod stats;
#[cfg(test)]
mod tests;
mod unsent_frames;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Config, FrameError, Transmit};
use crate::chunk::ChunkedFrame;
use crate::fec::PathEstimate;
use crate::frame::{Frame, FrameSizeError, MAX_FRAME_BYTES, Times};
use crate::seq::FrameNumber;
use crate::wire::native::{NO_DESTINATION, Nack, Packet};
use crate::wire::{MAX_DATAGRAM, MIN_DATAGRAM};
use destination::Destination;
use jpeg_headers::JpegHeaders;
pub(super) use latency::Latency;
use loss_protection::LossProtection;
pub use pacer::MAX_WAITING_FRAMES;
use pacer::{Content, Item, Pacer, Rooms, To};
pub use rate_limit::CONTROL_RESERVE;
pub(super) use rate_limit::RateLimit;
use retransmit_buffer::Asked;
use stats::Counts;
pub use stats::Volume;
use unsent_frames::UnsentFrames;

/// The longest that the first frame of a stream is spread over: it is waited
/// for most of all, and in a few steps it still overruns no socket's buffer.
const FIRST_SPREAD: Duration = Duration::from_millis(2);

/// One stream of the native format.
#[derive(Debug)]
pub(super) struct NativeSender {
    config: Config,
    stream: u64,
    started: Duration,
    next_frame: FrameNumber,
    counts: Counts,
    headers: JpegHeaders,
    protection: LossProtection,
    quality: Option<u8>,
    latency: Latency,
    unsent: UnsentFrames,
    pacer: Pacer,
    destinations: Vec<Destination>,
    /// When the first frame was handed in, and the last.
    frames_at: Option<(Duration, Duration)>,
    finishing: bool,
    /// When it was last planned who is there.
    planned: Duration,
}

/// The destinations, as what is to be sent sees them.
struct Places<'a> {
    destinations: &'a [Destination],
    shared: bool,
}

impl Rooms for Places<'_> {
    fn destinations(&self) -> usize {
        self.destinations.len()
    }

    fn is_open(&self, destination: usize) -> bool {
        let to = self.destinations.get(destination);
        to.is_some_and(Destination::is_open)
    }

    fn room(&self, destination: usize, first: u64) -> u64 {
        let to = self.destinations.get(destination);
        to.map_or(u64::MAX, |to| to.room(first))
    }

    fn repair(&self, destination: usize) -> u64 {
        let to = self.destinations.get(destination);
        to.map_or(u64::MAX, Destination::repair_room)
    }

    fn is_shared(&self) -> bool {
        self.shared
    }

    fn free_at(&self, destination: usize, bytes: usize) -> Duration {
        let to = self.destinations.get(destination);
        to.map_or(Duration::ZERO, |to| to.free_at(bytes))
    }
}

impl NativeSender {
    /// A transmitter for the stream with this number, drawn at random.
    #[must_use]
    pub(crate) fn new(config: Config, stream: u64, now: Duration) -> Self {
        let datagram = config.datagram.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
        // Their numbers have 16 bits, and one is nobody's.
        let destinations = (0..config.destinations.min(NO_DESTINATION.into()))
            .map(|index| Destination::new(index as u16, config.bitrate, now));
        Self {
            stream,
            started: now,
            next_frame: config.first_frame,
            counts: Counts::default(),
            headers: JpegHeaders::default(),
            protection: LossProtection::new(&config),
            quality: None,
            latency: Latency::default(),
            unsent: UnsentFrames::default(),
            pacer: Pacer::default(),
            destinations: destinations.collect(),
            frames_at: None,
            finishing: false,
            planned: now,
            config: Config { datagram, ..config },
        }
    }

    /// Takes a whole JPEG to be sent, with the time its picture was taken or
    /// all its times, and the quality it was encoded with, where that is known.
    /// Returns its number.
    ///
    /// # Errors
    /// Where it is empty or longer than [`MAX_FRAME_BYTES`], or
    /// [`MAX_WAITING_FRAMES`] frames wait already, since the bit rate holds
    /// them back or nobody polls them: ask [`NativeSender::is_held_back`]
    /// before. It is then counted as not sent.
    pub(crate) fn handle_frame(
        &mut self,
        jpeg: Bytes,
        times: impl Into<Times>,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<FrameNumber, FrameError> {
        if jpeg.is_empty() || jpeg.len() > MAX_FRAME_BYTES {
            self.counts.not_sent += 1;
            return Err(FrameSizeError(jpeg.len()).into());
        }
        if self.pacer.is_full() {
            self.counts.not_sent += 1;
            return Err(FrameError::Waiting);
        }
        // Viewers fall silent without a word.
        self.plan(now);
        let number = self.next_frame;
        self.next_frame = number.next();
        self.counts.sent += 1;
        self.counts.captured = self.counts.captured.max(self.counts.sent);
        self.counts.jpeg_bytes += jpeg.len() as u64;
        self.quality = quality;
        let datagram = self.config.datagram;
        let (set, slices, tables) = self.headers.find_slices(&jpeg, quality, datagram, now);
        for part in tables {
            self.pacer
                .push(Item::new(Content::Tables(part), To::All), now);
        }
        let times = times.into();
        self.latency.note_frame(number.0, times);
        let frame = Frame {
            number,
            jpeg,
            captured: times.captured,
        };
        // Its length and that of datagrams were looked at before.
        let Ok(frame) = ChunkedFrame::new(frame, datagram, set, slices) else {
            self.counts.not_sent += 1;
            return Err(FrameError::Size(FrameSizeError(0)));
        };
        let frame = Arc::new(frame);
        self.close_window_if_due(now);
        let shards = self.protection.protect(&frame, now);
        let spread = self.protection.spread();
        let spread = match self.frames_at {
            None => spread.min(FIRST_SPREAD),
            Some(_) => spread,
        };
        self.pacer.push_frame(&frame, shards.as_ref(), now, spread);
        self.destinations
            .iter_mut()
            .for_each(|to| to.earn(frame.len()));
        let first = self.frames_at.map_or(now, |(first, _)| first);
        self.frames_at = Some((first, now));
        Ok(number)
    }

    /// Sends to this destination too, from now on; its packet numbers go on
    /// where they ended when it was open before. Destinations are opened in
    /// the order of their numbers at first.
    pub(crate) fn open_destination(&mut self, destination: usize, now: Duration) {
        if destination == self.destinations.len() && destination < usize::from(NO_DESTINATION) {
            let new = Destination::new(destination as u16, self.config.bitrate, now);
            self.destinations.push(new);
        }
        if let Some(to) = self.destinations.get_mut(destination) {
            to.open(now);
            self.protection.forget(destination);
            self.plan(now);
        }
    }

    /// The same for a viewer that was served at another destination before:
    /// packet numbers go on above those of all, or it would take packets for
    /// ones that it has.
    pub(crate) fn move_to_destination(&mut self, destination: usize, now: Duration) {
        self.open_destination(destination, now);
        let numbers = self.destinations.iter().map(Destination::numbers);
        let above = numbers.reduce(|a, b| std::array::from_fn(|at| a[at].max(b[at])));
        if let (Some(to), Some(above)) = (self.destinations.get_mut(destination), above) {
            to.go_on_above(above);
        }
    }

    /// Sends nothing more to this destination.
    pub(crate) fn close_destination(&mut self, destination: usize) {
        if let Some(to) = self.destinations.get_mut(destination) {
            to.close();
            self.pacer.forget(destination);
            self.protection.forget(destination);
            self.plan(self.planned);
        }
    }

    /// Takes a datagram that came back from a destination.
    pub(crate) fn handle_datagram(&mut self, destination: usize, datagram: &[u8], now: Duration) {
        let Some(to) = self.destinations.get_mut(destination) else {
            return;
        };
        match Packet::decode(datagram) {
            Ok((header, packet)) if header.stream == self.stream => match packet {
                Packet::ReceiverReport(report) => {
                    to.handle_report(&report, header.sent, now);
                    self.plan(now);
                    let spread = self.protection.spread();
                    let destinations = self.destinations.iter_mut();
                    destinations.for_each(|to| to.note_spread(spread));
                }
                Packet::Nack(request) => self.handle_request(destination, &request, now),
                Packet::PathChallenge(challenge) => to.handle_path_challenge(&challenge, now),
                Packet::Connect(_) | Packet::ReceiverBye(_) => {}
                Packet::Chunk(_)
                | Packet::Retransmission(_)
                | Packet::Parity(_)
                | Packet::Tables(_)
                | Packet::SenderReport(_)
                | Packet::SenderBye(_)
                | Packet::Echo(_)
                | Packet::Challenge(_)
                | Packet::Reject(_)
                | Packet::PathResponse(_) => self.counts.malformed += 1,
            },
            _ => self.counts.malformed += 1,
        }
    }

    /// Sets the largest datagram from the next frame on.
    pub(crate) fn set_datagram(&mut self, bytes: usize) {
        self.config.datagram = bytes.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
    }

    /// The largest datagram, in bytes of UDP payload.
    #[must_use]
    pub(crate) fn datagram(&self) -> usize {
        self.config.datagram
    }

    /// Fills `out` with datagrams that are due.
    pub(crate) fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        out.clear();
        self.close_window_if_due(now);
        if self.destinations.is_empty() {
            self.pacer.clear();
            return None;
        }
        for to in &mut self.destinations {
            to.forget_sent(now);
        }
        if self.pacer.is_due(now)
            && let Some(transmit) = self.tell_refused(now, out)
        {
            return Some(transmit);
        }
        let places = Places {
            destinations: &self.destinations,
            shared: self.protection.is_shared(),
        };
        if let Some((items, destination)) = self.pacer.poll(now, &places) {
            let to = &mut self.destinations[destination];
            to.note_leaving();
            for item in items {
                if let Some(frame) = item.begins() {
                    self.latency.note_sent(frame.0, now);
                }
                if let Some(frame) = item.frame() {
                    self.unsent.note(frame);
                }
                to.encode(self.stream, &item.packet(), now, out);
            }
            return Some(Transmit {
                destination,
                segment: items.first().map_or(0, Item::len),
            });
        }
        self.poll_control(now, out)
    }

    /// When [`NativeSender::poll_transmit`] may have something again.
    #[must_use]
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let control = self
            .destinations
            .iter()
            .filter_map(Destination::control_due);
        control
            .chain(self.pacer.due(&self.places()))
            .chain(self.protection.closes())
            .min()
    }

    /// Whether datagrams that are due must wait, since more would exceed the
    /// bit rate: frames that are handed in now would only wait behind them.
    #[must_use]
    pub(crate) fn is_held_back(&self, now: Duration) -> bool {
        let free = self.pacer.media_due(&self.places());
        self.pacer.is_media_due(now) && free.is_some_and(|free| free > now)
    }

    /// Ends the stream: what is waiting is sent at once, and the farewell.
    pub(crate) fn finish(&mut self, now: Duration) {
        if !self.finishing {
            self.finishing = true;
            self.push_parity(now);
            self.pacer.hurry(now);
            self.destinations.iter_mut().for_each(|to| to.finish(now));
        }
    }

    /// Whether everything, the last farewell included, has been handed out.
    #[must_use]
    pub(crate) fn is_finished(&self) -> bool {
        let control_done = self
            .destinations
            .iter()
            .all(|to| to.control_due().is_none());
        self.finishing && control_done && self.pacer.is_empty()
    }

    fn places(&self) -> Places<'_> {
        Places {
            destinations: &self.destinations,
            shared: self.protection.is_shared(),
        }
    }

    fn handle_request(&mut self, destination: usize, request: &Nack, now: Duration) {
        let to = &mut self.destinations[destination];
        if !self.config.retransmit || !to.is_new(request) {
            return;
        }
        let path = to.path_to(request.viewer, now).unwrap_or_default();
        // What waits already takes its part of the room.
        let mut room = u64::MAX;
        if self.protection.is_shared() {
            to.forget_sent(now);
            let waiting = self.pacer.answers_waiting(destination);
            room = to.repair_room().saturating_sub(waiting);
        }
        for want in &request.frames {
            let number = want.frame.extend(self.next_frame);
            let asked = Asked {
                destination,
                now,
                rtt: path.rtt.unwrap_or_default(),
                budget: path.budget,
                unsent: self.pacer.first_chunk(),
            };
            let mut items = self.protection.answer(number, want, asked);
            let affordable = items.iter().take_while(|item| {
                let left = room.checked_sub(item.len() as u64);
                let affordable = left.is_some() && to.spend(item.len());
                room = left.unwrap_or(room);
                affordable
            });
            let affordable = affordable.count();
            items.truncate(affordable);
            self.pacer.push_answer(items, destination, now);
        }
    }

    /// Plans for the viewers that are there now.
    fn plan(&mut self, now: Duration) {
        self.planned = now;
        let paths = self.paths(now);
        self.protection.set_paths(paths);
    }

    /// The ways to the viewers that are present, by destination; none where it
    /// is closed.
    fn paths(&self, now: Duration) -> Vec<Option<Vec<PathEstimate>>> {
        let paths = |to: &Destination| to.is_open().then(|| to.paths(now, self.config.retransmit));
        self.destinations.iter().map(paths).collect()
    }

    fn close_window_if_due(&mut self, now: Duration) {
        if self.protection.closes().is_some_and(|closes| closes <= now) {
            self.push_parity(now);
        }
    }

    /// Sends the parity over the frames that wait for it.
    fn push_parity(&mut self, now: Duration) {
        if let Some(shards) = self.protection.close_window() {
            self.pacer.push_parity(&shards, now);
        }
    }
}
