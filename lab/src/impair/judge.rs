//! Decides, from a seeded random number generator, what happens to a datagram.

use std::time::Duration;

use fastrand::Rng;

use super::Impairment;
use super::log::Act;

/// What happens to one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkDecision {
    /// Why no copy arrives.
    pub dropped: Option<Act>,
    /// Number of intact copies that arrive.
    pub intact: u8,
    /// Number of copies that arrive with a flipped bit.
    pub corrupt: u8,
    /// Each copy that arrives, in the order of creation.
    pub passages: [Option<Passage>; 2],
}

/// A copy of a datagram that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Time of arrival.
    pub arrives: Duration,
    /// Index of the flipped bit.
    pub flipped: Option<usize>,
}

impl Passage {
    /// The bytes that arrive of a datagram.
    pub fn copy(&self, datagram: &[u8]) -> Vec<u8> {
        let mut copy = datagram.to_vec();
        if let Some(bit) = self.flipped
            && let Some(byte) = copy.get_mut(bit / 8)
        {
            *byte ^= 1 << (bit % 8);
        }
        copy
    }
}

/// Makes the decisions. The same seed gives the same ones.
#[derive(Debug)]
pub(super) struct Judge {
    impairment: Impairment,
    rng: Rng,
    bad: bool,
    stepped: Duration,
    free_at: Duration,
}

impl Judge {
    pub(super) fn new(impairment: Impairment) -> Self {
        Self {
            rng: Rng::with_seed(impairment.seed),
            impairment,
            bad: false,
            stepped: Duration::ZERO,
            free_at: Duration::ZERO,
        }
    }

    /// Sets the rate of the bottleneck: what waits in front of it takes longer or less
    /// long, and its bucket as well, for the datagrams behind.
    pub(super) fn set_rate(&mut self, rate: u64, now: Duration) {
        let before = self.impairment.rate.replace(rate).unwrap_or(rate);
        let waiting = self.free_at.saturating_sub(now);
        self.free_at = now + waiting.mul_f64(before as f64 / rate.max(1) as f64);
    }

    /// Decides about a datagram of `len` bytes.
    pub(super) fn judge(&mut self, len: usize, now: Duration) -> LinkDecision {
        if let Some(drop) = self.drop(len, now) {
            return LinkDecision {
                dropped: Some(drop),
                ..LinkDecision::default()
            };
        }
        let departs = self.depart(len, now);
        let mut decision = LinkDecision::default();
        let copies = if self.chance(self.impairment.duplicate) {
            2
        } else {
            1
        };
        for passage in decision.passages.iter_mut().take(copies) {
            let corrupt = self.chance(self.impairment.corrupt) && len > 0;
            let flipped = corrupt.then(|| self.rng.usize(..len * 8));
            decision.corrupt += u8::from(corrupt);
            decision.intact += u8::from(!corrupt);
            *passage = Some(Passage {
                arrives: departs + self.travel_time(),
                flipped,
            });
        }
        decision
    }

    fn drop(&mut self, len: usize, now: Duration) -> Option<Act> {
        let burst = self.step_chain(now);
        let lost = self.chance(self.impairment.loss);
        if self.impairment.mtu.is_some_and(|mtu| len > mtu) {
            Some(Act::Mtu)
        } else if burst {
            Some(Act::Burst)
        } else if lost {
            Some(Act::Lost)
        } else if self.impairment.rate.is_some()
            && self.free_at.saturating_sub(now) > self.impairment.queue + self.bucket()
        {
            Some(Act::Queue)
        } else {
            None
        }
    }

    fn step_chain(&mut self, now: Duration) -> bool {
        let Some(chain) = self.impairment.bursts else {
            return false;
        };
        let steps = match chain.step {
            None => 1,
            Some(step) => {
                let (elapsed, step) = (
                    now.saturating_sub(self.stepped).as_nanos(),
                    step.as_nanos().max(1),
                );
                let into = u64::try_from(elapsed % step).unwrap_or(u64::MAX);
                self.stepped = self.stepped.max(now - Duration::from_nanos(into));
                // After this many steps, the starting state no longer matters.
                let steps = u32::try_from(elapsed / step).unwrap_or(u32::MAX);
                steps.min(FORGOTTEN_STEPS)
            }
        };
        for _ in 0..steps {
            let turn = if self.bad { chain.r } else { chain.p };
            self.bad ^= self.chance(turn);
        }
        self.bad
    }

    fn depart(&mut self, len: usize, now: Duration) -> Duration {
        let Some(rate) = self.impairment.rate else {
            return now;
        };
        let takes = Duration::from_secs_f64(len as f64 * 8.0 / rate.max(1) as f64);
        self.free_at = self.free_at.max(now) + takes;
        self.free_at.saturating_sub(self.bucket()).max(now)
    }

    /// How far the bottleneck may be ahead of its rate.
    fn bucket(&self) -> Duration {
        let Impairment { bucket, rate, .. } = self.impairment;
        let rate = rate.unwrap_or(u64::MAX).max(1);
        Duration::from_secs_f64(bucket as f64 * 8.0 / rate as f64)
    }

    fn travel_time(&mut self) -> Duration {
        let Impairment {
            delay,
            jitter,
            reorder,
            ..
        } = self.impairment;
        let spread = jitter.mul_f64(2.0 * self.rng.f64());
        let held = if self.chance(reorder) {
            REORDER_BY
        } else {
            Duration::ZERO
        };
        (delay + spread).saturating_sub(jitter) + held
    }

    fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.rng.f64() < probability
    }
}

/// Delay of datagrams that are selected for reordering.
pub const REORDER_BY: Duration = Duration::from_millis(3);

/// Steps after which even a slow chain has reached its long-run distribution.
const FORGOTTEN_STEPS: u32 = 10_000;
