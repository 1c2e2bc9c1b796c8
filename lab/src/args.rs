//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args as Arguments, CommandFactory, Parser, Subcommand};
use framegram_cli::output::{Named, conflict};
use framegram_cli::quantities::latency;

/// The tools of measuring that need no network: replay a trace with other
/// settings, compare a report with what was done on purpose.
#[derive(Clone, Debug, Parser)]
#[command(name = "framegram-lab", version)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

impl Args {
    /// A report that would be written over the trace that it is of.
    #[must_use]
    pub fn conflict(&self) -> Option<clap::Error> {
        let Command::WhatIf(args) = &self.command else {
            return None;
        };
        let report = args.report.as_deref()?;
        let inputs = [Named::new("FILE.trace", &args.trace)];
        let conflict = conflict(&inputs, &[Named::new("--report", report)])?;
        Some(Self::command().error(ErrorKind::ArgumentConflict, conflict))
    }
}

/// The subcommands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Compare a viewer's report with the impairment logs of either program or
    /// of both; exit status 1 if they differ
    #[command(after_long_help = CHECK_EXAMPLE)]
    Check {
        /// The report that framegram-view --report wrote
        #[arg(value_name = "REPORT.json")]
        report: PathBuf,

        /// A log that --impair-log wrote (repeatable)
        #[arg(long = "log", value_name = "FILE", required = true)]
        logs: Vec<PathBuf>,

        /// Write no table, only errors
        #[arg(short, long)]
        quiet: bool,
    },

    /// Replay a trace with other settings: how many frames each would have
    /// saved, and at what cost
    #[command(name = "what-if", after_long_help = WHAT_IF_EXAMPLE)]
    WhatIf(WhatIf),
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

    /// How long an incomplete frame is waited for, 0 to 10s, a bare number in ms
    /// [default: that of the trace, and others]
    #[arg(long, value_name = "T", value_parser = latency)]
    pub latency: Option<Duration>,

    /// Random seed; the same seed gives the same answer
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,

    /// Write the table as JSON; - for standard output, instead of the text
    #[arg(long, value_name = "FILE.json|-")]
    pub report: Option<PathBuf>,

    /// Write no progress
    #[arg(short, long)]
    pub quiet: bool,
}

const CHECK_EXAMPLE: &str = "\
Example: impair what arrives, then compare the report with the log.
    framegram-view --headless --once --impair loss=5% --impair-log done.csv --report r.json
    framegram-lab check r.json --log done.csv

Exit status: 0 equal, 1 different or failed, 2 wrong usage.";

const WHAT_IF_EXAMPLE: &str = "\
Example: find out what parity, retransmission or more time would have saved.
    framegram-view --headless --once --trace stream.trace
    framegram-lab what-if stream.trace

docs/measuring.md says what is assumed of the path.

Exit status: 0 done, 1 failed, 2 wrong usage.";
