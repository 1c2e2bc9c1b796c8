//! The main thread: waiting frames to the sinks, and when it is enough.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use framegram_cli::console::Console;
use framegram_cli::pipe::Pipe;
use framegram_common::Statistics;
use framegram_common::receiver::{FrameId, ReceivedFrame, SinkOutcome};
use framegram_lab::timecode::Meter;
use framegram_media::vet;
use framegram_net::clock;

use crate::args::Args;
use crate::conceal::Concealer;
use crate::exchange::{Exchange, News};
use crate::no_stream;
use crate::report::advice::Advice;
use crate::report::files::Files;
use crate::report::lines::Lines;
use crate::sink::recording::Recording;
use crate::sink::{Flow, Shown, Sink, Status};

/// Frames into sinks, until it is enough.
pub struct Show {
    /// For the eye: where several frames wait, it gets the newest alone.
    display: Option<Box<dyn Sink>>,
    /// Gets every frame.
    recording: Option<Recording>,
    /// Reads every frame that was shown.
    stamps: Option<Meter>,
    files: Files,
    /// The figures for a script.
    lines: Option<(Lines, Pipe)>,
    exchange: Arc<Exchange>,
    /// Set from outside when it is enough.
    stop: Arc<AtomicBool>,
    frames: u64,
    /// When the first frame was shown.
    first: Option<Duration>,
    /// The last frame shown.
    last: Option<Bytes>,
    concealer: Concealer,
    /// Who is told, once, what is odd about the sender's JPEGs.
    remarks_to: Option<Arc<Console>>,
}

impl Show {
    /// Frames come from the exchange, and their outcomes go back to it.
    #[must_use]
    pub fn new(
        display: Option<Box<dyn Sink>>,
        recording: Option<Recording>,
        stamps: Option<Meter>,
        files: Files,
        exchange: Arc<Exchange>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        Self {
            display,
            recording,
            stamps,
            files,
            lines: None,
            exchange,
            stop,
            frames: 0,
            first: None,
            last: None,
            concealer: Concealer::default(),
            remarks_to: None,
        }
    }

    /// Writes the figures to `out` too, a line a second.
    pub fn tell_to(&mut self, out: Pipe) {
        self.lines = Some((Lines::new(clock::now()), out));
    }

    /// Says to `console`, once, what is odd about the sender's own JPEGs.
    pub fn remark_to(&mut self, console: Arc<Console>) {
        self.remarks_to = Some(console);
    }

    /// Writes the report, once the network's thread has ended.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn report(&mut self, statistics: &Statistics, advice: &Advice) -> anyhow::Result<()> {
        let forgotten = self.write_rows();
        let timeline = self.exchange.timeline();
        std::mem::take(&mut self.files).finish(statistics, timeline.as_ref(), advice, forgotten)
    }

    /// Writes a row for each frame that was settled meanwhile. Returns how many
    /// were forgotten so far.
    fn write_rows(&mut self) -> u64 {
        let (records, forgotten) = self.exchange.take_records();
        for record in records {
            self.files.write_row(&record);
        }
        forgotten
    }

    /// Writes the last line of figures.
    ///
    /// # Errors
    /// When nobody reads them.
    pub fn tell_last(&mut self) -> anyhow::Result<()> {
        let Some((lines, out)) = self.lines.take() else {
            return Ok(());
        };
        let last = lines.last(&self.exchange.news().live, clock::now());
        let told = out.put(last, None).and_then(|_| out.finish());
        told.context(NO_FIGURES)
    }

    /// Shows frames until the arguments, a sink or a signal say that it is
    /// enough, or the network is `gone`.
    ///
    /// # Errors
    /// When a sink fails, or nothing came while the arguments said to wait.
    pub fn run(&mut self, args: &Args, gone: impl Fn() -> bool) -> anyhow::Result<()> {
        let begun = clock::now();
        while !self.stop.load(Ordering::Acquire) {
            // The news first: what they say of the end is true of the frames
            // that are taken after them.
            let gone = gone();
            let news = self.exchange.news();
            let waiting = self.exchange.pending.take(self.patience());
            let nothing = waiting.is_empty();
            let flow = self.show_all(waiting.into(), &news, args.frames)?;
            let now = clock::now();
            self.write_rows();
            if let Some((lines, out)) = &mut self.lines
                && let Some(line) = lines.poll(&news.live, now)
            {
                // Seconds that nobody reads are left out.
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
                || (args.once && nothing && is_over(&news, now))
            {
                return Ok(());
            }
            if !news.followed && over(Some(begun), args.wait) {
                bail!(no_stream::line(args, &news.live.statistics));
            }
        }
        Ok(())
    }

    /// Gives up what still waits.
    pub fn put_away(&self) {
        for frame in self.exchange.pending.take(Duration::ZERO) {
            self.exchange.settle(frame.id, SinkOutcome::Skipped);
        }
    }

    /// The last frame that was shown, as it came.
    #[must_use]
    pub fn last(&self) -> Option<&Bytes> {
        self.last.as_ref()
    }

    /// Ends the sinks in order.
    ///
    /// # Errors
    /// When what a sink began could not be made whole.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let display = self.display.as_mut().map_or(Ok(()), |sink| sink.finish());
        let recording = self.recording.as_mut().map_or(Ok(()), Sink::finish);
        display.and(recording)
    }

    fn show_all(
        &mut self,
        waiting: Vec<ReceivedFrame>,
        news: &News,
        most: Option<u64>,
    ) -> anyhow::Result<Flow> {
        let newest = waiting.last().map(|frame| frame.id);
        let mut waiting = waiting.into_iter();
        for mut received in waiting.by_ref() {
            self.concealer.conceal(&mut received, self.last.as_ref());
            let to_display = Some(received.id) == newest || self.recording.is_none();
            let shown = self.show(&received, to_display, news)?;
            self.settle(received.id, shown, received.jpeg);
            // A backlog of slow frames is no reason to go on.
            let is_stopped = self.stop.load(Ordering::Acquire);
            if is_stopped || most.is_some_and(|most| self.frames >= most) {
                break;
            }
        }
        let enough = most.is_some_and(|most| self.frames >= most);
        for received in waiting {
            self.exchange.settle(received.id, SinkOutcome::Skipped);
        }
        let status = status(news);
        let mut flow = if enough { Flow::Quit } else { Flow::Continue };
        if let Some(display) = &mut self.display
            && display.tend(&status)? == Flow::Quit
        {
            flow = Flow::Quit;
        }
        if let Some(recording) = &mut self.recording
            && recording.tend(&status)? == Flow::Quit
        {
            flow = Flow::Quit;
        }
        Ok(flow)
    }

    /// Seen or recorded is shown; a frame that either finds broken, and neither
    /// takes, is broken. What no checksum vouches for is looked at before.
    fn show(
        &mut self,
        frame: &ReceivedFrame,
        to_display: bool,
        news: &News,
    ) -> anyhow::Result<Shown> {
        let status = status(news);
        let mut shown = Shown::Withheld;
        let is_wanted = to_display || self.recording.is_some();
        if is_wanted && !frame.checked && vet(&frame.jpeg, false).is_err() {
            return Ok(Shown::Undecodable);
        }
        if let Some(display) = self.display.as_mut().filter(|_| to_display) {
            shown = display.show(frame, &status)?;
        }
        if let Some(recording) = &mut self.recording {
            shown = match (shown, recording.show(frame, &status)?) {
                (Shown::Yes, _) | (_, Shown::Yes) => Shown::Yes,
                (Shown::Undecodable, _) | (_, Shown::Undecodable) => Shown::Undecodable,
                (Shown::Withheld, Shown::Withheld) => Shown::Withheld,
            };
        }
        let recording = self.recording.as_mut().and_then(Sink::take_remark);
        let display = self.display.as_mut();
        let remark = display.and_then(|display| display.take_remark());
        if let Some(remark) = remark.or(recording)
            && shown == Shown::Yes
            && let Some(console) = self.remarks_to.take()
        {
            console.say(&format!(
                "The sender's JPEGs are odd ({remark}); they are shown all the same."
            ));
        }
        Ok(shown)
    }

    fn settle(&mut self, id: FrameId, shown: Shown, jpeg: Bytes) {
        let at = clock::now();
        let outcome = match shown {
            Shown::Yes => SinkOutcome::Shown { at },
            Shown::Withheld => SinkOutcome::Skipped,
            Shown::Undecodable => SinkOutcome::Undecodable,
        };
        if shown == Shown::Yes {
            self.frames += 1;
            self.first.get_or_insert(at);
            if let Some(stamps) = &mut self.stamps {
                stamps.read_jpeg(&jpeg, at);
                self.exchange.note_stamps(stamps.figures());
            }
            self.last = Some(jpeg);
        }
        self.exchange.settle(id, outcome);
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
        ended: news.ended,
    }
}

/// Whether the followed stream has ended, by its farewell or for want of it.
fn is_over(news: &News, now: Duration) -> bool {
    let silent = news
        .heard
        .is_some_and(|heard| now.saturating_sub(heard) >= SILENCE);
    news.ended.is_some() || (news.followed && silent)
}

/// What went wrong with `--stats`.
pub(crate) const NO_FIGURES: &str = "cannot write the figures to standard output";

/// A sender that lives says something twice a second: after so long without a
/// word its farewell is lost.
const SILENCE: Duration = Duration::from_secs(5);

/// Without a sink there is nothing to be in time for.
const IDLE: Duration = Duration::from_millis(50);

#[cfg(test)]
mod tests {
    use clap::Parser;
    use framegram_cli::stop::Stop;
    use framegram_cli::threads::Threads;

    use super::*;
    use crate::fixture::{Folder, frame, quadrants};
    use crate::pending::{Keep, Pending};

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
        let files = Files::claim(std::slice::from_ref(&path), &threads).unwrap();
        let exchange = Arc::new(Exchange::new(Pending::new(Keep::All), false).unwrap());
        let display: Box<dyn Sink> = Box::new(Broken);
        let stop = Arc::default();
        let mut show = Show::new(
            Some(display),
            None,
            None,
            files,
            Arc::clone(&exchange),
            stop,
        );
        assert_eq!(exchange.pending.put(frame(0, &quadrants(32, 32))), []);
        let args = Args::parse_from(["framegram-view", "--headless"]);
        assert!(threads.guard(|| show.run(&args, || false)).is_none());
        assert!(threads.stop().is_stopped());
        show.put_away();
        show.report(&Statistics::default(), &Advice::default())
            .unwrap();
        assert!(path.metadata().unwrap().len() > 0);
        let told = threads.outcome().unwrap_err().to_string();
        assert!(told.contains("show.rs:") && told.contains("a sink that breaks"));
    }
}
