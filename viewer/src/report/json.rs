//! The report file: the statistics as they stand, one JSON object.

use std::path::Path;

use framegram_common::Statistics;

use crate::claim::Claim;

/// The version of the report and of the lines of `--stats json`: higher once a
/// field is redefined or taken away.
pub const VERSION: u32 = 1;

/// The report's file, claimed before the stream begins.
pub struct Report {
    claim: Claim,
}

impl Report {
    /// Makes sure that the file can be written.
    ///
    /// # Errors
    /// When it cannot.
    pub fn claim(path: &Path) -> anyhow::Result<Self> {
        let claim = Claim::new(path, "report")?;
        Ok(Self { claim })
    }

    /// Writes the file for several senders: all together, and in `senders` each
    /// by itself.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write_senders(self, all: &Statistics, each: &[Statistics]) -> anyhow::Result<()> {
        let mut value = serde_json::to_value(all)?;
        value["senders"] = serde_json::to_value(each)?;
        self.claim.write(|out| {
            serde_json::to_writer_pretty(&mut *out, &value)?;
            Ok(out.write_all(b"\n")?)
        })?;
        Ok(())
    }

    /// Writes the file.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn write(self, statistics: &Statistics) -> anyhow::Result<()> {
        self.claim.write(|out| {
            serde_json::to_writer_pretty(&mut *out, statistics)?;
            Ok(out.write_all(b"\n")?)
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Folder;

    #[test]
    fn replaces_an_older_and_longer_report_and_keeps_what_is_unknown_null() {
        let folder = Folder::new();
        let path = folder.path("report.json");
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let report = Report::claim(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 100_000);
        report.write(&Statistics::default()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert!(value["frames"]["shown"].is_null());
        assert!(value["latency_ms"].is_null());
        assert_eq!(value["stream"]["side"], "sender");
    }
}
