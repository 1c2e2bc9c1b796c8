//! `framegram-view`: receives video frames from UDP datagrams and shows them.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use framegram_view::args::Args;
use framegram_view::gate::Failed;

fn main() -> ExitCode {
    let args = Args::parse().check().unwrap_or_else(|wrong| wrong.exit());
    match framegram_view::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has read enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Failed>() => {
            let _ = writeln!(io::stderr(), "framegram-view: {error}");
            ExitCode::from(FAILED)
        }
        Err(error) => {
            // Where even this cannot be written, the exit code says it.
            let _ = writeln!(io::stderr(), "framegram-view: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The exit code where a condition of `--fail-if` holds.
const FAILED: u8 = 3;

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}
