//! Input from users: impairments and their logs.

use std::time::Duration;

use crate::impair::{Impairment, LogReader, LogRow, Stage};

/// Applies the first line as an impairment to the rest, and reads all bytes as a
/// log.
pub(super) fn run(bytes: &[u8]) {
    let mut lines = bytes.splitn(2, |byte| *byte == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    if let Some(impairment) = first.and_then(|line| line.parse::<Impairment>().ok()) {
        assert_eq!(impairment.to_string().parse(), Ok(impairment.clone()));
        harm(&impairment, lines.next().unwrap_or_default());
    }
    let Ok(mut log) = LogReader::new(bytes) else {
        return;
    };
    while let Ok(Some(row)) = log.next_row() {
        assert_eq!(row.to_string().parse::<LogRow>(), Ok(row));
    }
}

fn harm(impairment: &Impairment, bytes: &[u8]) {
    let mut stage = Stage::new(impairment.clone(), true);
    let (mut pushed, mut rows, mut last) = (0, 0, Duration::ZERO);
    for (index, datagram) in bytes.chunks(7).enumerate() {
        let now = Duration::from_millis(index as u64);
        stage.push(datagram, index, now);
        pushed += 1;
        while let Some(handed) = stage.poll(now) {
            assert!(handed.due >= last && handed.due <= now && handed.tag <= index);
            last = handed.due;
        }
        rows += std::iter::from_fn(|| stage.poll_row())
            .filter(|row| row.copy < 2)
            .count();
    }
    stage.finish();
    let rest = std::iter::from_fn(|| stage.poll_row());
    rows += rest.filter(|row| row.copy < 2).count();
    assert_eq!(rows, pushed, "a row for each datagram");
}
