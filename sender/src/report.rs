//! The file of figures, proved writable before the stream begins.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use framegram_common::report::ReportFile;
use framegram_common::statistics::Statistics;

/// Where the figures go. What is in the file stays until they do; a file that
/// was not there before is taken away again if they never do.
pub(crate) struct Report {
    path: PathBuf,
    /// `None`: standard output.
    file: Option<File>,
    provisional: bool,
}

impl Report {
    /// Opens the file, or takes standard output where `path` is `-`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn claim(path: &Path) -> Result<Self> {
        let provisional = !path.exists();
        let piped = path.as_os_str() == "-";
        let open = || {
            File::options()
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
        };
        let file = (!piped).then(open).transpose();
        Ok(Self {
            path: path.into(),
            file: file.with_context(|| cannot_write(path))?,
            provisional: provisional && !piped,
        })
    }

    /// Writes the figures.
    ///
    /// # Errors
    /// Where they cannot be written.
    pub(crate) fn write(mut self, statistics: &Statistics) -> Result<()> {
        let report = ReportFile::new(statistics, None);
        let mut text = serde_json::to_vec_pretty(&report).context("cannot write the report")?;
        text.push(b'\n');
        let written = match &mut self.file {
            None => io::stdout().write_all(&text),
            Some(file) => {
                // A pipe has no length.
                let _ = file.set_len(0);
                file.write_all(&text)
            }
        };
        self.provisional &= written.is_err();
        written.with_context(|| cannot_write(&self.path))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if self.provisional {
            // Nothing is lost if the empty file stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn cannot_write(path: &Path) -> String {
    format!("cannot write the report to {}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_stays_only_with_figures_in_it_and_an_old_one_until_there_are() {
        let folder = std::env::temp_dir().join(format!("framegram-report-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("sent.json");
        drop(Report::claim(&path).unwrap());
        assert!(!path.exists());
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        drop(Report::claim(&path).unwrap());
        assert_eq!(path.metadata().unwrap().len(), 10_000);
        let report = Report::claim(&path).unwrap();
        report.write(&Statistics::default()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\n") && text.ends_with("}\n"));
        assert!(Report::claim(&folder.join("no/sent.json")).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
