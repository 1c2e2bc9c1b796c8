//! `framegram-view`: receives video frames from UDP datagrams and shows them.

use std::process::ExitCode;

use clap::Parser;
use framegram_cli::exit::{complain, misused};
use framegram_view::args::Args;
use framegram_view::failures::{is_reader_gone, lines};
use framegram_view::gate::Failed;

fn main() -> ExitCode {
    let args = match Args::try_parse().and_then(Args::check) {
        Ok(args) => args,
        Err(error) => return misused(NAME, &error),
    };
    match framegram_view::run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read has read enough.
        Err(error) if is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) if error.is::<Failed>() => {
            complain(NAME, &error.to_string());
            ExitCode::from(FAILED)
        }
        Err(error) => {
            for line in lines(&error) {
                complain(NAME, &line);
            }
            ExitCode::FAILURE
        }
    }
}

const NAME: &str = "framegram-view";

/// The exit code where a condition of `--fail-if` holds.
const FAILED: u8 = 3;
