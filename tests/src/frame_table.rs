//! The viewer's table of frames, `frames.csv`.

use std::time::Duration;

use crate::program::Ended;

/// A frame of the table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// When it was captured, on the sender's clock.
    pub captured: Duration,
    /// Whether it was shown byte for byte.
    pub is_intact: bool,
    /// Bytes of its JPEG; 0 if unknown.
    pub bytes: u64,
    /// Its chunks, and those of them that did not arrive when they were first sent.
    pub chunks: u64,
    /// See `chunks`.
    pub lost: u64,
    /// From capture to shown, in milliseconds; 0 if it was not shown.
    pub delay_ms: f64,
}

/// The frames that were captured in a period.
///
/// # Panics
/// If the viewer wrote no such table.
pub fn rows(viewer: &Ended, from: Duration, to: Duration) -> Vec<Row> {
    let table = String::from_utf8(viewer.file("frames.csv")).expect("text");
    let mut rows = table.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let head = rows.next().expect("a head");
    let column = |name| head.iter().position(|it| *it == name).expect("a column");
    let (captured, outcome) = (column("captured_s"), column("outcome"));
    let (bytes, chunks, lost) = (column("bytes"), column("chunks"), column("chunks_lost"));
    let delay = column("delay_ms");
    let number = |row: &[&str], at: usize| row[at].parse().unwrap_or(0.0);
    let rows = rows.map(|row| Row {
        captured: Duration::from_secs_f64(number(&row, captured)),
        is_intact: row[outcome].starts_with("intact"),
        bytes: number(&row, bytes) as u64,
        chunks: number(&row, chunks) as u64,
        lost: number(&row, lost) as u64,
        delay_ms: number(&row, delay),
    });
    rows.filter(|row| (from..to).contains(&row.captured))
        .collect()
}
