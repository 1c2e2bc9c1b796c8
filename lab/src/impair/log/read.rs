//! Reads a log row by row.

use std::io::{self, BufRead, Read};

use framegram_common::stats::Side;
use thiserror::Error;

use super::{END, HEADER, LogRow, TITLE, side_name};

/// Reader of a log.
#[derive(Debug)]
pub struct LogReader<R> {
    input: R,
    line: Vec<u8>,
    /// Lines read so far.
    lines: u64,
    rows: u64,
    side: Side,
    impairment: String,
}

/// Why a log cannot be read, or not further.
#[derive(Debug, Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is not a log.
    #[error("it is not an impairment log")]
    Foreign,
    /// A line is not a row.
    #[error("line {0} is not a row of a log: the file was changed or cut off")]
    Row(u64),
    /// The last line is missing.
    #[error(
        "it has no end after {0} rows: the program that wrote it was killed; if that was the \
         sender, give the viewer's log"
    )]
    NoEnd(u64),
    /// The number of rows in the last line is wrong.
    #[error("it has {rows} rows, but its last line says {said}: the file was changed")]
    Count {
        /// Rows read.
        rows: u64,
        /// Number in the last line.
        said: String,
    },
}

impl<R: BufRead> LogReader<R> {
    /// Reads the lines above the rows.
    ///
    /// # Errors
    /// If the input is not a log or cannot be read.
    pub fn new(input: R) -> Result<Self, ReadError> {
        let mut reader = Self {
            input,
            line: Vec::new(),
            lines: 0,
            rows: 0,
            side: Side::Sender,
            impairment: String::new(),
        };
        let title = reader
            .next_line()?
            .and_then(|line| line.strip_prefix(TITLE));
        let (side, impairment) = title
            .and_then(|title| title.split_once(", "))
            .ok_or(ReadError::Foreign)?;
        let known = [Side::Sender, Side::Viewer];
        let side = known.into_iter().find(|known| side_name(*known) == side);
        let impairment = impairment.to_owned();
        reader.side = side.ok_or(ReadError::Foreign)?;
        reader.impairment = impairment;
        if reader.next_line()? != Some(HEADER) {
            return Err(ReadError::Foreign);
        }
        Ok(reader)
    }

    /// The side that wrote the log.
    pub fn side(&self) -> Side {
        self.side
    }

    /// The impairment, as it was typed.
    pub fn impairment(&self) -> &str {
        &self.impairment
    }

    /// The next row; `None` after the last one.
    ///
    /// # Errors
    /// If a line is not a row, or the log is incomplete.
    pub fn next_row(&mut self) -> Result<Option<LogRow>, ReadError> {
        let (rows, at) = (self.rows, self.lines + 1);
        let Some(line) = self.next_line()? else {
            return Err(ReadError::NoEnd(rows));
        };
        if let Some(end) = line.strip_prefix(END) {
            let said = end.strip_suffix(" rows").unwrap_or(end);
            if said != rows.to_string() {
                let said = said.to_owned();
                return Err(ReadError::Count { rows, said });
            }
            return match self.next_line()? {
                None => Ok(None),
                Some(_) => Err(ReadError::Row(at + 1)),
            };
        }
        let row = line.parse().map_err(|_| ReadError::Row(at))?;
        self.rows += 1;
        Ok(Some(row))
    }

    /// The next complete line; `None` if it is cut off, too long or not text.
    fn next_line(&mut self) -> Result<Option<&str>, ReadError> {
        self.line.clear();
        let mut limited = self.input.by_ref().take(MAX_LINE);
        limited.read_until(b'\n', &mut self.line)?;
        self.lines += 1;
        if self.line.is_empty() {
            return Ok(None);
        }
        let text = std::str::from_utf8(&self.line).ok();
        let line = text.and_then(|text| text.strip_suffix('\n'));
        let complete = line.ok_or(match self.lines {
            1 => ReadError::Foreign,
            lines => ReadError::Row(lines),
        });
        complete.map(Some)
    }
}

/// Upper bound on the length of a line, in bytes: more than an impairment with
/// every term.
const MAX_LINE: u64 = 4096;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROW: &str = "1.000000000,,,,,,,,100,1,delivered,0.000000";

    fn log(lines: &[&str]) -> String {
        lines.iter().map(|line| format!("{line}\n")).collect()
    }

    fn complete_log() -> String {
        let title = format!("{TITLE}viewer, loss=5%,seed=7");
        log(&[&title, HEADER, ROW, ROW, "# end, 2 rows"])
    }

    fn read(text: &[u8]) -> Result<u64, ReadError> {
        let mut reader = LogReader::new(text)?;
        let mut rows = 0;
        while reader.next_row()?.is_some() {
            rows += 1;
        }
        Ok(rows)
    }

    #[test]
    fn a_complete_log_is_read() {
        let text = complete_log();
        let reader = LogReader::new(text.as_bytes()).unwrap();
        assert_eq!(reader.side(), Side::Viewer);
        assert_eq!(reader.impairment(), "loss=5%,seed=7");
        assert_eq!(read(text.as_bytes()).unwrap(), 2);
    }

    #[test]
    fn says_what_is_wrong_with_it() {
        let text = complete_log();
        let title = text.lines().next().unwrap();
        for (text, words) in [
            (String::new(), "not an impairment log"),
            (
                "stream,number,outcome\n".to_owned(),
                "not an impairment log",
            ),
            (
                text.replace("version 1", "version 2"),
                "not an impairment log",
            ),
            (text.replace("viewer", "nobody"), "not an impairment log"),
            (text.replace("time_s", "time"), "not an impairment log"),
            (text.replacen("delivered", "deliverd", 1), "line 3"),
            (text[..text.len() - 1].to_owned(), "line 5"),
            (text.replace("# end, 2 rows\n", ""), "no end after 2 rows"),
            (text.replace("end, 2", "end, 3"), "says 3"),
            (text.clone() + "more\n", "line 6"),
            (log(&[title, HEADER, &"x".repeat(10_000)]), "line 3"),
            ("x".repeat(10_000), "not an impairment log"),
        ] {
            let error = read(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(words), "{words}: {error}");
            assert!(!error.contains('\n'));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_cause_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let _ = read(&bytes);
        }

        #[test]
        fn a_damaged_log_is_read_or_refused(at: prop::sample::Index, byte: u8) {
            let mut text = complete_log().into_bytes();
            let at = at.index(text.len());
            text[at] = byte;
            if let Ok(rows) = read(&text) {
                prop_assert_eq!(rows, 2);
            }
        }
    }
}
