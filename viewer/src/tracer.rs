//! The trace file. The network thread records and another thread writes, so that no disk delays
//! datagrams.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::time::Duration;

use anyhow::Context;
use framegram_cli::console::Console;
use framegram_cli::numbers::{count, seconds};
use framegram_cli::output::Growing;
use framegram_cli::threads::{Thread, Threads};
use framegram_common::receiver::{Config, Verdict};
use framegram_common::stats::FrameRecord;
use framegram_common::wire::Format;
use framegram_lab::trace::{Recorder, Why};
use framegram_net::{Received, clock};

/// A trace being written.
pub struct Tracer {
    recorder: Recorder,
    /// To the writing thread, which ends when this is dropped.
    blocks: SyncSender<Vec<u8>>,
    /// A block that did not fit into the queue.
    held_up: Option<Vec<u8>>,
    writer: Thread<io::Result<()>>,
    name: String,
    /// When the first datagram arrived.
    began: Option<Duration>,
    /// When the trace ended, if the stream continued.
    ended: Option<Duration>,
    console: Arc<Console>,
}

impl Tracer {
    /// Starts a trace of at most `limit` bytes.
    ///
    /// # Errors
    /// If the system cannot start another thread.
    pub fn create(
        mut file: Growing,
        limit: usize,
        config: &Config,
        console: &Arc<Console>,
        threads: &Threads,
    ) -> anyhow::Result<Self> {
        let name = file.path().display().to_string();
        let (blocks, written) = mpsc::sync_channel::<Vec<u8>>(MOST_WAITING);
        let writer = threads.spawn("trace", move || {
            let mut blocks = written.iter();
            blocks.try_for_each(|block| write(&mut file, &block))?;
            file.finish()
        })?;
        let now = clock::now();
        Ok(Self {
            recorder: Recorder::new(config, limit as u64, now),
            blocks,
            held_up: None,
            writer,
            name,
            began: None,
            ended: None,
            console: Arc::clone(console),
        })
    }

    /// Records that this stream is followed from now on.
    pub fn record_followed(
        &mut self,
        stream: u64,
        format: Option<Format>,
        from: SocketAddr,
        now: Duration,
    ) {
        let format = format.unwrap_or_default();
        self.recorder.record_followed(stream, format, from, now);
    }

    /// Records a datagram and the receiver's verdict.
    pub fn record_datagram(
        &mut self,
        received: &Received,
        datagram: &[u8],
        verdict: Option<Verdict>,
    ) {
        let (from, now) = (received.from, received.arrival);
        self.began.get_or_insert(now);
        self.recorder.record_datagram(from, datagram, verdict, now);
        self.hand_on(now);
    }

    /// Records a datagram from an address that is not allowed.
    pub fn record_foreign(&mut self, received: &Received) {
        self.began.get_or_insert(received.arrival);
        self.recorder.record_foreign(received.len, received.arrival);
        self.hand_on(received.arrival);
    }

    /// Records the number of datagrams that the socket's buffer has dropped so far.
    pub fn record_drops(&mut self, total: u64) {
        self.recorder.record_drops(total, clock::now());
    }

    /// Records the settled outcome of a frame.
    pub fn record_frame(&mut self, record: &FrameRecord) {
        self.recorder.record_frame(record, clock::now());
    }

    /// Writes the rest. Returns the notice to print.
    pub fn finish(mut self) -> anyhow::Result<String> {
        self.recorder.finish(Why::Over, clock::now());
        let last = self.recorder.poll_block();
        for block in self.held_up.into_iter().chain(last) {
            // If the thread has ended, it reports why.
            let _ = self.blocks.send(block);
        }
        drop(self.blocks);
        let written = self.writer.join();
        let written = written.unwrap_or_else(|| Err(io::Error::other("its thread panicked")));
        written.with_context(|| format!("cannot write trace {}", self.name))?;
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
        Ok(format!(
            "Trace of {datagrams} datagrams in {} bytes: {}.{end}",
            count(bytes),
            self.name
        ))
    }

    /// Passes blocks to the writing thread without waiting.
    fn hand_on(&mut self, now: Duration) {
        if self.ended.is_some() {
            return;
        }
        if self.recorder.ended().is_some() {
            self.ended = Some(now);
        }
        let Some(block) = self.recorder.poll_block() else {
            return;
        };
        match self.blocks.try_send(block) {
            Ok(()) => {}
            Err(TrySendError::Full(block)) => {
                self.held_up = Some(block);
                self.recorder.finish(Why::Slow, now);
                self.ended = Some(now);
            }
            Err(TrySendError::Disconnected(_)) => {
                self.recorder.finish(Why::Slow, now);
                self.ended = Some(now);
                self.console.say(&format!(
                    "The trace {} cannot be continued; the stream goes on.",
                    self.name
                ));
            }
        }
    }
}

fn write(file: &mut impl Write, block: &[u8]) -> io::Result<()> {
    file.write_all(block)?;
    file.flush()
}

/// Upper bound on waiting blocks: seconds of the fastest stream.
const MOST_WAITING: usize = 64;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use framegram_cli::output::OutputFile;
    use framegram_cli::stop::Stop;

    use super::*;
    use crate::fixture::Folder;

    fn trace(path: &Path, limit: usize, threads: &Threads) -> Tracer {
        let file = OutputFile::claim(path, "trace", threads)
            .unwrap()
            .grow(|_| {});
        let console = Arc::new(Console::new(true));
        Tracer::create(file, limit, &Config::default(), &console, threads).unwrap()
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
                if tracer.ended.is_some() {
                    break;
                }
                let noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 8;
                received.arrival = Duration::from_micros(noise);
                tracer.record_datagram(&received, &[0; 20], None);
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
            tracer.record_datagram(&received, &[0; 20], None);
        }
        let said = tracer.finish().unwrap();
        assert!(said.contains("It ends after 0."), "{said}");
    }
}
