//! What the two programs of this package share: parse, run, exit code.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};
use clap::Parser;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use crate::args::Options;
use crate::source::{self, Open};
use crate::stop::Stop;

/// `framegram-send`, which has no OpenCV.
#[must_use]
pub fn without_opencv() -> ExitCode {
    main(|options| {
        if source::needs_opencv(&options.source) {
            return Err(source::become_companion());
        }
        stream(options, source::open_without_opencv)
    })
}

/// Its companion, which does.
#[must_use]
pub fn with_opencv() -> ExitCode {
    main(|options| stream(options, source::open))
}

fn main(stream: impl FnOnce(&Options) -> Result<()>) -> ExitCode {
    let options = match Options::try_parse().and_then(Options::check) {
        Ok(options) => options,
        Err(error) if error.exit_code() == 0 => {
            // Help or version; a pipe that is closed early is no failure.
            let _ = error.print();
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            complain(&format!("{}; see --help", usage(&error)));
            return ExitCode::from(2);
        }
    };
    match stream(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn stream(options: &Options, open: Open) -> Result<()> {
    let stop = Stop::new();
    let mut signals =
        Signals::new([SIGHUP, SIGINT, SIGTERM]).context("cannot listen for signals")?;
    let stopped = stop.clone();
    thread::spawn(move || {
        for signal in signals.forever() {
            if stopped.is_stopped() {
                // Asked twice: as if there were no handler.
                let _ = emulate_default_handler(signal);
            }
            stopped.stop();
        }
    });
    crate::run(options, &stop, open)?;
    Ok(())
}

/// Writes an error in one line, whatever ends of line it holds.
fn complain(error: &str) {
    let words = error.split_whitespace().collect::<Vec<_>>().join(" ");
    // Nobody reading is no reason to break down.
    let _ = writeln!(io::stderr(), "framegram-send: {words}");
}

/// What is wrong, without clap's advice behind it.
fn usage(error: &clap::Error) -> String {
    let text = error.to_string();
    let what = text.split("\n\n").next().unwrap_or_default();
    what.trim_start_matches("error: ").trim_end().into()
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        let io = cause.downcast_ref::<io::Error>();
        io.is_some_and(|io| io.kind() == io::ErrorKind::BrokenPipe)
    })
}
