//! The main thread: passes frames to the sinks, and decides when to end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use framegram_cli::console::Console;
use framegram_cli::pipe::Pipe;
use framegram_cli::stop::Stop;
use framegram_common::Statistics;
use framegram_common::receiver::{FrameId, ReceivedFrame, SinkOutcome};
use framegram_media::XrgbImage;
use framegram_net::clock;

use crate::args::Args;
use crate::decoding::DecodingThread;
use crate::no_stream;
use crate::report::Report;
use crate::report::advice::Advice;
use crate::report::files::ReportFiles;
use crate::report::lines::Lines;
use crate::shared::{News, Shared, TileNews};
use crate::sink::recordings::Recordings;
use crate::sink::{Flow, Settled, Shown, Sink, Status};

/// Passes frames to the sinks until the end of the run.
pub struct Presenter<D: ?Sized = dyn Sink> {
    /// The display. If several frames of a tile wait, it gets only the newest.
    display: Option<Box<D>>,
    /// Gets every frame.
    recording: Option<Recordings>,
    /// Frames that are recorded and not shown yet.
    recorded: Vec<FrameId>,
    /// Decodes for the sinks too.
    decoding: DecodingThread,
    /// Whether the timecode of every frame shown is read.
    reads_timecode: bool,
    files: ReportFiles,
    /// The lines of figures for scripts (`--stats`), one a second.
    pub(crate) lines: Option<(Lines, Pipe)>,
    shared: Arc<Shared>,
    /// Ends the run.
    stop: Stop,
    frames: u64,
    /// When the first frame was shown.
    first: Option<Duration>,
    /// The last frame shown in each tile.
    last: Vec<Option<Bytes>>,
    /// Receives one notice about anomalies in the sender's JPEGs.
    pub(crate) remarks_to: Option<Arc<Console>>,
}

impl<D: Sink + ?Sized> Presenter<D> {
    /// Frames come from the network thread, and their outcomes go back to it.
    pub fn new(
        display: Option<Box<D>>,
        recording: Option<Recordings>,
        (decoding, reads_timecode): (DecodingThread, bool),
        files: ReportFiles,
        shared: Arc<Shared>,
        stop: Stop,
    ) -> Self {
        Self {
            display,
            recording,
            recorded: Vec::new(),
            decoding,
            reads_timecode,
            files,
            lines: None,
            shared,
            stop,
            frames: 0,
            first: None,
            last: Vec::new(),
            remarks_to: None,
        }
    }

    /// Writes the report, once the network thread has ended.
    pub fn report(
        &mut self,
        statistics: &Statistics,
        each: Option<&[Statistics]>,
        advice: &Advice,
    ) -> anyhow::Result<()> {
        let forgotten = self.write_rows();
        let files = std::mem::take(&mut self.files);
        let timeline = self.shared.timeline();
        let report = Report {
            timeline: timeline.as_ref(),
            senders: each,
            ..Report::new(statistics)
        };
        files.finish(&report, advice, forgotten)
    }

    /// Writes a row for each newly settled frame. Returns how many rows were dropped so far.
    fn write_rows(&mut self) -> u64 {
        let (records, forgotten) = self.shared.take_records();
        for record in records {
            self.files.write_row(&record);
        }
        forgotten
    }

    /// Writes the last line of figures.
    pub fn tell_last(&mut self, each: Option<&[Statistics]>) -> anyhow::Result<()> {
        let Some((lines, out)) = self.lines.take() else {
            return Ok(());
        };
        let last = lines.last(&self.shared.news().live, each, clock::now());
        let told = out.put(last, None).and_then(|_| out.finish());
        told.context(NO_FIGURES)
    }

    /// Shows frames until the arguments, a sink or a signal end the run, or no more come.
    ///
    /// # Errors
    /// If a sink fails, or nothing arrived within the time set by `--wait`.
    pub fn run(&mut self, args: &Args) -> anyhow::Result<()> {
        let begun = clock::now();
        while !self.stop.is_stopped() {
            // The news is read first, so that what it says about the end holds for the frames taken
            // afterwards.
            let gone = self.shared.is_over();
            let news = self.shared.news();
            let waiting = self.shared.frames.take(self.patience());
            let nothing = waiting.is_empty();
            let flow = self.show_all(waiting.into(), &news, args.frames)?;
            let now = clock::now();
            self.write_rows();
            if let Some((lines, out)) = &mut self.lines
                && let Some(line) = lines.poll(&news.live, each(args, &news).as_deref(), now)
            {
                // Lines that nobody reads are dropped.
                out.put(line, Some(Duration::ZERO)).context(NO_FIGURES)?;
            }
            let over = |since: Option<Duration>, limit: Option<Duration>| {
                limit
                    .zip(since)
                    .is_some_and(|(limit, since)| now.saturating_sub(since) >= limit)
            };
            if flow == Flow::Quit
                || over(self.first, args.duration)
                || (nothing && gone)
                || (args.once && nothing && self.is_idle() && is_over(&news, now))
            {
                return Ok(());
            }
            if !news.followed() && over(Some(begun), args.wait) {
                bail!(no_stream::line(args, &news.live.statistics));
            }
        }
        Ok(())
    }

    /// Gives up the waiting frames.
    pub fn put_away(&mut self) {
        for frame in self.shared.frames.take(Duration::ZERO) {
            self.shared.settle(frame.id, SinkOutcome::Skipped);
        }
        if let Some(display) = &mut self.display {
            display.discard();
        }
        self.settle_later_ones();
    }

    /// The last frame shown in the first tile, as received.
    pub fn last(&self) -> Option<&Bytes> {
        self.last.first()?.as_ref()
    }

    /// An image of the complete display, if that is more than the last frame.
    #[must_use]
    pub fn image(&mut self) -> Option<XrgbImage> {
        let news = self.shared.news();
        self.display.as_mut()?.image(&status(&news))
    }

    /// Ends the sinks in order.
    ///
    /// # Errors
    /// If a sink could not complete its file.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let display = self.display.as_mut().map_or(Ok(()), |sink| sink.finish());
        let recording = self.recording.as_mut().map_or(Ok(()), Sink::finish);
        display.and(recording)
    }

    fn is_idle(&self) -> bool {
        self.display.as_ref().is_none_or(|sink| sink.is_idle())
    }

    fn show_all(
        &mut self,
        waiting: Vec<ReceivedFrame>,
        news: &News,
        most: Option<u64>,
    ) -> anyhow::Result<Flow> {
        let newest: BTreeMap<_, _> = waiting.iter().map(|it| (it.tile, it.id)).collect();
        let mut waiting = waiting.into_iter();
        for mut received in waiting.by_ref() {
            let before = self.last.get(received.tile).and_then(Option::as_ref);
            let prepared = self.decoding.prepare(&mut received, before);
            let is_newest = newest.get(&received.tile) == Some(&received.id);
            let to_display = is_newest || self.recording.is_none();
            let shown = match prepared {
                Ok(()) => self.show(&received, to_display, news)?,
                Err(_) => Shown::Undecodable,
            };
            self.settle(Settled {
                id: received.id,
                tile: received.tile,
                shown,
                jpeg: received.jpeg,
            });
            // A backlog of slow frames does not delay the end.
            let is_stopped = self.stop.is_stopped();
            if is_stopped || most.is_some_and(|most| self.frames >= most) {
                break;
            }
        }
        self.settle_later_ones();
        let enough = most.is_some_and(|most| self.frames >= most);
        for received in waiting {
            self.shared.settle(received.id, SinkOutcome::Skipped);
        }
        let status = status(news);
        let mut flow = if enough { Flow::Quit } else { Flow::Continue };
        if let Some(display) = &mut self.display
            && display.tend(&status)? == Flow::Quit
        {
            flow = Flow::Quit;
        }
        self.settle_later_ones();
        if let Some(recording) = &mut self.recording
            && recording.tend(&status)? == Flow::Quit
        {
            flow = Flow::Quit;
        }
        Ok(flow)
    }

    /// Shows and records a frame. It counts as shown if either sink took it, otherwise as
    /// undecodable if either could not decode it.
    fn show(
        &mut self,
        frame: &ReceivedFrame,
        to_display: bool,
        news: &News,
    ) -> anyhow::Result<Shown> {
        let status = status(news);
        let mut shown = Shown::Withheld;
        if let Some(display) = self.display.as_mut().filter(|_| to_display) {
            shown = display.show(frame, &status)?;
        }
        if let Some(recording) = &mut self.recording {
            shown = match (shown, recording.show(frame, &status)?) {
                (Shown::Later, Shown::Yes) => {
                    self.recorded.push(frame.id);
                    Shown::Yes
                }
                (Shown::Later, _) | (_, Shown::Later) => Shown::Later,
                (Shown::Yes, _) | (_, Shown::Yes) => Shown::Yes,
                (Shown::Undecodable, _) | (_, Shown::Undecodable) => Shown::Undecodable,
                (Shown::Withheld, Shown::Withheld) => Shown::Withheld,
            };
        }
        self.tell_remark();
        Ok(shown)
    }

    /// Prints the notice about an anomaly of the frames, once.
    fn tell_remark(&mut self) {
        let display = self.display.as_mut();
        let remark = display.and_then(|display| display.take_remark());
        if let Some(remark) = remark.or_else(|| self.decoding.take_remark())
            && let Some(console) = self.remarks_to.take()
        {
            console.say(&format!(
                "The sender's JPEGs decode with a warning ({remark}); they are shown nevertheless."
            ));
        }
    }

    /// Records the outcomes of frames that were to be shown later.
    fn settle_later_ones(&mut self) {
        while let Some(settled) = self.display.as_mut().and_then(|it| it.poll_settled()) {
            let recorded = self.recorded.iter().position(|id| *id == settled.id);
            match recorded {
                Some(index) => drop(self.recorded.swap_remove(index)),
                None => self.settle(settled),
            }
        }
    }

    fn settle(&mut self, settled: Settled) {
        let Settled {
            id,
            tile,
            shown,
            jpeg,
        } = settled;
        let at = clock::now();
        let outcome = match shown {
            Shown::Later => return,
            Shown::Yes => SinkOutcome::Shown { at },
            Shown::Withheld => SinkOutcome::Skipped,
            Shown::Undecodable => SinkOutcome::Undecodable,
        };
        if shown == Shown::Yes {
            self.frames += 1;
            self.first.get_or_insert(at);
            if self.reads_timecode
                && let Ok(counts) = self.decoding.read_timecode(tile, &jpeg, at)
            {
                self.shared.set_timecode(tile, counts);
            }
            if self.last.len() <= tile {
                self.last.resize(tile + 1, None);
            }
            self.last[tile] = Some(jpeg);
        }
        self.shared.settle(id, outcome);
    }

    fn patience(&self) -> Duration {
        let display = self.display.as_ref().map(|sink| sink.patience());
        let recording = self.recording.as_ref().map(Sink::patience);
        display.into_iter().chain(recording).min().unwrap_or(IDLE)
    }
}

fn status(news: &News) -> Status<'_> {
    Status {
        now: clock::now(),
        live: &news.live,
        ended: news.tiles.first().and_then(|tile| tile.ended),
        tiles: &news.tiles,
    }
}

/// The statistics of each tile, if there are several.
pub(crate) fn each(args: &Args, news: &News) -> Option<Vec<Statistics>> {
    let tiles = news.tiles.iter().map(|tile| tile.live.statistics.clone());
    (args.grid).then(|| tiles.collect())
}

/// Whether every stream that was followed has ended, by its bye or by silence.
fn is_over(news: &News, now: Duration) -> bool {
    let silent = |tile: &TileNews| {
        let last_received = tile.last_received.unwrap_or(now);
        now.saturating_sub(last_received) >= SILENCE
    };
    let over = |tile: &TileNews| tile.ended.is_some() || silent(tile);
    news.followed() && news.tiles.iter().all(over)
}

/// Context of errors with `--stats`.
pub(crate) const NO_FIGURES: &str = "cannot write the figures to standard output";

/// A live sender sends a report twice a second. After this silence, its bye is taken to be lost.
const SILENCE: Duration = Duration::from_secs(5);

/// Without a display there is no hurry.
const IDLE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use clap::Parser;
    use framegram_cli::threads::Threads;

    use super::*;
    use crate::fixture::{Folder, frame, quadrants};
    use crate::frame_queue::{FrameQueue, Keep};

    /// A sink with a bug.
    struct Broken;

    impl Sink for Broken {
        fn show(&mut self, _: &ReceivedFrame, _: &Status) -> anyhow::Result<Shown> {
            panic!("a sink that breaks")
        }
        fn tend(&mut self, _: &Status) -> anyhow::Result<Flow> {
            Ok(Flow::Continue)
        }
        fn patience(&self) -> Duration {
            Duration::from_secs(60)
        }
        fn finish(&mut self) -> anyhow::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_panic_of_a_sink_ends_it_and_the_report_is_written() {
        let folder = Folder::new();
        let path = folder.path("report.json");
        let threads = Threads::new(&Stop::new());
        let files = ReportFiles::claim(std::slice::from_ref(&path), &threads).unwrap();
        let shared = Arc::new(Shared::new(FrameQueue::new(Keep::All), false).unwrap());
        let display: Box<dyn Sink> = Box::new(Broken);
        let decoding = (DecodingThread::start(&threads).unwrap(), false);
        let (display, to) = (Some(display), Arc::clone(&shared));
        let mut presenter = Presenter::new(display, None, decoding, files, to, Stop::new());
        assert_eq!(shared.frames.put(frame(0, &quadrants(32, 32))), []);
        let args = Args::parse_from(["framegram-view", "--headless"]);
        assert!(threads.guard(|| presenter.run(&args)).is_none());
        assert!(threads.stop().is_stopped());
        presenter.put_away();
        presenter
            .report(&Statistics::default(), None, &Advice::default())
            .unwrap();
        assert!(path.metadata().unwrap().len() > 0);
        let told = threads.outcome().unwrap_err().to_string();
        assert!(told.contains("presenter.rs:") && told.contains("a sink that breaks"));
    }
}
