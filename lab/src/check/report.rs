//! The parts of a report that are compared.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, bail};
use framegram_cli::input::read_text;
use framegram_common::stats::{Account, ChannelAccount, Outcome, ReportFile};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// A viewer's report.
#[derive(Debug, Deserialize)]
pub(super) struct CheckedReport {
    version: u32,
    pub(super) stream: CheckedStream,
    packets: BTreeMap<String, Option<u64>>,
    #[serde(default)]
    frames: BTreeMap<String, Option<u64>>,
    outcomes: BTreeMap<String, Option<u64>>,
    pub(super) loss_pattern: Option<CheckedPattern>,
    #[serde(default)]
    pub(super) accounts: Vec<Account>,
    pub(super) timeline: Option<CheckedTimeline>,
    /// The statistics of each sender, if there were several.
    senders: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckedPattern {
    pub(super) packets: u64,
    pub(super) lost: u64,
}

#[derive(Debug, Deserialize)]
pub(super) struct CheckedStream {
    side: String,
    wire: Option<String>,
    pub(super) followed: u64,
}

/// The letters of all frames, and the list of lossy frames.
#[derive(Debug, Deserialize)]
pub(super) struct CheckedTimeline {
    #[serde(default)]
    pub(super) frames_per_letter: u32,
    #[serde(default)]
    pub(super) outcomes: String,
    pub(super) lossy_frames: Vec<CheckedFrame>,
    pub(super) lossy_frames_unlisted: u64,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct CheckedFrame {
    pub(super) stream: String,
    pub(super) frame: u64,
    pub(super) chunks_lost: Option<u64>,
    pub(super) outcome: String,
}

impl CheckedReport {
    /// Reads a viewer's report on the native format.
    ///
    /// # Errors
    /// If it is not such a report.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let text = read_text(path, MAX_REPORT)?;
        Self::parse(&text).with_context(|| format!("cannot check {}", path.display()))
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let report: Self = serde_json::from_str(text).context(
            "it is not a report of framegram-view with accounts: check takes what \
             --report FILE.json wrote",
        )?;
        if report.version != ReportFile::VERSION {
            bail!("its version is {} instead of 1", report.version);
        }
        if report.stream.side != "viewer" {
            bail!("it is the sender's report: give that of framegram-view");
        }
        if report.accounts.is_empty() {
            match report.stream.wire.as_deref() {
                None => bail!("no stream arrived"),
                Some("native") => bail!("it has no accounts: it was written by an older version"),
                Some(_) => bail!(
                    "its stream is not of the native format, the only one whose packets \
                     a log names"
                ),
            }
        }
        if !report.accounts.iter().all(is_possible) {
            bail!("its accounts cannot be: the file was changed");
        }
        Ok(report)
    }

    /// A packet count of the whole report, such as `lost`.
    pub(super) fn packets(&self, name: &str) -> Option<u64> {
        self.packets.get(name).copied().flatten()
    }

    /// A frame count, such as `shown`.
    pub(super) fn frames(&self, name: &str) -> Option<u64> {
        self.frames.get(name).copied().flatten()
    }

    /// Number of frames whose outcome `which` selects.
    pub(super) fn outcomes(&self, which: impl Fn(Outcome) -> bool) -> u64 {
        let outcomes = Outcome::all().filter(|outcome| which(*outcome));
        let counts = outcomes.filter_map(|outcome| self.outcomes.get(outcome.key())?.as_ref());
        counts.map(|count| (*count).min(MOST)).sum()
    }

    /// Datagrams dropped in the socket that several senders share. They belong to
    /// no account; each account counts its own as lost.
    pub(super) fn shared_drops(&self) -> u64 {
        let dropped = self.packets("socket_dropped").unwrap_or(0).min(MOST);
        let known: u64 = self.accounts.iter().map(|it| it.socket_dropped).sum();
        match self.senders {
            Some(_) => dropped.saturating_sub(known),
            None => 0,
        }
    }
}

/// Whether an account's numbers are ordered and plausible.
fn is_possible(account: &Account) -> bool {
    let forward = |first: u64, end: u64| first <= end && end <= MOST;
    let few = |counts: &[u64]| counts.iter().all(|count| *count <= MOST);
    let channel = |it: &ChannelAccount| {
        forward(it.first, it.end) && few(&[it.received, it.missing, it.duplicate, it.reordered])
    };
    let it = account;
    forward(it.first_frame, it.end_frame)
        && few(&[it.lost, it.corrupt, it.socket_dropped, it.send_errors])
        && it.channels.len() <= 3
        && it.channels.iter().all(channel)
}

/// Upper bound on plausible numbers. Above it, sums could overflow.
const MOST: u64 = 1 << 48;

/// Upper bound on the size of a report in bytes: far more than any report has.
const MAX_REPORT: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_input_is_read_up_to_a_limit() {
        let error = CheckedReport::read(Path::new("/dev/zero")).unwrap_err();
        assert!(error.to_string().contains("larger than"), "{error}");
    }

    #[test]
    fn numbers_that_no_stream_has_are_refused() {
        let account = |first: u64, end: u64, lost: u64| {
            format!(
                r#"{{"version":1,"stream":{{"side":"viewer","wire":"native","followed":1}},
                "packets":{{}},"outcomes":{{}},"accounts":[{{"stream":"1","destination":0,
                "since_ns":0,"until_ns":null,"opened":null,"closed":null,"lost":{lost},
                "corrupt":0,"socket_dropped":0,"send_errors":0,"first_frame":{first},
                "end_frame":{end},"channels":[]}}]}}"#
            )
        };
        assert!(CheckedReport::parse(&account(1, 2, 0)).is_ok());
        for (first, end, lost) in [(2, 1, 0), (0, u64::MAX, 0), (0, 1, u64::MAX)] {
            let error = CheckedReport::parse(&account(first, end, lost)).unwrap_err();
            assert!(error.to_string().contains("cannot be"), "{error}");
        }
    }

    #[test]
    fn says_why_something_is_no_report_to_check() {
        let report = |side: &str, wire: &str| {
            format!(
                r#"{{"version":1,"stream":{{"side":"{side}","wire":{wire},"followed":0}},"packets":{{}},"outcomes":{{}}}}"#
            )
        };
        for (text, words) in [
            ("stream,number,outcome".to_owned(), "--report FILE.json"),
            ("{}".to_owned(), "--report FILE.json"),
            (report("sender", "null"), "the sender's"),
            (report("viewer", "null"), "no stream"),
            (report("viewer", "\"rtp\""), "the native format"),
            (report("viewer", "\"native\""), "older"),
            (report("viewer", "null").replace(":1", ":2"), "version is 2"),
        ] {
            let error = format!("{:#}", CheckedReport::parse(&text).unwrap_err());
            assert!(error.contains(words), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
