//! What is written of several senders: rows as frames are settled, lines while
//! it runs, files at the end.

use std::time::Duration;

use anyhow::Context;
use framegram_cli::errors;
use framegram_cli::pipe::Pipe;
use framegram_common::Statistics;
use framegram_common::gallery::Gallery;
use framegram_net::clock;

use crate::report::advice::Advice;
use crate::report::files::Files;
use crate::report::lines::Lines;
use crate::report::live::Live;
use crate::show::NO_FIGURES;

/// Where figures go.
pub(crate) struct Telling {
    files: Files,
    /// For a script.
    lines: Option<(Lines, Pipe)>,
}

impl Telling {
    /// To these files, and as lines to `out` if there is one.
    pub(crate) fn new(files: Files, out: Option<Pipe>) -> Self {
        Self {
            files,
            lines: out.map(|out| (Lines::new(clock::now()), out)),
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
        if let Some((lines, out)) = &mut self.lines
            && let Some(line) = lines.poll_senders(live, || gallery.each(), now)
        {
            // Seconds that nobody reads are left out.
            out.put(line, Some(Duration::ZERO)).context(NO_FIGURES)?;
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
        let told = self.lines.map_or(Ok(()), |(lines, out)| {
            let last = lines.last_of_senders(live, each, clock::now());
            out.put(last, None).and_then(|_| out.finish())
        });
        let written = self.files.finish_senders(all, each, advice);
        errors::all_of([written, told.context(NO_FIGURES)])
    }
}
