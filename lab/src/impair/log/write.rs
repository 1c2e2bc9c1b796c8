//! Writing a log, row by row.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};

use framegram_common::statistics::Side;
use thiserror::Error;

use super::{END, HEADER, Row, TITLE, side_name};
use crate::impair::Impairment;

/// Writes a log.
#[derive(Debug)]
pub struct Log<W> {
    out: W,
    rows: u64,
    outcome: io::Result<()>,
}

impl<W: io::Write> Log<W> {
    /// Begins it. `out` had better be buffered.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn new(mut out: W, side: Side, impairment: &Impairment) -> io::Result<Self> {
        writeln!(out, "{TITLE}{}, {impairment}", side_name(side))?;
        writeln!(out, "{HEADER}")?;
        out.flush()?;
        Ok(Self {
            out,
            rows: 0,
            outcome: Ok(()),
        })
    }

    /// Writes a row. The first error is kept for [`Log::finish`]; nothing is
    /// written after it.
    pub fn write(&mut self, row: &Row) {
        if self.outcome.is_ok() {
            self.outcome = writeln!(self.out, "{row}");
            self.rows += 1;
        }
    }

    /// Writes that this is the end.
    ///
    /// # Errors
    /// The first of `out`, now or before.
    pub fn finish(mut self) -> io::Result<()> {
        self.outcome?;
        writeln!(self.out, "{END}{} rows", self.rows)?;
        self.out.flush()
    }
}

/// A log in a file.
#[derive(Debug)]
pub struct LogFile {
    log: Log<BufWriter<File>>,
    path: PathBuf,
}

/// A log could not be written.
#[derive(Debug, Error)]
#[error("cannot write the impairment log to {}", path.display())]
pub struct LogError {
    path: PathBuf,
    source: io::Error,
}

impl LogFile {
    /// Begins it, in the place of what is there.
    ///
    /// # Errors
    /// Where that cannot be written.
    pub fn create(path: &Path, side: Side, impairment: &Impairment) -> Result<Self, LogError> {
        let begun = File::create(path)
            .and_then(|file| Log::new(BufWriter::new(file), side, impairment))
            .map_err(|source| LogError::new(path, source));
        Ok(Self {
            log: begun?,
            path: path.to_owned(),
        })
    }

    /// [`Log::write`]
    pub fn write(&mut self, row: &Row) {
        self.log.write(row);
    }

    /// [`Log::finish`]
    ///
    /// # Errors
    /// As there.
    pub fn finish(self) -> Result<(), LogError> {
        let finished = self.log.finish();
        finished.map_err(|source| LogError::new(&self.path, source))
    }
}

impl LogError {
    fn new(path: &Path, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            source,
        }
    }
}
