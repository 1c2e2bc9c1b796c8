//! The command line: every flag with its unit, default and range.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "clap prints doc comments as they stand"
)]

mod check;
mod choice;
mod quantity;

use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches, Parser};
use framegram_cli::key::KeyArgs;
use framegram_cli::quantities::{bitrate, duration};
use framegram_common::fec::Fec;
use framegram_common::wire::{DEFAULT_DATAGRAM, MAX_DATAGRAM};
use framegram_lab::impair::Impairment;

pub use self::choice::{RateControl, Transport, Wire};
pub use self::quantity::{FrameRate, PacketSize};
use crate::announce;
use crate::encode::{DEFAULT_MIN_QUALITY, Settings};
use crate::source::{self, Spec};

/// Send video frames from a camera, a file or a test pattern as UDP datagrams.
#[derive(Clone, Debug, Parser)]
#[command(name = "framegram-send", version, after_long_help = EXAMPLES)]
pub struct Options {
    /// camera[:N|:NAME], /dev/..., a video file, a URL, a still, a folder of
    /// stills, pattern[:WxH[@FPS]], or - for standard input
    ///
    /// camera is /dev/video0; NAME is a part of a camera's name, as
    /// `framegram-send cameras` lists them. A video file is any that FFmpeg can
    /// open; it plays at its own pace. Stills (.jpg, .png) of a folder are sent in
    /// name order, 25 per second. pattern is 1280x720@30 by default. Standard input
    /// takes Y4M, sent at its own frame rate, JPEGs, sent as they arrive, also as
    /// a camera's server wraps them, or a video. For a file that has one of these
    /// names, write ./pattern.
    #[arg(value_name = "SOURCE", value_parser = OsStringValueParser::new().try_map(Spec::parse_os))]
    pub source: Spec,

    /// Destinations: HOST:PORT, one or more
    ///
    /// HOST is an IPv4 address, an IPv6 address in brackets, a host name, a
    /// multicast group or, with --broadcast, a broadcast address. Viewers listen
    /// on port 5005 by default.
    #[arg(value_name = "DEST", required_unless_present = "listen", value_parser = quantity::destination)]
    pub destinations: Vec<String>,

    /// Width and height in pixels [default: those of the source]
    ///
    /// A camera is opened at this size and the pattern is drawn at it. Other
    /// frames are scaled to exactly this size; the aspect ratio is not kept.
    #[arg(short, long, value_name = "WxH", value_parser = source::parse_size, help_heading = SOURCE)]
    pub size: Option<(usize, usize)>,

    /// Frames per second, 0.001 to 1000, or max [default: that of the source]
    ///
    /// A file plays all its frames at this rate. A camera is asked for this rate,
    /// and surplus frames are dropped. max sends as fast as frames can be read.
    #[arg(short = 'r', long, value_name = "F|max", value_parser = FrameRate::parse, help_heading = SOURCE)]
    pub fps: Option<FrameRate>,

    /// Also send JPEGs of the source that end early
    ///
    /// Otherwise they are dropped and counted as unreadable. No viewer counts
    /// them as intact.
    #[arg(long, help_heading = SOURCE)]
    pub keep_broken: bool,

    /// Start again when the source ends
    #[arg(long = "loop", help_heading = SOURCE)]
    pub repeat: bool,

    /// Stop after N frames of the source
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = SOURCE)]
    pub frames: Option<u64>,

    /// Stop after this time, such as 500ms, 10s, 2m or 1h; a bare number is
    /// seconds
    #[arg(short = 't', long, value_name = "T", value_parser = duration, help_heading = SOURCE)]
    pub duration: Option<Duration>,

    /// JPEG quality, 1 to 100 [default: 80]
    ///
    /// JPEGs of the source are passed through unchanged unless this is given.
    #[arg(long, value_name = "1..100", value_parser = clap::value_parser!(u8).range(1..=100), help_heading = ENCODING)]
    pub quality: Option<u8>,

    /// Highest bit rate to each destination, 64k to 10G bit/s, such as 8M
    /// [default: no limit]
    ///
    /// Measured over any one second, with headers, parity and retransmissions.
    /// The quality, then the size of frames is lowered as far as the limit
    /// requires.
    #[arg(short, long, value_name = "RATE", value_parser = bitrate, help_heading = ENCODING)]
    pub bitrate: Option<u64>,

    /// Whether the rate follows what the path to a viewer carries
    ///
    /// auto: the viewer reports when packets arrive; where the path carries too
    /// little, the quality, then the size of frames follows it. Each of several
    /// viewers gets as many frames as its own path carries. fixed: frames are not
    /// adapted. rtp, raw and TCP always use fixed.
    #[arg(long, value_enum, value_name = "RATE", default_value_t = RateControl::Auto, help_heading = ENCODING)]
    pub rate: RateControl,

    /// Lowest JPEG quality before the size of frames is lowered, 1 to 100
    #[arg(long, value_name = "1..100", default_value_t = DEFAULT_MIN_QUALITY, value_parser = clap::value_parser!(u8).range(1..=100), help_heading = ENCODING)]
    pub min_quality: u8,

    /// Longest JPEG in bytes, 1024 to 16777216 [default: no limit]
    ///
    /// The quality, then the size of a longer frame is lowered until it fits.
    #[arg(long, value_name = "BYTES", value_parser = quantity::frame_bytes, help_heading = ENCODING)]
    pub max_frame_bytes: Option<usize>,

    /// Encode each frame in one piece, without restart markers
    ///
    /// By default a frame is encoded in slices, so that a lost datagram costs a
    /// strip of the frame and not all of it. Slices cost 1 to 2 % more bytes.
    /// JPEGs that are passed through keep their own. --wire raw has no slices.
    #[arg(long, help_heading = ENCODING)]
    pub no_slices: bool,

    /// Draw a bar code with number and time into each frame's upper left corner
    ///
    /// framegram-view --read-timecode reads it from the frames it shows, and
    /// framegram-lab analyze from a recording of any player. JPEGs of the source
    /// are re-encoded.
    #[arg(long, help_heading = ENCODING)]
    pub timecode: bool,

    /// Let viewers connect to this machine: HOST:PORT, :PORT or PORT
    ///
    /// They connect with framegram-view --connect, also from behind a NAT, and
    /// are served until they leave or fall silent, in addition to any DEST.
    #[arg(long, value_name = "ADDR", value_parser = quantity::listen, help_heading = DESTINATIONS)]
    pub listen: Option<String>,

    /// Most viewers served at a time with --listen, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 16, requires = "listen", value_parser = clap::value_parser!(u16).range(1..=1000), help_heading = DESTINATIONS)]
    pub max_viewers: u16,

    /// Announce the sender under this name on the local network, for
    /// framegram-view discover
    #[arg(long, value_name = "NAME", requires = "listen", value_parser = announce::parse_name, help_heading = DESTINATIONS)]
    pub announce: Option<String>,

    /// Allow broadcast destinations
    #[arg(long, help_heading = DESTINATIONS)]
    pub broadcast: bool,

    /// Interface for multicast and broadcast, by name or address [default: as
    /// routed]
    #[arg(long, value_name = "NAME|ADDRESS", help_heading = DESTINATIONS)]
    pub interface: Option<String>,

    /// Hop limit for multicast: 0 this machine, 1 this network, up to 255
    /// [default: 1]
    #[arg(long, value_name = "N", help_heading = DESTINATIONS)]
    pub ttl: Option<u8>,

    /// Keep multicast from viewers on this machine
    #[arg(long, help_heading = DESTINATIONS)]
    pub no_multicast_loop: bool,

    /// What carries the packets
    ///
    /// framegram-view listens for both. Over TCP a frame is only begun when the
    /// one before it has left: of those that wait meanwhile, the newest is sent.
    #[arg(long, value_enum, value_name = "TRANSPORT", default_value_t = Transport::Udp, help_heading = TRANSPORT)]
    pub transport: Transport,

    /// Format of the datagrams
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = Wire::Native, help_heading = TRANSPORT)]
    pub wire: Wire,

    /// Largest datagram in bytes of UDP payload, 640 to 65507
    /// [default: auto; rtp: 1452; raw: 65507; over TCP: 16384]
    ///
    /// auto: as large as the path to each viewer carries, by what viewers report;
    /// 1452 to groups and broadcasts. Of a number, datagrams above 1452 are
    /// fragmented by IP; losing one fragment loses the datagram.
    #[arg(long, value_name = "auto|BYTES", value_parser = quantity::packet_size, help_heading = TRANSPORT)]
    pub packet_size: Option<PacketSize>,

    /// Parity in percent of a frame's datagrams, 1 to 200
    /// [default: auto; rtp and raw: off]
    ///
    /// Viewers rebuild lost datagrams from parity without asking. auto sends what
    /// the loss reported by viewers requires, and some for loss not yet seen.
    #[arg(long, value_name = "off|auto|PERCENT", value_parser = quantity::fec, help_heading = TRANSPORT)]
    pub fec: Option<Fec>,

    /// Ignore requests for lost datagrams
    ///
    /// By default a frame is kept for as long as the viewer waits for it
    /// (--latency of the viewer), and lost datagrams are sent again on request.
    /// rtp and raw have no retransmission.
    #[arg(long, help_heading = TRANSPORT)]
    pub no_retransmit: bool,

    /// Send all datagrams of a frame at once
    ///
    /// By default they are spread over up to half of the frame interval, so that
    /// they do not overflow a queue on the path. Where the viewer's reports show
    /// what the path carries, they leave at that pace.
    #[arg(long, help_heading = TRANSPORT)]
    pub no_pace: bool,

    /// With --wire rtp, write the session description (SDP) to this file, or -
    /// for standard output
    ///
    /// It describes the first destination and is complete when the first frame
    /// is sent. An older file stays until then. With a key, it holds the key of this
    /// start, and only you can read it.
    #[arg(long, value_name = "FILE|-", help_heading = TRANSPORT)]
    pub sdp: Option<PathBuf>,

    /// With --wire rtp, multiplex RTCP on the RTP port
    #[arg(long, help_heading = TRANSPORT)]
    pub rtcp_mux: bool,

    /// The key of the stream.
    #[command(flatten)]
    pub key: KeyArgs,

    /// Write all figures as JSON at the end, to this file or - for standard
    /// output
    ///
    /// An older file stays until the new one is complete.
    #[arg(long, value_name = "FILE.json|-", help_heading = OUTPUT)]
    pub report: Option<PathBuf>,

    /// Show the frames that are sent in a window
    #[arg(long, help_heading = OUTPUT)]
    pub preview: bool,

    /// Simulate a bad link towards each destination
    ///
    /// Terms joined by commas: loss=5%, ge=p:0.01,r:0.2 (bursts),
    /// delay=20ms±5ms (or +-), reorder=1%, dup=0.5%, corrupt=0.1%,
    /// rate=20M,queue=100ms,bucket=16k, mtu=1200, seed=7. Each destination has
    /// its own link; the seed is one higher for each further one. Datagrams from
    /// viewers are not impaired.
    #[arg(long, value_name = "SPEC", help_heading = OUTPUT)]
    pub impair: Option<Impairment>,

    /// Log what --impair did to each datagram, for framegram-lab check
    ///
    /// An older FILE becomes FILE~.
    #[arg(long, value_name = "FILE", requires = "impair", help_heading = OUTPUT)]
    pub impair_log: Option<PathBuf>,

    /// Do not run in a sandbox
    ///
    /// In the sandbox, the sender can only open the files named here and those of
    /// the system, and run no other programs.
    #[arg(long)]
    pub no_sandbox: bool,

    /// Print errors only
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Log to standard error; -vv logs what changes, -vvv everything
    ///
    /// The environment variable FRAMEGRAM_LOG filters by module and level, such as
    /// framegram_send=trace.
    #[arg(short, long, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What a command line asks for.
#[derive(Clone, Debug)]
pub enum Task {
    /// A stream.
    Stream(Box<Options>),
    /// `framegram-send cameras`.
    ListCameras,
    /// `framegram-send keygen`, into a file or to standard output.
    Keygen(Option<PathBuf>),
}

impl Task {
    /// Parses this program's command line.
    ///
    /// # Errors
    /// A usage error, or the output of `--help`.
    pub fn parse() -> Result<Self, clap::Error> {
        let matches = command().try_get_matches()?;
        match matches.subcommand() {
            Some((CAMERAS, _)) => return Ok(Self::ListCameras),
            Some((_, keygen)) => return Ok(Self::Keygen(keygen.get_one(KEY_FILE).cloned())),
            None => {}
        }
        let options = Options::from_arg_matches(&matches)?.check()?;
        Ok(Self::Stream(Box::new(options)))
    }
}

/// The command line with its subcommands.
pub fn command() -> Command {
    let cameras =
        Command::new(CAMERAS).about("List the cameras with their names, formats, sizes and rates");
    let file = Arg::new(KEY_FILE)
        .value_name("FILE")
        .help("The file to write, which only you can read [default: standard output]")
        .value_parser(clap::value_parser!(PathBuf));
    let keygen = Command::new(KEYGEN)
        .about("Make a key for --key-file of both programs")
        .arg(file)
        .after_long_help(KEYGEN_EXAMPLE);
    Options::command()
        .subcommand(cameras)
        .subcommand(keygen)
        .args_conflicts_with_subcommands(true)
        .subcommand_negates_reqs(true)
        .disable_help_subcommand(true)
}

impl Options {
    /// The largest datagram in bytes, unless the size follows the path.
    pub fn packet_size(&self) -> usize {
        match (self.packet_size, self.transport, self.wire) {
            (Some(PacketSize::Fixed(bytes)), ..) => bytes,
            (_, Transport::Tcp, _) => TCP_PACKET,
            (_, Transport::Udp, Wire::Native | Wire::Rtp) => DEFAULT_DATAGRAM,
            (_, Transport::Udp, Wire::Raw) => MAX_DATAGRAM,
        }
    }

    /// The largest datagram that is probed, if the size follows the path. Only the native format
    /// over UDP has the reports for that.
    pub fn most_datagram(&self) -> Option<usize> {
        let reported = self.wire == Wire::Native && self.transport == Transport::Udp;
        let is_auto = !matches!(self.packet_size, Some(PacketSize::Fixed(_)));
        // Sending a larger datagram would delay a frame.
        let bitrate = self
            .bitrate
            .map_or(u64::MAX, |rate| rate / 8 / DATAGRAMS_A_SECOND);
        let most = usize::try_from(bitrate).unwrap_or(MAX_DATAGRAM);
        (reported && is_auto).then(|| most.clamp(DEFAULT_DATAGRAM, MAX_DATAGRAM))
    }

    /// How much parity is sent, and whether retransmissions are. Only the native format has either,
    /// and TCP needs neither.
    pub fn repair(&self) -> (Fec, bool) {
        if self.wire != Wire::Native || self.transport == Transport::Tcp {
            return (Fec::Off, false);
        }
        let fec = self.fec.unwrap_or(Fec::Auto);
        (fec, !self.no_retransmit)
    }

    /// Whether the rate follows the path. Only the native format has the reports for that, and TCP
    /// adapts by itself.
    pub fn adapts(&self) -> bool {
        let reported = self.wire == Wire::Native && self.transport == Transport::Udp;
        reported && self.rate == RateControl::Auto
    }

    /// Whether viewers may need a second encoding: the rate follows several paths.
    pub fn may_encode_twice(&self) -> bool {
        self.adapts() && (self.destinations.len() > 1 || self.listen.is_some())
    }

    /// The hop limit of multicast.
    pub fn hops(&self) -> u8 {
        self.ttl.unwrap_or(1)
    }

    /// The settings of the encoder.
    pub fn settings(&self) -> Settings {
        Settings {
            quality: self.quality,
            size: self.size,
            max_frame_bytes: match self.wire {
                Wire::Native | Wire::Rtp => self.max_frame_bytes,
                Wire::Raw => Some(
                    self.packet_size()
                        .min(self.max_frame_bytes.unwrap_or(usize::MAX)),
                ),
            },
            first_frame_bytes: None,
            min_quality: Some(self.min_quality),
            // If a datagram is a frame, it is lost completely. Over TCP, nothing of a frame is
            // lost.
            slices: (!self.no_slices && self.wire != Wire::Raw && self.transport == Transport::Udp)
                .then_some(self.packet_size()),
            format: self.wire.format(),
        }
    }
}

/// With a bit rate limit, a second has room for this many of the largest datagrams: sending one
/// takes 10 ms.
const DATAGRAMS_A_SECOND: u64 = 100;

/// The longest packet over TCP: its headers take less than half a percent, and the viewer has it
/// before the next one is sent.
const TCP_PACKET: usize = 16 << 10;

const CAMERAS: &str = "cameras";
const KEYGEN: &str = "keygen";
const KEY_FILE: &str = "file";
const SOURCE: &str = "Source";
const ENCODING: &str = "Encoding";
const DESTINATIONS: &str = "Destinations";
const TRANSPORT: &str = "Transport";
const OUTPUT: &str = "Output";

const EXAMPLES: &str = "\
Examples:
  Send a webcam to another machine, where framegram-view runs:
      framegram-send camera 192.168.1.20:5005

  List the cameras with their names, formats, sizes and rates:
      framegram-send cameras

  Send a file again and again, to two machines:
      framegram-send --loop clip.mp4 192.168.1.20:5005 [fe80::1%eth0]:5005

  Send a moving test pattern for 10 s and write the figures:
      framegram-send -t 10 --report sent.json pattern:1920x1080@60 localhost:5005

  Send RTP to GStreamer, FFmpeg or another player, which reads video.sdp:
      framegram-send --wire rtp --sdp video.sdp camera 192.168.1.20:5004

  Send SRTP; receivers take the key from video.sdp:
      framegram-send --wire rtp --key-file stream.key --sdp video.sdp camera 192.168.1.20:5004

  Send to a viewer behind a firewall that lets no UDP pass:
      framegram-send --transport tcp camera 192.168.1.20:5005

  Serve viewers that connect with framegram-view --connect kitchen:
      framegram-send --listen :5005 --announce kitchen camera

  Encrypt, with a key that is copied to the other machine first:
      framegram-send keygen stream.key
      framegram-send --key-file stream.key camera 192.168.1.20:5005

  Send the output of another program:
      ffmpeg -re -i clip.mkv -f yuv4mpegpipe -pix_fmt yuv420p - | framegram-send - localhost:5005

In rates and sizes, k, M and G are powers of 1000.

Exit status: 0 done, 1 failed, 2 wrong usage.";

const KEYGEN_EXAMPLE: &str = "\
Example:
  Make a key, copy it to the other machine, and use it there and here:
      framegram-send keygen stream.key
      scp stream.key other:
      framegram-view --key-file stream.key
      framegram-send --key-file stream.key camera 192.168.1.20:5005

Exit status: 0 done, 1 failed, 2 wrong usage.";

#[cfg(test)]
mod tests;
