//! The report file, claimed before the stream begins.

use std::path::Path;

use anyhow::Result;
use framegram_cli::output::OutputFile;
use framegram_cli::threads::Threads;
use framegram_common::stats::{ReportFile, Statistics};

/// The report file. Its old content stays until the new one is written.
pub(crate) struct Report(OutputFile);

impl Report {
    /// Claims the file, or takes standard output if `path` is `-`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn claim(path: &Path, threads: &Threads) -> Result<Self> {
        OutputFile::claim(path, "report", threads).map(Self)
    }

    /// Writes the figures.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub(crate) fn write(self, statistics: &Statistics) -> Result<()> {
        let report = ReportFile::new(statistics);
        // serde's own writer hides whether the reader of a pipe has gone.
        let text = serde_json::to_string_pretty(&report)?;
        self.0.replace(|out| Ok(writeln!(out, "{text}")?))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use framegram_cli::stop::Stop;

    use super::*;

    #[test]
    fn a_new_file_is_kept_only_with_content_and_an_old_one_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let threads = Threads::new(&Stop::new());
        let claim = |path: &Path| Report::claim(path, &threads);
        let path = folder.path().join("sent.json");
        drop(claim(&path).unwrap());
        assert!(!path.exists());
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        drop(claim(&path).unwrap());
        assert_eq!(path.metadata().unwrap().len(), 10_000);
        let report = claim(&path).unwrap();
        report.write(&Statistics::default()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\n") && text.ends_with("}\n"));
        assert!(claim(&folder.path().join("no/sent.json")).is_err());
    }
}
