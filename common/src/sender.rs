//! The sender's state machine: frames in, timed datagrams out, feedback in, for every format.
//! Formats differ in how a frame becomes packets, and in their feedback. They share queue, pacer,
//! rate limit and counters.

mod acceptor;
mod config;
mod datagram_size;
mod destination;
mod feedback;
mod frames;
mod incoming;
mod jpeg_headers;
mod latency;
mod loss_protection;
mod native;
mod output;
mod pacer;
mod packet;
mod path_mtu;
mod path_rate;
mod peer;
mod plan;
mod rate_limit;
mod retransmit_buffer;
mod rtp;
mod second_encoding;
mod second_frames;
mod send_errors;
mod stats;
mod thinned;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use self::acceptor::Acceptor;
use self::destination::DestinationState;
use self::latency::Latency;
use self::native::Native;
use self::pacer::{Pacer, Room};
use self::packet::{Encoding, QueuedPacket};
use self::path_rate::PathRate;
use self::plan::Plan;
use self::rtp::RtpSender;
use self::second_encoding::SecondEncoding;
use self::send_errors::UnsentFrames;
use self::stats::Counts;
use crate::seq::FrameNumber;
use crate::wire::native::NO_DESTINATION;
use crate::wire::{Format, MAX_DATAGRAM, MIN_DATAGRAM};

pub use self::acceptor::{AcceptorConfig, SILENCE};
pub use self::config::{Config, FrameError, Rate};
pub use self::output::{Event, LeaveReason, Output, Transmit};
pub use self::pacer::MAX_WAITING_FRAMES;
pub use self::path_mtu::BASE_DATAGRAM;
pub use self::plan::CONTROL_RESERVE;
pub use self::rtp::lasting_name;
pub use self::second_frames::SecondTarget;
pub use self::stats::Volume;

/// The sender's state machine for one stream.
///
/// Inputs: [`handle_frame`](Self::handle_frame), [`handle_datagram`](Self::handle_datagram),
/// [`handle_incoming`](Self::handle_incoming) and [`handle_send_error`](Self::handle_send_error).
/// Output: [`poll_output`](Self::poll_output). Drain it after each input, and at the time that it
/// names.
#[derive(Debug)]
pub struct Sender {
    config: Config,
    /// Drawn at random; the stream number is its low half.
    id: u64,
    stream: u32,
    started: Duration,
    protocol: Protocol,
    plan: Plan,
    pacer: Pacer,
    /// Those of [`Config::destinations`], followed by those of admitted viewers.
    destinations: Vec<DestinationState>,
    acceptor: Option<Acceptor>,
    /// Queued answers of the acceptor.
    answers: VecDeque<(SocketAddr, Vec<u8>)>,
    events: VecDeque<Event>,
    /// The largest datagram of the next frame.
    datagram: usize,
    next_frame: FrameNumber,
    counts: Counts,
    latency: Latency,
    unsent: UnsentFrames,
    second: SecondEncoding,
    finishing: bool,
}

/// The part that differs between formats: how a frame becomes packets, and the feedback.
#[derive(Debug)]
enum Protocol {
    Native(Box<Native>),
    Rtp(Box<RtpSender>),
    Raw,
}

impl Sender {
    /// A sender for a stream that begins now. Draw `id` at random; its low half is the stream
    /// number.
    pub fn new(config: Config, id: u64, now: Duration) -> Self {
        // Destination numbers have 16 bits, and one of them means none.
        let destinations = config.destinations.min(NO_DESTINATION.into());
        let config = Config {
            datagram: config.datagram.clamp(MIN_DATAGRAM, MAX_DATAGRAM),
            destinations,
            ..config
        };
        let protocol = match config.format {
            Format::Native => Protocol::Native(Box::new(Native::new(&config))),
            Format::Rtp => Protocol::Rtp(Box::new(RtpSender::new(id, config.wall_offset, now))),
            Format::Raw => Protocol::Raw,
        };
        let acceptor = config.acceptor.filter(|_| config.format == Format::Native);
        let acceptor = acceptor.map(|acceptor| {
            let max_peers = acceptor.max_peers.min(NO_DESTINATION - destinations as u16);
            Acceptor::new(
                id as u32,
                destinations as u16,
                AcceptorConfig {
                    max_peers,
                    ..acceptor
                },
            )
        });
        let plan = Plan::new(&config, Vec::new());
        let destinations = 0..destinations as u16;
        Self {
            protocol,
            pacer: Pacer::default(),
            destinations: destinations
                .map(|index| DestinationState::new(index, &plan, path_rate(&config, now), now))
                .collect(),
            acceptor,
            answers: VecDeque::new(),
            events: VecDeque::new(),
            datagram: config.datagram,
            next_frame: config.first_frame,
            counts: Counts::default(),
            latency: Latency::default(),
            unsent: UnsentFrames::default(),
            second: SecondEncoding::default(),
            finishing: false,
            plan,
            config,
            id,
            stream: id as u32,
            started: now,
        }
    }

    /// Sets the largest datagram from the next frame on, for destinations whose path MTU is not
    /// searched.
    pub fn set_datagram(&mut self, bytes: usize) {
        self.config.datagram = bytes.clamp(MIN_DATAGRAM, MAX_DATAGRAM);
        self.follow_paths();
    }

    /// The largest datagram of the next frame, in bytes of UDP payload.
    pub fn datagram(&self) -> usize {
        self.datagram
    }

    /// The next output at this time. Datagrams replace the content of `out`.
    #[must_use]
    pub fn poll_output(&mut self, now: Duration, out: &mut Vec<u8>) -> Output {
        out.clear();
        while let Some(slot) = self.acceptor.as_mut().and_then(|all| all.poll_silent(now)) {
            self.dismiss(self.config.destinations + slot, LeaveReason::Silent, now);
        }
        if let Some(event) = self.events.pop_front().or_else(|| self.poll_path_mtu()) {
            return Output::Event(event);
        }
        if let Some((to, answer)) = self.answers.pop_front() {
            *out = answer;
            return Output::Answer(to);
        }
        match self.poll_transmit(now, out) {
            Some(transmit) => Output::Transmit(transmit),
            None => Output::Timeout(self.poll_timeout()),
        }
    }

    fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        self.close_window_if_due(now);
        if self.destinations.is_empty() {
            self.pacer.clear();
        }
        for to in &mut self.destinations {
            to.forget_sent(now);
        }
        if self.pacer.is_due(now)
            && let Some(transmit) = self.poll_error_report(now, out)
        {
            return Some(transmit);
        }
        self.poll_packets(now, out)
            .or_else(|| self.poll_control(now, out))
    }

    /// Due packets of frames.
    fn poll_packets(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        let room = Room {
            destinations: &self.destinations,
            is_shared: self.plan.is_shared,
        };
        let (packets, destination) = self.pacer.poll(now, room)?;
        let to = &mut self.destinations[destination];
        to.record_attempt();
        for packet in packets {
            if let Some(frame) = packet.begins() {
                self.latency.record_sent(frame.0, now);
                if let Some(path) = &mut to.path {
                    path.train = frame.0;
                }
            }
            if let Some(frame) = packet.frame() {
                self.unsent.record_chunk(frame);
            }
            match packet.encoding() {
                Encoding::Native(packet) => to.encode(self.stream, &packet, now, out),
                Encoding::Datagram(datagram) => to.copy(datagram, now, out),
            }
        }
        Some(Transmit {
            destination,
            segment: packets.first().map_or(0, QueuedPacket::len),
            frame: packets.iter().filter_map(QueuedPacket::frame).max(),
        })
    }

    /// A due report, bye or answer.
    fn poll_control(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        let destinations = self.config.destinations;
        let is_emptying = self.is_emptying();
        let destination = match &mut self.protocol {
            Protocol::Native(_) => {
                let due = |to: &DestinationState| to.control_due().is_some_and(|due| due <= now);
                let destination = self.destinations.iter().position(due)?;
                // An answer needs no report, which takes long to fill.
                if !self.destinations[destination].poll_answer(self.stream, now, out) {
                    let report = self.report_to(destination);
                    self.destinations[destination].encode_report(self.stream, report, now, out);
                }
                destination
            }
            Protocol::Rtp(_) if is_emptying => return None,
            Protocol::Rtp(rtp) => {
                let destination = rtp.poll_control(now, destinations, out)?;
                self.destinations[destination].spend(out.len(), now);
                let first = if self.config.rtcp_mux {
                    0
                } else {
                    destinations
                };
                first + destination
            }
            Protocol::Raw => return None,
        };
        Some(Transmit {
            destination,
            segment: out.len(),
            frame: None,
        })
    }

    /// A sender report, if send errors must be reported before more is sent.
    fn poll_error_report(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<Transmit> {
        let Protocol::Native(_) = self.protocol else {
            return None;
        };
        let due = |to: &mut DestinationState| to.take_error_report() || to.take_first_report(now);
        let destination = self.destinations.iter_mut().position(due)?;
        let report = self.report_to(destination);
        self.destinations[destination].encode_report(self.stream, report, now, out);
        Some(Transmit {
            destination,
            segment: out.len(),
            frame: None,
        })
    }

    /// When [`Sender::poll_output`] is next due; `None` until more input.
    pub fn poll_timeout(&self) -> Option<Duration> {
        if !self.events.is_empty() || !self.answers.is_empty() {
            return Some(Duration::ZERO);
        }
        let (control, window) = match &self.protocol {
            Protocol::Native(native) => {
                let control = self.destinations.iter();
                let control = control.filter_map(DestinationState::control_due).min();
                (control, native.closes())
            }
            Protocol::Rtp(_) if self.is_emptying() => (None, None),
            Protocol::Rtp(rtp) => (rtp.due(), None),
            Protocol::Raw => (None, None),
        };
        let silent = self.acceptor.as_ref().and_then(Acceptor::poll_timeout);
        [self.pacer.due(self.room()), control, window, silent]
            .into_iter()
            .flatten()
            .min()
    }

    /// Bits per second that the path to a destination carries, including parity and
    /// retransmissions; the largest over all destinations. `None` if no viewer has reported, or
    /// nothing is known to limit the path of one.
    pub fn rate(&self, now: Duration) -> Option<u64> {
        let mut most = None;
        for path in self.paths().filter(|path| path.is_known()) {
            most = most.max(Some((path.rate(now)? * 8.0) as u64));
        }
        most
    }

    /// The paths whose rates are adapted.
    fn paths(&self) -> impl Iterator<Item = &PathRate> {
        let open = self.destinations.iter().filter(|to| to.is_open());
        open.filter_map(|to| to.path.as_ref())
    }

    /// Ends the stream: sends what is queued at once, and a bye if the format has one.
    pub fn finish(&mut self, now: Duration) {
        if self.finishing {
            return;
        }
        self.finishing = true;
        self.give_up_second();
        self.push_parity(Duration::MAX, now);
        self.pacer.flush(now);
        for to in &mut self.destinations {
            to.feedback.finish(now);
        }
        if let Protocol::Rtp(rtp) = &mut self.protocol {
            rtp.finish(now);
        }
    }

    /// Whether everything has been handed out, including the last bye.
    pub fn is_finished(&self) -> bool {
        let byes_sent = match &self.protocol {
            Protocol::Native(_) => {
                let mut destinations = self.destinations.iter();
                destinations.all(|to| to.control_due().is_none())
            }
            Protocol::Rtp(rtp) => rtp.due().is_none(),
            Protocol::Raw => true,
        };
        self.finishing && byes_sent && self.pacer.is_empty()
    }

    /// Whether packets of frames still wait at the end of the stream. The bye of RTP follows them.
    fn is_emptying(&self) -> bool {
        self.finishing && !self.pacer.is_empty()
    }

    fn room(&self) -> Room<'_> {
        Room {
            destinations: &self.destinations,
            is_shared: self.plan.is_shared,
        }
    }

    /// Plans for the present viewers. No other function sets the parameters of pacer, rate limit
    /// and loss protection.
    fn replan(&mut self, now: Duration) {
        let retransmit = self.config.retransmit;
        let paths =
            |to: &DestinationState| to.is_open().then(|| to.feedback.paths(now, retransmit));
        let paths = self.destinations.iter().map(paths).collect();
        self.plan = Plan::new(&self.config, paths);
        let open = self.destinations.iter().filter(|to| to.is_open());
        for to in open.filter(|_| self.config.pace) {
            let path = to.path.as_ref();
            if let Some((path, pace)) = path.and_then(|path| Some((path, path.pace(now)?))) {
                self.plan.set_pace(to.index().into(), pace, path.last_frame);
            }
        }
        for to in &mut self.destinations {
            to.follow(&self.plan);
        }
    }

    fn close_window_if_due(&mut self, now: Duration) {
        self.push_parity(now, now);
    }

    /// Sends the parity that is due until then over the waiting frames.
    fn push_parity(&mut self, until: Duration, now: Duration) {
        if let Protocol::Native(native) = &mut self.protocol {
            for packet in native.close_windows(&self.plan, until) {
                self.pacer.push(packet, now);
            }
        }
    }
}

/// The rate controller of one path, if its rate is to be adapted.
fn path_rate(config: &Config, now: Duration) -> Option<PathRate> {
    match config.rate {
        Rate::Auto { first } if config.format == Format::Native => {
            Some(PathRate::new(first, config.bitrate, now))
        }
        Rate::Auto { .. } | Rate::Fixed => None,
    }
}

#[cfg(test)]
mod tests;
