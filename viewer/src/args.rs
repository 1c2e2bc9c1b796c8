//! The command line: every flag with its unit, default and range.

#![allow(
    rustdoc::broken_intra_doc_links,
    reason = "clap prints doc comments as they stand"
)]

mod check;
mod choice;
mod prefix;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser, Subcommand};
use framegram_cli::key::KeyArgs;
use framegram_cli::quantities::{bytes, duration, latency};
use framegram_common::receiver;
use framegram_lab::impair::Impairment;
use framegram_lab::thresholds::Condition;
use framegram_net as net;

pub use self::choice::{SenderAddress, Stats, Wire};
pub use self::prefix::Prefix;
use crate::sink::recording::RecordingFormat;

/// Receive video frames from UDP datagrams, show them, and say what became of
/// every frame that did not arrive.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "framegram-view",
    version,
    after_long_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Args {
    /// What to do instead of receiving.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Address to listen on: HOST:PORT, [IPv6]:PORT, HOST, :PORT or PORT
    /// [default: port 5005 of all addresses, IPv6 and IPv4]
    ///
    /// A multicast group is joined.
    #[arg(value_name = "ADDR", value_parser = address)]
    pub address: Option<String>,

    /// Connect to a sender that runs with --listen, also from behind a NAT
    ///
    /// NAME is one that framegram-view discover lists.
    #[arg(long, value_name = "HOST:PORT|NAME", conflicts_with_all = ["address", "interface"], value_parser = choice::sender, help_heading = RECEIVING)]
    pub connect: Option<SenderAddress>,

    /// Interface on which to join a multicast group, by name or address
    /// [default: as routed]
    #[arg(long, value_name = "NAME|ADDRESS", help_heading = RECEIVING)]
    pub interface: Option<String>,

    /// Accept datagrams from these addresses only, and count the others
    /// (repeatable)
    #[arg(long, value_name = "ADDRESS[/PREFIX]", help_heading = RECEIVING)]
    pub allow: Vec<Prefix>,

    /// Format to accept
    #[arg(long, value_name = "FORMAT", default_value = "auto", help_heading = RECEIVING)]
    pub wire: Wire,

    /// Session description (SDP) of an RTP stream
    ///
    /// It tells the size of frames wider or higher than 2040 pixels, and the key of
    /// SRTP (a=crypto): with one, nothing that is not sealed with it is taken.
    #[arg(long, value_name = "FILE", help_heading = RECEIVING)]
    pub sdp: Option<PathBuf>,

    /// Longest wait for an incomplete frame, 0 to 10s; a bare number is
    /// milliseconds [default: 60ms]
    ///
    /// This is a deadline, not a fixed delay: a complete frame is shown at once
    /// unless an older one is still being repaired.
    #[arg(long, value_name = "T", value_parser = latency, help_heading = RECEIVING)]
    pub latency: Option<Duration>,

    /// Socket buffer to request from the system in bytes, 4k to 1G
    #[arg(long, value_name = "BYTES", default_value = "4M", value_parser = bytes, help_heading = RECEIVING)]
    pub buffer: usize,

    /// The key of the stream.
    #[command(flatten)]
    pub key: KeyArgs,

    /// Show all senders in tiles, and not only one stream at a time
    ///
    /// --output and --trace write a file for each sender.
    #[arg(long, help_heading = SHOWING)]
    pub grid: bool,

    /// Open no window
    #[arg(long, help_heading = SHOWING)]
    pub headless: bool,

    /// Show complete frames only, none with missing slices filled from the frame
    /// before
    #[arg(long, help_heading = SHOWING)]
    pub strict: bool,

    /// Read the bar codes that framegram-send --timecode draws
    ///
    /// The report then says how many frames were seen, lost and repeated, and
    /// how old they were.
    #[arg(long, help_heading = SHOWING)]
    pub read_timecode: bool,

    /// Record every frame shown, to a file or - for standard output
    ///
    /// .mjpeg keeps the JPEGs as they arrived. .y4m is decoded, and leaves out
    /// frames of another size than the first. An older FILE becomes FILE~.
    #[arg(short, long, value_name = "FILE.mjpeg|y4m|-", help_heading = SHOWING)]
    pub output: Option<PathBuf>,

    /// Format of the recording [default: by the name of the file]
    #[arg(long, value_name = "FORMAT", requires = "output", help_heading = SHOWING)]
    pub output_format: Option<RecordingFormat>,

    /// Write the last frame shown at the end: .jpg as it arrived, .png decoded
    #[arg(long, value_name = "FILE.png|jpg", help_heading = SHOWING)]
    pub snapshot: Option<PathBuf>,

    /// Stop when the stream ends: the sender says bye, or is silent for 5 s
    #[arg(long, help_heading = STOPPING)]
    pub once: bool,

    /// Stop after N frames shown
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..), help_heading = STOPPING)]
    pub frames: Option<u64>,

    /// Stop this long after the first frame, such as 500ms, 10s, 2m or 1h; a
    /// bare number is seconds
    #[arg(short = 't', long, value_name = "T", value_parser = duration, help_heading = STOPPING)]
    pub duration: Option<Duration>,

    /// Give up if no stream has arrived after this time; a bare number is
    /// seconds [default: wait forever]
    #[arg(long, value_name = "T", value_parser = duration, help_heading = STOPPING)]
    pub wait: Option<Duration>,

    /// Exit with status 3 if this holds at the end, such as 'shown<99%'
    /// (repeatable)
    ///
    /// Figures: shown, intact, concealed, loss, packet-loss, socket-drops (a
    /// number, or with %), delay p50, p95, p99 or max, jitter (a bare number is
    /// milliseconds), fps, bitrate. Comparisons: <, <=, >, >=. Examples:
    /// 'packet-loss>0', 'delay p95>50ms', 'fps<29', 'bitrate<2M'.
    #[arg(long, value_name = "CONDITION", help_heading = STOPPING)]
    pub fail_if: Vec<Condition>,

    /// Write a report at the end (repeatable)
    ///
    /// .json has all figures, .csv a row for each frame, .html a page with plots; -
    /// writes the JSON to standard output. An older FILE stays until the new one
    /// is complete.
    #[arg(long, value_name = "FILE.json|csv|html|-", help_heading = MEASURING)]
    pub report: Vec<PathBuf>,

    /// Write the figures to standard output once a second, a line each
    #[arg(long, value_name = "FORMAT", help_heading = MEASURING)]
    pub stats: Option<Stats>,

    /// Trace arrival, size, number and outcome of each datagram, for
    /// framegram-lab what-if
    ///
    /// The content of datagrams is not recorded. An older FILE becomes FILE~.
    #[arg(long, value_name = "FILE", help_heading = MEASURING)]
    pub trace: Option<PathBuf>,

    /// Largest trace, 4k to 1G; then it ends, and the stream goes on
    #[arg(long, value_name = "BYTES", default_value = "64M", requires = "trace", value_parser = bytes, help_heading = MEASURING)]
    pub trace_limit: usize,

    /// Simulate a bad link: impair datagrams before they are counted
    ///
    /// Terms joined by commas: loss=5%, ge=p:0.01,r:0.2 (bursts),
    /// delay=20ms±5ms (or +-), reorder=1%, dup=0.5%, corrupt=0.1%,
    /// rate=20M,queue=100ms,bucket=16k, mtu=1200, seed=7. Datagrams to the sender
    /// are not impaired.
    #[arg(long, value_name = "SPEC", help_heading = MEASURING)]
    pub impair: Option<Impairment>,

    /// Log what --impair did to each datagram, for framegram-lab check
    ///
    /// An older FILE becomes FILE~.
    #[arg(long, value_name = "FILE", requires = "impair", help_heading = MEASURING)]
    pub impair_log: Option<PathBuf>,

    /// Do not run in a sandbox
    ///
    /// In the sandbox, the viewer can only open the files named here and those of
    /// the system, and run no other programs.
    #[arg(long)]
    pub no_sandbox: bool,

    /// Print errors only
    #[arg(short, long, conflicts_with = "verbose", global = true)]
    pub quiet: bool,

    /// Log to standard error; -vv logs what changes, -vvv everything
    ///
    /// The environment variable FRAMEGRAM_LOG filters by module and level, such as
    /// framegram_view=trace.
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
}

/// The subcommands.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum Command {
    /// List the senders on the local network that run with --announce
    ///
    /// Prints name and address of each, separated by a tab, and whether it needs a
    /// key.
    Discover,
}

impl Args {
    /// The playout delay.
    pub fn playout_delay(&self) -> Duration {
        self.latency
            .unwrap_or(receiver::Config::default().playout_delay)
    }

    /// The format of the recording, if there is one.
    ///
    /// # Errors
    /// If neither the file's name nor a flag names a format.
    pub fn format(&self) -> anyhow::Result<Option<RecordingFormat>> {
        match (&self.output, self.output_format) {
            (None, _) => Ok(None),
            (Some(_), Some(format)) => Ok(Some(format)),
            (Some(path), None) => RecordingFormat::of(path).map(Some),
        }
    }
}

fn address(text: &str) -> Result<String, String> {
    net::check_form(text, Some(net::DEFAULT_PORT))
}

const RECEIVING: &str = "Receiving";
const SHOWING: &str = "Showing";
const STOPPING: &str = "Stopping";
const MEASURING: &str = "Measuring";

const EXAMPLES: &str = "\
Examples:
  Watch the camera of another machine. Here:
      framegram-view
  and there, with the address that the viewer prints:
      framegram-send camera 192.168.1.5:5005

  Connect to a sender that runs with --listen :5005 --announce kitchen:
      framegram-view discover
      framegram-view --connect kitchen

  Watch an encrypted stream, with the key that framegram-send keygen made:
      framegram-view --key-file stream.key

  Watch RTP from GStreamer or FFmpeg on port 5004:
      framegram-view :5004

  Watch SRTP, whose key is in the sender's session description:
      framegram-view --sdp video.sdp :5004

  Measure the loss of one stream without a window:
      framegram-view --headless --once --report loss.html

  Fail a test if frames are lost or late:
      framegram-view --headless --once --fail-if 'shown<99%' --fail-if 'delay p95>50ms'

  Find out what parity, retransmission or more time would have saved:
      framegram-view --headless --once --trace stream.trace
      framegram-lab what-if stream.trace

  Pipe the frames into another program:
      framegram-view --headless -o - --output-format y4m | ffplay -

Keys in the window: q or Esc quits, f toggles fullscreen, space freezes, s
writes a snapshot, i shows figures and outlines stale areas, h lists the keys.

In rates and sizes, k, M and G are powers of 1000.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 a --fail-if condition holds.";

#[cfg(test)]
mod tests;
