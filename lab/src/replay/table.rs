//! The settings to try, and the table of their results.

use std::time::Duration;

use crate::what_if::{Setting, TracedStream};
use framegram_cli::numbers::count;
use framegram_common::fec::Fec;

use super::{Tried, milliseconds};
use crate::args::WhatIf;

/// The settings: rows are parity, latency and pacing; columns are RTTs.
pub(super) struct Table {
    rows: Vec<TableRow>,
    columns: Vec<Option<Duration>>,
    latency: Duration,
    /// Frames sent, and frames replayed.
    frames: u64,
    replayed: u64,
}

struct TableRow {
    name: String,
    fec: Fec,
    latency: Duration,
    pace: bool,
}

impl Table {
    /// By default, tries the latency and the RTT of the trace, and others.
    pub(super) fn new(stream: &TracedStream, args: &WhatIf) -> Self {
        let latency = args.latency.unwrap_or(stream.latency);
        let parity = |(name, fec): (String, Fec)| TableRow {
            name,
            fec,
            latency,
            pace: true,
        };
        let shares = PERCENTS.map(|percent| {
            let fec = Fec::Fixed(f64::from(percent) / 100.0);
            (format!("parity {percent} %"), fec)
        });
        let off = ("no parity".to_owned(), Fec::Off);
        let auto = ("parity auto".to_owned(), Fec::Auto);
        let kinds = std::iter::once(off).chain(shares).chain([auto]);
        let mut rows: Vec<_> = kinds.map(parity).collect();
        let others = LATENCIES.iter().filter(|_| args.latency.is_none());
        rows.extend(
            others
                .filter(|other| **other != latency)
                .map(|other| TableRow {
                    name: format!("auto, latency {}", milliseconds(*other)),
                    fec: Fec::Auto,
                    latency: *other,
                    pace: true,
                }),
        );
        rows.push(TableRow {
            name: "auto, pacing off".to_owned(),
            fec: Fec::Auto,
            latency,
            pace: false,
        });
        let mut trips = args.rtt.clone();
        if trips.is_empty() {
            let own = stream.rtt.unwrap_or(SOME_TRIP);
            let longer = LONGER_TRIPS.into_iter().filter(|longer| *longer > own * 2);
            trips.extend(std::iter::once(own).chain(longer));
        }
        Self {
            rows,
            columns: std::iter::once(None)
                .chain(trips.into_iter().map(Some))
                .collect(),
            latency,
            frames: stream.frames(),
            replayed: stream.replayed(),
        }
    }

    /// All settings, row by row. The first one repairs nothing.
    pub(super) fn settings(&self) -> Vec<Setting> {
        let rows = self.rows.iter().flat_map(|row| {
            self.columns.iter().map(|rtt| Setting {
                fec: row.fec,
                rtt: *rtt,
                latency: row.latency,
                pace: row.pace,
            })
        });
        rows.collect()
    }

    /// Formats the results.
    pub(super) fn lines(&self, tried: &[Tried]) -> Vec<String> {
        let base = tried.first().map_or(0, |tried| tried.outcome.complete);
        let broken = count(self.replayed.saturating_sub(base));
        let heads = self.columns.iter().map(|rtt| match rtt {
            None => "no NACKs".to_owned(),
            Some(rtt) => format!("RTT {}", milliseconds(*rtt)),
        });
        let head = heads.map(|head| format!("{head:>CELL$}"));
        let first = self.rows.iter().map(|row| row.name.len()).max();
        let first = first.unwrap_or(0);
        let mut lines = vec![String::new()];
        if self.replayed < self.frames {
            lines.push(format!(
                "To save time, {} frames are replayed, evenly distributed over the trace.",
                count(self.replayed)
            ));
        }
        lines.extend([
            format!(
                "Without parity and NACKs, {broken} of {} frames do not arrive complete.",
                count(self.replayed)
            ),
            format!(
                "Saved by each setting, and bytes sent per byte of JPEG (latency {}):",
                milliseconds(self.latency)
            ),
            String::new(),
            format!("{:first$}{}", "", head.collect::<String>()),
        ]);
        let rows = tried.chunks(self.columns.len());
        lines.extend(self.rows.iter().zip(rows).map(|(row, tried)| {
            let cells = tried.iter().map(|tried| {
                let saved = tried.saved(base);
                let saved = if saved < 0 {
                    format!("-{}", count(saved.unsigned_abs()))
                } else {
                    count(saved.unsigned_abs())
                };
                let cell = format!("{saved}  {:.2}", tried.outcome.overhead());
                format!("{cell:>CELL$}")
            });
            format!("{:first$}{}", row.name, cells.collect::<String>())
        }));
        lines
    }
}

/// Amounts of parity to try, in percent.
const PERCENTS: [u8; 5] = [5, 10, 20, 30, 50];

/// Further latencies to try.
const LATENCIES: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(150),
];

/// RTT if the trace has none.
const SOME_TRIP: Duration = Duration::from_millis(20);

/// Longer RTTs to try.
const LONGER_TRIPS: [Duration; 2] = [Duration::from_millis(20), Duration::from_millis(100)];

/// Width of a column in characters.
const CELL: usize = 14;
