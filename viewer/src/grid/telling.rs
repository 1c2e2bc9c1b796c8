//! What is written of several senders: rows as frames are settled, lines while
//! it runs, files at the end.

use std::io::Write;
use std::time::Duration;

use framegram_common::gallery::Gallery;
use framegram_common::{Statistics, os};

use crate::failures;
use crate::report::advice::Advice;
use crate::report::files::Files;
use crate::report::lines::Lines;
use crate::report::live::Live;

/// Where figures go.
pub(crate) struct Telling {
    files: Files,
    /// For a script.
    lines: Option<Lines<Box<dyn Write>>>,
}

impl Telling {
    /// To these files, and as lines to `out` if there is one.
    pub(crate) fn new(files: Files, out: Option<Box<dyn Write>>) -> Self {
        Self {
            files,
            lines: out.map(|out| Lines::new(out, os::now())),
        }
    }

    /// Writes a row for each frame that was settled meanwhile.
    pub(super) fn write_rows(&mut self, gallery: &mut Gallery) {
        while let Some(record) = gallery.poll_record() {
            self.files.write_row(&record);
        }
    }

    /// Writes a line, if it is time for one.
    pub(super) fn tell(
        &mut self,
        live: &Live,
        gallery: &Gallery,
        now: Duration,
    ) -> anyhow::Result<()> {
        if let Some(lines) = &mut self.lines {
            lines.tell_senders(live, || gallery.each(), now)?;
        }
        Ok(())
    }

    /// Writes what is written at the end.
    pub(super) fn finish(
        self,
        live: &Live,
        all: &Statistics,
        each: &[Statistics],
        advice: &Advice,
    ) -> anyhow::Result<()> {
        let told = self.lines.map_or(Ok(()), |mut lines| {
            lines.finish_senders(live, each, os::now())
        });
        let written = self.files.finish_senders(all, each, advice);
        failures::all_of([written, told.map_err(Into::into)])
    }
}
