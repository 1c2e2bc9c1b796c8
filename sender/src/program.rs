//! What the two programs of this package share.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use clap::Parser;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_cli::{exit, signals};

use crate::args::Options;
use crate::source::{self, Open, cameras};

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

/// `framegram-send cameras`, where that is asked for.
fn list_cameras() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    let is_asked = arguments.next().is_some_and(|first| first == "cameras");
    (is_asked && arguments.next().is_none()).then(|| {
        let listed = std::io::stdout().write_all(cameras::list().as_bytes());
        // A reader who has seen enough is no failure.
        listed.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
    })
}

fn main(run: impl FnOnce(&Options) -> Result<()>) -> ExitCode {
    if let Some(code) = list_cameras() {
        return code;
    }
    let options = Options::try_parse().and_then(Options::check);
    exit::main("framegram-send", options, run)
}

fn stream(options: &Options, open: Open) -> Result<()> {
    let stop = Stop::new();
    let threads = Threads::new(&stop);
    let _signals = signals::listen(&stop, &threads)?;
    let ended = threads.guard(|| crate::run(options, &threads, open));
    threads.outcome()?;
    ended
        .unwrap_or_else(|| Err(anyhow!("the stream ended early")))
        .map(drop)
}
