//! The command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures the measuring: checks reports against what was done on purpose.
#[derive(Clone, Debug, Parser)]
#[command(name = "framegram-lab", version)]
pub struct Args {
    /// What to do
    #[command(subcommand)]
    pub command: Command,
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
}

const CHECK_EXAMPLE: &str = "\
Example: impair what arrives, then compare the report with the log.
    framegram-view --headless --once --impair loss=5% --impair-log done.csv --report r.json
    framegram-lab check r.json --log done.csv

Exit status: 0 equal, 1 different or failed, 2 wrong usage.";
