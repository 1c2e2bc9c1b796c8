//! A report as it stands in a file.

use serde::Serialize;

use crate::stats::Statistics;
use crate::timeline::Course;

/// The figures with a version, and how the stream went where that is known.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ReportFile<'a> {
    /// [`ReportFile::VERSION`].
    pub version: u32,
    /// The figures; their fields stand beside the version.
    #[serde(flatten)]
    pub statistics: &'a Statistics,
    /// How the stream went; a sender does not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub course: Option<&'a Course>,
    /// The figures of each sender by itself, where a viewer shows several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub senders: Option<&'a [Statistics]>,
}

impl<'a> ReportFile<'a> {
    /// Higher once a field is redefined or taken away.
    pub const VERSION: u32 = 1;

    /// A report with these figures.
    #[must_use]
    pub fn new(statistics: &'a Statistics, course: Option<&'a Course>) -> Self {
        Self {
            version: Self::VERSION,
            statistics,
            course,
            senders: None,
        }
    }
}
