//! The transmit loop: encoded frames into the transmitter, its datagrams to the
//! sockets, what comes back into the transmitter again.

mod transmit;
mod viewers;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_common::sender::{Config, Sender};
use framegram_common::stats::Statistics;
use framegram_common::wire::MAX_DATAGRAM;
use framegram_lab::impair::ImpairedLinks;
use framegram_lab::timecode::MIN_SIZE;
use framegram_net::{Socket, Waker, clock, wait};

use crate::args::{Options, Wire};
use crate::console::Console;
use crate::door::Door;
use crate::encode::Encoded;
use crate::outputs::{self, Output};
use crate::pipeline::{Made, Pipeline};
use crate::preview::Preview;
use crate::progress::Progress;
use crate::rate::RateControl;
use crate::sdp_file::{SdpFile, Session};
use crate::stop::Stop;

/// Datagrams taken in a row from one socket before frames get their turn again.
const MOST_RECEIVED: usize = 64;

/// How long the farewell may take after a panic: several of them at the longest
/// round trips.
const CUT_SHORT: Duration = Duration::from_secs(1);

/// How often one frame that cannot be sent is told of.
const NOT_SENT_TOLD: Duration = Duration::from_secs(10);

/// One stream to all its destinations.
pub(crate) struct Stream<'a> {
    pub(crate) transmitter: Sender,
    /// The destinations, then those of RTP's reports where they are others.
    pub(crate) outputs: Vec<Output>,
    pub(crate) description: Option<SdpFile>,
    /// Why it could not be written.
    pub(crate) undescribed: Option<anyhow::Error>,
    /// Where viewers come by themselves; they are the last of the outputs.
    pub(crate) door: Option<Door>,
    /// What stands before the destinations to do harm, if that is wanted.
    pub(crate) impaired: Option<ImpairedLinks<()>>,
    destinations: usize,
    session: Session,
    pub(crate) console: &'a Console,
    pub(crate) preview: Option<Preview>,
    rate: Option<RateControl>,
    figures: Figures,
    buffer: Vec<u8>,
    replaced_told: u64,
    not_sent_told: Option<Duration>,
    /// Whether frames are to be stamped, and what was told of it.
    stamp: bool,
    encoded_again_told: bool,
    too_small_told: bool,
    remark_told: bool,
    any_sent: bool,
    /// Why the first frame was not sent, while none was.
    unsent: Option<anyhow::Error>,
}

/// What the transmitter cannot know.
#[derive(Debug, Default)]
struct Figures {
    size: Option<(usize, usize)>,
    quality_lowered: u64,
    scaled_down: u64,
    passed_through: u64,
    unreadable: u64,
    reencoded: u64,
}

impl<'a> Stream<'a> {
    /// The stream with this number, drawn at random.
    ///
    /// # Errors
    /// Where RTP's reports have no port to go to.
    pub(crate) fn new(
        number: u64,
        mut outputs: Vec<Output>,
        options: &Options,
        interval: Option<Duration>,
        console: &'a Console,
        preview: Option<Preview>,
    ) -> Result<Self> {
        let (fec, retransmit) = options.repair();
        let rate = options.bitrate.map(|bitrate| {
            let rate = RateControl::new(bitrate, interval, fec, clock::now());
            if rate.is_too_low() {
                console.say(
                    "the --bitrate is too low for so many frames: some will wait or be left out; \
                     a lower --fps helps",
                );
            }
            rate
        });
        let destinations = outputs.len();
        let config = Config {
            format: options.wire.format(),
            datagram: options.packet_size(),
            destinations,
            interval,
            fec,
            retransmit,
            bitrate: options.bitrate,
            pace: !options.no_pace,
            clock_id: clock::clock_id(number),
            rtcp_mux: options.rtcp_mux,
            wall_offset: clock::wall_offset(),
            ..Config::default()
        };
        if options.wire == Wire::Rtp && !options.rtcp_mux {
            let towards = outputs::towards(options)?;
            for index in 0..destinations {
                let reports = outputs[index].for_reports(&towards);
                outputs.push(reports.with_context(|| {
                    format!("cannot send reports to {}", outputs[index].address())
                })?);
            }
        }
        Ok(Self {
            transmitter: Sender::new(config, number, clock::now()),
            outputs,
            description: None,
            undescribed: None,
            door: None,
            impaired: None,
            destinations,
            session: Session {
                number,
                interval,
                rtcp_mux: options.rtcp_mux,
                hops: options.hops(),
                wire: options.wire,
            },
            console,
            preview,
            rate,
            figures: Figures::default(),
            buffer: vec![0; MAX_DATAGRAM],
            replaced_told: 0,
            not_sent_told: None,
            stamp: options.timecode,
            encoded_again_told: false,
            too_small_told: false,
            remark_told: false,
            any_sent: false,
            unsent: None,
        })
    }

    /// The most bytes of the next frame, where a rate sets them.
    pub(crate) fn frame_bytes(&self) -> Option<usize> {
        self.rate.as_ref().map(RateControl::target)
    }

    /// Sends frames until there are no more or it is stopped, then says farewell.
    ///
    /// # Errors
    /// What the system says of waiting; nothing that a network does.
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
        while !self.transmitter.is_finished() {
            if until.is_some_and(|until| clock::now() >= until) {
                stop.stop();
            }
            self.count(pipeline);
            // Behind datagrams that the rate holds back, frames wait where a
            // newer one can replace them.
            while !self.transmitter.is_held_back(clock::now())
                && let Some(made) = pipeline.take()
            {
                self.follow_rate(pipeline);
                self.send_frame(made);
                self.transmit(pipeline, &mut out);
            }
            if !finishing && pipeline.is_finished() {
                finishing = true;
                self.count(pipeline);
                self.transmitter.finish(clock::now());
            }
            self.receive();
            self.tend_outputs();
            self.meet_viewers();
            pipeline.set_idle(self.is_unwatched());
            self.transmit(pipeline, &mut out);
            let now = clock::now();
            if progress.is_due(now) {
                let line = progress.line(&self.statistics(now), now);
                self.console.progress(&line);
            }
            let next = [
                self.transmitter.poll_timeout(),
                Some(progress.due()),
                until.filter(|_| !finishing),
                self.door.as_ref().and_then(Door::poll_timeout),
                self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout),
            ];
            let next = next.into_iter().flatten().min();
            if self.transmitter.is_finished() {
                break;
            }
            let own = self.outputs.iter().filter_map(Output::own_socket);
            let shared = self.door.iter().map(|door| &**door.socket());
            let sockets: Vec<&Socket> = own.chain(shared).collect();
            let timeout = next.map(|next| next.saturating_sub(clock::now()));
            wait(&sockets, waker, timeout).context("cannot wait for the network")?;
        }
        self.pass_on_rest(pipeline, waker)?;
        self.console.end_progress();
        Ok(())
    }

    /// Says farewell where [`run`](Self::run) came to no good end.
    pub(crate) fn cut_short(&mut self, pipeline: &Pipeline, waker: &Waker) {
        let until = clock::now() + CUT_SHORT;
        let mut out = Vec::new();
        self.transmitter.finish(clock::now());
        while !self.transmitter.is_finished() && clock::now() < until {
            self.transmit(pipeline, &mut out);
            let due = self.transmitter.poll_timeout().unwrap_or(until).min(until);
            let left = due.saturating_sub(clock::now());
            if wait(&[], waker, Some(left)).is_err() {
                // The system cannot wait; the farewells go out all the same.
                thread::sleep(left);
            }
        }
    }

    /// Whether nobody at all looks at what is sent.
    fn is_unwatched(&self) -> bool {
        let unserved = self.door.as_ref().is_some_and(Door::is_unserved);
        unserved && self.destinations == 0 && self.preview.is_none()
    }

    /// The figures so far.
    pub(crate) fn statistics(&self, now: Duration) -> Statistics {
        let mut statistics = self.transmitter.statistics(now);
        let stream = &mut statistics.stream;
        stream.addresses = self
            .outputs
            .iter()
            .take(self.destinations)
            .chain(self.outputs.iter().filter(|output| output.is_shared()))
            .map(|output| output.address().to_string())
            .collect();
        statistics.admission = self.door.as_ref().map(Door::counts);
        let stream = &mut statistics.stream;
        let (width, height) = self.figures.size.unzip();
        stream.width = width.and_then(|width| u32::try_from(width).ok());
        stream.height = height.and_then(|height| u32::try_from(height).ok());
        let frames = &mut statistics.frames;
        frames.quality_lowered = Some(self.figures.quality_lowered);
        frames.scaled_down = Some(self.figures.scaled_down);
        frames.passed_through = Some(self.figures.passed_through);
        frames.unreadable = Some(self.figures.unreadable);
        frames.reencoded = Some(self.figures.reencoded);
        statistics
    }

    /// Fails where frames came and none could be encoded and sent, or nothing at
    /// all could be sent to a destination.
    ///
    /// # Errors
    /// Why the first frame was not, or what the system said of the first such
    /// destination.
    pub(crate) fn reached(&mut self) -> Result<()> {
        if let Some(error) = self.unsent.take() {
            return Err(error.context("no frame could be sent"));
        }
        let mut outputs = self.outputs.iter();
        outputs.try_for_each(Output::reached)
    }

    fn count(&mut self, pipeline: &Pipeline) {
        let counts = pipeline.counts();
        // Replaced frames were captured before they were replaced.
        let replaced = counts.replaced.load(Ordering::Relaxed);
        let captured = counts.captured.load(Ordering::Relaxed);
        self.transmitter.handle_captured(captured);
        self.transmitter
            .handle_replaced(replaced - self.replaced_told);
        self.replaced_told = replaced;
        self.figures.unreadable = counts.unreadable.load(Ordering::Relaxed);
    }

    fn follow_rate(&mut self, pipeline: &Pipeline) {
        if let Some(rate) = &mut self.rate {
            rate.observe(self.transmitter.volume(), clock::now());
            pipeline.set_frame_bytes(rate.target());
        }
    }

    fn send_frame(&mut self, made: Made) {
        let now = clock::now();
        let error = match made.encoded {
            Ok(encoded) => {
                let jpeg = encoded.jpeg.clone();
                let quality = encoded.quality;
                let handled = self
                    .transmitter
                    .handle_frame(jpeg, made.times, quality, now);
                match handled {
                    Ok(_) => {
                        (self.any_sent, self.unsent) = (true, None);
                        return self.note(encoded);
                    }
                    Err(error) => error.into(),
                }
            }
            Err(error) => {
                self.transmitter.handle_not_sent(1);
                error
            }
        };
        let told = self.not_sent_told;
        if told.is_none_or(|told| now.saturating_sub(told) >= NOT_SENT_TOLD) {
            self.not_sent_told = Some(now);
            self.console
                .say(&format!("a frame cannot be sent: {error:#}"));
        }
        if !self.any_sent {
            self.unsent.get_or_insert(error);
        }
    }

    fn note(&mut self, encoded: Encoded) {
        let first_lowered = self.figures.quality_lowered == 0;
        let first_scaled = self.figures.scaled_down == 0;
        let size = Some((encoded.width, encoded.height));
        if self.figures.size != size {
            self.describe(encoded.width, encoded.height);
        }
        let figures = &mut self.figures;
        if encoded.reencoded {
            if figures.reencoded == 0 {
                self.console.say(
                    "the source's own JPEGs are of a kind that is not sent: they are encoded again",
                );
            }
            figures.reencoded += 1;
        }
        if let Some(remark) = &encoded.remark
            && !std::mem::replace(&mut self.remark_told, true)
        {
            self.console.say(&format!(
                "the source's own JPEGs are odd ({remark}); they are sent all the same"
            ));
        }
        let figures = &mut self.figures;
        figures.size = Some((encoded.width, encoded.height));
        figures.passed_through += u64::from(encoded.passed_through);
        if encoded.quality_lowered {
            figures.quality_lowered += 1;
            if first_lowered {
                let quality = encoded.quality.unwrap_or(0);
                let why = self.too_long();
                self.console.say(&format!(
                    "frames are too long{why}: quality is lowered where it must be (first to {quality})"
                ));
            }
        }
        if encoded.scaled_down {
            self.figures.scaled_down += 1;
            if first_scaled {
                let why = self.too_long();
                self.console.say(&format!(
                    "frames are too long{why} at the lowest quality: they are scaled down where they must be (first to {}x{})",
                    encoded.width, encoded.height
                ));
            }
        }
        if self.stamp {
            self.note_stamp(&encoded);
        }
        if let Some(preview) = &self.preview {
            preview.show(encoded.jpeg);
        }
    }

    fn note_stamp(&mut self, encoded: &Encoded) {
        if encoded.was_jpeg && !std::mem::replace(&mut self.encoded_again_told, true) {
            self.console
                .say("JPEGs of the source are re-encoded for --timecode");
        }
        if !encoded.stamped && !std::mem::replace(&mut self.too_small_told, true) {
            self.console.say(&format!(
                "frames of {}x{} are too small for a timecode and are sent without: it needs {}x{}",
                encoded.width, encoded.height, MIN_SIZE.0, MIN_SIZE.1
            ));
        }
    }

    fn too_long(&self) -> &'static str {
        if self.rate.is_some() {
            " for the --bitrate"
        } else {
            ""
        }
    }

    /// Writes the session description, and says what receivers cannot know
    /// without it.
    fn describe(&mut self, width: usize, height: usize) {
        if let Some(notice) = self.session.notice((width, height)) {
            self.console.say(&notice);
        }
        let (Some(description), Some(output)) = (&mut self.description, self.outputs.first())
        else {
            return;
        };
        if let Err(error) = description.write(&self.session, output, (width, height)) {
            // The stream goes on, for those that know what it is like.
            self.console.say(&format!("{error:#}"));
            self.undescribed.get_or_insert(error);
        }
    }
}
