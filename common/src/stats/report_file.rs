//! A report as it stands in a file.

use serde::Serialize;

use super::Statistics;

/// The statistics with a version.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReportFile<'a> {
    /// 1; higher once a field is redefined or taken away.
    pub version: u32,
    #[serde(flatten)]
    statistics: &'a Statistics,
}

impl<'a> ReportFile<'a> {
    /// The version of the fields.
    pub const VERSION: u32 = 1;

    /// A report with these statistics.
    #[must_use]
    pub fn new(statistics: &'a Statistics) -> Self {
        Self {
            version: Self::VERSION,
            statistics,
        }
    }

    /// The statistics, whose fields stand beside the version.
    #[must_use]
    pub fn statistics(&self) -> &'a Statistics {
        self.statistics
    }
}
