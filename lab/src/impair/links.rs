//! The impaired links of a program, and their common log.

use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use framegram_cli::output::Growing;
use framegram_common::stats::Side;

use super::{Handed, Impairment, Log, Stage};

/// Numbered impaired links with a common log; each link has its own seed. Input:
/// [`push`](Self::push); output: [`poll`](Self::poll), due at
/// [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct ImpairedLinks<T> {
    impairment: Impairment,
    stages: Vec<Stage<T>>,
    log: Option<Log<BufWriter<Growing>>>,
    /// Path of the log.
    path: PathBuf,
}

impl<T: Clone> ImpairedLinks<T> {
    /// Links with this impairment on one side of the stream.
    pub fn new(impairment: &Impairment, side: Side, log: Option<Growing>) -> Self {
        let path = log.as_ref().map(|log| log.path().into());
        Self {
            impairment: impairment.clone(),
            stages: Vec::new(),
            path: path.unwrap_or_default(),
            log: log.map(|log| {
                // Datagrams must not wait for a slow reader of the log.
                let log = BufWriter::new(log.without_waiting());
                Log::new(log, side, impairment)
            }),
        }
    }

    /// Puts a datagram on a link. The caller must first poll everything that was
    /// due there.
    pub fn push(&mut self, link: usize, datagram: &[u8], tag: T, now: Duration) {
        while self.stages.len() <= link {
            let seed = self.impairment.seed.wrapping_add(self.stages.len() as u64);
            let impairment = Impairment {
                seed,
                ..self.impairment.clone()
            };
            self.stages.push(Stage::new(impairment, self.log.is_some()));
        }
        self.stages[link].push(datagram, tag, now);
        self.write_rows(link);
    }

    /// Returns the next datagram due by `now`, with its link.
    pub fn poll(&mut self, now: Duration) -> Option<(usize, Handed<T>)> {
        (0..self.stages.len()).find_map(|link| {
            // Row of the datagram polled last: its send error would be recorded
            // by now.
            self.write_rows(link);
            Some((link, self.stages[link].poll(now)?))
        })
    }

    /// Records that the operating system rejected the datagram polled last from
    /// this link.
    pub fn record_send_error(&mut self, link: usize) {
        if let Some(stage) = self.stages.get_mut(link) {
            stage.record_refused();
        }
    }

    /// When the next datagram is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.stages.iter().filter_map(Stage::poll_timeout).min()
    }

    /// Discards everything in transit on a link.
    pub fn close(&mut self, link: usize) {
        if let Some(stage) = self.stages.get_mut(link) {
            stage.finish();
            self.write_rows(link);
        }
    }

    /// Completes the log.
    pub fn finish(mut self) -> anyhow::Result<()> {
        for link in 0..self.stages.len() {
            self.close(link);
        }
        let finished = self.log.map_or(Ok(()), |log| {
            let mut file = log.finish()?.into_inner()?;
            file.finish()
        });
        finished.with_context(|| format!("cannot write impairment log {}", self.path.display()))
    }

    fn write_rows(&mut self, link: usize) {
        if let Some(log) = &mut self.log {
            while let Some(row) = self.stages[link].poll_row() {
                log.write(&row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;
    use std::thread;

    use framegram_cli::output::OutputFile;
    use framegram_cli::stop::Stop;
    use framegram_cli::threads::Threads;
    use nix::sys::stat::Mode;
    use nix::unistd::mkfifo;

    use super::*;

    #[test]
    fn an_unread_log_delays_no_datagram() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        mkfifo(&path, Mode::S_IRWXU).unwrap();
        let stop = Stop::new();
        let file = OutputFile::claim(&path, "impairment log", &Threads::new(&stop)).unwrap();
        let log = file.grow(|_| {});
        let impairment = "loss=100%".parse().unwrap();
        let (done, ended) = channel();
        thread::spawn(move || {
            let mut links = ImpairedLinks::new(&impairment, Side::Sender, Some(log));
            // More rows than the buffer for a reader holds.
            for _ in 0..500_000 {
                links.push(0, &[0; 20], (), Duration::ZERO);
            }
            done.send(links).unwrap();
        });
        let passed = ended.recv_timeout(Duration::from_secs(60));
        let links = passed.expect("the log was waited for");
        stop.stop();
        let error = format!("{:#}", links.finish().unwrap_err());
        assert!(
            error.ends_with("log: nobody reads what is written to it"),
            "{error}"
        );
    }

    #[test]
    fn a_send_error_is_logged_in_place_of_the_delivery() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.csv");
        let file = OutputFile::claim(&path, "impairment log", &Threads::new(&Stop::new())).unwrap();
        let impairment = Impairment::default();
        let log = file.grow(|_| {});
        let mut links = ImpairedLinks::new(&impairment, Side::Sender, Some(log));
        for (link, is_sent) in [(0, true), (1, false), (0, true)] {
            links.push(link, &[7; 20], link, Duration::ZERO);
            let (polled, handed) = links.poll(Duration::ZERO).unwrap();
            assert_eq!((polled, handed.tag), (link, link));
            if !is_sent {
                links.record_send_error(link);
            }
        }
        assert_eq!(links.poll(Duration::ZERO), None);
        links.finish().unwrap();
        let rows = std::fs::read_to_string(&path).unwrap();
        let count = |what: &str| rows.lines().filter(|row| row.contains(what)).count();
        assert_eq!((count(",delivered,"), count(",refused,")), (2, 1), "{rows}");
    }
}
