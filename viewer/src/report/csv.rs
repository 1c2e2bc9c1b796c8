//! The CSV report: one row per frame, in the order of frame numbers.

use std::io::{self, Write};
use std::time::Duration;

use framegram_common::SenderTime;
use framegram_common::stats::FrameRecord;

/// The header row.
pub const HEADER: &str = "stream,number,outcome,captured_s,sent_s,first_chunk_s,last_chunk_s,\
                          complete_s,shown_s,clock_offset_s,delay_ms,bytes,chunks,chunks_lost,\
                          repaired_by_parity,repaired_by_retransmission,stale";

/// Writes a row. Unknown values are empty.
pub fn write_row(out: &mut impl Write, record: &FrameRecord) -> io::Result<()> {
    let seconds = |time: Duration| format!("{}.{:06}", time.as_secs(), time.subsec_micros());
    let time = |time: Option<Duration>| time.map(seconds).unwrap_or_default();
    let sender_time = |at: Option<SenderTime>| {
        let since = at.map(|at| Duration::from_micros(at.as_micros()));
        time(since)
    };
    let number = |number: Option<u32>| number.map(|n| n.to_string()).unwrap_or_default();
    let offset = record.offset_micros.map(|micros| {
        let sign = if micros < 0 { "-" } else { "" };
        let micros = micros.unsigned_abs();
        format!("{sign}{}.{:06}", micros / 1_000_000, micros % 1_000_000)
    });
    let delay = record.delay();
    writeln!(
        out,
        "{:016x},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{},{:.4}",
        record.stream,
        record.number.0,
        record.outcome.key(),
        sender_time(record.captured),
        sender_time(record.sent),
        time(record.first_chunk),
        time(record.last_chunk),
        time(record.complete),
        time(record.shown),
        offset.unwrap_or_default(),
        delay
            .map(|delay| format!("{:.3}", delay.as_secs_f64() * 1e3))
            .unwrap_or_default(),
        number(record.bytes),
        number(record.chunks),
        number(record.chunks_lost),
        record.chunks_by_parity,
        record.chunks_by_retransmission,
        record.stale,
    )
}

#[cfg(test)]
mod tests {
    use framegram_common::FrameNumber;
    use framegram_common::stats::Outcome;

    use super::*;

    #[test]
    fn a_row_has_the_columns_of_the_header_and_what_is_unknown_is_empty() {
        let millis = |n| Some(Duration::from_millis(n));
        let shown = FrameRecord {
            stream: 0xAB,
            number: FrameNumber(7),
            outcome: Outcome::IntactParity,
            captured: Some(SenderTime::from_micros(1_000_000)),
            sent: Some(SenderTime::from_micros(1_004_000)),
            first_chunk: millis(6_010),
            last_chunk: millis(6_020),
            complete: millis(6_019),
            shown: millis(6_025),
            chunks: Some(12),
            chunks_lost: Some(2),
            chunks_by_parity: 2,
            chunks_by_retransmission: 0,
            bytes: Some(15_000),
            stale: 0.0,
            offset_micros: Some(5_000_001),
        };
        let lost = FrameRecord {
            offset_micros: Some(-5),
            ..FrameRecord::unknown(shown.stream, FrameNumber(8), Outcome::LostNetwork)
        };
        let mut out = Vec::new();
        for record in [&shown, &lost] {
            write_row(&mut out, record).unwrap();
        }
        let text = String::from_utf8(out).unwrap();
        let rows: Vec<_> = text.lines().collect();
        assert_eq!(
            rows,
            [
                "00000000000000ab,7,intact_parity,1.000000,1.004000,6.010000,6.020000,6.019000,\
                 6.025000,5.000001,24.999,15000,12,2,2,0,0.0000",
                "00000000000000ab,8,lost_network,,,,,,,-0.000005,,,,,0,0,0.0000",
            ]
        );
        let columns = HEADER.split(',').count();
        assert!(rows.iter().all(|row| row.split(',').count() == columns));
    }
}
