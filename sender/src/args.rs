//! The command line: every flag with its unit, default and range.

mod check;
mod choice;
mod quantity;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser};
use framegram_cli::quantities::{bitrate, duration};
use framegram_common::fec::Fec;
use framegram_common::wire::{DEFAULT_DATAGRAM, MAX_DATAGRAM};
use framegram_lab::impair::Impairment;

pub use self::choice::{Slices, Switch, Wire};
pub use self::quantity::Rate;
use crate::announce;
use crate::encode::Settings;
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
    #[arg(value_name = "DEST", required_unless_present = "listen", value_parser = quantity::destination)]
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
    #[arg(long, value_name = "N", value_parser = quantity::frame_bytes)]
    pub max_frame_bytes: Option<usize>,

    /// Bits a second to each destination at the most, 64k to 10G [default: none]
    ///
    /// Counted over any one second, with headers and all repair; k, M and G are
    /// thousands, millions and milliards, such as 8M. Quality is lowered, then
    /// the picture scaled down, as far as that asks.
    #[arg(long, value_name = "RATE", value_parser = bitrate)]
    pub bitrate: Option<u64>,

    /// Let viewers come by themselves: HOST:PORT, :PORT or PORT of this machine
    ///
    /// They come with `framegram-view --connect`, also from behind a NAT, and
    /// are served until they fall silent, besides the DESTs if there are any.
    #[arg(long, value_name = "ADDR", value_parser = quantity::listen)]
    pub listen: Option<String>,

    /// The most viewers that are served at once with --listen, 1 to 1000
    #[arg(long, value_name = "N", default_value_t = 16, requires = "listen", value_parser = clap::value_parser!(u16).range(1..=1000))]
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
    /// It is of the first destination, and there when the first frame is sent;
    /// until then an older file stays.
    #[arg(long, value_name = "FILE|-")]
    pub sdp: Option<PathBuf>,

    /// The largest datagram in bytes of UDP payload, 640 to 65507
    /// [default: 1452; raw: 65507]
    ///
    /// The default fits an Ethernet path. Larger ones are cut into IP fragments
    /// on the way: one fragment lost is the datagram lost.
    #[arg(long, value_name = "BYTES", value_parser = quantity::datagram)]
    pub datagram: Option<usize>,

    /// Whether pictures are encoded in slices that do without each other
    /// [default: on; raw: off]
    ///
    /// A lost datagram then costs a viewer a strip of the picture instead of
    /// the frame, for one or two percent more bytes. A source's own JPEGs
    /// that go out as they are keep the slices that they have.
    #[arg(long, value_enum, value_name = "on|off", hide_possible_values = true)]
    pub slices: Option<Slices>,

    /// Draw a bar code with number and time into every picture's upper left
    /// corner, for framegram-view --read-stamp and --analyse
    ///
    /// It is read from the pixels, wherever they were shown: that measures any
    /// player. A source's own JPEGs are decoded and encoded again for it.
    #[arg(long)]
    pub stamp: bool,

    /// Parity sent along with frames, in percent of their datagrams, 1 to 200
    /// [default: auto; rtp and raw have none]
    ///
    /// A viewer makes lost datagrams from it at once. auto sends as much as
    /// the loss that viewers report asks for, and some for loss not yet seen.
    #[arg(long, value_name = "off|auto|PERCENT", value_parser = quantity::fec)]
    pub fec: Option<Fec>,

    /// Whether datagrams that a viewer misses are sent again when it asks
    /// [default: auto; rtp and raw: off]
    ///
    /// They are kept for as long as the viewer waits for a frame (its
    /// --latency).
    #[arg(long, value_enum, value_name = "off|auto", hide_possible_values = true)]
    pub retransmit: Option<Switch>,

    /// Whether the datagrams of a frame are spread over time, up to half of
    /// the time to the next frame, so that none flood a queue on the way
    #[arg(long, value_enum, value_name = "off|auto", hide_possible_values = true, default_value_t = Switch::Auto)]
    pub pace: Switch,

    /// A broadcast address among the destinations is meant
    #[arg(long)]
    pub broadcast: bool,

    /// How far a multicast group reaches: 0 this machine, 1 this network, or
    /// over so many routers less one, up to 255 [default: 1]
    #[arg(long, value_name = "N")]
    pub ttl: Option<u8>,

    /// Interface that a multicast group or a broadcast goes out by, by name or
    /// address [default: as the routes say]
    #[arg(long, value_name = "NAME|ADDRESS")]
    pub interface: Option<String>,

    /// Whether viewers on this machine get what goes to a multicast group
    /// [default: auto]
    #[arg(long, value_enum, value_name = "off|auto", hide_possible_values = true)]
    pub multicast_loop: Option<Switch>,

    /// Begin again when the source ends
    #[arg(long = "loop")]
    pub repeat: bool,

    /// End after so many frames of the source, at least 1
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub frames: Option<u64>,

    /// End after this time, such as 500ms, 10s, 2m or 1h
    #[arg(long, value_name = "T", value_parser = duration)]
    pub duration: Option<Duration>,

    /// Show what is being sent in a window
    #[arg(long)]
    pub preview: bool,

    /// Write the figures to this file when the stream ends, as JSON, or - for
    /// standard output
    ///
    /// An older file stays until they are all written.
    #[arg(long, value_name = "FILE.json|-")]
    pub report: Option<PathBuf>,

    /// Damage on purpose what goes out, to try out or to test what loss does
    ///
    /// Terms joined by commas: loss=5%, ge=p:0.01,r:0.2 (bursts), delay=20ms±5ms
    /// (or +-), reorder=1%, dup=0.5%, corrupt=0.1%, rate=20M,queue=100ms,
    /// mtu=1200, seed=7. Each destination has a link of its own, the next one
    /// with the next seed. What comes back is not touched.
    #[arg(long, value_name = "SPEC")]
    pub impair: Option<Impairment>,

    /// Write what --impair truly did to each datagram, for framegram-lab check
    ///
    /// An older FILE becomes FILE~.
    #[arg(long, value_name = "FILE", requires = "impair")]
    pub impair_log: Option<PathBuf>,

    /// Say nothing but errors
    #[arg(long, action = ArgAction::SetTrue)]
    pub quiet: bool,
}

impl Options {
    /// The largest datagram in bytes.
    #[must_use]
    pub fn datagram(&self) -> usize {
        self.datagram.unwrap_or(match self.wire {
            Wire::Native | Wire::Rtp => DEFAULT_DATAGRAM,
            Wire::Raw => MAX_DATAGRAM,
        })
    }

    /// Whether what is lost is sent again, and how much parity is sent: of the
    /// native format alone.
    #[must_use]
    pub fn repair(&self) -> (Fec, bool) {
        if self.wire != Wire::Native {
            return (Fec::Off, false);
        }
        let fec = self.fec.unwrap_or(Fec::Auto);
        (fec, self.retransmit != Some(Switch::Off))
    }

    /// How far a multicast group reaches.
    #[must_use]
    pub fn hops(&self) -> u8 {
        self.ttl.unwrap_or(1)
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
            slices: (self.slices != Some(Slices::Off) && self.wire != Wire::Raw)
                .then_some(self.datagram()),
            format: self.wire.format(),
        }
    }
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
mod tests;
