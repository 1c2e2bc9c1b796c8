//! The common part of the two programs of this package.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, anyhow};
use framegram_cli::pipe::StandardOutput;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_cli::{exit, signals};

use crate::args::{Options, Task};
use crate::keygen;
use crate::sandbox;
use crate::source::{self, OpenSource, cameras};

/// `framegram-send`, without OpenCV.
pub fn without_opencv() -> ExitCode {
    main(|options| {
        if source::needs_opencv(&options.source) {
            return Err(source::become_companion());
        }
        stream(options, source::open)
    })
}

/// The companion with OpenCV, which opens its sources by this function.
pub fn with_opencv(open: OpenSource) -> ExitCode {
    main(|options| stream(options, open))
}

fn main(run: impl FnOnce(&Options) -> Result<()>) -> ExitCode {
    exit::main("framegram-send", Task::parse(), |task| match task {
        Task::Stream(options) => run(options),
        Task::ListCameras => Ok(write!(StandardOutput, "{}", cameras::list())?),
        Task::Keygen(path) => keygen::make(path.as_deref()),
    })
}

fn stream(options: &Options, open: OpenSource) -> Result<()> {
    let mut options = options.clone();
    options.key.ask()?;
    // Before any thread is started, since running threads are not restricted.
    let sandbox = sandbox::enter(&options);
    let stop = Stop::new();
    let threads = Threads::within(sandbox, &stop);
    let _signals = signals::listen(&stop, &threads)?;
    let ended = threads.guard(|| crate::run(&options, &threads, open));
    threads.outcome()?;
    ended
        .unwrap_or_else(|| Err(anyhow!("the stream ended early")))
        .map(drop)
}
