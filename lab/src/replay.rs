//! The subcommand `what-if`: how many more frames of a traced stream other
//! settings would have delivered, and at what cost.

mod report;
mod table;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal, Write};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context;
use framegram_cli::console::Console;
use framegram_cli::locks::{lock, unpoisoned};
use framegram_cli::numbers::{count, percent, seconds};
use framegram_cli::output::{OutputFile, write_json};
use framegram_cli::pipe::StandardOutput;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;

use self::report::ReplayReport;
use self::table::Table;
use crate::args::WhatIf;
use crate::what_if::{Completeness, Prediction, Setting, TracedStream, replay};

/// A setting and its result.
#[derive(Clone, Copy, Debug)]
struct Tried {
    setting: Setting,
    outcome: Prediction,
}

impl Tried {
    /// Number of complete frames beyond those of the base setting.
    fn saved(&self, base: u64) -> i64 {
        self.outcome.complete as i64 - base as i64
    }
}

/// Replays the trace with other settings, and writes the results to standard
/// output.
///
/// # Errors
/// If the trace cannot be read or has nothing to replay.
pub fn run(args: &WhatIf) -> anyhow::Result<()> {
    let path = args.trace.as_path();
    let piped = args.report.as_deref() == Some(Path::new("-"));
    let file = args.report.as_deref().filter(|_| !piped);
    let threads = Threads::new(&Stop::new());
    let report = file
        .map(|path| OutputFile::claim(path, "report", &threads))
        .transpose()?;
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
    let stream = TracedStream::read(BufReader::new(file))
        .with_context(|| format!("cannot replay {name}"))?;
    let mut out: Box<dyn Write> = if piped {
        Box::new(io::sink())
    } else {
        Box::new(StandardOutput)
    };
    for line in introduction(&stream) {
        writeln!(out, "{line}")?;
    }
    let table = Table::new(&stream, args);
    let seed = args.seed;
    let settings = if stream.datagrams.1 > 0 {
        table.settings()
    } else {
        Vec::new()
    };
    // Progress needs a terminal, because the line is redrawn.
    let console = Console::new(args.quiet || !io::stderr().is_terminal());
    let outcomes = replay_all(&stream, &settings, seed, &console);
    let tried = settings.into_iter().zip(outcomes);
    let tried: Vec<_> = tried
        .map(|(setting, outcome)| Tried { setting, outcome })
        .collect();
    if tried.is_empty() {
        writeln!(out, "Nothing was lost: there is nothing to save.")?;
    } else {
        for line in table.lines(&tried) {
            writeln!(out, "{line}")?;
        }
    }
    let results = ReplayReport::new(&stream, &tried, seed);
    match report {
        Some(report) => drop(report.replace(|out| write_json(out, &results))?),
        None if piped => write_json(&mut StandardOutput, &results)?,
        None => {}
    }
    Ok(())
}

/// Replays all settings on all processors.
fn replay_all(
    stream: &TracedStream,
    settings: &[Setting],
    seed: u64,
    console: &Console,
) -> Vec<Prediction> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![Prediction::default(); settings.len()]);
    let work = || {
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(setting) = settings.get(at) else {
                return;
            };
            console.progress(&format!("Replay {} of {}", at + 1, settings.len()));
            let outcome = replay(stream, setting, seed);
            lock(&outcomes)[at] = outcome;
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        // The current thread is one of the workers.
        (1..threads.min(settings.len())).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    console.end_progress();
    unpoisoned(outcomes.into_inner())
}

/// Describes the traced stream.
fn introduction(stream: &TracedStream) -> Vec<String> {
    let (sent, lost) = stream.datagrams;
    let frames = stream.frames();
    let mut lines = vec![format!(
        "{} frames in {}; {} datagrams sent, {} of them lost ({}), {:.1} in a row on average.",
        count(frames),
        seconds(stream.duration.as_secs_f64()),
        count(sent),
        count(lost),
        percent(lost as f64 / sent.max(1) as f64),
        if lost == 0 { 0.0 } else { stream.run },
    )];
    let (settled, complete) = stream.settled;
    if settled > 0 {
        let cost = stream.counts.filter(|counts| counts.jpeg_bytes > 0);
        let cost = cost.map_or(String::new(), |counts| {
            let ratio = counts.bytes as f64 / counts.jpeg_bytes as f64;
            format!(", {ratio:.2} bytes sent per byte of JPEG")
        });
        let rtt = stream
            .rtt
            .map_or(String::new(), |rtt| format!(", RTT {}", milliseconds(rtt)));
        lines.push(format!(
            "As it was: {} of {} frames arrived complete{cost} (latency {}{rtt}).",
            count(complete),
            count(settled),
            milliseconds(stream.latency),
        ));
    }
    let (streams, which) = stream.streams;
    if settled == 0 {
        let why = if which < streams {
            "another stream began before the outcomes of its frames were settled"
        } else if stream.part == Completeness::Complete {
            "the outcomes of its frames are not in the trace"
        } else {
            "the trace ends before the outcomes of its frames were settled"
        };
        lines.push(format!("As it was is not known: {why}."));
    }
    if streams > 1 {
        lines.push(format!(
            "The trace has {} streams, because the sender restarted or another sender appeared. \
             This is number {}, the longest.",
            count(streams as u64),
            count(which as u64),
        ));
    }
    if let Some(behind) = stream.junk {
        lines.push(format!(
            "Data after the end of the trace, from byte {} on, is ignored.",
            count(behind)
        ));
    }
    match &stream.part {
        Completeness::Complete => {}
        Completeness::Limit => lines.push("The trace ended at its size limit.".to_owned()),
        Completeness::Slow => lines.push("The trace ended as the disk was too slow.".to_owned()),
        Completeness::Broken(how) => {
            lines.push(format!(
                "The trace is incomplete: {how}. The rest is ignored."
            ));
        }
        Completeness::Long => {
            lines.push("The trace is too long: its end is ignored.".to_owned());
        }
    }
    lines
}

/// A time with few digits.
fn milliseconds(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 0.095 {
        format!("{millis:.2} ms")
    } else if millis < 9.95 && millis.fract() > 0.05 {
        format!("{millis:.1} ms")
    } else {
        format!("{millis:.0} ms")
    }
}

#[cfg(test)]
mod tests;
