//! The files of a run, each proved writable before the stream begins.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use framegram_cli::console::Console;
use framegram_cli::output::{Growing, OutputFile};
use framegram_cli::pipe::Pipe;
use framegram_cli::threads::Threads;
use framegram_common::receiver;
use framegram_common::stats::Side;
use framegram_lab::impair::ImpairedLinks;
use framegram_media::XrgbImage;
use framegram_net::Received;

use crate::args::Args;
use crate::decoding::DecodingThread;
use crate::report::files::ReportFiles;
use crate::sink::snapshot::Snapshot;
use crate::tracer::Tracer;

/// The output files and pipes, except the recording, which is a sink.
pub(crate) struct Outputs {
    pub(crate) files: ReportFiles,
    pub(crate) snapshot: Option<Snapshot>,
    /// Standard output, for `--stats`.
    pub(crate) stats: Option<Pipe>,
    pub(crate) impaired: Option<ImpairedLinks<Received>>,
    pub(crate) tracer: Option<Tracer>,
}

impl Outputs {
    /// Claims all files that the arguments name.
    pub(crate) fn claim(
        args: &Args,
        config: &receiver::Config,
        console: &Arc<Console>,
        threads: &Threads,
    ) -> anyhow::Result<Self> {
        let files = ReportFiles::claim(&args.report, threads)?;
        let snapshot = args.snapshot.as_deref();
        let snapshot = snapshot.map(|path| Snapshot::claim(path, threads));
        let stats = args.stats.map(|_| Pipe::standard_output(threads));
        let log = args.impair_log.as_deref();
        let log = log.map(|path| growing(path, "impairment log", console, threads));
        let log = log.transpose()?;
        let tracer = args.trace.as_ref().map(|path| {
            let (own_console, own_threads) = (Arc::clone(console), threads.clone());
            let open = move |path: &Path| growing(path, "trace", &own_console, &own_threads);
            Tracer::create(path, open, args.trace_limit, config, console, threads)
        });
        Ok(Self {
            files,
            snapshot: snapshot.transpose()?,
            stats: stats.transpose()?,
            impaired: args
                .impair
                .as_ref()
                .map(|it| ImpairedLinks::new(it, Side::Viewer, log)),
            tracer: tracer.transpose()?,
        })
    }
}

/// A file that grows. If an older one is moved aside, the console says so.
pub(crate) fn growing(
    path: &Path,
    what: &'static str,
    console: &Arc<Console>,
    threads: &Threads,
) -> anyhow::Result<Growing> {
    let console = Arc::clone(console);
    let file = OutputFile::claim(path, what, threads)?;
    Ok(file.grow(move |line| console.say(line)))
}

/// Writes the last frame shown, or the `image` of all tiles.
pub(crate) fn write_snapshot(
    snapshot: Option<Snapshot>,
    (last, decoding): (Option<&Bytes>, &DecodingThread),
    image: Option<&XrgbImage>,
    console: &Console,
) -> anyhow::Result<()> {
    let Some(snapshot) = snapshot else {
        return Ok(());
    };
    let line = match (image, last) {
        (Some(image), _) => {
            let path = snapshot.write_picture(image)?;
            format!("Snapshot of the grid: {}", path.display())
        }
        (None, Some(jpeg)) => {
            let path = snapshot.write(jpeg, decoding)?;
            format!("Snapshot of the last frame: {}", path.display())
        }
        (None, None) => "No frame was shown, so there is no snapshot.".to_owned(),
    };
    console.say(&line);
    Ok(())
}
