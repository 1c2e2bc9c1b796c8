//! The content of a report file.

use serde::Serialize;

use super::Statistics;

/// Statistics with a version.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReportFile<'a> {
    /// 1; raised when a field is redefined or removed.
    pub version: u32,
    #[serde(flatten)]
    statistics: &'a Statistics,
}

impl<'a> ReportFile<'a> {
    /// Current version of the fields.
    pub const VERSION: u32 = 1;

    /// A report of these statistics.
    pub fn new(statistics: &'a Statistics) -> Self {
        Self {
            version: Self::VERSION,
            statistics,
        }
    }

    /// The statistics. In the file, their fields are next to the version.
    pub fn statistics(&self) -> &'a Statistics {
        self.statistics
    }
}
