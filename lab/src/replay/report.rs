//! The results as JSON, for scripts.

use std::time::Duration;

use crate::what_if::TracedStream;
use framegram_common::fec::Fec;
use serde::Serialize;

use super::Tried;

/// All results.
#[derive(Serialize)]
pub(super) struct ReplayReport {
    /// Raised when a field is redefined or removed.
    version: u32,
    seed: u64,
    frames: u64,
    /// Frames that were replayed.
    replayed: u64,
    datagrams: u64,
    datagrams_lost: u64,
    /// Complete frames in the traced run; null if unknown.
    complete: Option<u64>,
    latency_ms: f64,
    rtt_ms: Option<f64>,
    settings: Vec<ReplayRow>,
}

/// A setting and its result.
#[derive(Serialize)]
struct ReplayRow {
    /// `auto`, or a percentage.
    parity: String,
    /// RTT of retransmissions; null without retransmission.
    rtt_ms: Option<f64>,
    latency_ms: f64,
    pace: bool,
    complete: u64,
    /// Complete frames beyond those without parity and retransmission.
    saved: i64,
    /// Bytes sent per byte of JPEG.
    overhead: f64,
}

impl ReplayReport {
    pub(super) fn new(stream: &TracedStream, tried: &[Tried], seed: u64) -> Self {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let base = tried.first().map_or(0, |base| base.outcome.complete);
        let row = |tried: &Tried| ReplayRow {
            parity: match tried.setting.fec {
                Fec::Auto => "auto".to_owned(),
                Fec::Off => "0".to_owned(),
                Fec::Fixed(share) => format!("{:.0}", share * 100.0),
            },
            rtt_ms: tried.setting.rtt.map(millis),
            latency_ms: millis(tried.setting.latency),
            pace: tried.setting.pace,
            complete: tried.outcome.complete,
            saved: tried.saved(base),
            overhead: tried.outcome.overhead(),
        };
        Self {
            version: 1,
            seed,
            frames: stream.frames(),
            replayed: stream.replayed(),
            datagrams: stream.datagrams.0,
            datagrams_lost: stream.datagrams.1,
            complete: (stream.settled.0 > 0).then_some(stream.settled.1),
            latency_ms: millis(stream.latency),
            rtt_ms: stream.rtt.map(millis),
            settings: tried.iter().map(row).collect(),
        }
    }
}
