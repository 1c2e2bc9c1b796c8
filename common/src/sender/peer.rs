//! A viewer, according to its reports.

use std::time::Duration;

use crate::fec::{LossModel, PathEstimate};
use crate::stats::{Frames, Outcome, Packets, Percentiles, Statistics, ViewerFigures};
use crate::wire::native::ReceiverReport;

/// Upper bound on the RTT that a viewer claims: above it, no retransmission arrives in time anyway.
const MAX_RTT: Duration = Duration::from_secs(2);

/// Upper bound on the playout delay that a viewer claims: the longest `--latency`.
pub(super) const MAX_PLAYOUT_DELAY: Duration = Duration::from_secs(10);

/// A viewer that is silent for this long is gone.
const SILENCE: Duration = Duration::from_secs(5);

/// A viewer and its last report.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) report: ReceiverReport,
    pub(super) received: Duration,
    pub(super) echoed: Duration,
    pub(super) echoes: u32,
    /// The loss that parity is planned for.
    pub(super) loss: LossModel,
}

impl Peer {
    /// Whether it has reported recently.
    pub(super) fn is_present(&self, now: Duration) -> bool {
        now.saturating_sub(self.received) < SILENCE
    }

    /// The path to it, as it claims, within bounds.
    pub(super) fn path(&self, nack: bool) -> PathEstimate {
        let micros = |micros: u32| Duration::from_micros(micros.into());
        let rtt = (self.report.rtt > 0).then(|| micros(self.report.rtt).min(MAX_RTT));
        PathEstimate {
            loss: Some(self.loss),
            rtt,
            playout_delay: micros(self.report.playout_delay).min(MAX_PLAYOUT_DELAY),
            nack,
        }
    }

    /// Fills in what only the viewer knows.
    pub(super) fn fill(&self, statistics: &mut Statistics) {
        let figures = figures(&self.report);
        let ours = &statistics.frames;
        statistics.frames = Frames {
            captured: ours.captured,
            not_sent: ours.not_sent,
            sent: ours.sent,
            ..figures.frames
        };
        let replaced = statistics.outcomes[Outcome::Replaced];
        statistics.outcomes = figures.outcomes;
        statistics.outcomes[Outcome::Replaced] = replaced;
        let ours = &statistics.packets;
        statistics.packets = Packets {
            sent: ours.sent,
            send_errors: ours.send_errors,
            malformed: ours.malformed,
            ..figures.packets
        };
        statistics.bytes.received = Some(figures.bytes_received);
        statistics.jitter_ms = Some(figures.jitter_ms);
        statistics.latency_ms = figures.latency_ms;
        statistics.delays_ms.capture_to_shown = figures.latency_ms;
    }
}

/// A viewer's report as figures.
pub(super) fn figures(report: &ReceiverReport) -> ViewerFigures {
    let millis = |micros: u32| f64::from(micros) / 1000.0;
    ViewerFigures {
        viewer: format!("{:016x}", report.viewer),
        frames: Frames {
            shown: Some(report.frames_shown),
            intact: Some(report.frames_intact),
            incomplete: Some(report.frames_incomplete),
            lost: Some(report.frames_lost),
            ..Frames::default()
        },
        outcomes: [
            (Outcome::Concealed, report.frames_concealed),
            (Outcome::Late, report.frames_late),
            (Outcome::Skipped, report.frames_skipped),
            (Outcome::Undecodable, report.frames_undecodable),
        ]
        .into_iter()
        .collect(),
        packets: Packets {
            received: Some(report.packets_received),
            lost: Some(report.packets_lost),
            duplicate: Some(report.packets_duplicate),
            reordered: Some(report.packets_reordered),
            corrupt: Some(report.packets_corrupt),
            socket_dropped: Some(report.socket_dropped),
            ..Packets::default()
        },
        bytes_received: report.bytes,
        jitter_ms: millis(report.jitter),
        rtt_ms: (report.rtt > 0).then(|| millis(report.rtt)),
        latency_ms: (report.latency_max > 0).then(|| Percentiles {
            p50: millis(report.latency_p50),
            p95: millis(report.latency_p95),
            p99: millis(report.latency_p99),
            max: millis(report.latency_max),
        }),
        ..ViewerFigures::default()
    }
}

/// The loss to plan parity for: the viewer's report. If the path is full rather than noisy (delay
/// rises with loss), no more than before, since more parity would fill it further. Loss of more
/// packets than the `media` that were sent there is not believed.
pub(super) fn planned_loss(
    report: &ReceiverReport,
    before: Option<LossModel>,
    media: u64,
) -> LossModel {
    if report.media_expected > media || report.media_received > report.media_expected {
        return before.unwrap_or(LossModel::new(0.0, 1.0));
    }
    let loss = f64::from(report.loss_ppm) / 1e6;
    let reported = LossModel::new(loss, f64::from(report.burst_milli) / 1e3);
    let full = report.queueing > FULL_QUEUE_MICROS.max(report.playout_delay / 4);
    match before {
        Some(before) if full && before.loss() < reported.loss() => before,
        _ => reported,
    }
}

/// A queue of this many microseconds is more than jitter.
const FULL_QUEUE_MICROS: u32 = 10_000;
