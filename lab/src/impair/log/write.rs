//! Writes a log row by row.

use std::io;

use framegram_common::stats::Side;

use super::{END, HEADER, LogRow, TITLE, side_name};
use crate::impair::Impairment;

/// Writer of a log. It writes nothing before the first row or the end.
#[derive(Debug)]
pub struct Log<W> {
    out: W,
    /// The lines above the rows, until they are written.
    head: Option<String>,
    rows: u64,
    outcome: io::Result<()>,
}

impl<W: io::Write> Log<W> {
    /// Starts a log. `out` should be buffered.
    pub fn new(out: W, side: Side, impairment: &Impairment) -> Self {
        let side = side_name(side);
        Self {
            out,
            head: Some(format!("{TITLE}{side}, {impairment}\n{HEADER}\n")),
            rows: 0,
            outcome: Ok(()),
        }
    }

    /// Writes a row. The first error is kept for [`Log::finish`]; nothing is
    /// written after it.
    pub fn write(&mut self, row: &LogRow) {
        if self.outcome.is_ok() {
            self.outcome = self.try_write(row);
            self.rows += 1;
        }
    }

    /// Writes the last line. Returns the output.
    ///
    /// # Errors
    /// The first error of `out`, now or before.
    pub fn finish(mut self) -> io::Result<W> {
        std::mem::replace(&mut self.outcome, Ok(()))?;
        self.write_head()?;
        writeln!(self.out, "{END}{} rows", self.rows)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn try_write(&mut self, row: &LogRow) -> io::Result<()> {
        self.write_head()?;
        writeln!(self.out, "{row}")
    }

    fn write_head(&mut self) -> io::Result<()> {
        match self.head.take() {
            Some(head) => self.out.write_all(head.as_bytes()),
            None => Ok(()),
        }
    }
}
