//! The sender's state machine: frames in, timed datagrams out, feedback in.
//!
//! Inputs are `handle_*`, outputs `poll_*`. After every input, drain
//! [`Transmitter::poll_transmit`], and call it again at
//! [`Transmitter::poll_timeout`].

mod cap;
mod counts;
mod destination;
mod kept;
mod leaving;
#[cfg(test)]
mod opening;
mod protection;
mod refused;
mod schedule;
mod stages;
mod tables;
mod viewer;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::chunk::ChunkedFrame;
use crate::frame::{Frame, MAX_FRAME_BYTES, Times};
use crate::repair::{Fec, Path};
use crate::seq::FrameNumber;
use crate::wire::native::{NO_DESTINATION, Packet, Request};
use crate::wire::{DEFAULT_DATAGRAM, MAX_DATAGRAM, MIN_DATAGRAM};
pub use cap::CONTROL_RESERVE;
pub(crate) use cap::Cap;
use counts::Counts;
pub use counts::Volume;
use destination::Destination;
use kept::Asked;
use leaving::Leaving;
use protection::Protection;
use schedule::{Item, Schedule};
pub(crate) use stages::Stages;
use tables::TableSets;

/// The longest that the first frame of a stream is spread over: it is waited
/// for most of all, and in a few steps it still overruns no socket's buffer.
const FIRST_SPREAD: Duration = Duration::from_millis(2);

/// What a transmitter is told before it starts.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// The largest datagram in bytes of UDP payload, [`MIN_DATAGRAM`] to
    /// [`MAX_DATAGRAM`].
    pub datagram: usize,
    /// How many destinations every frame goes to from the start; others can be
    /// opened behind them.
    pub destinations: usize,
    /// Time from frame to frame, where it is known.
    pub interval: Option<Duration>,
    /// Whether the datagrams of a frame are spread over time.
    pub pace: bool,
    /// How much parity is sent.
    pub fec: Fec,
    /// Whether chunks are sent again on request.
    pub retransmit: bool,
    /// The most that goes to each destination in any one second, in bits of
    /// UDP payload: what is more waits. At least a datagram goes in any case.
    pub bitrate: Option<u64>,
    /// What [`os::boot_mark`](crate::os::boot_mark) says of the stream.
    pub boot_mark: Option<u64>,
    /// The number of the first frame: 0 but in tests.
    pub first_frame: FrameNumber,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            datagram: DEFAULT_DATAGRAM,
            destinations: 1,
            interval: None,
            pace: true,
            fec: Fec::Auto,
            retransmit: true,
            bitrate: None,
            boot_mark: None,
            first_frame: FrameNumber(0),
        }
    }
}

/// One or more datagrams for one destination, in the buffer that was polled
/// into: each `segment` bytes long, but the last, which may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The destination, counted from 0.
    pub destination: usize,
    /// Bytes of each datagram but the last.
    pub segment: usize,
}

/// A frame that cannot be sent, with its length in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {0} bytes cannot be sent: 1 to {MAX_FRAME_BYTES} can")]
pub struct FrameSizeError(pub usize);

/// The sender's state machine for one stream.
#[derive(Debug)]
pub struct Transmitter {
    config: Config,
    stream: u64,
    started: Duration,
    next_frame: FrameNumber,
    counts: Counts,
    tables: TableSets,
    protection: Protection,
    quality: Option<u8>,
    stages: Stages,
    leaving: Leaving,
    schedule: Schedule,
    destinations: Vec<Destination>,
    /// When the first frame was handed in, and the last.
    frames_at: Option<(Duration, Duration)>,
    finishing: bool,
}

impl Transmitter {
    /// A transmitter for the stream with this number, drawn at random.
    #[must_use]
    pub fn new(config: Config, stream: u64, now: Duration) -> Self {
        let datagram = config.datagram.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
        let destinations = (0..config.destinations)
            .map(|index| Destination::new(index as u16, config.bitrate, now));
        Self {
            stream,
            started: now,
            next_frame: config.first_frame,
            counts: Counts::default(),
            tables: TableSets::default(),
            protection: Protection::new(&config),
            quality: None,
            stages: Stages::default(),
            leaving: Leaving::default(),
            schedule: Schedule::default(),
            destinations: destinations.collect(),
            frames_at: None,
            finishing: false,
            config: Config { datagram, ..config },
        }
    }

    /// Takes a whole JPEG to be sent, with the time its picture was taken or
    /// all its times, and the quality it was encoded with, where that is known.
    /// Returns its number.
    ///
    /// # Errors
    /// Where it is empty or longer than [`MAX_FRAME_BYTES`]; it is then counted
    /// as not sent.
    pub fn handle_frame(
        &mut self,
        jpeg: Bytes,
        times: impl Into<Times>,
        quality: Option<u8>,
        now: Duration,
    ) -> Result<FrameNumber, FrameSizeError> {
        if jpeg.is_empty() || jpeg.len() > MAX_FRAME_BYTES {
            self.counts.not_sent += 1;
            return Err(FrameSizeError(jpeg.len()));
        }
        let number = self.next_frame;
        self.next_frame = number.next();
        self.counts.sent += 1;
        self.counts.captured = self.counts.captured.max(self.counts.sent);
        self.counts.jpeg_bytes += jpeg.len() as u64;
        self.quality = quality;
        let (set, slices, tables) = self.tables.find_slices(&jpeg, quality, now);
        if let Some(tables) = tables {
            self.schedule.push(Item::new(tables, None), now);
        }
        let times = times.into();
        self.stages.note_frame(number.0, times);
        let frame = Frame {
            number,
            jpeg,
            captured: times.captured,
        };
        let frame = Arc::new(ChunkedFrame::new(frame, self.config.datagram, set, slices));
        self.close_window_if_due(now);
        let shards = self.protection.protect(&frame, now);
        let parity = shards.as_ref().map(|(block, count)| (block, *count));
        let spread = self.protection.spread();
        let spread = match self.frames_at {
            None => spread.min(FIRST_SPREAD),
            Some(_) => spread,
        };
        self.schedule.push_frame(&frame, parity, now, spread);
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
    pub fn open_destination(&mut self, destination: usize, now: Duration) {
        if destination == self.destinations.len() && destination < usize::from(NO_DESTINATION) {
            let new = Destination::new(destination as u16, self.config.bitrate, now);
            self.destinations.push(new);
        }
        if let Some(to) = self.destinations.get_mut(destination) {
            to.open(now);
        }
    }

    /// The same for a viewer that was served at another destination before:
    /// packet numbers go on above those of all, or it would take packets for
    /// ones that it has.
    pub fn move_to_destination(&mut self, destination: usize, now: Duration) {
        self.open_destination(destination, now);
        let numbers = self.destinations.iter().map(Destination::numbers);
        let above = numbers.reduce(|a, b| std::array::from_fn(|at| a[at].max(b[at])));
        if let (Some(to), Some(above)) = (self.destinations.get_mut(destination), above) {
            to.go_on_above(above);
        }
    }

    /// Sends nothing more to this destination.
    pub fn close_destination(&mut self, destination: usize) {
        if let Some(to) = self.destinations.get_mut(destination) {
            to.close();
            self.schedule.forget(destination);
            self.protection.set_path(self.worst_path());
        }
    }

    /// Takes a datagram that came back from a destination.
    pub fn handle_datagram(&mut self, destination: usize, datagram: &[u8], now: Duration) {
        let Some(to) = self.destinations.get_mut(destination) else {
            return;
        };
        match Packet::decode(datagram) {
            Ok((header, packet)) if header.stream == self.stream => match packet {
                Packet::Report(report) => {
                    to.handle_report(&report, header.sent, now);
                    self.protection.set_path(self.worst_path());
                    let spread = self.protection.spread();
                    let destinations = self.destinations.iter_mut();
                    destinations.for_each(|to| to.note_spread(spread));
                }
                Packet::Request(request) => self.handle_request(destination, &request, now),
                Packet::Connect(_) | Packet::Leave(_) => {}
                Packet::Chunk(_)
                | Packet::Resent(_)
                | Packet::Parity(_)
                | Packet::Tables(_)
                | Packet::Totals(_)
                | Packet::Farewell(_)
                | Packet::Reply(_)
                | Packet::Challenge(_)
                | Packet::Refusal(_) => self.counts.malformed += 1,
            },
            _ => self.counts.malformed += 1,
        }
    }

    /// Sets the largest datagram from the next frame on.
    pub fn set_datagram(&mut self, bytes: usize) {
        self.config.datagram = bytes.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
    }

    /// The largest datagram, in bytes of UDP payload.
    #[must_use]
    pub fn datagram(&self) -> usize {
        self.config.datagram
    }

    /// Fills `out` with datagrams that are due.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        out.clear();
        self.close_window_if_due(now);
        if self.destinations.is_empty() {
            self.schedule.clear();
            return None;
        }
        let rooms = self.destinations.iter_mut().map(|to| to.room(now));
        let room = rooms.min().unwrap_or(u64::MAX);
        let due = self.schedule.due(|_| Duration::ZERO);
        if due.is_some_and(|due| due <= now)
            && let Some(transmit) = self.tell_refused(now, out)
        {
            return Some(transmit);
        }
        let destinations = &self.destinations;
        let is_open = |index: usize| destinations[index].is_open();
        let polled = self.schedule.poll(now, destinations.len(), is_open, room);
        if let Some((items, destination)) = polled {
            let to = &mut self.destinations[destination];
            to.note_leaving();
            for item in items {
                if let Some(frame) = item.begins() {
                    self.stages.note_sent(frame.0, now);
                }
                if let Some(frame) = item.frame() {
                    self.leaving.note(frame);
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

    /// When [`Transmitter::poll_transmit`] may have something again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let control = self
            .destinations
            .iter()
            .filter_map(Destination::control_due);
        control
            .chain(self.schedule.due(|bytes| self.free_at(bytes)))
            .chain(self.protection.closes())
            .min()
    }

    /// Whether datagrams that are due must wait, since more would exceed the
    /// bit rate: frames that are handed in now would only wait behind them.
    #[must_use]
    pub fn is_held_back(&self, now: Duration) -> bool {
        let due = self.schedule.due(|_| Duration::ZERO);
        due.is_some_and(|due| due <= now)
            && self
                .schedule
                .due(|bytes| self.free_at(bytes))
                .is_some_and(|due| due > now)
    }

    /// Ends the stream: what is waiting is sent at once, and the farewell.
    pub fn finish(&mut self, now: Duration) {
        if !self.finishing {
            self.finishing = true;
            self.push_parity(now);
            self.schedule.hurry(now);
            self.destinations.iter_mut().for_each(|to| to.finish(now));
        }
    }

    /// Whether everything, the last farewell included, has been handed out.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        let control_done = self
            .destinations
            .iter()
            .all(|to| to.control_due().is_none());
        self.finishing && control_done && self.schedule.is_empty()
    }

    /// When so many bytes may go to all destinations.
    fn free_at(&self, bytes: usize) -> Duration {
        let free = self.destinations.iter().map(|to| to.free_at(bytes));
        free.max().unwrap_or_default()
    }

    fn handle_request(&mut self, destination: usize, request: &Request, now: Duration) {
        let to = &mut self.destinations[destination];
        if !self.config.retransmit || !to.is_new(request) {
            return;
        }
        let rtt = to.path(true).rtt.unwrap_or_default();
        for want in &request.wants {
            let number = want.frame.extend(self.next_frame);
            let asked = Asked {
                destination,
                now,
                rtt,
                unsent: self.schedule.first_chunk(),
            };
            let mut items = self.protection.answer(number, want, asked);
            let affordable = items.iter().take_while(|item| to.spend(item.len())).count();
            items.truncate(affordable);
            self.schedule.push_answer(items, now);
        }
    }

    /// The worst of the paths to all viewers.
    fn worst_path(&self) -> Path {
        let open = self.destinations.iter().filter(|to| to.is_open());
        let paths = open.map(|to| to.path(self.config.retransmit));
        let loss = |path: &Path| path.loss.map_or(0.0, |loss| loss.loss());
        paths
            .max_by(|a, b| loss(a).total_cmp(&loss(b)))
            .unwrap_or_default()
    }

    fn close_window_if_due(&mut self, now: Duration) {
        if self.protection.closes().is_some_and(|closes| closes <= now) {
            self.push_parity(now);
        }
    }

    /// Sends the parity over the frames that wait for it.
    fn push_parity(&mut self, now: Duration) {
        if let Some((block, count)) = self.protection.close_window() {
            (0..count).for_each(|index| self.schedule.push(Item::parity(&block, index), now));
        }
    }
}
