//! The end of a program: its last words and its exit code.

use std::io;
use std::process::ExitCode;

use clap::error::Error as Usage;

use crate::console::Console;
use crate::pipe::{self, ReaderGone};

/// Answers a command line that cannot be run: with help or version if that is
/// what it asks for, else with what is wrong in one line.
#[must_use]
pub fn misused(program: &str, error: &Usage) -> ExitCode {
    if error.exit_code() == 0 {
        // A pipe that is closed early is no failure.
        let _ = error.print();
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    // Without clap's advice behind it.
    let what = text.split("\n\n").next().unwrap_or_default();
    let what = one_line(what);
    let what = what.trim_start_matches("error: ");
    complain(program, &format!("{what}; see --help"));
    ExitCode::from(2)
}

/// Writes an error in one line, whatever ends of line it holds.
pub fn complain(program: &str, error: &str) {
    // Where nobody reads it, the exit code says it.
    Console::new(false).say(&format!("{program}: {}", one_line(error)));
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether nobody reads standard output any more: whoever read has read enough.
#[must_use]
pub fn is_reader_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        cause.is::<ReaderGone>() || io.is_some_and(pipe::is_reader_gone)
    })
}
