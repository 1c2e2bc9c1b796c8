//! What of a report is compared.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use framegram_common::statistics;
use serde::Deserialize;

/// A viewer's report.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    version: u32,
    pub(super) stream: Stream,
    pub(super) packets: BTreeMap<String, Option<u64>>,
    pub(super) fates: BTreeMap<String, Option<u64>>,
    #[serde(default)]
    pub(super) accounts: Vec<Account>,
    pub(super) course: Option<Course>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Stream {
    side: String,
    wire: Option<String>,
    pub(super) followed: u64,
}

/// [`statistics::Account`]
#[derive(Debug, Deserialize)]
pub(super) struct Account {
    pub(super) stream: String,
    pub(super) destination: u16,
    pub(super) since_ns: u64,
    pub(super) until_ns: Option<u64>,
    pub(super) opened: Option<Arrived>,
    pub(super) closed: Option<Arrived>,
    pub(super) lost: u64,
    pub(super) corrupt: u64,
    pub(super) socket_dropped: u64,
    pub(super) not_sent: u64,
    pub(super) first_frame: u64,
    pub(super) end_frame: u64,
    pub(super) channels: Vec<Channel>,
}

/// [`statistics::Arrived`]
#[derive(Debug, Deserialize)]
pub(super) struct Arrived {
    pub(super) channel: String,
    pub(super) number: u64,
    pub(super) copy: String,
}

/// [`statistics::ChannelAccount`]
#[derive(Debug, Deserialize)]
pub(super) struct Channel {
    pub(super) channel: String,
    pub(super) first: u64,
    pub(super) end: u64,
    pub(super) received: u64,
    pub(super) missing: u64,
    pub(super) corrupt: u64,
    pub(super) duplicate: u64,
    pub(super) reordered: u64,
}

/// The frames that lost chunks.
#[derive(Debug, Deserialize)]
pub(super) struct Course {
    pub(super) hits: Vec<Hit>,
    pub(super) hits_unlisted: u64,
}

/// [`framegram_common::timeline::Hit`]
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Hit {
    pub(super) stream: String,
    pub(super) frame: u64,
    pub(super) chunks_lost: Option<u64>,
    pub(super) fate: String,
}

impl Report {
    /// Reads a viewer's report of framegram's own format.
    ///
    /// # Errors
    /// One line that says why it is none.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        let mut text = String::new();
        let read = file.take(MAX_REPORT).read_to_string(&mut text);
        read.with_context(|| format!("cannot read {name}"))?;
        Self::parse(&text).with_context(|| format!("cannot check {name}"))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let report: Self = serde_json::from_str(text).context(
            "it is no report of framegram-view with accounts in it: --check takes what \
             --report FILE.json wrote",
        )?;
        if report.version != statistics::File::VERSION {
            bail!("its version is {}, and not 1", report.version);
        }
        if report.stream.side != "viewer" {
            bail!("it is the sender's report: give that of framegram-view");
        }
        if report.accounts.is_empty() {
            match report.stream.wire.as_deref() {
                None => bail!("no stream arrived"),
                Some("native") => bail!("it has no accounts: it was written by an older version"),
                Some(_) => bail!(
                    "its stream is not of framegram's own format, the only one whose packets \
                     a log names"
                ),
            }
        }
        let wrong = |account: &Account| account.channels.iter().any(|it| it.end < it.first);
        if report.accounts.iter().any(wrong) {
            bail!("the packet numbers in it go backward");
        }
        Ok(report)
    }

    /// A sum of the whole report, such as `lost` of `packets`.
    pub(super) fn packets(&self, name: &str) -> Option<u64> {
        self.packets.get(name).copied().flatten()
    }

    pub(super) fn fate(&self, name: &str) -> u64 {
        self.fates.get(name).copied().flatten().unwrap_or(0)
    }
}

/// Far more than a report ever has.
const MAX_REPORT: u64 = 256 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_why_something_is_no_report_to_check() {
        let report = |side: &str, wire: &str| {
            format!(
                r#"{{"version":1,"stream":{{"side":"{side}","wire":{wire},"followed":0}},"packets":{{}},"fates":{{}}}}"#
            )
        };
        for (text, words) in [
            ("stream,number,fate".to_owned(), "--report FILE.json"),
            ("{}".to_owned(), "--report FILE.json"),
            (report("sender", "null"), "the sender's"),
            (report("viewer", "null"), "no stream"),
            (report("viewer", "\"rtp\""), "framegram's own format"),
            (report("viewer", "\"native\""), "older"),
            (report("viewer", "null").replace(":1", ":2"), "version is 2"),
        ] {
            let error = format!("{:#}", Report::parse(&text).unwrap_err());
            assert!(error.contains(words), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
