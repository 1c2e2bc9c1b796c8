//! How many packets answer a NACK, and what comes of it.
//!
//! With a price for a frame that fails, the best answer follows backwards from
//! the last round, for each number of packets missing: so many packets more that
//! one further costs as much as it saves.

use super::loss_model::LossModel;

/// More rounds of NACK and answer than this add nothing.
pub(super) const MAX_ROUNDS: usize = 3;

/// The most packets that an answer has beyond the missing ones.
pub const MAX_EXTRA: usize = 32;

/// What is missing beyond this is asked for as if it were this.
const MAX_MISSING: usize = 64;

/// What a frame that fails costs, in packets. With one answer or two, a share of
/// 0.2 to 0.5 in a thousand fails then.
pub(super) const PRICE: f64 = 300.0;

/// The best answers over a path. Bursts last over an answer, and not until the
/// next one.
#[derive(Clone, Debug)]
pub struct AnswerPlan {
    /// By the rounds that are left, and by how many packets are missing.
    rounds: Vec<Vec<Answer>>,
}

/// An answer, and what is to come with it and those after it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    /// Packets beyond those missing.
    extra: usize,
    /// The chance that the frame stays incomplete.
    pub(super) fails: f64,
    /// Packets that are sent, on average.
    pub(super) packets: f64,
}

impl AnswerPlan {
    /// The plan for up to this many rounds, of which [`MAX_ROUNDS`] count.
    #[must_use]
    pub fn new(model: &LossModel, rounds: usize) -> Self {
        let fails = Answer {
            fails: 1.0,
            ..Answer::default()
        };
        let mut over = vec![fails; MAX_MISSING + 1];
        over[0] = Answer::default();
        let mut plan = Self { rounds: vec![over] };
        let losses = model.losses_of(MAX_MISSING + MAX_EXTRA);
        let unheard = model.all_lost(model.request_copies());
        for _ in 0..rounds.min(MAX_ROUNDS) {
            let next = plan.round(&losses, unheard);
            plan.rounds.push(next);
        }
        plan
    }

    /// How many packets more than `missing` to ask for, in a NACK after which
    /// this many more can follow.
    #[must_use]
    pub fn extra(&self, missing: usize, more: usize) -> usize {
        let round = self.rounds.get(more + 1).or(self.rounds.last());
        let answer = round.and_then(|round| round.get(missing.min(MAX_MISSING)));
        answer.map_or(0, |answer| answer.extra)
    }

    /// What comes of this many missing packets, with as many rounds as were
    /// planned for.
    pub(super) fn outcome(&self, missing: usize) -> Answer {
        let last = self.rounds.last().and_then(|round| round.get(missing));
        last.copied().unwrap_or_else(|| {
            let asked = if self.rounds.len() > 1 { missing } else { 0 };
            Answer {
                fails: 1.0,
                packets: asked as f64,
                ..Answer::default()
            }
        })
    }

    /// The answers with one round more than there are, where a NACK gets lost
    /// with a chance of `unheard`.
    fn round(&self, losses: &[Vec<f64>], unheard: f64) -> Vec<Answer> {
        let mut round = vec![Answer::default()];
        for missing in 1..=MAX_MISSING {
            let unanswered = self.outcome(missing);
            // More missing packets take no fewer.
            let from = round[missing - 1].extra;
            let mut best = Answer::default();
            for extra in from..=MAX_EXTRA {
                let sent = missing + extra;
                let mut answer = Answer {
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

impl Answer {
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
