//! Properties of the path to a viewer, and how many repair rounds fit its playout
//! delay.

use std::time::Duration;

use super::answers::MAX_ROUNDS;
use super::loss_model::LossModel;

/// The sender's estimate of the path to a viewer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathEstimate {
    /// Packet loss; `None` before the first report.
    pub loss: Option<LossModel>,
    /// RTT; `None` if it is not known.
    pub rtt: Option<Duration>,
    /// How long the viewer waits for an incomplete frame.
    pub playout_delay: Duration,
    /// Whether the viewer can request missing chunks.
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
    /// Number of rounds of NACK and answer that fit the playout delay if the
    /// frame's packets are spread over `spread`.
    pub fn rounds(&self, spread: Duration) -> u32 {
        let Some(rtt) = self.rtt.filter(|_| self.nack && self.loss.is_some()) else {
            return 0;
        };
        let left = self.playout_delay.saturating_sub(spread);
        let rounds = left.as_nanos() / (rtt + ROUND_OVERHEAD).as_nanos();
        rounds.min(MAX_ROUNDS as u128) as u32
    }

    /// Longest time over which to spread the packets of a frame: at most half the
    /// frame interval and a quarter of the playout delay. Spreading never costs a
    /// round of NACK and answer.
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

/// Interval between the packets of an answer of `packets` packets. They are
/// spread a little, so that one burst of loss does not take all of them.
pub fn retransmit_gap(packets: usize) -> Duration {
    ANSWER_GAP.min(ANSWER_SPREAD / packets.max(1) as u32)
}

/// Longest time over which an answer is spread.
pub fn retransmit_spread() -> Duration {
    ANSWER_SPREAD
}

/// Largest interval between the packets of an answer.
const ANSWER_GAP: Duration = Duration::from_millis(1);

/// Longest time over which an answer is spread.
const ANSWER_SPREAD: Duration = Duration::from_millis(4);

/// Time that a round takes in addition to the RTT: detecting the loss, and
/// tolerance for reordering.
const ROUND_OVERHEAD: Duration = Duration::from_millis(6);

/// Packets are spread over at least this time, if there is time.
const MIN_SPREAD: Duration = Duration::from_millis(4);
