//! The report file, claimed before the stream begins.

use anyhow::Result;
use framegram_cli::output::{OutputFile, write_json};
use framegram_common::stats::{ReportFile, Statistics};

/// Writes the figures in place of an older report.
pub(crate) fn write(file: &OutputFile, statistics: &Statistics) -> Result<()> {
    file.replace(|out| write_json(out, &ReportFile::new(statistics)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use framegram_cli::stop::Stop;
    use framegram_cli::threads::Threads;

    use super::*;

    #[test]
    fn a_new_file_is_kept_only_with_content_and_an_old_one_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let threads = Threads::new(&Stop::new());
        let claim = |path: &Path| OutputFile::claim(path, "report", &threads);
        let path = folder.path().join("sent.json");
        drop(claim(&path).unwrap());
        assert!(!path.exists());
        std::fs::write(&path, "x".repeat(10_000)).unwrap();
        drop(claim(&path).unwrap());
        assert_eq!(path.metadata().unwrap().len(), 10_000);
        let report = claim(&path).unwrap();
        write(&report, &Statistics::default()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\n") && text.ends_with("}\n"));
        assert!(claim(&folder.path().join("no/sent.json")).is_err());
    }
}
