//! The results of a run.

use std::ops::Range;

use super::link::Link;
use super::media::INTERVAL;
use super::{Flow, Kind, MS, Nanos, SECOND};

/// The results of a link over the counted times.
#[derive(Clone, Debug, Default)]
pub struct Figures {
    /// The used share of the capacity.
    pub used: f64,
    /// 95th percentile of the time in the queue, in milliseconds.
    pub p95_ms: f64,
    /// Mean time in the queue, in milliseconds.
    pub mean_ms: f64,
    /// Packets that the queue had no room for.
    pub dropped: usize,
    /// Bytes of each flow.
    pub bytes: Vec<f64>,
}

impl Figures {
    /// The results of these flows on a link within these times.
    pub fn new(link: &Link, flows: &[usize], counted: &[Range<Nanos>]) -> Self {
        let within = |at: Nanos| counted.iter().any(|range| range.contains(&at));
        let passed: Vec<_> = link.log.iter().filter(|passed| within(passed.at)).collect();
        let mut waits: Vec<_> = passed.iter().map(|it| it.waited as f64 / 1e6).collect();
        waits.sort_by(f64::total_cmp);
        let capacity: f64 = counted
            .iter()
            .flat_map(|range| range.clone().step_by(10 * MS as usize))
            .map(|at| link.rate(at) as f64 * 0.01 / 8.0)
            .sum();
        let of = |flow: usize| {
            let passed = passed.iter().filter(|passed| passed.flow == flow);
            passed.map(|passed| passed.bytes as f64).sum()
        };
        let all: u64 = passed.iter().map(|passed| passed.bytes).sum();
        Self {
            used: all as f64 / capacity,
            p95_ms: waits.get(waits.len() * 95 / 100).copied().unwrap_or(0.0),
            mean_ms: waits.iter().sum::<f64>() / waits.len().max(1) as f64,
            dropped: link.dropped.iter().filter(|(at, _)| within(*at)).count(),
            bytes: flows.iter().map(|flow| of(*flow)).collect(),
        }
    }

    /// Jain's fairness index: 1 if all flows get the same.
    pub fn jain(&self) -> f64 {
        let sum: f64 = self.bytes.iter().sum();
        let squares: f64 = self.bytes.iter().map(|bytes| bytes * bytes).sum();
        sum * sum / squares.max(1.0) / self.bytes.len().max(1) as f64
    }
}

/// The counted seconds: all but the first two and the one after each change.
pub fn counted(changes: &[u64], until: u64) -> Vec<Range<Nanos>> {
    let mut from = 2 * SECOND;
    let mut counted = Vec::new();
    for change in changes {
        counted.push(from..change * SECOND);
        from = (change + 1) * SECOND;
    }
    counted.push(from..until * SECOND);
    counted
}

/// How long after a change of the link's rate the frame budgets of the streams first follow it:
/// together they fit it if it fell, or use nine tenths of it if it rose.
pub fn follows_after(flows: &[Flow], link: &Link, change: Nanos) -> Nanos {
    let has_fallen = link.rate(change) < link.rate(change - 1);
    let room = link.rate(change) as f64 / 8.0 * INTERVAL as f64 / 1e9;
    let streams = flows.iter().filter_map(|flow| match &flow.kind {
        Kind::Media(media) => Some(&media.frames_sent),
        Kind::Tcp(_) => None,
    });
    let frames = streams.enumerate();
    let frames = frames.flat_map(|(stream, frames)| frames.iter().map(move |it| (stream, it)));
    let mut frames: Vec<_> = frames.collect();
    frames.sort_by_key(|(_, frame)| frame.at);
    let mut budgets = vec![0.0; flows.len()];
    for (stream, frame) in frames {
        budgets[stream] = frame.budget;
        let sum: f64 = budgets.iter().sum();
        let follows = if has_fallen {
            sum <= room
        } else {
            sum >= room * 0.9
        };
        if frame.at >= change && follows {
            return frame.at - change;
        }
    }
    Nanos::MAX
}
