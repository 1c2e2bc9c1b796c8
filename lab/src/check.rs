//! The subcommand `check`: compares a report with the logs that the programs
//! wrote with `--impair-log`.

mod compare;
mod events;
mod expected;
mod identities;
mod report;

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use framegram_cli::pipe::StandardOutput;

use self::compare::Comparison;
use self::events::ImpairLogs;
use self::expected::ExpectedStream;
use self::report::CheckedReport;

/// Compares, and writes a table to standard output unless `quiet`.
///
/// # Errors
/// If a figure differs, or a file cannot be read.
pub fn run(report: &Path, logs: &[PathBuf], quiet: bool) -> anyhow::Result<()> {
    let name = report.display();
    let report = CheckedReport::read(report)?;
    let logs = ImpairLogs::read(logs)?;
    let compared = compare(&report, &logs)?;
    if !quiet {
        let mut out = StandardOutput;
        for injected in &logs.injected {
            writeln!(out, "Impaired {injected}")?;
        }
        for (heading, comparison) in &compared {
            write_table(&mut out, heading, comparison)?;
        }
    }
    match compared.iter().map(|(_, it)| it.differing()).sum() {
        0 if quiet => Ok(()),
        0 => Ok(writeln!(
            StandardOutput,
            "The measurement matches what was injected (packets, frames and their outcomes; times, \
             rates and bytes are not compared)."
        )?),
        1 => bail!("one figure of {name} is not what was done"),
        differing => bail!("{differing} figures of {name} are not what was done"),
    }
}

/// Compares the report as a whole, and each stream that the viewer followed.
fn compare(report: &CheckedReport, logs: &ImpairLogs) -> anyhow::Result<Vec<(String, Comparison)>> {
    let mut compared = Vec::new();
    for account in &report.accounts {
        let number = u64::from_str_radix(&account.stream, 16);
        let number = number.context("the report has an invalid stream number")?;
        let Some(sides) = logs.of(number, account.destination) else {
            bail!("no log has stream {number:016x}: was it written in another run?");
        };
        let expected = ExpectedStream::new(sides, account, logs.unnamed);
        let comparison = Comparison::of_stream(account, &expected, report);
        compared.push((format!("Stream {}", account.stream), comparison));
    }
    let followed = |stream: u64| {
        let stream = format!("{stream:016x}");
        report.accounts.iter().any(|it| it.stream == stream)
    };
    let mut sums = Comparison::of_report(report);
    let others = logs.streams().filter(|stream| !followed(*stream)).count();
    if others > 0 {
        sums.notes.push(format!(
            "{others} other streams of the log were not followed"
        ));
    }
    compared.push(("The report's sums".to_owned(), sums));
    Ok(compared)
}

fn write_table(out: &mut dyn Write, heading: &str, comparison: &Comparison) -> io::Result<()> {
    if !comparison.figures.is_empty() {
        writeln!(out, "{heading:25} measured  injected")?;
    } else if comparison.differing() > 0 {
        writeln!(out, "{heading}")?;
    }
    for figure in &comparison.figures {
        let (name, measured, injected) = (&figure.name, figure.measured, figure.injected);
        let mark = if measured == injected {
            ""
        } else {
            "  differs"
        };
        writeln!(out, "  {name:22} {measured:>9} {injected:>9}{mark}")?;
    }
    for line in comparison.differences.iter().take(MOST_LINES) {
        writeln!(out, "  differs: {line}")?;
    }
    if let Some(more @ 1..) = comparison.differences.len().checked_sub(MOST_LINES) {
        writeln!(out, "  and {more} more differences")?;
    }
    for note in &comparison.notes {
        writeln!(out, "  ({note})")?;
    }
    Ok(())
}

/// Upper bound on differences that are printed: about one screen.
const MOST_LINES: usize = 20;
