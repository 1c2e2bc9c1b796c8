//! Logs of impairments, and `framegram-lab check` of reports with them.

use std::path::Path;

use crate::program::{Ended, LAB, Program, Start, until};

/// Name of the log in the program's folder.
pub const LOG: &str = "truth.csv";

/// Options for an impairment and its log; empty without an impairment.
pub fn recorded(impairment: Option<&str>) -> String {
    impairment.map_or_else(String::new, |spec| {
        format!("--impair {spec} --impair-log {LOG}")
    })
}

/// Waits until the program's log has grown by this many bytes.
///
/// # Panics
/// If the deadline passes.
pub fn wait_for_rows(program: &Program, bytes: u64) {
    let log = program.folder().join(LOG);
    let length = || std::fs::metadata(&log).map_or(0, |file| file.len());
    let enough = length() + bytes;
    until("the record to grow", || (length() >= enough).then_some(()));
}

/// Runs `framegram-lab check` of a report with these logs.
pub fn check(report: &Path, logs: &[&Path]) -> Ended {
    let mut start = Start::new(LAB, "check").with([report]);
    for log in logs {
        start = start.with([Path::new("--log"), log]);
    }
    start.run_plain().end()
}

/// Asserts that `framegram-lab check` finds no difference. Returns its output.
///
/// # Panics
/// If it finds one.
pub fn assert_equal(what: &str, viewer: &Ended, logs: &[&Path]) -> String {
    let checked = check(&viewer.path("report.json"), logs);
    let table = String::from_utf8_lossy(&checked.output).into_owned();
    let said = &checked.said;
    assert_eq!(checked.code, Some(0), "{what}:\n{table}{said}");
    table
}
