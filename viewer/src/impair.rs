//! A bad network on purpose: an impaired link between the socket and the
//! receiver.

use std::io::BufWriter;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use framegram_cli::output::Growing;
use framegram_common::statistics::Side;
use framegram_common::udp::Received;
use framegram_lab::impair::{Impairment, Log, Stage};

/// The link, and what is told of it.
///
/// Datagrams keep the time at which the kernel received them, plus the delay
/// that was done to them, whenever this program is awake.
#[derive(Debug)]
pub struct Impaired {
    stage: Stage<Received>,
    log: Option<Log<BufWriter<Growing>>>,
    /// Where that is.
    path: PathBuf,
}

impl Impaired {
    /// A link that does this, with a log if there is a place for it.
    #[must_use]
    pub fn new(impairment: &Impairment, log: Option<Growing>) -> Self {
        Self {
            stage: Stage::new(impairment.clone(), log.is_some()),
            path: log
                .as_ref()
                .map(|log| log.path().into())
                .unwrap_or_default(),
            log: log.map(|log| {
                // Datagrams wait for nobody who reads it.
                let log = BufWriter::new(log.without_waiting());
                Log::new(log, Side::Viewer, impairment)
            }),
        }
    }

    /// Puts a datagram on the link. What was due before it arrived is to be
    /// polled first.
    pub fn push(&mut self, received: Received, datagram: &[u8]) {
        self.stage.push(datagram, received, received.arrival);
        self.write_rows();
    }

    /// The next datagram that is due by `now`; its arrival is when it was due.
    pub fn poll(&mut self, now: Duration) -> Option<(Received, Vec<u8>)> {
        let handed = self.stage.poll(now)?;
        self.write_rows();
        let received = Received {
            len: handed.datagram.len(),
            arrival: handed.due,
            ..handed.tag
        };
        Some((received, handed.datagram))
    }

    /// When a datagram is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.stage.poll_timeout()
    }

    /// Ends the log.
    ///
    /// # Errors
    /// Where it could not be written.
    pub fn finish(mut self) -> anyhow::Result<()> {
        self.stage.finish();
        self.write_rows();
        let finished = self.log.map_or(Ok(()), |log| {
            let mut file = log.finish()?.into_inner()?;
            file.finish()
        });
        finished.with_context(|| format!("cannot write impairment log {}", self.path.display()))
    }

    fn write_rows(&mut self) {
        if let Some(log) = &mut self.log {
            while let Some(row) = self.stage.poll_row() {
                log.write(&row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::process::Command;
    use std::sync::mpsc::channel;
    use std::thread;

    use framegram_cli::output::OutputFile;
    use framegram_cli::stop::Stop;
    use framegram_cli::threads::Threads;

    use super::*;
    use crate::fixture::Folder;

    #[test]
    fn a_log_that_nobody_reads_holds_up_no_datagram() {
        let folder = Folder::new();
        let path = folder.path("log");
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
        let received = Received {
            len: 20,
            from: SocketAddr::from(([192, 0, 2, 1], 5000)),
            arrival: Duration::ZERO,
            dropped: 0,
            local: None,
        };
        let (done, ended) = channel();
        thread::spawn(move || {
            let mut impaired = Impaired::new(&impairment, Some(log));
            // Rows of more bytes than wait for a reader.
            for _ in 0..500_000 {
                impaired.push(received, &[0; 20]);
            }
            done.send(impaired).unwrap();
        });
        let passed = ended.recv_timeout(Duration::from_secs(60));
        let impaired = passed.expect("the log was waited for");
        stop.stop();
        let error = format!("{:#}", impaired.finish().unwrap_err());
        assert!(
            error.ends_with("log: nobody reads what is written to it"),
            "{error}"
        );
    }
}
