//! Reports of a stream, all from the one struct of statistics.

pub mod advice;
pub mod csv;
mod delays;
pub mod files;
pub mod html;
pub mod lines;
pub mod live;
pub mod text;
pub mod timeline;
mod verdict;

use framegram_common::Statistics;
use framegram_common::stats::ReportFile;
use serde::Serialize;

use self::timeline::Timeline;

/// A viewer's report as it stands in a file.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report<'a> {
    #[serde(flatten)]
    pub(crate) file: ReportFile<'a>,
    /// How the stream went; of several senders, all together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<&'a Timeline>,
    /// The statistics of each sender by itself, if a viewer shows several; above
    /// it stands the sum of all. Whose datagrams the socket's buffer dropped is
    /// not known: only the sum tells them from those lost on the way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub senders: Option<&'a [Statistics]>,
}

impl<'a> Report<'a> {
    /// A report with these statistics.
    #[must_use]
    pub fn new(statistics: &'a Statistics) -> Self {
        Self {
            file: ReportFile::new(statistics),
            timeline: None,
            senders: None,
        }
    }

    /// The statistics.
    #[must_use]
    pub fn statistics(&self) -> &'a Statistics {
        self.file.statistics()
    }
}

/// `part` of `whole`, from 0 to 1.
#[must_use]
pub fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    match (part, whole) {
        (Some(part), Some(whole)) if whole > 0 => Some(part as f64 / whole as f64),
        _ => None,
    }
}
