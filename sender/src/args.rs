//! The command line: every flag with its unit, default and range.

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, CommandFactory, Parser, ValueEnum, error::ErrorKind};
use framegram_common::repair::Fec;
use framegram_common::udp;
use framegram_common::wire::{DEFAULT_DATAGRAM, Format, MAX_DATAGRAM, MIN_DATAGRAM};

use crate::announce;
use crate::encode::{MIN_FRAME_BYTES, Settings};
use crate::source::{self, Spec};

/// Sends video frames from a camera, a file or a pattern as UDP datagrams.
#[derive(Clone, Debug, Parser)]
#[command(name = "framegram-send", version, after_long_help = EXAMPLES)]
pub struct Options {
    /// camera[:N], /dev/videoN, a video file, a URL, a still or a folder of
    /// stills, pattern[:WxH[@FPS]], or - for JPEGs or Y4M on standard input
    ///
    /// camera is /dev/video0. A video file is any that FFmpeg opens; it plays
    /// at its own pace. Stills (.jpg, .png) of a folder go in name order, 25 a
    /// second. The pattern is 1280x720@30 unless told otherwise. On standard
    /// input, Y4M goes at its own rate and JPEGs as they come. A file that is
    /// named like one of these: ./pattern
    #[arg(value_name = "SOURCE", value_parser = Spec::parse)]
    pub source: Spec,

    /// Where to: HOST:PORT, one or several
    ///
    /// HOST is an IPv4 address, an IPv6 address in brackets, a name, a
    /// multicast group or, with --broadcast, a broadcast address. Viewers
    /// listen on port 5005 unless told otherwise.
    #[arg(value_name = "DEST", required_unless_present = "listen", value_parser = parse_destination)]
    pub destinations: Vec<String>,

    /// JPEG quality, 1 to 100 [default: 80]
    ///
    /// A source's own JPEGs go out as they are unless this is given.
    #[arg(long, value_name = "1..100", value_parser = clap::value_parser!(u8).range(1..=100))]
    pub quality: Option<u8>,

    /// Width and height in pixels [default: the source's]
    ///
    /// A camera is opened at this size, the pattern drawn at it; other pictures
    /// are scaled to exactly it, whatever their proportions are.
    #[arg(long, value_name = "WxH", value_parser = source::parse_size)]
    pub size: Option<(usize, usize)>,

    /// Frames a second, 0.001 to 1000, or max [default: the source's]
    ///
    /// A file plays every frame at this pace, a camera is asked for it and
    /// thinned out to it; max sends without waiting.
    #[arg(long, value_name = "F|max", value_parser = Rate::parse)]
    pub fps: Option<Rate>,

    /// The longest frame in bytes, 1024 to 16777216 [default: none]
    ///
    /// Where a frame is longer, its quality is lowered, then the picture scaled
    /// down, until it fits.
    #[arg(long, value_name = "N", value_parser = parse_frame_bytes)]
    pub max_frame_bytes: Option<usize>,

    /// Bits a second to each destination at the most, 64k to 10G [default: none]
    ///
    /// Counted over any one second, with headers and all repair; k, M and G are
    /// thousands, millions and milliards, such as 8M. Quality is lowered, then
    /// the picture scaled down, as far as that asks.
    #[arg(long, value_name = "RATE", value_parser = parse_bitrate)]
    pub bitrate: Option<u64>,

    /// Let viewers come by themselves: HOST:PORT, :PORT or PORT of this machine
    ///
    /// They come with `framegram-view --connect`, also from behind a NAT, and
    /// are served until they fall silent, besides the DESTs if there are any.
    #[arg(long, value_name = "ADDR", value_parser = parse_listen)]
    pub listen: Option<String>,

    /// The most viewers that are served at once with --listen, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub max_viewers: u16,

    /// Announce the sender under this name on the local network, where
    /// `framegram-view --discover` lists it
    #[arg(long, value_name = "NAME", requires = "listen", value_parser = announce::parse_name)]
    pub announce: Option<String>,

    /// The format of the datagrams
    ///
    /// native is framegram's own, which loses the least. rtp is JPEG in RTP
    /// (RFC 2435), for GStreamer, FFmpeg and others. raw is one JPEG a datagram
    /// and nothing else; its frames are made to fit into one.
    #[arg(long, value_enum, value_name = "native|rtp|raw", hide_possible_values = true, default_value_t = Wire::Native)]
    pub wire: Wire,

    /// RTP's reports go to the same port, not to the next one
    #[arg(long)]
    pub rtcp_mux: bool,

    /// Write RTP's session description to this file, or - for standard output
    ///
    /// It is of the first destination, and there when the first frame is sent.
    #[arg(long, value_name = "FILE|-")]
    pub sdp: Option<PathBuf>,

    /// The largest datagram in bytes of UDP payload, 640 to 65507
    /// [default: 1452; raw: 65507]
    ///
    /// The default fits an Ethernet path. Larger ones are cut into IP fragments
    /// on the way: one fragment lost is the datagram lost.
    #[arg(long, value_name = "BYTES", value_parser = parse_datagram)]
    pub datagram: Option<usize>,

    /// Whether pictures are encoded in slices that do without each other
    ///
    /// A lost datagram then costs a viewer a strip of the picture instead of
    /// the frame, for one or two percent more bytes. A source's own JPEGs
    /// that go out as they are keep the slices that they have.
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true, default_value_t = Slices::On)]
    pub slices: Slices,

    /// Draw a bar code with number and time into every picture's upper left
    /// corner, for framegram-view --read-stamp and --analyse
    ///
    /// It is read from the pixels, wherever they were shown: that measures any
    /// player. A source's own JPEGs are decoded and encoded again for it.
    #[arg(long)]
    pub stamp: bool,

    /// Parity sent along with frames, in percent of their datagrams, 1 to 200
    ///
    /// A viewer makes lost datagrams from it at once. auto sends as much as
    /// the loss that viewers report asks for, and some for loss not yet seen.
    #[arg(long, value_name = "off|auto|PERCENT", default_value = "auto", value_parser = parse_fec)]
    pub fec: Fec,

    /// Whether datagrams that a viewer misses are sent again when it asks
    ///
    /// They are kept for as long as the viewer waits for a frame (its
    /// --latency).
    #[arg(long, value_enum, value_name = "off|auto", hide_possible_values = true, default_value_t = Switch::Auto)]
    pub retransmit: Switch,

    /// Whether the datagrams of a frame are spread over time, up to half of
    /// the time to the next frame, so that none flood a queue on the way
    #[arg(long, value_enum, value_name = "off|auto", hide_possible_values = true, default_value_t = Switch::Auto)]
    pub pace: Switch,

    /// A broadcast address among the destinations is meant
    #[arg(long)]
    pub broadcast: bool,

    /// How far a multicast group reaches: 0 this machine, 1 this network, or
    /// over so many routers less one, up to 255
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub ttl: u8,

    /// Interface that a multicast group or a broadcast goes out by, by name or
    /// address [default: as the routes say]
    #[arg(long, value_name = "NAME|ADDRESS")]
    pub interface: Option<String>,

    /// Whether viewers on this machine get what goes to a multicast group
    #[arg(long, value_enum, value_name = "off|auto", hide_possible_values = true, default_value_t = Switch::Auto)]
    pub multicast_loop: Switch,

    /// Begin again when the source ends
    #[arg(long = "loop")]
    pub repeat: bool,

    /// End after so many frames of the source, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: Option<u64>,

    /// End after this time, such as 500ms, 10s, 2m or 1h
    #[arg(long, value_name = "T", value_parser = parse_duration)]
    pub duration: Option<Duration>,

    /// Show what is being sent in a window
    #[arg(long)]
    pub preview: bool,

    /// Write the figures to this file when the stream ends
    #[arg(long, value_name = "FILE.json")]
    pub report: Option<PathBuf>,

    /// Say nothing but errors
    #[arg(long, action = ArgAction::SetTrue)]
    pub quiet: bool,
}

impl Options {
    /// What [`Parser`] cannot check alone.
    ///
    /// # Errors
    /// Wrong usage.
    pub fn check(self) -> Result<Self, clap::Error> {
        if self.repeat && self.source == Spec::Stdin {
            return Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                "standard input cannot be read again: leave --loop out",
            ));
        }
        if let Some(bitrate) = self.bitrate
            && bitrate / 8 < DATAGRAMS_A_SECOND * self.datagram() as u64
        {
            let least = DATAGRAMS_A_SECOND * self.datagram() as u64 * 8;
            return Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                format!(
                    "--datagram {} needs a --bitrate of {least} or more",
                    self.datagram()
                ),
            ));
        }
        if self.wire != Wire::Rtp && (self.rtcp_mux || self.sdp.is_some()) {
            return Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                "--rtcp-mux and --sdp are for RTP: add --wire rtp",
            ));
        }
        if self.wire != Wire::Native && self.listen.is_some() {
            return Err(Self::command().error(
                ErrorKind::ArgumentConflict,
                "viewers that come to --listen speak framegram's own format: leave --wire out",
            ));
        }
        if self.wire == Wire::Raw && self.datagram() < MIN_FRAME_BYTES {
            return Err(Self::command().error(
                ErrorKind::ValueValidation,
                format!("a frame in one datagram takes {MIN_FRAME_BYTES} bytes at least"),
            ));
        }
        Ok(self)
    }

    /// The largest datagram in bytes.
    #[must_use]
    pub fn datagram(&self) -> usize {
        self.datagram.unwrap_or(match self.wire {
            Wire::Native | Wire::Rtp => DEFAULT_DATAGRAM,
            Wire::Raw => MAX_DATAGRAM,
        })
    }

    /// What frames are to be like.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            quality: self.quality,
            size: self.size,
            max_frame_bytes: match self.wire {
                Wire::Native | Wire::Rtp => self.max_frame_bytes,
                Wire::Raw => Some(
                    self.datagram()
                        .min(self.max_frame_bytes.unwrap_or(usize::MAX)),
                ),
            },
            first_frame_bytes: None,
            // A datagram that is a frame is lost as a whole.
            slices: (self.slices == Slices::On && self.wire != Wire::Raw)
                .then_some(self.datagram()),
            format: self.wire.format(),
        }
    }
}

/// The formats of datagrams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// framegram's own.
    Native,
    /// JPEG in RTP.
    Rtp,
    /// One JPEG a datagram.
    Raw,
}

impl Wire {
    /// As the protocol calls it.
    #[must_use]
    pub fn format(self) -> Format {
        match self {
            Self::Native => Format::Native,
            Self::Rtp => Format::Rtp,
            Self::Raw => Format::Raw,
        }
    }
}

/// Whether pictures are encoded in restart slices.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Slices {
    /// Of at most half a chunk.
    On,
    /// The picture is one piece.
    Off,
}

/// Whether something is done where it helps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// Where it helps.
    Auto,
    /// Never.
    Off,
}

/// How often frames go.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Without waiting.
    Max,
    /// So many a second.
    Fixed(f64),
}

impl Rate {
    fn parse(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        source::parse_rate(text).map(Self::Fixed)
    }
}

/// A destination is looked up later: an unknown host is no wrong usage.
fn parse_destination(text: &str) -> Result<String, String> {
    let port = match text.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') == host.ends_with(']') => {
            let plain_v6 = host.contains(':') && !host.starts_with('[');
            (!host.is_empty() && !plain_v6).then_some(port)
        }
        _ => None,
    };
    match port.map(str::parse::<u16>) {
        Some(Ok(1..)) => Ok(text.into()),
        _ => Err("type it as HOST:PORT or [IPv6]:PORT, such as 192.168.1.20:5005".into()),
    }
}

/// Whether a name is known is seen when it is used.
fn parse_listen(text: &str) -> Result<String, String> {
    match udp::resolve(text, Some(udp::DEFAULT_PORT)) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Err(error.to_string()),
        _ => Ok(text.into()),
    }
}

fn parse_frame_bytes(text: &str) -> Result<usize, String> {
    let most = framegram_common::frame::MAX_FRAME_BYTES;
    match text.parse() {
        Ok(bytes) if (MIN_FRAME_BYTES..=most).contains(&bytes) => Ok(bytes),
        _ => Err(format!("{MIN_FRAME_BYTES} to {most} bytes are possible")),
    }
}

fn parse_datagram(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if (MIN_DATAGRAM..=MAX_DATAGRAM).contains(&bytes) => Ok(bytes),
        _ => Err(format!(
            "{MIN_DATAGRAM} to {MAX_DATAGRAM} bytes are possible"
        )),
    }
}

/// Bits a second: a number, and k, M or G.
fn parse_bitrate(text: &str) -> Result<u64, String> {
    let (number, unit) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1e3),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1e6),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1e9),
        _ => (text, 1.0),
    };
    match number.parse::<f64>().map(|number| number * unit) {
        Ok(bits) if (LEAST_BITRATE..=MOST_BITRATE).contains(&bits) => Ok(bits as u64),
        _ => Err("type bits a second from 64k to 10G, such as 8M or 500k".into()),
    }
}

/// Less carries no picture.
const LEAST_BITRATE: f64 = 64e3;

/// Above what any network interface here carries, a cap is a slip.
const MOST_BITRATE: f64 = 10e9;

/// Fewer datagrams in a second carry no picture at a steady pace.
const DATAGRAMS_A_SECOND: u64 = 4;

fn parse_fec(text: &str) -> Result<Fec, String> {
    match text {
        "off" => Ok(Fec::Off),
        "auto" => Ok(Fec::Auto),
        _ => match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
            Ok(percent) if (1.0..=MOST_PARITY).contains(&percent) => {
                Ok(Fec::Fixed(percent / 100.0))
            }
            _ => Err("type off, auto or a number of percent from 1 to 200".into()),
        },
    }
}

/// The most parity, in percent: it outlasts a path that loses two datagrams of
/// three, and more would only fill the path.
const MOST_PARITY: f64 = 200.0;

/// A number and its unit; without one, seconds.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let seconds = match unit {
        "ms" => Some(0.001),
        "s" | "" => Some(1.0),
        "m" => Some(60.0),
        "h" => Some(3600.0),
        _ => None,
    };
    seconds
        .zip(number.parse::<f64>().ok())
        .and_then(|(seconds, number)| Duration::try_from_secs_f64(seconds * number).ok())
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "type a time like 500ms, 10s, 2m or 1h".into())
}

const EXAMPLES: &str = "\
Examples:
  a webcam to another machine, where framegram-view runs:
    framegram-send camera 192.168.1.20:5005
  a file again and again, to two machines:
    framegram-send --loop clip.mp4 192.168.1.20:5005 [fe80::1%eth0]:5005
  a moving test picture for ten seconds, and the figures of it:
    framegram-send --duration 10s --report sent.json pattern:1920x1080@60 localhost:5005
  for GStreamer, FFmpeg or another player, with the file that tells it how:
    framegram-send --wire rtp --sdp video.sdp camera 192.168.1.20:5004
  to viewers that come by themselves, with framegram-view --connect:
    framegram-send --listen :5005 --announce kitchen camera
  another program's pictures:
    ffmpeg -re -i clip.mkv -f yuv4mpegpipe -pix_fmt yuv420p - | framegram-send - localhost:5005

Exit status: 0 done, 1 failed, 2 wrong usage.";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::DEFAULT_QUALITY;

    fn parse(line: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("framegram-send").chain(line.split(' '));
        Options::try_parse_from(words).and_then(Options::check)
    }

    #[test]
    fn states_its_defaults_truly() {
        Options::command().debug_assert();
        let help = Options::command().render_long_help().to_string();
        assert!(help.contains(&format!(
            "JPEG quality, 1 to 100 [default: {DEFAULT_QUALITY}]"
        )));
        assert!(help.contains(&format!("{MIN_FRAME_BYTES} to {}", 16 << 20)));
        assert!(help.contains(&format!("{MIN_DATAGRAM} to {MAX_DATAGRAM}")));
        assert!(help.contains(&format!(
            "[default: {DEFAULT_DATAGRAM}; raw: {MAX_DATAGRAM}]"
        )));
    }

    #[test]
    fn takes_several_destinations_of_every_form() {
        let line = "pattern 10.0.0.1:5005 [fe80::1%eth0]:5005 viewer.local:1 239.1.2.3:65535";
        let options = parse(line).unwrap();
        assert_eq!(options.destinations.len(), 4);
        assert_eq!(options.datagram(), DEFAULT_DATAGRAM);
        assert_eq!(options.fps, None);
    }

    #[test]
    fn makes_slices_for_the_datagrams_unless_told_not_to() {
        let slices = |line: &str| parse(line).unwrap().settings().slices;
        assert_eq!(slices("pattern a:1"), Some(DEFAULT_DATAGRAM));
        assert_eq!(slices("pattern a:1 --datagram 9000"), Some(9000));
        assert_eq!(slices("pattern a:1 --slices off"), None);
    }

    #[test]
    fn guards_against_loss_in_every_way_unless_told_not_to() {
        let options = parse("pattern a:1").unwrap();
        assert_eq!(options.fec, Fec::Auto);
        assert_eq!(options.retransmit, Switch::Auto);
        assert_eq!(options.pace, Switch::Auto);
        let options = parse("pattern a:1 --fec off --retransmit off --pace off").unwrap();
        assert_eq!(options.fec, Fec::Off);
        assert_eq!(options.retransmit, Switch::Off);
        assert_eq!(options.pace, Switch::Off);
        for (text, share) in [("1", 0.01), ("12.5", 0.125), ("20%", 0.2), ("200", 2.0)] {
            assert_eq!(parse_fec(text), Ok(Fec::Fixed(share)), "{text}");
        }
    }

    #[test]
    fn fails_for_wrong_usage() {
        for line in [
            "",
            "pattern",
            "pattern 10.0.0.1",
            "pattern 10.0.0.1:0",
            "pattern 10.0.0.1:65536",
            "pattern :5005",
            "pattern fe80::1:5005",
            "pattern [fe80::1]",
            "pattern [fe80::1:5005",
            "pattern a:1 --quality 0",
            "pattern a:1 --quality 101",
            "pattern a:1 --size 0x10",
            "pattern a:1 --fps 0",
            "pattern a:1 --max-frame-bytes 1023",
            "pattern a:1 --datagram 65508",
            "pattern a:1 --wire raw --datagram 1000",
            "pattern a:1 --rtcp-mux",
            "pattern --listen a:b",
            "pattern --listen :5005 --wire rtp",
            "pattern --listen :5005 --max-viewers 0",
            "pattern --listen :5005 --announce a.b",
            "pattern a:1 --announce kitchen",
            "pattern a:1 --ttl 256",
            "pattern a:1 --sdp -",
            "pattern a:1 --slices maybe",
            "pattern a:1 --bitrate 8",
            "pattern a:1 --bitrate 63k",
            "pattern a:1 --bitrate 11G",
            "pattern a:1 --bitrate 8MB",
            "pattern a:1 --bitrate k",
            "pattern a:1 --bitrate nan",
            "pattern a:1 --bitrate 100k --datagram 9000",
            "pattern a:1 --fec 0",
            "pattern a:1 --fec 201",
            "pattern a:1 --fec -5",
            "pattern a:1 --fec on",
            "pattern a:1 --fec nan",
            "pattern a:1 --retransmit on",
            "pattern a:1 --pace 5",
            "pattern a:1 --frames 0",
            "pattern a:1 --duration 0s",
            "pattern a:1 --duration 10x",
            "- a:1 --loop",
            "pattern:10 a:1",
        ] {
            let error = parse(line).err();
            assert_eq!(error.map(|error| error.exit_code()), Some(2), "{line}");
        }
    }

    #[test]
    fn understands_times_and_rates() {
        let duration = |text| parse_duration(text).ok();
        assert_eq!(duration("500ms"), Some(Duration::from_millis(500)));
        assert_eq!(duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(duration("2m"), Some(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Some(Duration::from_secs(3600)));
        assert_eq!(duration("7"), Some(Duration::from_secs(7)));
        assert_eq!(duration("1..5s"), None);
        assert_eq!(parse_bitrate("64000"), Ok(64_000));
        assert_eq!(parse_bitrate("500k"), Ok(500_000));
        assert_eq!(parse_bitrate("2.5M"), Ok(2_500_000));
        assert_eq!(parse_bitrate("10G"), Ok(10_000_000_000));
        assert_eq!(Rate::parse("max"), Ok(Rate::Max));
        assert_eq!(Rate::parse("29.97"), Ok(Rate::Fixed(29.97)));
    }
}
