//! Who decides what becomes of a datagram.

use std::time::Duration;

use fastrand::Rng;

use super::Impairment;

/// What was done to one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// Why it did not arrive at all.
    pub dropped: Option<Drop>,
    /// How many copies arrived unharmed.
    pub intact: u8,
    /// How many copies arrived with a bit flipped.
    pub corrupt: u8,
    /// Each copy, in the order of their making.
    pub passages: [Option<Passage>; 2],
}

/// Why a datagram did not arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drop {
    /// By chance.
    Loss,
    /// In a burst.
    Burst,
    /// The queue before the rate limit was full.
    Queue,
    /// Larger than the link carries.
    Mtu,
}

/// One copy of a datagram that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passage {
    /// When.
    pub arrives: Duration,
    /// The bit of it that is flipped.
    pub flipped: Option<usize>,
}

impl Passage {
    /// What arrives of a datagram.
    #[must_use]
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

/// Decides, with the same seed the same.
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

    /// What becomes of a datagram of `len` bytes.
    pub(super) fn judge(&mut self, len: usize, now: Duration) -> Deed {
        if let Some(drop) = self.drop(len, now) {
            return Deed {
                dropped: Some(drop),
                ..Deed::default()
            };
        }
        let departs = self.depart(len, now);
        let mut deed = Deed::default();
        let copies = if self.chance(self.impairment.duplicate) {
            2
        } else {
            1
        };
        for passage in deed.passages.iter_mut().take(copies) {
            let corrupt = self.chance(self.impairment.corrupt) && len > 0;
            let flipped = corrupt.then(|| self.rng.usize(..len * 8));
            deed.corrupt += u8::from(corrupt);
            deed.intact += u8::from(!corrupt);
            *passage = Some(Passage {
                arrives: departs + self.travel_time(),
                flipped,
            });
        }
        deed
    }

    fn drop(&mut self, len: usize, now: Duration) -> Option<Drop> {
        let burst = self.step_chain(now);
        let lost = self.chance(self.impairment.loss);
        if self.impairment.mtu.is_some_and(|mtu| len > mtu) {
            Some(Drop::Mtu)
        } else if burst {
            Some(Drop::Burst)
        } else if lost {
            Some(Drop::Loss)
        } else if self.impairment.rate.is_some()
            && self.free_at.saturating_sub(now) > self.impairment.queue
        {
            Some(Drop::Queue)
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
                // Beyond this the chain has forgotten where it came from.
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
        self.free_at
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

/// How far a datagram that is chosen for reordering falls behind.
pub const REORDER_BY: Duration = Duration::from_millis(3);

/// After this many steps even a slow chain is in either state by its long-run
/// chance alone.
const FORGOTTEN_STEPS: u32 = 10_000;
