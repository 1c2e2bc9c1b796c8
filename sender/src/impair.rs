//! A bad network on purpose: an impaired link before each destination.

use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_cli::output::Growing;
use framegram_common::statistics::Side;
use framegram_lab::impair::{Impairment, Log, Stage};

/// The links, and what is told of them.
#[derive(Debug)]
pub(crate) struct Impaired {
    impairment: Impairment,
    /// By destination, as far as anything went there.
    stages: Vec<Stage<()>>,
    log: Option<Log<BufWriter<Growing>>>,
    /// Where that is.
    path: PathBuf,
}

impl Impaired {
    /// Links that do this, with a log if there is a place for it.
    pub(crate) fn new(impairment: &Impairment, log: Option<Growing>) -> Self {
        Self {
            impairment: impairment.clone(),
            stages: Vec::new(),
            path: log
                .as_ref()
                .map(|log| log.path().into())
                .unwrap_or_default(),
            log: log.map(|log| {
                // Datagrams wait for nobody who reads it.
                let log = BufWriter::new(log.without_waiting());
                Log::new(log, Side::Sender, impairment)
            }),
        }
    }

    /// Puts datagrams, of `segment` bytes each but the last, on the way to a
    /// destination.
    pub(crate) fn push(
        &mut self,
        destination: usize,
        datagrams: &[u8],
        segment: usize,
        now: Duration,
    ) {
        while self.stages.len() <= destination {
            let seed = self.impairment.seed.wrapping_add(self.stages.len() as u64);
            let impairment = Impairment {
                seed,
                ..self.impairment.clone()
            };
            self.stages.push(Stage::new(impairment, self.log.is_some()));
        }
        for datagram in datagrams.chunks(segment.max(1)) {
            self.stages[destination].push(datagram, (), now);
        }
        self.write_rows(destination);
    }

    /// The next datagram that is due, and its destination. `send` says whether
    /// the system took it.
    pub(crate) fn pass_on(&mut self, now: Duration, mut send: impl FnMut(usize, &[u8]) -> bool) {
        for destination in 0..self.stages.len() {
            while let Some(handed) = self.stages[destination].poll(now) {
                if !send(destination, &handed.datagram) {
                    self.stages[destination].note_refused();
                }
                self.write_rows(destination);
            }
        }
    }

    /// When a datagram is due.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let stages = self.stages.iter();
        stages.filter_map(Stage::poll_timeout).min()
    }

    /// Nothing goes to a destination any more.
    pub(crate) fn close(&mut self, destination: usize) {
        if let Some(stage) = self.stages.get_mut(destination) {
            stage.finish();
            self.write_rows(destination);
        }
    }

    /// Ends the log.
    ///
    /// # Errors
    /// Where it could not be written.
    pub(crate) fn finish(mut self) -> Result<()> {
        for destination in 0..self.stages.len() {
            self.close(destination);
        }
        let finished = self.log.map_or(Ok(()), |log| {
            let mut file = log.finish()?.into_inner()?;
            file.finish()
        });
        finished.with_context(|| format!("cannot write impairment log {}", self.path.display()))
    }

    fn write_rows(&mut self, destination: usize) {
        if let Some(log) = &mut self.log {
            let stage = &mut self.stages[destination];
            while let Some(row) = stage.poll_row() {
                log.write(&row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::mpsc::channel;
    use std::{env, fs, process, thread};

    use framegram_cli::output::OutputFile;
    use framegram_cli::stop::Stop;
    use framegram_cli::threads::Threads;

    use super::*;

    #[test]
    fn a_log_that_nobody_reads_holds_up_no_datagram() {
        let name = format!("framegram-send-log-{}", process::id());
        let path = env::temp_dir().join(name);
        assert!(
            Command::new("mkfifo")
                .arg(&path)
                .status()
                .unwrap()
                .success()
        );
        let stop = Stop::new();
        let file = OutputFile::claim(&path, "impairment log", &Threads::new(&stop)).unwrap();
        let log = file.grow(|_| {});
        let impairment = "loss=100%".parse().unwrap();
        let (done, ended) = channel();
        thread::spawn(move || {
            let mut impaired = Impaired::new(&impairment, Some(log));
            // Rows of more bytes than wait for a reader.
            for _ in 0..5_000 {
                impaired.push(0, &[0; 2_000], 20, Duration::ZERO);
            }
            done.send(impaired).unwrap();
        });
        let passed = ended.recv_timeout(Duration::from_secs(60));
        let impaired = passed.expect("the log was waited for");
        stop.stop();
        let error = format!("{:#}", impaired.finish().unwrap_err());
        assert!(
            error.contains(": nobody reads what is written to it"),
            "{error}"
        );
        fs::remove_file(path).unwrap();
    }
}
