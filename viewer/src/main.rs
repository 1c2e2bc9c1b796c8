//! `framegram-view`: receives video frames from UDP datagrams and shows them.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use framegram_view::args::Args;
use framegram_view::failures::{is_broken_pipe, lines};
use framegram_view::gate::Failed;

fn main() -> ExitCode {
    let args = match Args::try_parse().and_then(Args::check) {
        Ok(args) => args,
        Err(error) if error.exit_code() == 0 => {
            // Help or version; a pipe that is closed early is no failure.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            let _ = writeln!(
                io::stderr(),
                "framegram-view: {}; see --help",
                usage(&error)
            );
            return ExitCode::from(2);
        }
    };
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
            for line in lines(&error) {
                let _ = writeln!(io::stderr(), "framegram-view: {line}");
            }
            ExitCode::FAILURE
        }
    }
}

/// What is wrong, in one line and without clap's advice behind it.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    let words: Vec<_> = what.split_whitespace().collect();
    words.join(" ").trim_start_matches("error: ").to_owned()
}

/// The exit code where a condition of `--fail-if` holds.
const FAILED: u8 = 3;
