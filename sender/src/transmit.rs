//! The transmit loop: passes encoded frames to the sender, its datagrams to the sockets, and
//! received datagrams to the sender.

mod burst;
mod incoming;
mod outgoing;
mod paths;
mod rates;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use framegram_cli::numbers::or_none;
use framegram_common::fec::Fec;
use framegram_common::sender::{AcceptorConfig, Config, Rate, Sender};
use framegram_common::stats::Statistics;
use framegram_common::wire::MAX_DATAGRAM;
use framegram_common::wire::native::Integrity;
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{Waker, clock, wait};
use log::info;

use self::burst::OutgoingBurst;
use self::paths::SecondRate;
use crate::accept::AcceptSocket;
use crate::args::{Options, Transport, Wire};
use crate::bitrate::BitrateControl;
use crate::console::Console;
use crate::destinations::{self, Destination};
use crate::encoding_log::EncodingLog;
use crate::path_notice::PathNotice;
use crate::pipeline::{EncodedFrame, Pipeline};
use crate::preview::Preview;
use crate::progress::Progress;
use crate::sdp_file::{SdpFile, SdpSession};
use crate::seal::{self, Seal};
use crate::stop::Stop;

/// Datagrams received in a row from one socket before frames get their turn.
const MOST_RECEIVED: usize = 64;

/// How long the bye may take after a panic: several copies at the longest RTTs.
const CUT_SHORT: Duration = Duration::from_secs(1);

/// The shortest time between notices of frames that cannot be sent.
const NOT_SENT_EVERY: Duration = Duration::from_secs(10);

/// The outlets of a stream.
pub(crate) struct Outlets {
    /// The destinations of the command line.
    pub(crate) destinations: Vec<Destination>,
    /// The socket that viewers connect to.
    pub(crate) accept: Option<AcceptSocket>,
    /// The impaired links in front of the destinations (`--impair`).
    pub(crate) impaired: Option<ImpairedLinks<()>>,
    /// The session description.
    pub(crate) description: Option<SdpFile>,
    /// The window.
    pub(crate) preview: Option<Preview>,
    /// What seals the packets, if there is a key.
    pub(crate) seal: Option<Seal>,
}

/// One stream to all its destinations.
pub(crate) struct TransmitLoop<'a> {
    sender: Sender,
    /// Those of the command line, followed by those for RTCP, if it has ports of its own, or by
    /// admitted viewers.
    destinations: Vec<Destination>,
    /// The number of destinations of the command line.
    fixed: usize,
    accept: Option<AcceptSocket>,
    pub(crate) impaired: Option<ImpairedLinks<()>>,
    description: Option<SdpFile>,
    /// Why the session description could not be written.
    pub(crate) undescribed: Option<anyhow::Error>,
    /// That it holds a key.
    secret_told: bool,
    preview: Option<Preview>,
    seal: Option<Seal>,
    session: SdpSession,
    transport: Transport,
    console: &'a Console,
    /// The largest datagram that is probed, if the size follows the paths.
    most_datagram: Option<usize>,
    /// The datagram size that the encoder uses.
    datagram: usize,
    bitrate: Option<BitrateControl>,
    /// The bit rate limit.
    most_bitrate: Option<u64>,
    /// Whether the rate follows the path, and whether a path limits it now.
    adapts: bool,
    is_limited: bool,
    path_notice: PathNotice,
    /// The second encoding, while there is one.
    second: Option<SecondRate>,
    fec: Fec,
    encoding: EncodingLog,
    /// Frames that the source could not read.
    unreadable: u64,
    /// Frames replaced, by the sender's count.
    replaced: u64,
    any_sent: bool,
    /// Why the first frame was not sent, until one was.
    unsent: Option<anyhow::Error>,
    /// When the last notice about an unsendable frame was printed.
    not_sent_notice: Option<Duration>,
    buffer: Vec<u8>,
    /// What leaves next, and as sealed packets.
    burst: OutgoingBurst,
    sealed: Vec<u8>,
}

impl<'a> TransmitLoop<'a> {
    /// A stream with this number, which is drawn at random.
    ///
    /// # Errors
    /// If there is no port for RTCP.
    pub(crate) fn new(
        number: u64,
        outlets: Outlets,
        options: &Options,
        interval: Option<Duration>,
        console: &'a Console,
    ) -> Result<Self> {
        let Outlets {
            mut destinations,
            accept,
            impaired,
            description,
            preview,
            seal,
        } = outlets;
        let (fec, retransmit) = options.repair();
        let bitrate = options.bitrate.map(|bitrate| {
            let control = BitrateControl::new(bitrate, interval, fec, clock::now());
            if control.is_too_low() {
                console.say(
                    "the --bitrate is too low for so many frames: some will wait or be left out; \
                     a lower --fps helps",
                );
            }
            control
        });
        let fixed = destinations.len();
        info!(
            "stream {:016x}: {}, datagrams of {} bytes{}, parity {fec}, retransmit \
             {retransmit}, bit rate {}, pace {}",
            number as u32,
            options.wire.format().name(),
            options.packet_size(),
            options
                .most_datagram()
                .map_or("", |_| " or what the path carries"),
            or_none(options.bitrate),
            !options.no_pace
        );
        let config = Config {
            format: options.wire.format(),
            datagram: options.packet_size() - seal::overhead(seal.as_ref()),
            destinations: fixed,
            interval,
            fec,
            retransmit,
            bitrate: options.bitrate,
            rate: if options.adapts() {
                Rate::Auto {
                    first: destinations::first_rate(&destinations),
                }
            } else {
                Rate::Fixed
            },
            second_encoding: options.may_encode_twice(),
            pace: !options.no_pace && options.transport == Transport::Udp,
            clock_id: clock::clock_id(number),
            rtcp_mux: options.rtcp_mux,
            wall_offset: clock::wall_offset(),
            integrity: match &seal {
                Some(_) => Integrity::Tag,
                None => Integrity::Checksum,
            },
            acceptor: accept.as_ref().map(|_| AcceptorConfig {
                secret: (framegram_net::random_u64(), framegram_net::random_u64()),
                max_peers: options.max_viewers,
                accepts: seal.is_some(),
            }),
            ..Config::default()
        };
        if options.wire == Wire::Rtp && !options.rtcp_mux {
            let connect_options = destinations::connect_options(options)?;
            for index in 0..fixed {
                let reports = destinations[index].for_reports(&connect_options);
                destinations.push(reports.with_context(|| {
                    let address = destinations[index].address();
                    format!("cannot send reports to {address}")
                })?);
            }
        }
        let limit = match (bitrate.is_some(), options.adapts()) {
            (true, _) => " for the --bitrate",
            (false, true) => " for what the path carries",
            (false, false) => "",
        };
        if let Some(notice) = destinations::unadapted(&destinations, options) {
            console.say(&notice);
        }
        let mut transmit = Self {
            sender: Sender::new(config, number, clock::now()),
            destinations,
            fixed,
            accept,
            impaired,
            description,
            undescribed: None,
            secret_told: false,
            preview,
            seal,
            session: SdpSession {
                number,
                interval,
                rtcp_mux: options.rtcp_mux,
                hops: options.hops(),
                wire: options.wire,
            },
            transport: options.transport,
            console,
            encoding: EncodingLog::new(limit, options.timecode),
            most_datagram: options.most_datagram(),
            datagram: options.packet_size(),
            bitrate,
            most_bitrate: options.bitrate,
            adapts: options.adapts(),
            is_limited: false,
            path_notice: PathNotice::default(),
            second: None,
            fec,
            unreadable: 0,
            replaced: 0,
            any_sent: false,
            unsent: None,
            not_sent_notice: None,
            buffer: vec![0; MAX_DATAGRAM],
            burst: OutgoingBurst::default(),
            sealed: Vec::new(),
        };
        (0..fixed).for_each(|index| transmit.search_path(index));
        Ok(transmit)
    }

    /// Sends frames until the source ends or the run is stopped, then the bye.
    ///
    /// # Errors
    /// If the system cannot wait for sockets. Network errors do not end the stream.
    pub(crate) fn run(
        &mut self,
        pipeline: &Pipeline,
        stop: &Stop,
        waker: &Waker,
        until: Option<Duration>,
    ) -> Result<()> {
        let mut progress = Progress::new(self.console.progress_interval(), clock::now());
        let mut out = Vec::new();
        let mut finishing = false;
        while !self.sender.is_finished() {
            if until.is_some_and(|until| clock::now() >= until) {
                stop.stop();
            }
            let early = pipeline.release(clock::now());
            self.count(pipeline);
            // While the outlets take no frames, frames wait where a newer one can replace them.
            while self.takes_frames()
                && let Some(frame) = pipeline.take()
            {
                self.follow_bitrate(pipeline, &frame);
                if self.is_outgrown(&frame) {
                    self.sender.handle_replaced(1);
                    continue;
                }
                self.send_frame(frame);
                self.transmit(pipeline, &mut out);
            }
            self.send_second(pipeline);
            if !finishing && pipeline.is_finished() {
                finishing = true;
                self.count(pipeline);
                self.sender.finish(clock::now());
            }
            self.receive();
            self.tend_destinations();
            self.receive_incoming(pipeline, &mut out);
            self.follow_paths(pipeline);
            pipeline.set_idle(self.is_unwatched());
            self.transmit(pipeline, &mut out);
            let now = clock::now();
            self.tell_paths(now);
            if progress.is_due(now) {
                let line = progress.line(&self.statistics(now), now);
                self.console.progress(&line);
            }
            if self.sender.is_finished() {
                break;
            }
            let next = [
                self.sender.poll_timeout(),
                Some(progress.due()),
                until.filter(|_| !finishing),
                self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout),
                early,
            ];
            let connecting = self.destinations.iter();
            let connecting = connecting.filter_map(Destination::poll_timeout);
            let next = next.into_iter().flatten().chain(connecting).min();
            let own = self.destinations.iter().filter_map(Destination::pollable);
            let shared = self.accept.iter().map(|accept| &**accept.socket() as _);
            let sockets: Vec<_> = own.chain(shared).collect();
            let timeout = next.map(|next| next.saturating_sub(clock::now()));
            let ready = wait(&sockets, waker, timeout).context("cannot wait for the network")?;
            self.set_readable(&ready);
        }
        self.pass_on_rest(pipeline, waker)?;
        self.console.end_progress();
        Ok(())
    }

    /// Marks readable sockets, in the order in which they were polled.
    pub(super) fn set_readable(&mut self, ready: &[bool]) {
        let mut ready = ready.iter();
        let own = self.destinations.iter_mut();
        for destination in own.filter(|to| to.pollable().is_some()) {
            if ready.next() == Some(&true) {
                destination.set_readable();
            }
        }
        if let Some(accept) = self.accept.as_mut().filter(|_| ready.next() == Some(&true)) {
            accept.set_readable();
        }
    }

    /// Sends the bye after [`run`](Self::run) has failed.
    pub(crate) fn cut_short(&mut self, pipeline: &Pipeline, waker: &Waker) {
        let until = clock::now() + CUT_SHORT;
        let mut out = Vec::new();
        self.sender.finish(clock::now());
        while !self.sender.is_finished() && clock::now() < until {
            self.transmit(pipeline, &mut out);
            let due = self.sender.poll_timeout().unwrap_or(until).min(until);
            let left = due.saturating_sub(clock::now());
            if wait(&[], waker, Some(left)).is_err() {
                // The system cannot wait; the byes are sent all the same.
                thread::sleep(left);
            }
        }
    }

    /// Closes the window.
    pub(crate) fn close_preview(&mut self) {
        self.preview = None;
    }

    /// Whether any destination would send a frame.
    fn takes_frames(&self) -> bool {
        // When a connection will be made is unknown.
        let mut to = self.destinations.iter();
        let leave = to.clone().any(Destination::is_ready) || to.all(Destination::is_unconnected);
        leave && !self.sender.is_held_back(clock::now())
    }

    /// Whether nobody watches, or could receive a frame now.
    fn is_unwatched(&self) -> bool {
        let unserved = self.accept.is_some() && self.sender.admitted() == 0;
        let waiting = self.fixed > 0 && !self.destinations.iter().any(Destination::is_ready);
        (unserved && self.fixed == 0 && self.preview.is_none()) || waiting
    }

    /// The figures so far.
    pub(crate) fn statistics(&self, now: Duration) -> Statistics {
        let mut statistics = self.sender.statistics(now);
        let (fixed, others) = self.destinations.split_at(self.fixed);
        let admitted = others.iter().filter(|to| to.is_shared());
        let addresses = fixed.iter().chain(admitted).map(Destination::address);
        statistics.stream.addresses = addresses.map(|address| address.to_string()).collect();
        statistics.stream.transport = Some(self.transport.name());
        self.encoding.fill(&mut statistics);
        if let Some(seal) = &self.seal {
            seal.fill(&mut statistics.packets);
        }
        statistics.frames.unreadable = Some(self.unreadable);
        statistics
    }

    /// Fails if there were frames and none could be encoded and sent, or if nothing could be sent
    /// to a destination.
    ///
    /// # Errors
    /// Why the first frame was not sent, or the system's error for the first such destination.
    pub(crate) fn reached(&mut self) -> Result<()> {
        if let Some(error) = self.unsent.take() {
            return Err(error.context("no frame could be sent"));
        }
        let captured = self.sender.statistics(clock::now()).frames.captured;
        if captured.unwrap_or(0) == 0 && self.unreadable > 0 {
            bail!(
                "no frame of the source could be read ({} were tried)",
                self.unreadable
            );
        }
        let mut destinations = self.destinations.iter();
        destinations.try_for_each(Destination::reached)
    }

    fn count(&mut self, pipeline: &Pipeline) {
        let counts = pipeline.counts();
        // Replaced frames were captured before they were replaced.
        let replaced = counts.replaced.load(Ordering::Relaxed);
        let captured = counts.captured.load(Ordering::Relaxed);
        self.sender.handle_captured(captured);
        self.sender.handle_replaced(replaced - self.replaced);
        self.replaced = replaced;
        self.unreadable = counts.unreadable.load(Ordering::Relaxed);
    }

    fn send_frame(&mut self, frame: EncodedFrame) {
        let now = clock::now();
        let error = match frame.encoded {
            Ok(encoded) => {
                let (jpeg, quality) = (encoded.jpeg.clone(), encoded.quality);
                match self.sender.handle_frame(jpeg, frame.times, quality, now) {
                    Ok(_) => {
                        (self.any_sent, self.unsent) = (true, None);
                        if let Some(size) = self.encoding.record(&encoded, self.console) {
                            self.describe(size);
                        }
                        if let Some(preview) = &self.preview {
                            preview.show(encoded.jpeg);
                        }
                        return;
                    }
                    Err(error) => error.into(),
                }
            }
            Err(error) => {
                self.sender.handle_not_sent(1);
                error
            }
        };
        let last = self.not_sent_notice;
        if last.is_none_or(|last| now.saturating_sub(last) >= NOT_SENT_EVERY) {
            self.not_sent_notice = Some(now);
            self.console
                .say(&format!("a frame could not be sent: {error:#}"));
        }
        if !self.any_sent {
            self.unsent.get_or_insert(error);
        }
    }

    /// Writes the session description, and prints a notice about what receivers cannot know without
    /// it.
    fn describe(&mut self, size: (usize, usize)) {
        if let Some(notice) = self.session.notice(size) {
            self.console.say(&notice);
        }
        let (Some(description), Some(first)) = (&mut self.description, self.destinations.first())
        else {
            return;
        };
        let key = self.seal.as_ref().and_then(Seal::attribute);
        let key = key.as_ref().map(|key| &***key);
        if let Err(error) = description.write(&self.session, first, size, key) {
            // The stream goes on, for those that know what it is like.
            self.console.say(&format!("{error:#}"));
            self.undescribed.get_or_insert(error);
        } else if key.is_some() && !std::mem::replace(&mut self.secret_told, true) {
            self.console.say(&description.secret_notice());
        }
    }
}
