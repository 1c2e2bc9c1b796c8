//! Shows the frames that the network thread receives, in the thread where that costs least, and
//! ends the run.

use std::sync::Arc;

use anyhow::Context;
use framegram_cli::console::Console;
use framegram_cli::errors;
use framegram_cli::pipe::Pipe;
use framegram_cli::threads::{Thread, Threads};
use framegram_common::Statistics;
use framegram_lab::thresholds::Condition;
use framegram_net::clock;

use crate::args::Args;
use crate::decoding::DecodingThread;
use crate::outputs::write_snapshot;
use crate::presenter::{Presenter, each};
use crate::report::advice::Advice;
use crate::report::files::ReportFiles;
use crate::report::lines::Lines;
use crate::report::text;
use crate::shared::Shared;
use crate::sink::Sink;
use crate::sink::recordings::Recordings;
use crate::sink::snapshot::Snapshot;

/// A run whose network thread has started. Nothing fails before the bye is sent and the report is
/// written.
pub(crate) struct Showing<'a> {
    pub(crate) args: &'a Args,
    pub(crate) threads: &'a Threads,
    pub(crate) console: Arc<Console>,
    pub(crate) network: Thread<anyhow::Result<Statistics>>,
    pub(crate) decoding: DecodingThread,
    pub(crate) shared: Arc<Shared>,
    pub(crate) files: ReportFiles,
    pub(crate) snapshot: Option<Snapshot>,
    /// Standard output, for `--stats`.
    pub(crate) stats: Option<Pipe>,
    pub(crate) advice: Advice,
}

impl Showing<'_> {
    /// Shows frames in the main thread, which may open files and has the window.
    pub(crate) fn in_main_thread(
        mut self,
        display: Option<Box<dyn Sink>>,
        recording: Option<Recordings>,
    ) -> anyhow::Result<()> {
        let mut presenter = self.presenter(display, recording);
        let shown = self.threads.guard(|| presenter.run(self.args));
        self.end(presenter, shown)
    }

    /// Shows frames in the decoding thread. Nothing may be opened for them.
    pub(crate) fn in_decoding_thread(
        mut self,
        display: Option<Box<dyn Sink + Send>>,
        recording: Option<Recordings>,
    ) -> anyhow::Result<()> {
        let mut presenter = self.presenter(display, recording);
        let (args, threads) = (self.args.clone(), self.threads.clone());
        let hosted = self.decoding.host(move || {
            let shown = threads.guard(|| presenter.run(&args));
            (presenter, shown)
        });
        let (presenter, shown) = hosted.context("the decoding thread has ended")?;
        self.end(presenter, shown)
    }

    fn presenter<D: Sink + ?Sized>(
        &mut self,
        display: Option<Box<D>>,
        recording: Option<Recordings>,
    ) -> Presenter<D> {
        let mut presenter = Presenter::new(
            display,
            recording,
            (self.decoding.clone(), self.args.read_timecode),
            std::mem::take(&mut self.files),
            Arc::clone(&self.shared),
            self.threads.stop().clone(),
        );
        presenter.remarks_to = Some(Arc::clone(&self.console));
        let stats = self.stats.take();
        presenter.lines = stats.map(|out| (Lines::new(clock::now()), out));
        presenter
    }

    /// Sends the bye, completes the files and prints the figures.
    fn end<D: Sink + ?Sized>(
        self,
        mut presenter: Presenter<D>,
        shown: Option<anyhow::Result<()>>,
    ) -> anyhow::Result<()> {
        let Self {
            args,
            threads,
            console,
            shared,
            advice,
            ..
        } = self;
        presenter.put_away();
        shared.stop();
        let received = self.network.join();
        console.end_progress();

        let statistics = match &received {
            Some(Ok(statistics)) => statistics.clone(),
            Some(Err(_)) | None => shared.news().live.statistics.clone(),
        };
        let last = presenter.last().cloned();
        let each = each(args, &shared.news());
        let lines = match &each {
            Some(each) => text::lines_of_tiles(each, &statistics, &advice),
            None => text::lines(&statistics, &advice),
        };
        for line in lines.into_iter().chain(shared.traced()) {
            console.say(&line);
        }
        let image = self.snapshot.is_some().then(|| presenter.image()).flatten();
        errors::all_of([
            shown.unwrap_or(Ok(())),
            received.map_or(Ok(()), |received| received.map(drop)),
            threads.guard(|| presenter.finish()).unwrap_or(Ok(())),
            presenter.tell_last(each.as_deref()),
            write_snapshot(
                self.snapshot,
                (last.as_ref(), &self.decoding),
                image.as_ref(),
                &console,
            ),
            presenter.report(&statistics, each.as_deref(), &advice),
            Condition::check_all(&args.fail_if, &statistics).map_err(Into::into),
        ])
    }
}
