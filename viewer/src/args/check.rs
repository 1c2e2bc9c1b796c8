//! What goes together on a command line, and what does not.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap::error::ErrorKind;
use framegram_common::udp;

use super::{Args, Layout, Wire};
use crate::report::files::Kind;
use crate::sink::snapshot;

impl Args {
    /// Checks what clap cannot see in one argument alone.
    ///
    /// # Errors
    /// A usage error, as clap's own.
    pub fn check(self) -> Result<Self, clap::Error> {
        let wrong = |error: anyhow::Error| {
            Self::command().error(ErrorKind::ValueValidation, format!("{error:#}"))
        };
        if let Some(path) = &self.snapshot {
            snapshot::Kind::of(path).map_err(wrong)?;
        }
        for path in &self.report {
            Kind::of(path).map_err(wrong)?;
        }
        self.format().map_err(wrong)?;
        if let Some((one, other, path)) = self.written_twice() {
            let path = path.display();
            let conflict = format!("{one} and {other} would both write {path}: name two files");
            return Err(Self::command().error(ErrorKind::ArgumentConflict, conflict));
        }
        match self.conflict() {
            Some(conflict) => Err(Self::command().error(ErrorKind::ArgumentConflict, conflict)),
            None => Ok(self),
        }
    }

    fn conflict(&self) -> Option<&'static str> {
        // clap does not ask for what conflicts with an address that is given.
        if self.what_if.is_none() && (self.seed.is_some() || !self.rtt.is_empty()) {
            return Some("--rtt and --seed are for --what-if FILE");
        }
        let one_json = match &self.report[..] {
            [path] => Kind::of(path).ok() == Some(Kind::Json),
            reports => reports.is_empty(),
        };
        if self.what_if.is_some() && !one_json {
            return Some("--what-if writes one report, a .json");
        }
        let piped = [
            self.stats.is_some(),
            self.output.as_deref() == Some("-".as_ref()),
            self.report.iter().any(|path| path.as_os_str() == "-"),
        ];
        if piped.into_iter().filter(|piped| *piped).count() > 1 {
            return Some(
                "of --stats, --output - and --report -, one alone can have standard output: \
                 write the others to files",
            );
        }
        let one = self.output.is_some()
            || self.connect.is_some()
            || self.read_stamp
            || self.trace.is_some();
        if self.layout == Layout::Grid && one {
            return Some(
                "--output, --read-stamp, --trace and --connect are for one stream: leave --layout grid \
                 out, or start a viewer for each",
            );
        }
        if self.sdp.is_some() && matches!(self.wire, Wire::Native | Wire::Raw) {
            return Some("--sdp is of an RTP stream: leave --wire out");
        }
        if self.interface.is_some() && !self.may_join() {
            return Some("--interface is for a multicast group: give one as ADDR, or leave it out");
        }
        None
    }

    /// Two options that name one file to write.
    fn written_twice(&self) -> Option<(&'static str, &'static str, &Path)> {
        let reports = self.report.iter().map(|path| ("--report", path.as_path()));
        let others = [
            ("--trace", self.trace.as_deref()),
            ("--impair-log", self.impair_log.as_deref()),
            ("--output", self.output.as_deref()),
            ("--snapshot", self.snapshot.as_deref().map(Path::new)),
        ];
        let others = others
            .into_iter()
            .filter_map(|(name, path)| Some((name, path?)));
        let files: Vec<_> = reports
            .chain(others)
            .filter(|(_, path)| path.as_os_str() != "-" && !is_device(path))
            .map(|(name, path)| (name, path, place(path)))
            .collect();
        files
            .iter()
            .enumerate()
            .find_map(|(index, (one, path, place))| {
                let mut before = files[..index].iter();
                let (other, ..) = before.find(|(.., other)| other == place)?;
                Some((*other, *one, *path))
            })
    }

    /// Whether the address is that of a group, or a name that nobody knows yet.
    fn may_join(&self) -> bool {
        let address = self.address.as_deref().unwrap_or(EVERYWHERE);
        udp::resolve(address, Some(udp::DEFAULT_PORT))
            .map_or(true, |address| address.ip().is_multicast())
    }
}

/// Whether what it names can be written by many.
fn is_device(path: &Path) -> bool {
    path.metadata().is_ok_and(|there| !there.is_file())
}

/// Where a file is or will be, whatever way its path takes.
fn place(path: &Path) -> PathBuf {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return path.to_owned(),
    };
    let known = path.canonicalize().ok();
    known
        .or_else(|| Some(folder.canonicalize().ok()?.join(path.file_name()?)))
        .unwrap_or_else(|| path.to_owned())
}

/// What is listened at unless told otherwise: no group.
const EVERYWHERE: &str = "0.0.0.0";
