//! What is measured is what was done: real programs, harmed on purpose by one
//! of them, the network or the system, and their reports compared with the
//! record of it.

mod checked;
mod delays;
mod dropping;
mod joining;
mod mixtures;

use std::net::SocketAddr;
use std::path::Path;

use framegram_tests::program::{Ended, LAB, Program, SENDER, Start, VIEWER, until};

/// The record of an impairment, in its program's folder.
const LOG: &str = "truth.csv";

/// A viewer that ends with the stream, and listens by now.
fn listening(address: SocketAddr, arguments: &str) -> Program {
    staying(address, &format!("--once {arguments}"))
}

/// A viewer that waits for more, and listens by now.
fn staying(address: SocketAddr, arguments: &str) -> Program {
    let line = format!("{address} --headless --wait 30s {arguments}");
    let mut viewer = Start::new(VIEWER, &line).run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

/// A sender on one processor, so that the loopback keeps the order of what it
/// sends.
fn sender(source: &str, address: SocketAddr, arguments: &str) -> Start {
    let processor = processor();
    let line = format!("{source} {address} {arguments}");
    Start::by(&["taskset", "-c", &processor], SENDER, &line)
}

/// One that this program may run on.
fn processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = allowed.and_then(|list| list.trim().split([',', '-']).next());
    first.unwrap_or("0").to_owned()
}

/// The options of an impairment that is recorded; none where there is none.
fn recorded(impairment: Option<&str>) -> String {
    impairment.map_or_else(String::new, |spec| {
        format!("--impair {spec} --impair-log {LOG}")
    })
}

/// Waits until a program has recorded so many bytes more.
fn wait_for_rows(program: &Program, bytes: u64) {
    let log = program.folder().join(LOG);
    let length = || std::fs::metadata(&log).map_or(0, |file| file.len());
    let enough = length() + bytes;
    until("the record to grow", || (length() >= enough).then_some(()));
}

/// `framegram-lab check` of a report with these records.
fn check(report: &Path, logs: &[&Path]) -> Ended {
    let mut start = Start::new(LAB, "check").with([report]);
    for log in logs {
        start = start.with([Path::new("--log"), log]);
    }
    start.run_plain().end()
}

/// Asserts that `framegram-lab check` finds no difference, and says what it wrote.
fn assert_equal(what: &str, viewer: &Ended, logs: &[&Path]) -> String {
    let checked = check(&viewer.path("report.json"), logs);
    let table = String::from_utf8_lossy(&checked.output).into_owned();
    let said = &checked.said;
    assert_eq!(checked.code, Some(0), "{what}:\n{table}{said}");
    table
}
