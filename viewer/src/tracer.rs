//! The trace files. The network thread records and another thread writes, so that no disk delays
//! datagrams.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_cli::console::Console;
use framegram_cli::numbers::{count, seconds};
use framegram_cli::output::Growing;
use framegram_cli::paths::numbered;
use framegram_cli::threads::{Thread, Threads};
use framegram_common::receiver::{Config, Receiver, Verdict};
use framegram_common::stats::FrameRecord;
use framegram_lab::trace::{Recorder, Why};
use framegram_net::{Received, clock};

/// The traces being written: one, or one for each tile of a grid.
pub struct Tracer {
    traces: Vec<Trace>,
    /// Datagrams of no tile that may belong to the next one, the oldest first.
    open: VecDeque<(Received, Vec<u8>)>,
    path: PathBuf,
    limit: u64,
    config: Config,
    /// To the writing thread, which ends when this is dropped.
    blocks: SyncSender<(usize, Vec<u8>)>,
    writer: Thread<anyhow::Result<()>>,
    console: Arc<Console>,
}

/// The trace of a tile.
struct Trace {
    recorder: Recorder,
    name: String,
    /// The receiver's session whose stream is traced.
    session: Option<u64>,
    /// A block that did not fit into the queue.
    held_up: Option<Vec<u8>>,
    /// When the first datagram arrived.
    began: Option<Duration>,
    /// When the trace ended, if the stream continued.
    ended: Option<Duration>,
}

impl Tracer {
    /// Starts a trace of at most `limit` bytes in the file at `path`. The traces of further tiles
    /// have the same limit, and their files are numbered. The writing thread opens them.
    ///
    /// # Errors
    /// If the file cannot be written, or the system cannot start another thread.
    pub fn create(
        path: &Path,
        open: impl Fn(&Path) -> anyhow::Result<Growing> + Send + 'static,
        limit: usize,
        config: &Config,
        console: &Arc<Console>,
        threads: &Threads,
    ) -> anyhow::Result<Self> {
        let mut files = vec![open(path)?];
        let (blocks, written) = mpsc::sync_channel::<(usize, Vec<u8>)>(MOST_WAITING);
        let first = path.to_owned();
        let writer = threads.spawn("trace", move || {
            for (tile, block) in written {
                while files.len() <= tile {
                    files.push(open(&numbered(&first, files.len()))?);
                }
                let written = write(&mut files[tile], &block);
                written.with_context(|| cannot_write(files[tile].path()))?;
            }
            files.iter_mut().try_for_each(|file| {
                let finished = file.finish();
                finished.with_context(|| cannot_write(file.path()))
            })
        })?;
        let mut tracer = Self {
            traces: Vec::new(),
            open: VecDeque::new(),
            path: path.to_owned(),
            limit: limit as u64,
            config: config.clone(),
            blocks,
            writer,
            console: Arc::clone(console),
        };
        tracer.trace(0);
        Ok(tracer)
    }

    /// Records that a tile of the receiver follows its present stream from now on, unless that is
    /// recorded.
    pub fn record_followed(&mut self, receiver: &Receiver, tile: usize, now: Duration) {
        let session = receiver.session_of(tile);
        if self.trace(tile).session == session {
            return;
        }
        let (Some(stream), Some(from)) = (receiver.stream(tile), receiver.from(tile)) else {
            return;
        };
        let is_its = |(received, _): &(Received, Vec<u8>)| received.from == from;
        let kept = std::mem::take(&mut self.open).into_iter();
        let (its, others): (Vec<_>, _) = kept.partition(is_its);
        self.open = others.into();
        for (received, datagram) in its {
            self.record_datagram(tile, &received, &datagram, Some(Verdict::Open));
        }
        let trace = self.trace(tile);
        trace.session = session;
        let format = receiver.format(tile).unwrap_or_default();
        trace.recorder.record_followed(stream, format, from, now);
    }

    /// Records a datagram that belongs to no tile. One that may belong to the next tile is kept
    /// until there is one.
    pub fn record_other(&mut self, received: &Received, datagram: &[u8], verdict: Option<Verdict>) {
        if verdict != Some(Verdict::Open) {
            self.record_datagram(0, received, datagram, Some(Verdict::Foreign));
            return;
        }
        self.open.push_back((*received, datagram.to_vec()));
        if self.open.len() > MOST_OPEN {
            self.discard_open();
        }
    }

    /// Records the oldest kept datagram as one of no stream.
    fn discard_open(&mut self) {
        if let Some((received, datagram)) = self.open.pop_front() {
            self.record_datagram(0, &received, &datagram, Some(Verdict::Foreign));
        }
    }

    /// Records a datagram and the receiver's verdict in the trace of a tile.
    pub fn record_datagram(
        &mut self,
        tile: usize,
        received: &Received,
        datagram: &[u8],
        verdict: Option<Verdict>,
    ) {
        let (from, now) = (received.from, received.arrival);
        let trace = self.trace(tile);
        trace.began.get_or_insert(now);
        trace.recorder.record_datagram(from, datagram, verdict, now);
        self.hand_on(tile, now);
    }

    /// Records a datagram from an address that is not allowed, in the first trace.
    pub fn record_foreign(&mut self, received: &Received) {
        let trace = self.trace(0);
        trace.began.get_or_insert(received.arrival);
        trace
            .recorder
            .record_foreign(received.len, received.arrival);
        self.hand_on(0, received.arrival);
    }

    /// Records the number of datagrams that the socket's buffer has dropped so far. All tiles share
    /// the buffer.
    pub fn record_drops(&mut self, total: u64) {
        let now = clock::now();
        let traces = self.traces.iter_mut();
        traces.for_each(|trace| trace.recorder.record_drops(total, now));
    }

    /// Records the settled outcome of a frame.
    pub fn record_frame(&mut self, record: &FrameRecord) {
        let now = clock::now();
        let traces = self.traces.iter_mut();
        traces.for_each(|trace| trace.recorder.record_frame(record, now));
    }

    /// Writes the rest. Returns the notices to print.
    pub fn finish(mut self) -> anyhow::Result<Vec<String>> {
        while !self.open.is_empty() {
            self.discard_open();
        }
        for (tile, trace) in self.traces.iter_mut().enumerate() {
            trace.recorder.finish(Why::Over, clock::now());
            let last = trace.recorder.poll_block();
            for block in trace.held_up.take().into_iter().chain(last) {
                // If the thread has ended, it reports why.
                let _ = self.blocks.send((tile, block));
            }
        }
        drop(self.blocks);
        match self.writer.join() {
            Some(written) => written?,
            None => bail!("{}: its thread panicked", cannot_write(&self.path)),
        }
        Ok(self.traces.iter().map(Trace::notice).collect())
    }

    /// The trace of a tile. It starts with the first call.
    fn trace(&mut self, tile: usize) -> &mut Trace {
        while self.traces.len() <= tile {
            self.traces.push(Trace {
                recorder: Recorder::new(&self.config, self.limit, clock::now()),
                name: numbered(&self.path, self.traces.len())
                    .display()
                    .to_string(),
                session: None,
                held_up: None,
                began: None,
                ended: None,
            });
        }
        &mut self.traces[tile]
    }

    /// Passes blocks to the writing thread without waiting.
    fn hand_on(&mut self, tile: usize, now: Duration) {
        let trace = &mut self.traces[tile];
        if trace.ended.is_some() {
            return;
        }
        if trace.recorder.ended().is_some() {
            trace.ended = Some(now);
        }
        let Some(block) = trace.recorder.poll_block() else {
            return;
        };
        match self.blocks.try_send((tile, block)) {
            Ok(()) => {}
            Err(TrySendError::Full((_, block))) => {
                trace.held_up = Some(block);
                trace.recorder.finish(Why::Slow, now);
                trace.ended = Some(now);
            }
            Err(TrySendError::Disconnected(_)) => {
                trace.recorder.finish(Why::Slow, now);
                trace.ended = Some(now);
                self.console.say(&format!(
                    "The trace {} cannot be continued; the stream goes on.",
                    trace.name
                ));
            }
        }
    }
}

impl Trace {
    /// What was written, and why it ended early.
    fn notice(&self) -> String {
        let (datagrams, bytes) = (count(self.recorder.datagrams()), self.recorder.bytes());
        let after = |why: &str| {
            let (ended, began) = (
                self.ended.unwrap_or_default(),
                self.began.unwrap_or_default(),
            );
            let time = ended.saturating_sub(began);
            format!(" It ends after {}: {why}.", seconds(time.as_secs_f64()))
        };
        let end = match self.recorder.ended() {
            None | Some(Why::Over) => String::new(),
            Some(Why::Limit) => after("increase --trace-limit for more"),
            Some(Why::Slow) => after("the disk was too slow for more"),
        };
        format!(
            "Trace of {datagrams} datagrams in {} bytes: {}.{end}",
            count(bytes),
            self.name
        )
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write trace {}", path.display())
}

fn write(file: &mut impl Write, block: &[u8]) -> io::Result<()> {
    file.write_all(block)?;
    file.flush()
}

/// Upper bound on datagrams that may belong to the next tile: more than the first few of a stream.
const MOST_OPEN: usize = 64;

/// Upper bound on waiting blocks: seconds of the fastest stream.
const MOST_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use framegram_cli::output::OutputFile;
    use framegram_cli::stop::Stop;

    use super::*;
    use crate::fixture::Folder;

    fn trace(path: &Path, limit: usize, threads: &Threads) -> Tracer {
        let claimed = threads.clone();
        let open = move |path: &Path| Ok(OutputFile::claim(path, "trace", &claimed)?.grow(|_| {}));
        let console = Arc::new(Console::new(true));
        Tracer::create(path, open, limit, &Config::default(), &console, threads).unwrap()
    }

    #[test]
    fn an_unread_trace_delays_no_datagram() {
        let folder = Folder::new();
        let path = folder.path("a.trace");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let stop = Stop::new();
        let mut tracer = trace(&path, 1 << 30, &Threads::new(&stop));
        let mut received = Received {
            len: 20,
            from: SocketAddr::from(([192, 0, 2, 1], 5000)),
            arrival: clock::now(),
            dropped: 0,
            local: None,
        };
        let (done, ended) = mpsc::channel();
        std::thread::spawn(move || {
            // Times that do not compress fill the queue soonest.
            for number in 1_u64.. {
                if tracer.trace(0).ended.is_some() {
                    break;
                }
                let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
                received.arrival = Duration::from_micros(noise);
                tracer.record_datagram(0, &received, &[0; 20], None);
            }
            done.send(tracer).unwrap();
        });
        let ended = ended.recv_timeout(Duration::from_secs(60));
        let tracer = ended.expect("the trace was waited for");
        stop.stop();
        let error = format!("{:#}", tracer.finish().unwrap_err());
        assert!(
            error.ends_with("nobody reads what is written to it"),
            "{error}"
        );
    }

    #[test]
    fn the_time_of_a_full_trace_is_counted_from_the_first_datagram() {
        let folder = Folder::new();
        let path = folder.path("a.trace");
        let mut tracer = trace(&path, 300, &Threads::new(&Stop::new()));
        let first = clock::now() + Duration::from_secs(1_000);
        for at in 0..500 {
            let received = Received {
                len: 20,
                from: SocketAddr::from(([192, 0, 2, 1], 5000)),
                arrival: first + Duration::from_millis(at),
                dropped: 0,
                local: None,
            };
            tracer.record_datagram(0, &received, &[0; 20], None);
        }
        let said = tracer.finish().unwrap();
        assert!(said[0].contains("It ends after 0."), "{said:?}");
    }
}
