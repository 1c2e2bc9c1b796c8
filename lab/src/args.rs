//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args as Arguments, CommandFactory, Parser, Subcommand};
use framegram_cli::output::{Named, conflict};
use framegram_cli::quantities::latency;

use crate::thresholds::Condition;

/// Measuring tools that need no network: read the timecodes of a recording,
/// check a report against an impairment log, replay a trace with other settings.
#[derive(Clone, Debug, Parser)]
#[command(name = "framegram-lab", version, disable_help_subcommand = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: LabCommand,
}

impl Args {
    /// Makes the checks that clap cannot: a report must not overwrite the input.
    ///
    /// # Errors
    /// A usage error in clap's format.
    pub fn check(self) -> Result<Self, clap::Error> {
        let (input, report) = match &self.command {
            LabCommand::Analyze(args) => (Named::new("FILE", &args.recording), &args.report),
            LabCommand::WhatIf(args) => (Named::new("FILE.trace", &args.trace), &args.report),
            LabCommand::Check(_) => return Ok(self),
        };
        let report = report.as_deref().map(|path| Named::new("--report", path));
        let conflict = conflict(&[input], report.as_slice());
        match conflict {
            Some(conflict) => Err(Self::command().error(ErrorKind::ArgumentConflict, conflict)),
            None => Ok(self),
        }
    }
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum LabCommand {
    /// Read the timecodes of a recording made with any player
    ///
    /// Says how many frames were seen, lost and repeated. Of standard input, also
    /// how old they were when they arrived, if the sender runs on this machine.
    #[command(after_long_help = ANALYZE_EXAMPLE)]
    Analyze(Analyze),

    /// Check a viewer's report against impairment logs
    ///
    /// Give the log of the sender, of the viewer, or of both if both impaired.
    #[command(after_long_help = CHECK_EXAMPLE)]
    Check(Check),

    /// Replay a trace with other settings
    ///
    /// Says how many frames each setting would have saved, and at what cost.
    #[command(name = "what-if", after_long_help = WHAT_IF_EXAMPLE)]
    WhatIf(WhatIf),
}

/// The arguments of `analyze`.
#[derive(Clone, Debug, Arguments)]
pub struct Analyze {
    /// The recording, Y4M or Motion JPEG; - for standard input
    #[arg(value_name = "FILE|-")]
    pub recording: PathBuf,

    /// Exit with status 3 if this holds, such as 'loss>1%' (repeatable)
    ///
    /// Figures: shown, loss (a number, or with %), delay p50, p95, p99 or max (a
    /// bare number is milliseconds). Comparisons: <, <=, >, >=.
    #[arg(long, value_name = "CONDITION")]
    pub fail_if: Vec<Condition>,

    /// Write all figures as JSON, to this file or - for standard output
    #[arg(long, value_name = "FILE.json|-")]
    pub report: Option<PathBuf>,

    /// Print errors only
    #[arg(short, long)]
    pub quiet: bool,
}

/// The arguments of `check`.
#[derive(Clone, Debug, Arguments)]
pub struct Check {
    /// The report that framegram-view --report wrote
    #[arg(value_name = "REPORT.json")]
    pub report: PathBuf,

    /// A log that --impair-log wrote (repeatable)
    #[arg(long = "log", value_name = "FILE", required = true)]
    pub logs: Vec<PathBuf>,

    /// Print errors only
    #[arg(short, long)]
    pub quiet: bool,
}

/// The arguments of `what-if`.
#[derive(Clone, Debug, Arguments)]
pub struct WhatIf {
    /// The trace that framegram-view --trace wrote
    #[arg(value_name = "FILE.trace")]
    pub trace: PathBuf,

    /// RTT of retransmissions, 0 to 10s, a bare number in ms (repeatable)
    /// [default: that of the trace, and longer ones]
    #[arg(long, value_name = "T", value_parser = latency)]
    pub rtt: Vec<Duration>,

    /// Longest wait for an incomplete frame, 0 to 10s, a bare number in ms
    /// [default: that of the trace, and others]
    #[arg(long, value_name = "T", value_parser = latency)]
    pub latency: Option<Duration>,

    /// Random seed; the same seed gives the same result
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Write the table as JSON, to this file or - for standard output
    #[arg(long, value_name = "FILE.json|-")]
    pub report: Option<PathBuf>,

    /// Print no progress
    #[arg(short, long)]
    pub quiet: bool,
}

const ANALYZE_EXAMPLE: &str = "\
Examples:
  Read a screen recording of a stream sent with framegram-send --timecode:
      framegram-lab analyze screen.y4m

  Read the screen, live:
      ffmpeg -f x11grab -i :0 -f yuv4mpegpipe - | framegram-lab analyze -

Exit status: 0 done, 1 failed, 2 wrong usage, 3 a --fail-if condition holds.";

const CHECK_EXAMPLE: &str = "\
Example:
  Impair what arrives, then check the report against the log:
      framegram-view --headless --once --impair loss=5% --impair-log done.csv --report r.json
      framegram-lab check r.json --log done.csv

Exit status: 0 they agree, 1 they differ or failed, 2 wrong usage.";

const WHAT_IF_EXAMPLE: &str = "\
Example:
  Find out what parity, retransmission or more time would have saved:
      framegram-view --headless --once --trace stream.trace
      framegram-lab what-if stream.trace

docs/measuring.md says what is assumed of the path.

Exit status: 0 done, 1 failed, 2 wrong usage.";
