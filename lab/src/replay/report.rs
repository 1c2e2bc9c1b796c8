//! What came of each setting, for scripts.

use std::time::Duration;

use crate::what_if::TracedStream;
use framegram_common::fec::Fec;
use serde::Serialize;

use super::Tried;

/// What is tried, as JSON.
#[derive(Serialize)]
pub(super) struct Report {
    /// Higher once a field is redefined or taken away.
    version: u32,
    seed: u64,
    frames: u64,
    /// Of these, those that the settings are tried with.
    replayed: u64,
    datagrams: u64,
    datagrams_lost: u64,
    /// As it was; null where the trace does not tell.
    whole: Option<u64>,
    latency_ms: f64,
    rtt_ms: Option<f64>,
    settings: Vec<Row>,
}

/// One setting, and what came of it.
#[derive(Serialize)]
struct Row {
    /// `auto`, or in percent.
    parity: String,
    /// Round trip of requests; null without them.
    rtt_ms: Option<f64>,
    latency_ms: f64,
    pace: bool,
    whole: u64,
    /// Frames more than without parity and requests.
    saved: i64,
    /// Bytes sent for each byte of JPEG.
    overhead: f64,
}

impl Report {
    pub(super) fn new(stream: &TracedStream, tried: &[Tried], seed: u64) -> Self {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        let base = tried.first().map_or(0, |base| base.outcome.whole);
        let row = |tried: &Tried| Row {
            parity: match tried.setting.fec {
                Fec::Auto => "auto".to_owned(),
                Fec::Off => "0".to_owned(),
                Fec::Fixed(share) => format!("{:.0}", share * 100.0),
            },
            rtt_ms: tried.setting.requests.map(millis),
            latency_ms: millis(tried.setting.latency),
            pace: tried.setting.pace,
            whole: tried.outcome.whole,
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
            whole: (stream.settled.0 > 0).then_some(stream.settled.1),
            latency_ms: millis(stream.latency),
            rtt_ms: stream.rtt.map(millis),
            settings: tried.iter().map(row).collect(),
        }
    }
}
