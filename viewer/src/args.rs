//! The command line: every flag with its unit, default and range.

mod check;
mod choice;
mod prefix;

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use framegram_cli::quantities::{bytes, duration, latency};
use framegram_common::receiver;
use framegram_lab::impair::Impairment;
use framegram_net as net;

pub use self::choice::{Layout, Sender, Stats, Wire};
pub use self::prefix::Prefix;
use crate::gate::Condition;
use crate::sink::recording::Format;

/// Receives video frames from UDP datagrams and shows them, and says what
/// became of every frame that did not arrive.
#[derive(Clone, Debug, Parser)]
#[command(name = "framegram-view", version, after_long_help = EXAMPLES)]
pub struct Args {
    /// Where to listen: HOST:PORT, [IPv6]:PORT, HOST, :PORT or PORT; a
    /// multicast group is joined [default: port 5005 of all addresses, IPv6 and IPv4]
    #[arg(value_name = "ADDR", value_parser = address)]
    pub address: Option<String>,

    /// Ask a sender that was started with --listen for its stream, instead of
    /// waiting for one, also through a NAT on this side; NAME is one that
    /// --discover lists
    #[arg(long, value_name = "HOST:PORT|NAME", conflicts_with_all = ["address", "interface"], value_parser = choice::sender, help_heading = RECEIVING)]
    pub connect: Option<Sender>,

    /// List the senders of the local network that were started with --announce,
    /// and end
    #[arg(long, conflicts_with_all = RECEPTION, conflicts_with_all = ["report", "fail_if", "analyse"], help_heading = RECEIVING)]
    pub discover: bool,

    /// Interface on which to join a multicast group, by name or address
    /// [default: as the routes say]
    #[arg(long, value_name = "NAME|ADDRESS", help_heading = RECEIVING)]
    pub interface: Option<String>,

    /// Take datagrams from these addresses alone, and count the others
    /// (may be given several times)
    #[arg(long, value_name = "ADDRESS[/PREFIX]", help_heading = RECEIVING)]
    pub allow: Vec<Prefix>,

    /// Socket buffer to ask the system for, in bytes (4k to 1G); k, M and G
    /// are powers of 1024
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = bytes, help_heading = RECEIVING)]
    pub buffer: usize,

    /// What to take: everything, told apart by its first bytes; framegram's own
    /// format; JPEG in RTP (RFC 2435); or bare JPEG
    #[arg(long, value_name = "FORMAT", default_value = "auto", help_heading = RECEIVING)]
    pub wire: Wire,

    /// Session description of an RTP stream: tells the size of pictures that
    /// are wider or higher than 2040 pixels
    #[arg(long, value_name = "FILE", help_heading = RECEIVING)]
    pub sdp: Option<PathBuf>,

    /// How long an incomplete frame is waited for, 0 to 10s (such as 60ms);
    /// a complete one is shown at once [default: 60ms]
    #[arg(long, value_name = "T", value_parser = latency, help_heading = RECEIVING)]
    pub latency: Option<Duration>,

    /// Show whole frames only, and none with holes filled from the one before
    #[arg(long, help_heading = RECEIVING)]
    pub strict: bool,

    /// What to show of several senders: follow, one stream at a time; or grid,
    /// all of them in tiles
    #[arg(long, value_name = "follow|grid", default_value = "follow", hide_possible_values = true, help_heading = SHOWING)]
    pub layout: Layout,

    /// Open no window; for machines without a display
    #[arg(long, help_heading = SHOWING)]
    pub headless: bool,

    /// Read the bar codes of framegram-send --stamp in the pictures shown: how
    /// many frames were seen, lost and repeated, and how old they were
    #[arg(long, help_heading = SHOWING)]
    pub read_stamp: bool,

    /// Receive nothing: read the bar codes in a recording, or with - in what
    /// comes on standard input, whatever player it went through (.mjpeg, .y4m)
    #[arg(long, value_name = "FILE|-", conflicts_with_all = RECEPTION, conflicts_with = "discover", help_heading = SHOWING)]
    pub analyse: Option<PathBuf>,

    /// Write the last frame shown at the end: .jpg as it came, .png decoded
    #[arg(long, value_name = "FILE.png|jpg", help_heading = SHOWING)]
    pub snapshot: Option<PathBuf>,

    /// Record every frame shown: .mjpeg as they came, .y4m decoded, without
    /// frames of another size; - for standard output; an older FILE becomes FILE~
    #[arg(long, value_name = "FILE.mjpeg|y4m|-", help_heading = SHOWING)]
    pub output: Option<PathBuf>,

    /// How to record [default: as the file's name says]
    #[arg(long, value_name = "FORMAT", requires = "output", help_heading = SHOWING)]
    pub output_format: Option<Format>,

    /// End when the sender's stream ends: at its farewell, or after 5 s of silence
    #[arg(long, help_heading = ENDING)]
    pub once: bool,

    /// End after so many frames shown (1 or more)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = ENDING)]
    pub frames: Option<u64>,

    /// End so long after the first frame (such as 10s, 500ms, 2m, 1h)
    #[arg(long, value_name = "T", value_parser = duration, help_heading = ENDING)]
    pub duration: Option<Duration>,

    /// Give up if no stream has come after so long [default: wait for ever]
    #[arg(long, value_name = "T", value_parser = duration, help_heading = ENDING)]
    pub wait: Option<Duration>,

    /// Write a report (may be given several times): .json all figures, .csv a
    /// row for each frame, .html a page with plots; - the JSON to standard output;
    /// an older FILE stays until the new one is whole
    #[arg(long, value_name = "FILE.json|csv|html|-", help_heading = TELLING)]
    pub report: Vec<PathBuf>,

    /// Write the figures to standard output, one line of JSON a second
    #[arg(long, value_name = "FORMAT", help_heading = TELLING)]
    pub stats: Option<Stats>,

    /// End with exit status 3 if this holds at the end (may be given several
    /// times): 'shown<99%', 'loss>1%', 'packet-loss>0', 'socket-drops>0',
    /// 'delay p95>50ms', 'jitter>5ms', 'fps<29', 'bitrate<2M'
    #[arg(long, value_name = "CONDITION", help_heading = TELLING)]
    pub fail_if: Vec<Condition>,

    /// Record when each datagram arrived, its size, number and outcome, never its
    /// content, for framegram-lab what-if; an older FILE becomes FILE~
    #[arg(long, value_name = "FILE", help_heading = TELLING)]
    pub trace: Option<PathBuf>,

    /// How large the trace may grow (4k to 1G); then it ends, and the stream
    /// goes on
    #[arg(long, value_name = "BYTES", default_value = "64M", requires = "trace", value_parser = bytes, help_heading = TELLING)]
    pub trace_limit: usize,

    /// Damage on purpose what comes in, before it is counted: loss=5%,
    /// ge=p:0.01,r:0.2 (bursts), delay=20ms±5ms (or +-), reorder=1%, dup=0.5%,
    /// corrupt=0.1%, rate=20M,queue=100ms, mtu=1200, seed=7, joined by commas;
    /// what goes back is not touched
    #[arg(long, value_name = "SPEC", help_heading = TELLING)]
    pub impair: Option<Impairment>,

    /// Write what --impair truly did to each datagram, for framegram-lab check;
    /// an older FILE becomes FILE~
    #[arg(long, value_name = "FILE", requires = "impair", help_heading = TELLING)]
    pub impair_log: Option<PathBuf>,

    /// Say nothing but errors
    #[arg(long, help_heading = TELLING)]
    pub quiet: bool,
}

impl Args {
    /// How long an incomplete frame is waited for.
    #[must_use]
    pub fn budget(&self) -> Duration {
        self.latency.unwrap_or(receiver::Config::default().budget)
    }

    /// How to record, if that is asked for.
    ///
    /// # Errors
    /// When neither the file's name nor a flag says how.
    pub fn format(&self) -> anyhow::Result<Option<Format>> {
        match (&self.output, self.output_format) {
            (None, _) => Ok(None),
            (Some(_), Some(format)) => Ok(Some(format)),
            (Some(path), None) => Format::of(path).map(Some),
        }
    }
}

/// Lets through what has the form of an address; whether a name is known is
/// seen when it is used.
fn address(text: &str) -> Result<String, String> {
    match net::resolve(text, Some(net::DEFAULT_PORT)) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Err(error.to_string()),
        _ => Ok(text.to_owned()),
    }
}

/// What has no meaning where nothing is received.
const RECEPTION: [&str; 21] = [
    "connect",
    "layout",
    "stats",
    "trace",
    "address",
    "interface",
    "allow",
    "buffer",
    "wire",
    "sdp",
    "latency",
    "strict",
    "headless",
    "read_stamp",
    "snapshot",
    "output",
    "once",
    "frames",
    "duration",
    "wait",
    "impair",
];

const RECEIVING: &str = "Receiving";
const SHOWING: &str = "Showing";
const ENDING: &str = "Ending";
const TELLING: &str = "Telling";

const EXAMPLES: &str = "\
Examples:
  Watch what another machine's camera sees. Here:
      framegram-view
  and there, with the address that it prints here:
      framegram-send camera 192.168.1.5:5005

  Watch a sender that was started with --listen, such as
  framegram-send --listen :5005 camera on 192.168.1.20:
      framegram-view --connect 192.168.1.20:5005
  or, with --announce kitchen there:
      framegram-view --discover
      framegram-view --connect kitchen

  Watch what GStreamer or FFmpeg send as JPEG in RTP to port 5004:
      framegram-view :5004

  Measure the loss of one stream without a window:
      framegram-view --headless --once --report loss.json

  Fail a test where less than 99 % of the frames were shown, or late:
      framegram-view --headless --once --fail-if 'shown<99%' --fail-if 'delay p95>50ms'

  Find out what parity, requests or more time would have saved:
      framegram-view --headless --once --trace stream.trace
      framegram-lab what-if stream.trace

  See that loss that was done on purpose is measured as such:
      framegram-view --headless --once --impair loss=5% --impair-log done.csv --report r.json
      framegram-lab check r.json --log done.csv

  Hand the pictures to another program:
      framegram-view --headless --output - --output-format y4m | ffplay -

  See what another player makes of a stream that was sent with --stamp, from a
  recording of the screen, or live:
      framegram-view --analyse screen.y4m
      ffmpeg -f x11grab -i :0 -f yuv4mpegpipe - | framegram-view --analyse -

Keys in the window: q or Esc quits, f fullscreen, space freezes, s writes a
snapshot, i shows the numbers and what of the picture is stale, h lists the keys.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 a --fail-if holds.";

#[cfg(test)]
mod tests;
