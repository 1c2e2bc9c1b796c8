//! What is known of the path to a viewer, and what there is time for on it.

use std::time::Duration;

use super::answers::MAX_ROUNDS;
use super::loss_model::LossModel;

/// What is known of the path to a viewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathEstimate {
    /// Its loss; `None` without any report.
    pub loss: Option<LossModel>,
    /// RTT; `None` where it is not known.
    pub rtt: Option<Duration>,
    /// How long the viewer waits for an incomplete frame.
    pub playout_delay: Duration,
    /// Whether what is missing can be asked for.
    pub nack: bool,
}

impl Default for PathEstimate {
    fn default() -> Self {
        Self {
            loss: None,
            rtt: None,
            playout_delay: Duration::from_millis(60),
            nack: false,
        }
    }
}

impl PathEstimate {
    /// How many rounds of NACK and answer there is time for, when the
    /// frame's packets are spread over `spread`.
    #[must_use]
    pub fn rounds(&self, spread: Duration) -> u32 {
        let Some(rtt) = self.rtt.filter(|_| self.nack && self.loss.is_some()) else {
            return 0;
        };
        let left = self.playout_delay.saturating_sub(spread);
        let rounds = left.as_nanos() / (rtt + ROUND_OVERHEAD).as_nanos();
        rounds.min(MAX_ROUNDS as u128) as u32
    }

    /// How long the packets of a frame may be spread over: at most half the
    /// time between frames, a quarter of the playout delay, and what leaves time
    /// for as many rounds as there would be without spreading.
    #[must_use]
    pub fn spread(&self, interval: Duration) -> Duration {
        let most = (interval / 2).min(self.playout_delay / 4);
        let rounds = self.rounds(MIN_SPREAD);
        if rounds == 0 {
            return most;
        }
        let rtt = self.rtt.unwrap_or_default();
        let free = self
            .playout_delay
            .saturating_sub((rtt + ROUND_OVERHEAD) * rounds);
        most.min(free).max(MIN_SPREAD.min(most))
    }
}

/// Time from packet to packet of an answer of this many: a little spread, so that
/// one burst of loss does not take all of it.
#[must_use]
pub fn retransmit_gap(packets: usize) -> Duration {
    ANSWER_GAP.min(ANSWER_SPREAD / packets.max(1) as u32)
}

/// The longest that an answer is spread over.
#[must_use]
pub fn retransmit_spread() -> Duration {
    ANSWER_SPREAD
}

/// Time from packet to packet of an answer, at the most.
const ANSWER_GAP: Duration = Duration::from_millis(1);

/// The longest that an answer is spread over.
const ANSWER_SPREAD: Duration = Duration::from_millis(4);

/// What a round takes besides the RTT: noticing, and waiting for what
/// may only be out of order.
const ROUND_OVERHEAD: Duration = Duration::from_millis(6);

/// Packets are spread over this at the least, where there is time.
const MIN_SPREAD: Duration = Duration::from_millis(4);
