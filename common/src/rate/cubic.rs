//! The rate of a flow that fills the queue until packets are lost: CUBIC
//! (<https://www.rfc-editor.org/rfc/rfc9438>).

use std::time::Duration;

/// The factor by which the window shrinks on loss.
const BETA: f64 = 0.7;

/// Its growth, in packets per second cubed.
const C: f64 = 0.4;

/// Bytes of the packets that CUBIC counts in.
const PACKET: f64 = 1_452.0;

/// The window, in packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cubic {
    window: f64,
    /// The window before the last loss, and after it.
    most: f64,
    least: f64,
    since: Duration,
    /// The window of a Reno flow, and when it was computed.
    reno: f64,
    updated: Duration,
}

impl Cubic {
    /// Continues from a rate in bytes per second.
    pub(super) fn new(rate: f64, rtt: Duration, now: Duration) -> Self {
        let window = (rate * rtt.as_secs_f64() / PACKET).max(2.0);
        Self {
            window,
            most: window,
            least: window,
            since: now,
            reno: window,
            updated: now,
        }
    }

    /// Records a loss of packets with a standing queue.
    pub(super) fn record_loss(&mut self, now: Duration) {
        // Fast convergence: a flow that had more before leaves room to others.
        self.most = if self.window < self.most {
            self.window * (1.0 + BETA) / 2.0
        } else {
            self.window
        };
        self.window = (self.window * BETA).max(2.0);
        (self.least, self.reno) = (self.window, self.window);
        (self.since, self.updated) = (now, now);
    }

    /// The present rate, in bytes per second.
    pub(super) fn rate(&mut self, rtt: Duration, now: Duration) -> f64 {
        let rtt = rtt.as_secs_f64().max(1e-3);
        let passed = now.saturating_sub(self.updated).as_secs_f64();
        self.updated = now;
        self.reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) * passed / rtt;
        let k = ((self.most - self.least).max(0.0) / C).cbrt();
        let t = now.saturating_sub(self.since).as_secs_f64() + rtt;
        let cubic = C * (t - k).powi(3) + self.most;
        let target = cubic.max(self.reno).clamp(self.window, self.window * 1.5);
        self.window += (target - self.window) * (passed / rtt).min(1.0);
        self.window * PACKET / rtt
    }
}
