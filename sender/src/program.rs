//! What the two programs of this package share: parse, run, exit code.

use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Parser;
use framegram_cli::exit::{self, complain, misused};
use framegram_cli::signals;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;

use crate::args::Options;
use crate::source::{self, Open};

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
        Err(error) => return misused(NAME, &error),
    };
    match stream(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if exit::is_reader_gone(&error) => ExitCode::SUCCESS,
        Err(error) => {
            complain(NAME, &format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn stream(options: &Options, open: Open) -> Result<()> {
    let stop = Stop::new();
    let threads = Threads::new(&stop);
    let _signals = signals::listen(&stop, &threads)?;
    let ended = threads.guard(|| crate::run(options, &threads, open));
    threads.outcome()?;
    ended
        .unwrap_or_else(|| Err(anyhow!("it broke down")))
        .map(drop)
}

const NAME: &str = "framegram-send";
