//! Video files and network streams, through FFmpeg's libavformat and libavcodec. JPEGs in them are
//! passed through, other video becomes planes.

mod aspect;
mod fields;
mod planes;
mod still;
mod turn;
pub(super) mod url;
mod watch;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use ffmpeg_next::codec::{self, threading};
use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::{Dictionary, Error, Packet, Rational, decoder, format, frame, media};
use framegram_cli::secrets::redacted;

use self::aspect::is_square;
use self::fields::is_picture;
use self::planes::Converter;
pub(super) use self::still::{decode_jpeg, decode_still};
use self::turn::of_stream;
use self::watch::Watch;
use super::paced::MediaTimeline;
use super::retry::Retry;
use super::spool::{NAME_IT, Spool};
use super::{Captured, Content, Request, Source, paced};
use crate::stop::Stop;

/// Frames per second, if a stream does not say.
const DEFAULT_RATE: f64 = 25.0;

/// Schemes of live streams.
const LIVE_SCHEMES: [&str; 6] = ["rtsp", "rtsps", "rtp", "udp", "srt", "rtmp"];

/// Threads that decode the slices of a frame: they add no delay.
const SLICE_THREADS: usize = 2;

/// Frames of a file or a network stream, with its own timestamps.
pub(super) struct Video {
    place: VideoPlace,
    /// The name in messages.
    name: String,
    opened: OpenVideo,
    asked_rate: Option<f64>,
    live: bool,
    timeline: MediaTimeline,
    number: u64,
    unreadable: u64,
    retry: Retry,
}

/// The location.
enum VideoPlace {
    File(PathBuf),
    Url(String),
    /// A pipe, which can be read only once.
    Stream,
}

/// An open file or stream.
struct OpenVideo {
    input: Input,
    watch: Watch,
    stream: usize,
    /// Seconds of a tick.
    tick: f64,
    rate: f64,
    /// The first packet, which was read to identify the content.
    first: Option<Packet>,
    decoder: Option<Decoding>,
}

/// Turns packets into images.
struct Decoding {
    decoder: decoder::Video,
    frame: frame::Video,
    converter: Converter,
    is_jpeg: bool,
    ended: bool,
}

impl Video {
    /// Opens a file.
    ///
    /// # Errors
    /// If it is not a video.
    pub(super) fn file(path: &Path, request: &Request) -> Result<Self> {
        let name = path.display().to_string();
        Self::open(VideoPlace::File(path.into()), name, request)
    }

    /// Opens a URL.
    ///
    /// # Errors
    /// If there is no video.
    pub(super) fn url(url: &str, request: &Request) -> Result<Self> {
        Self::open(VideoPlace::Url(url.into()), redacted(url), request)
    }

    /// Opens a stream of bytes.
    ///
    /// # Errors
    /// If it is not a video.
    pub(super) fn stream(
        input: impl Read + Send + 'static,
        name: &str,
        request: &Request,
    ) -> Result<Self> {
        quiet()?;
        Self::read_by(StreamIo::from_read(input)?, name, request)
    }

    /// Takes a file that came through a pipe.
    ///
    /// # Errors
    /// Where it is not a video.
    pub(super) fn spooled(spool: Spool, name: &str, request: &Request) -> Result<Self> {
        quiet()?;
        let io = StreamIo::from_read_seek(spool)?;
        Self::read_by(io, name, request)
    }

    fn read_by(io: StreamIo, name: &str, request: &Request) -> Result<Self> {
        let watch = Watch::new(&request.stop);
        let ended = watch.clone();
        let input =
            format::input_from_stream_with_interrupt(io, None, None, move || ended.is_over());
        let input =
            input.map_err(|error| anyhow!("{name} is not a video that can be decoded: {error}"))?;
        let opened = OpenVideo::new(input, watch, name)?;
        Ok(Self::with(VideoPlace::Stream, name.into(), opened, request))
    }

    fn open(place: VideoPlace, name: String, request: &Request) -> Result<Self> {
        let opened = place.open(&name, &request.stop)?;
        Ok(Self::with(place, name, opened, request))
    }

    fn with(place: VideoPlace, name: String, opened: OpenVideo, request: &Request) -> Self {
        let live = match &place {
            VideoPlace::Url(url) => {
                let scheme = url.split_once("://").map(|(scheme, _)| scheme);
                let is_live = scheme.is_some_and(|scheme| LIVE_SCHEMES.contains(&scheme));
                is_live || opened.input.duration() <= 0
            }
            VideoPlace::File(_) => opened.input.format().name() == SESSION,
            VideoPlace::Stream => false,
        };
        Self {
            retry: Retry::new(&name, request),
            place,
            name,
            opened,
            asked_rate: request.rate,
            live,
            timeline: MediaTimeline::default(),
            number: 0,
            unreadable: 0,
        }
    }

    fn rate(&self) -> f64 {
        self.asked_rate.unwrap_or(self.opened.rate)
    }

    fn usual(&self) -> Duration {
        Duration::from_secs_f64(1.0 / self.rate())
    }

    fn media_time(&mut self, ticks: Option<i64>) -> Option<Duration> {
        if self.live {
            return None;
        }
        if let Some(rate) = self.asked_rate {
            return Some(paced::media_time(self.number, rate));
        }
        let seconds = ticks.map(|ticks| ticks as f64 * self.opened.tick);
        // The timestamps of frames before the first one may be negative.
        let stamp =
            seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds + STAMPS_FROM).ok());
        Some(self.timeline.place(stamp, self.usual()))
    }
}

/// The format of a session description: its stream comes over the network.
const SESSION: &str = "sdp";

/// What a session description may have read: by itself FFmpeg reads files for a
/// file, and nothing else.
const SESSION_PROTOCOLS: &str = "file,udp,rtp,rtcp,crypto,data";

/// Added to timestamps, so that a few negative ones become positive.
const STAMPS_FROM: f64 = 100.0;

impl Source for Video {
    fn next(&mut self) -> Result<Option<Captured>> {
        loop {
            match self.opened.next(&mut self.unreadable) {
                Ok(Some((content, ticks))) => {
                    self.retry.succeeded();
                    let media_time = self.media_time(ticks);
                    self.number += 1;
                    return Ok(Some(Captured::at(media_time, content)));
                }
                _ if self.retry.is_stopped() => return Ok(None),
                Ok(None) | Err(_) if self.live && self.number > 0 => {}
                Ok(None) if self.number > 0 => return Ok(None),
                Ok(None) => {
                    let hint = match self.place {
                        VideoPlace::Stream => format!("; if it is a file, {NAME_IT}"),
                        VideoPlace::File(_) | VideoPlace::Url(_) => String::new(),
                    };
                    bail!(
                        "there is no frame in {} that can be decoded{hint}",
                        self.name
                    );
                }
                Err(error) => {
                    let (name, number) = (&self.name, self.number);
                    return Err(error)
                        .with_context(|| format!("cannot read {name} after {number} frames"));
                }
            }
            let (place, name) = (&self.place, &self.name);
            let Some(opened) = self.retry.until_open(|stop| place.open(name, stop)) else {
                return Ok(None);
            };
            self.opened = opened;
        }
    }

    fn is_live(&self) -> bool {
        self.live
    }

    fn rewind(&mut self) -> Result<bool> {
        if self.live || matches!(self.place, VideoPlace::Stream) {
            return Ok(false);
        }
        self.opened = self.place.open(&self.name, self.retry.stop())?;
        self.timeline.rewind(self.usual());
        Ok(true)
    }

    fn unreadable(&self) -> u64 {
        self.unreadable
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.rate())
    }
}

/// The program itself tells a person what matters, in one line.
fn quiet() -> Result<()> {
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Quiet);
    Ok(ffmpeg_next::init()?)
}

impl VideoPlace {
    fn open(&self, name: &str, stop: &Stop) -> Result<OpenVideo> {
        quiet()?;
        let watch = Watch::new(stop);
        let ended = watch.clone();
        let is_over = move || ended.is_over();
        let input = match self {
            Self::Url(url) => {
                let mut options = Dictionary::new();
                // Over UDP, half a frame would be lost before anyone knew.
                options.set("rtsp_transport", "tcp");
                // Nor wait for a second of a live stream to learn its rate.
                options.set("fpsprobesize", "2");
                let input = format::input_with_interrupt_and_dictionary(url, is_over, options);
                input.map_err(|error| {
                    anyhow!("cannot open {name}: no video is served there ({error})")
                })?
            }
            Self::File(path) => {
                let not_played =
                    |error| anyhow!("{name} is not a video that can be decoded ({error})");
                match path.to_str() {
                    // A name with a colon is no protocol.
                    Some(path) => {
                        let mut options = Dictionary::new();
                        if begins_session(path) {
                            options.set("protocol_whitelist", SESSION_PROTOCOLS);
                        }
                        let url = format!("file:{path}");
                        format::input_with_interrupt_and_dictionary(&url, is_over, options)
                    }
                    None => {
                        let file =
                            File::open(path).with_context(|| format!("cannot open {name}"))?;
                        let io = StreamIo::from_read_seek(file)?;
                        format::input_from_stream_with_interrupt(io, None, None, is_over)
                    }
                }
                .map_err(not_played)?
            }
            Self::Stream => bail!("{name} cannot be read again"),
        };
        OpenVideo::new(input, watch, name)
    }
}

/// Whether a file is a session description
/// (<https://www.rfc-editor.org/rfc/rfc8866#section-5>).
fn begins_session(path: &str) -> bool {
    let mut start = [0; 4];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start.starts_with(b"v=0") && start[3].is_ascii_whitespace()
}

impl OpenVideo {
    fn new(input: Input, watch: Watch, name: &str) -> Result<Self> {
        let stream = input.streams().best(media::Type::Video);
        let stream = stream.with_context(|| format!("there is no video in {name}"))?;
        let parameters = stream.parameters();
        // FFmpeg shows any text file as a video of a terminal.
        if parameters.id() == codec::Id::ANSI {
            bail!("{name} is not a video that can be decoded");
        }
        let rates = [stream.avg_frame_rate(), stream.rate()].map(f64::from);
        let rate = rates
            .into_iter()
            .find(|rate| (0.001..=1000.0).contains(rate));
        let (index, tick) = (stream.index(), f64::from(stream.time_base()));
        let (turn, stated) = (of_stream(&stream), aspect::of_container(&stream));
        let is_jpeg = parameters.id() == codec::Id::MJPEG;
        let is_named = parameters.id() != codec::Id::None;
        let mut context = codec::Context::from_parameters(parameters)?;
        context.set_threading(threading::Config {
            kind: threading::Type::Slice,
            count: SLICE_THREADS,
            ..threading::Config::default()
        });
        let decoder = context.decoder().video();
        let mut opened = Self {
            watch,
            stream: index,
            tick,
            rate: rate.unwrap_or(DEFAULT_RATE),
            first: None,
            decoder: None,
            input,
        };
        let (height, aspect) = match &decoder {
            Ok(decoder) => (decoder.height(), stated.unwrap_or(decoder.aspect_ratio())),
            // Some recorders give Motion JPEG a name of their own.
            Err(_) if !is_named => (0, stated.unwrap_or(Rational(1, 1))),
            Err(error) => bail!("{name} cannot be decoded: {error}"),
        };
        let may_pass = is_jpeg || decoder.is_err();
        let passes = may_pass && turn.is_none() && is_square(aspect) && {
            opened.first = opened.read()?;
            let data = opened.first.as_ref().and_then(Packet::data);
            is_picture(data.unwrap_or_default(), height)
        };
        if !passes {
            let decoder = decoder.map_err(|error| anyhow!("{name} cannot be decoded: {error}"))?;
            opened.decoder = Some(Decoding {
                decoder,
                frame: frame::Video::empty(),
                converter: Converter::new(turn, stated),
                is_jpeg,
                ended: false,
            });
        }
        Ok(opened)
    }

    /// The next frame and its time in ticks; `None` at the end.
    fn next(&mut self, unreadable: &mut u64) -> Result<Option<(Content, Option<i64>)>> {
        loop {
            if let Some(decoding) = &mut self.decoder
                && let Some(frame) = decoding.receive(unreadable)?
            {
                return Ok(Some(frame));
            }
            let packet = self.read()?;
            match (packet, &mut self.decoder) {
                (Some(packet), None) => {
                    let ticks = packet.pts().or(packet.dts());
                    // AVI has empty packets where a frame is repeated.
                    if packet.size() > 0 {
                        let jpeg = Bytes::from_owner(PacketData(packet));
                        return Ok(Some((Content::Jpeg(jpeg), ticks)));
                    }
                }
                (Some(packet), Some(decoding)) => {
                    let is_alone = decoding.is_jpeg && fields::is_field(&packet);
                    let whole = decoding.is_jpeg.then(|| fields::completed(&packet));
                    let packet = whole.flatten().unwrap_or(packet);
                    if let Err(Error::InvalidData) = decoding.decoder.send_packet(&packet)
                        // Of a field that comes by itself the other one follows.
                        && !is_alone
                    {
                        *unreadable += 1;
                    }
                }
                (None, Some(decoding)) if !decoding.ended => {
                    decoding.ended = true;
                    decoding.decoder.send_eof()?;
                }
                (None, _) => return Ok(None),
            }
        }
    }

    /// The next packet of the video; `None` at the end.
    fn read(&mut self) -> Result<Option<Packet>> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        let mut packet = Packet::empty();
        loop {
            self.watch.begin();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream && packet.size() > 0 => {
                    return Ok(Some(packet));
                }
                Ok(()) => {}
                Err(Error::Eof) => return Ok(None),
                // A truncated file ends where it was cut.
                Err(Error::InvalidData) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The data of a packet, which are not copied.
struct PacketData(Packet);

impl AsRef<[u8]> for PacketData {
    fn as_ref(&self) -> &[u8] {
        self.0.data().unwrap_or_default()
    }
}

impl Decoding {
    fn receive(&mut self, unreadable: &mut u64) -> Result<Option<(Content, Option<i64>)>> {
        while self.decoder.receive_frame(&mut self.frame).is_ok() {
            let ticks = self.frame.timestamp();
            match self.converter.image(&self.frame) {
                Ok(image) => return Ok(Some((Content::Image(image), ticks))),
                Err(error) if *unreadable > 0 => {
                    // One of a kind that is not taken is one of many.
                    let _ = error;
                    *unreadable += 1;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}
