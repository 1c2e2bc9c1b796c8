//! The frame of every program: command line, errors and exit status.

use std::process::ExitCode;

use anyhow::Result;
use clap::error::Error as Usage;

use crate::console::Console;
use crate::errors::{Failed, is_reader_gone, lines};
use crate::secrets;

/// Runs a program with its command line. Exit status: 0 done, 1 failed, 2 wrong
/// usage, 3 a threshold was crossed.
pub fn main<Args>(
    program: &str,
    args: Result<Args, Usage>,
    run: impl FnOnce(&Args) -> Result<()>,
) -> ExitCode {
    let args = match args {
        Ok(args) => args,
        Err(error) => return misused(program, &error),
    };
    // Without /proc they stay as visible as those of any program.
    let _ = secrets::hide_in_arguments();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            for line in lines(&error) {
                complain(program, &line);
            }
            ExitCode::from(if error.is::<Failed>() { CROSSED } else { 1 })
        }
    }
}

/// Handles a command line that cannot be run: prints help or version if
/// requested, otherwise the error in one line.
fn misused(program: &str, error: &Usage) -> ExitCode {
    if error.exit_code() == 0 {
        // A closed pipe is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    let mut parts = text.split("\n\n").map(one_line);
    let what = parts.next().unwrap_or_default();
    let what = what.trim_start_matches("error: ");
    // Of clap's hints, only a similar name.
    let tip = parts.find_map(|part| Some(part.strip_prefix("tip: ")?.to_owned()));
    let tip = tip.filter(|tip| tip.contains("similar"));
    let tip = tip.map_or(String::new(), |tip| format!(" ({tip})"));
    complain(program, &format!("{what}{tip}; see --help"));
    ExitCode::from(2)
}

/// Writes an error as one line, even if it contains line breaks.
fn complain(program: &str, error: &str) {
    // If nobody reads it, the exit status still tells.
    let error = secrets::redacted_in(&one_line(error));
    Console::new(false).say(&format!("{program}: {error}"));
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Exit status when a threshold was crossed.
const CROSSED: u8 = 3;
