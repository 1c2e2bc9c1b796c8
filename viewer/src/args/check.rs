//! Which flags can be combined.

use clap::CommandFactory;
use clap::error::ErrorKind;
use framegram_cli::output::{self, Named};
use framegram_net as net;

use super::{Args, Wire};
use crate::report::files::ReportKind;
use crate::sink::snapshot;

impl Args {
    /// Checks what clap cannot: flags against each other.
    ///
    /// # Errors
    /// A usage error, as clap's own.
    pub fn check(self) -> Result<Self, clap::Error> {
        let wrong = |error: anyhow::Error| {
            Self::command().error(ErrorKind::ValueValidation, format!("{error:#}"))
        };
        if let Some(path) = &self.snapshot {
            snapshot::SnapshotKind::of(path).map_err(wrong)?;
        }
        for path in &self.report {
            ReportKind::of(path).map_err(wrong)?;
        }
        self.format().map_err(wrong)?;
        let conflict = self.conflict_of_key().or_else(|| self.conflict_of_files());
        match conflict.or_else(|| self.conflict().map(str::to_owned)) {
            Some(conflict) => Err(Self::command().error(ErrorKind::ArgumentConflict, conflict)),
            None => Ok(self),
        }
    }

    /// A key for what cannot be encrypted, or has a key of its own.
    fn conflict_of_key(&self) -> Option<String> {
        let key = self.key.given()?;
        if self.wire == Wire::Raw {
            Some(format!(
                "--wire raw cannot be encrypted: remove --wire, or receive without {key}"
            ))
        } else if self.sdp.is_some() {
            Some(format!(
                "--sdp and {key} exclude each other: the key of an RTP stream is in its session \
                 description"
            ))
        } else if self.wire == Wire::Rtp {
            Some(format!(
                "the key of an RTP stream is in its session description: give --sdp FILE instead \
                 of {key}, with the file that framegram-send --sdp has written"
            ))
        } else {
            None
        }
    }

    fn conflict(&self) -> Option<&'static str> {
        let piped = [
            self.stats.is_some(),
            self.output.as_deref() == Some("-".as_ref()),
            self.report.iter().any(|path| path.as_os_str() == "-"),
        ];
        if piped.into_iter().filter(|piped| *piped).count() > 1 {
            return Some(
                "only one of --stats, --output - and --report - can have standard output: write \
                 the others to files",
            );
        }
        if self.grid && self.output.as_deref() == Some("-".as_ref()) {
            return Some(
                "--output - takes one stream: with --grid give a file name, and each sender gets a \
                 file of its own",
            );
        }
        if self.sdp.is_some() && matches!(self.wire, Wire::Native | Wire::Raw) {
            return Some("--sdp is for RTP: remove --sdp or --wire");
        }
        if self.interface.is_some() && !self.may_join() {
            return Some("--interface needs a multicast group as ADDR");
        }
        None
    }

    /// Files that would be written twice, or would overwrite an input.
    fn conflict_of_files(&self) -> Option<String> {
        let sdp = self.sdp.as_deref().map(|path| Named::new("--sdp", path));
        let reports = self.report.iter().map(|path| Named::new("--report", path));
        let logs = self.impair_log.iter();
        let logs = logs.map(|path| Named::growing("--impair-log", path));
        let trace = self.trace.iter();
        let trace = trace.map(|path| Named::growing("--trace", path));
        let output = self.output.iter();
        let output = output.map(|path| Named::growing("--output", path));
        let snapshot = self.snapshot.iter();
        let snapshot = snapshot.map(|path| Named::new("--snapshot", path));
        let outputs: Vec<_> = reports
            .chain(trace)
            .chain(logs)
            .chain(output)
            .chain(snapshot)
            .collect();
        output::conflict(sdp.as_slice(), &outputs)
    }

    /// Whether the address is a multicast group, or a host name, which may resolve to one.
    fn may_join(&self) -> bool {
        let address = self.address.as_deref().unwrap_or(EVERYWHERE);
        net::resolve(address, Some(net::DEFAULT_PORT))
            .map_or(true, |address| address.ip().is_multicast())
    }
}

/// The default address is not a group.
const EVERYWHERE: &str = "0.0.0.0";
