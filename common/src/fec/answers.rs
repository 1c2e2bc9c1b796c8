//! Chooses how many packets to send in answer to a NACK.
//!
//! A frame that stays incomplete has a price. The best answer is computed
//! backwards from the last round, for each number of missing packets: extra
//! packets are added until one more costs more than it saves.

use super::loss_model::LossModel;

/// Rounds of NACK and answer that are planned for. More add nothing.
pub(super) const MAX_ROUNDS: usize = 3;

/// Upper bound on the packets of an answer beyond the missing ones.
pub const MAX_EXTRA: usize = 32;

/// Largest number of missing packets that is planned for. A NACK for more gets as
/// many extra packets as one for this number.
const MAX_MISSING: usize = 64;

/// Price of a frame that stays incomplete, in packets. At this price, 0.2 to 0.5
/// frames in a thousand fail where one or two answers are possible.
pub(super) const PRICE: f64 = 300.0;

/// The best answers over a path. The model assumes that a burst may span a whole
/// answer and ends before the next one.
#[derive(Clone, Debug)]
pub struct AnswerPlan {
    /// Indexed by the rounds left, then by the number of missing packets.
    rounds: Vec<Vec<NackAnswer>>,
}

/// An answer, and the expected result of it and of those that follow it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct NackAnswer {
    /// Packets beyond the missing ones.
    extra: usize,
    /// Probability that the frame stays incomplete.
    pub(super) fails: f64,
    /// Expected number of packets sent.
    pub(super) packets: f64,
}

impl AnswerPlan {
    /// Plans up to `rounds` rounds, at most `MAX_ROUNDS`.
    pub fn new(model: &LossModel, rounds: usize) -> Self {
        let fails = NackAnswer {
            fails: 1.0,
            ..NackAnswer::default()
        };
        let mut over = vec![fails; MAX_MISSING + 1];
        over[0] = NackAnswer::default();
        let mut plan = Self { rounds: vec![over] };
        let losses = model.losses_of(MAX_MISSING + MAX_EXTRA);
        let unheard = model.all_lost(model.request_copies());
        for _ in 0..rounds.min(MAX_ROUNDS) {
            let next = plan.round(&losses, unheard);
            plan.rounds.push(next);
        }
        plan
    }

    /// Number of packets to ask for beyond the `missing` ones, in a NACK that
    /// `more` further rounds can follow.
    pub fn extra(&self, missing: usize, more: usize) -> usize {
        let round = self.rounds.get(more + 1).or(self.rounds.last());
        let answer = round.and_then(|round| round.get(missing.min(MAX_MISSING)));
        answer.map_or(0, |answer| answer.extra)
    }

    /// Expected result for `missing` packets, with all planned rounds left.
    pub(super) fn outcome(&self, missing: usize) -> NackAnswer {
        let last = self.rounds.last().and_then(|round| round.get(missing));
        last.copied().unwrap_or_else(|| {
            let asked = if self.rounds.len() > 1 { missing } else { 0 };
            NackAnswer {
                fails: 1.0,
                packets: asked as f64,
                ..NackAnswer::default()
            }
        })
    }

    /// Plans one round before those already planned. `unheard` is the probability
    /// that every copy of the NACK is lost.
    fn round(&self, losses: &[Vec<f64>], unheard: f64) -> Vec<NackAnswer> {
        let mut round = vec![NackAnswer::default()];
        for missing in 1..=MAX_MISSING {
            let unanswered = self.outcome(missing);
            // The best number of extra packets never falls as more are missing.
            let from = round[missing - 1].extra;
            let mut best = NackAnswer::default();
            for extra in from..=MAX_EXTRA {
                let sent = missing + extra;
                let mut answer = NackAnswer {
                    extra,
                    fails: unheard * unanswered.fails,
                    packets: unheard * unanswered.packets + (1.0 - unheard) * sent as f64,
                };
                for (lost, chance) in losses[sent].iter().enumerate().skip(extra) {
                    let after = self.outcome(lost - extra);
                    answer.fails += (1.0 - unheard) * chance * after.fails;
                    answer.packets += (1.0 - unheard) * chance * after.packets;
                }
                if extra > from && answer.cost() >= best.cost() {
                    break;
                }
                best = answer;
            }
            round.push(best);
        }
        round
    }
}

impl NackAnswer {
    fn cost(&self) -> f64 {
        self.packets + PRICE * self.fails
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(loss: f64, burst: f64) -> AnswerPlan {
        AnswerPlan::new(&LossModel::new(loss, burst), MAX_ROUNDS)
    }

    #[test]
    fn answers_grow_with_loss_and_bursts_and_most_in_the_last_round() {
        let plans = [plan(0.0, 1.0), plan(0.05, 1.0), plan(0.2, 1.0)];
        assert_eq!(plans[0].extra(20, 0), 0);
        for missing in [1, 5, 20, 60] {
            for more in 0..MAX_ROUNDS {
                let by_loss = plans.each_ref().map(|plan| plan.extra(missing, more));
                assert!(by_loss.is_sorted(), "{missing}, {more}: {by_loss:?}");
            }
            let by_round = [0, 1, 2].map(|more| plans[2].extra(missing, more));
            assert!(by_round.is_sorted_by(|a, b| a >= b), "{by_round:?}");
        }
        let last = [1, 5, 20].map(|missing| plans[1].extra(missing, 0));
        assert!(last[0] >= 1 && last.is_sorted(), "{last:?}");
        let [single, bursts] = [1.0, 5.0].map(|burst| plan(0.05, burst).extra(5, 0));
        assert!(bursts >= single + 3, "{single}, {bursts}");
    }

    #[test]
    fn each_round_makes_frames_fail_more_seldom() {
        let model = LossModel::new(0.1, 2.0);
        let fails = [0, 1, 2, 3].map(|rounds| AnswerPlan::new(&model, rounds).outcome(5).fails);
        assert_eq!(fails[0], 1.0);
        assert!(fails.is_sorted_by(|a, b| a > b), "{fails:?}");
        assert!(fails[2] < 2e-3, "{fails:?}");
    }
}
