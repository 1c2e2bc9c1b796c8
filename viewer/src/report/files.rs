//! The report files, each opened before the stream begins. `.json` and `.html`
//! are written at the end, rows of `.csv` as frames are settled. An older report
//! is kept until the new one is complete.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use framegram_cli::errors;
use framegram_cli::output::{Draft, OutputFile, write_json};
use framegram_cli::pipe::Pipe;
use framegram_cli::threads::Threads;
use framegram_common::stats::FrameRecord;

use super::advice::Advice;
use super::{Report, csv, html};

/// All report files of one run.
#[derive(Default)]
pub struct ReportFiles {
    at_end: Vec<(ReportKind, OutputFile)>,
    rows: Vec<Rows>,
    /// Standard output for the JSON, if requested.
    piped: Option<Pipe>,
}

/// Format of a report file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReportKind {
    /// All statistics as one object.
    Json,
    /// One row per frame.
    Csv,
    /// A page with plots.
    Html,
}

struct Rows {
    out: Draft,
    path: PathBuf,
    /// The first error; nothing is written after it.
    outcome: anyhow::Result<()>,
}

impl ReportKind {
    /// Format by file name extension.
    ///
    /// # Errors
    /// If the extension is not `.json`, `.csv` or `.html`.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == PIPE {
            return Ok(Self::Json);
        }
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.to_ascii_lowercase().as_str() {
            "json" => Ok(Self::Json),
            "csv" => Ok(Self::Csv),
            "html" | "htm" => Ok(Self::Html),
            _ => bail!(
                "a report is a .json, .csv or .html file, not {}",
                path.display()
            ),
        }
    }
}

impl ReportFiles {
    /// Opens all files, so that errors show before the stream begins.
    pub fn claim(paths: &[PathBuf], threads: &Threads) -> anyhow::Result<Self> {
        let mut files = Self::default();
        for path in paths {
            let kind = ReportKind::of(path)?;
            if path.as_os_str() == PIPE {
                files.piped = Some(Pipe::standard_output(threads)?);
                continue;
            }
            let file = OutputFile::claim(path, "report", threads)?;
            if kind == ReportKind::Csv {
                let mut out = file.draft()?;
                writeln!(out, "{}", csv::HEADER)?;
                files.rows.push(Rows {
                    out,
                    path: path.clone(),
                    outcome: Ok(()),
                });
            } else {
                files.at_end.push((kind, file));
            }
        }
        Ok(files)
    }

    /// Whether a report goes to standard output.
    pub fn are_piped(&self) -> bool {
        self.piped.is_some()
    }

    /// Whether a file needs rows.
    pub fn want_rows(&self) -> bool {
        !self.rows.is_empty()
    }

    /// Writes a row.
    pub fn write_row(&mut self, record: &FrameRecord) {
        for rows in &mut self.rows {
            if rows.outcome.is_ok() {
                let written = csv::write_row(&mut rows.out, record);
                rows.outcome = written.map_err(Into::into);
            }
        }
    }

    /// Completes all files. `forgotten` is the number of rows that could not be
    /// written.
    pub fn finish(self, report: &Report, advice: &Advice, forgotten: u64) -> anyhow::Result<()> {
        let rows = self.rows.into_iter().map(|rows| rows.finish(forgotten));
        let mut written: Vec<_> = rows.collect();
        for (kind, output) in self.at_end {
            let replaced = output.replace(|out| {
                if kind == ReportKind::Html {
                    return Ok(out.write_all(html::page(report, advice)?.as_bytes())?);
                }
                write_json(out, report)
            });
            written.push(replaced.map(drop));
        }
        if let Some(pipe) = self.piped {
            let mut json = Vec::new();
            let piped = write_json(&mut json, report).and_then(|()| {
                pipe.put(json, None)?;
                Ok(pipe.finish()?)
            });
            written.push(piped.context("cannot write the report to standard output"));
        }
        errors::all_of(written)
    }
}

impl Rows {
    fn finish(self, forgotten: u64) -> anyhow::Result<()> {
        let path = self.path.display();
        self.outcome
            .with_context(|| format!("cannot write report {path}"))?;
        self.out.finish()?;
        if forgotten > 0 {
            bail!(
                "{forgotten} rows are missing in {path}: frames arrived faster than it could be \
                 written"
            );
        }
        Ok(())
    }
}

/// Name of standard output on the command line.
const PIPE: &str = "-";

#[cfg(test)]
mod tests {
    use framegram_cli::stop::Stop;
    use framegram_common::Statistics;
    use serde_json::Value;

    use super::*;
    use crate::fixture::{Folder, embedded};
    use crate::report::timeline::Timeline;

    fn claim(paths: &[PathBuf]) -> anyhow::Result<ReportFiles> {
        ReportFiles::claim(paths, &Threads::new(&Stop::new()))
    }

    #[test]
    fn replaces_an_older_and_longer_report_and_keeps_what_is_unknown_null() {
        let folder = Folder::new();
        let path = folder.path("report.json");
        std::fs::write(&path, "x".repeat(100_000)).unwrap();
        let files = claim(std::slice::from_ref(&path)).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), 100_000);
        files
            .finish(&Report::new(&Statistics::default()), &Advice::default(), 0)
            .unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["version"], 1);
        assert!(value["frames"]["shown"].is_null());
        assert!(value["latency_ms"].is_null());
        assert_eq!(value["stream"]["side"], "sender");
        assert!(value.get("timeline").is_none());
    }

    #[test]
    fn several_files_say_the_same() {
        let folder = Folder::new();
        let paths = ["a.json", "a.CSV", "a.html"].map(|name| folder.path(name));
        let files = claim(&paths).unwrap();
        assert!(files.want_rows());
        let timeline = Timeline {
            outcomes: "..n".to_owned(),
            frames_per_letter: 1,
            ..Timeline::default()
        };
        let mut statistics = Statistics::default();
        statistics.frames.shown = Some(2);
        let report = Report {
            timeline: Some(&timeline),
            ..Report::new(&statistics)
        };
        files.finish(&report, &Advice::default(), 0).unwrap();
        let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
        let json: Value = serde_json::from_str(&read(&paths[0])).unwrap();
        assert_eq!(json["timeline"]["outcomes"], "..n");
        assert_eq!(embedded(&read(&paths[2])), json);
        assert_eq!(read(&paths[1]).trim_end(), csv::HEADER);
    }

    #[test]
    fn missing_rows_are_reported() {
        let folder = Folder::new();
        let files = claim(&[folder.path("a.csv")]).unwrap();
        let finished = files.finish(&Report::new(&Statistics::default()), &Advice::default(), 3);
        assert!(
            finished
                .unwrap_err()
                .to_string()
                .starts_with("3 rows are missing")
        );
    }

    #[test]
    fn names_say_the_kind_and_folders_must_be_there() {
        assert_eq!(
            ReportKind::of(Path::new("a.HTML")).unwrap(),
            ReportKind::Html
        );
        assert!(ReportKind::of(Path::new("a.xml")).is_err());
        assert!(ReportKind::of(Path::new("json")).is_err());
        let folder = Folder::new();
        for name in ["none/a.json", "none/a.csv", "none/a.html"] {
            assert!(claim(&[folder.path(name)]).is_err(), "{name}");
        }
    }
}
