//! Reports of a stream, all made from the same statistics.

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

/// The content of the viewer's report file.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Report<'a> {
    #[serde(flatten)]
    pub(crate) file: ReportFile<'a>,
    /// The course of the stream over time; of all senders together if there are
    /// several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeline: Option<&'a Timeline>,
    /// The statistics of each sender, if a viewer shows several; the fields above
    /// are their sum. Which sender's datagrams were dropped in the socket buffer
    /// is not known: only the sum separates them from losses on the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub senders: Option<&'a [Statistics]>,
}

impl<'a> Report<'a> {
    /// A report of these statistics.
    pub fn new(statistics: &'a Statistics) -> Self {
        Self {
            file: ReportFile::new(statistics),
            timeline: None,
            senders: None,
        }
    }

    /// The statistics.
    pub fn statistics(&self) -> &'a Statistics {
        self.file.statistics()
    }
}

/// `part` divided by `total`; `None` if it is unknown.
pub fn share(part: Option<u64>, total: Option<u64>) -> Option<f64> {
    match (part, total) {
        (Some(part), Some(total)) if total > 0 => Some(part as f64 / total as f64),
        _ => None,
    }
}
