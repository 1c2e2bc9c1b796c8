//! An impaired link in virtual time: what a network does to datagrams, seeded,
//! with a true record of what it did.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use fastrand::Rng;

/// What the link does to datagrams. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Chance that a datagram is lost, each by itself, 0 to 1.
    pub loss: f64,
    /// Loss in bursts besides.
    pub bursts: Option<GilbertElliott>,
    /// Time on the way.
    pub delay: Duration,
    /// Spread of that time: each datagram takes `delay` ± up to `jitter`,
    /// evenly distributed, and may overtake another.
    pub jitter: Duration,
    /// Chance that a datagram is held back by [`REORDER_BY`].
    pub reorder: f64,
    /// Chance that a datagram arrives twice.
    pub duplicate: f64,
    /// Chance that one bit of a copy is flipped.
    pub corrupt: f64,
    /// Bits a second of UDP payload that the link carries.
    pub rate: Option<u64>,
    /// How long a datagram may wait for its turn where `rate` is set.
    pub queue: Duration,
    /// The largest datagram that passes, in bytes of UDP payload.
    pub mtu: Option<usize>,
    /// The same seed does the same to the same datagrams.
    pub seed: u64,
}

/// A two-state Markov chain stepped with every datagram, or in time: nothing
/// is lost in the good state, everything in the bad one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GilbertElliott {
    /// Chance of turning bad at a step.
    pub p: f64,
    /// Chance of turning good again.
    pub r: f64,
    /// Time from step to step; `None` steps with each datagram.
    pub step: Option<Duration>,
}

/// What was done to one datagram.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Deed {
    /// Why it did not arrive at all.
    pub dropped: Option<Drop>,
    /// How many copies arrived unharmed.
    pub intact: u8,
    /// How many copies arrived with a bit flipped.
    pub corrupt: u8,
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

/// The link. Input: [`Link::send`]; output: [`Link::poll`], due at
/// [`Link::poll_timeout`].
#[derive(Debug)]
pub struct Link {
    impairment: Impairment,
    rng: Rng,
    bad: bool,
    stepped: Duration,
    free_at: Duration,
    sequence: u64,
    on_the_way: BinaryHeap<Reverse<Travelling>>,
}

/// How far a datagram that is chosen for reordering falls behind.
pub const REORDER_BY: Duration = Duration::from_millis(3);

impl Link {
    /// A link that does this.
    #[must_use]
    pub fn new(impairment: Impairment) -> Self {
        Self {
            rng: Rng::with_seed(impairment.seed),
            impairment,
            bad: false,
            stepped: Duration::ZERO,
            free_at: Duration::ZERO,
            sequence: 0,
            on_the_way: BinaryHeap::new(),
        }
    }

    /// Puts a datagram on the link and tells what becomes of it.
    pub fn send(&mut self, datagram: &[u8], now: Duration) -> Deed {
        if let Some(drop) = self.drop(datagram.len(), now) {
            return Deed {
                dropped: Some(drop),
                ..Deed::default()
            };
        }
        let departs = self.depart(datagram.len(), now);
        let mut deed = Deed::default();
        let copies = if self.chance(self.impairment.duplicate) {
            2
        } else {
            1
        };
        for _ in 0..copies {
            let mut datagram = datagram.to_vec();
            if self.chance(self.impairment.corrupt) && !datagram.is_empty() {
                let bit = self.rng.usize(..datagram.len() * 8);
                datagram[bit / 8] ^= 1 << (bit % 8);
                deed.corrupt += 1;
            } else {
                deed.intact += 1;
            }
            let arrives = departs + self.travel_time();
            self.sequence += 1;
            self.on_the_way.push(Reverse(Travelling {
                arrives,
                sequence: self.sequence,
                datagram,
            }));
        }
        deed
    }

    /// The next datagram that has arrived by `now`.
    pub fn poll(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.poll_timeout()? > now {
            return None;
        }
        self.on_the_way
            .pop()
            .map(|Reverse(travelling)| travelling.datagram)
    }

    /// When the next datagram arrives.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.on_the_way
            .peek()
            .map(|Reverse(travelling)| travelling.arrives)
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
                let elapsed = now.saturating_sub(self.stepped).as_nanos() / step.as_nanos().max(1);
                // Beyond this the chain has forgotten where it came from.
                let steps = u32::try_from(elapsed).unwrap_or(u32::MAX);
                self.stepped += step * steps;
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

/// A datagram on its way; the earliest arrival first, and of two the one that
/// was sent first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Travelling {
    arrives: Duration,
    sequence: u64,
    datagram: Vec<u8>,
}

/// After so many steps even a slow chain is in either state by its long-run
/// chance alone.
const FORGOTTEN_STEPS: u32 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn deeds(impairment: Impairment, datagrams: usize) -> Vec<Deed> {
        let mut link = Link::new(impairment);
        (0..datagrams)
            .map(|i| link.send(&[0; 100], Duration::from_micros(100) * i as u32))
            .collect()
    }

    fn share(deeds: &[Deed], of: impl Fn(&Deed) -> bool) -> f64 {
        deeds.iter().filter(|deed| of(deed)).count() as f64 / deeds.len() as f64
    }

    #[test]
    fn a_link_without_impairment_delivers_in_order_at_once() {
        let mut link = Link::new(Impairment::default());
        for byte in 0..10 {
            link.send(&[byte], Duration::ZERO);
        }
        let arrived: Vec<_> = std::iter::from_fn(|| link.poll(Duration::ZERO))
            .flatten()
            .collect();
        assert_eq!(arrived, (0..10).collect::<Vec<u8>>());
    }

    #[test]
    fn chances_come_true_over_many_datagrams() {
        let impairment = Impairment {
            loss: 0.05,
            duplicate: 0.02,
            corrupt: 0.01,
            seed: 1,
            ..Impairment::default()
        };
        let deeds = deeds(impairment, 200_000);
        assert!((share(&deeds, |deed| deed.dropped.is_some()) - 0.05).abs() < 0.003);
        assert!((share(&deeds, |deed| deed.intact + deed.corrupt == 2) - 0.019).abs() < 0.002);
        assert!((share(&deeds, |deed| deed.corrupt > 0) - 0.0097).abs() < 0.002);
    }

    #[test]
    fn bursts_have_their_share_and_their_mean_length() {
        let chain = GilbertElliott {
            p: 0.0105,
            r: 0.2,
            step: None,
        };
        let deeds = deeds(
            Impairment {
                bursts: Some(chain),
                seed: 2,
                ..Impairment::default()
            },
            400_000,
        );
        let lost = share(&deeds, |deed| deed.dropped == Some(Drop::Burst));
        let runs = deeds
            .windows(2)
            .filter(|pair| pair[0].dropped.is_none() && pair[1].dropped.is_some());
        let mean = lost * deeds.len() as f64 / runs.count() as f64;
        assert!((lost - 0.05).abs() < 0.005, "{lost}");
        assert!((mean - 5.0).abs() < 0.3, "{mean}");
    }

    #[test]
    fn a_rate_delays_and_a_full_queue_drops() {
        let impairment = Impairment {
            rate: Some(800_000),
            queue: Duration::from_millis(5),
            ..Impairment::default()
        };
        let mut link = Link::new(impairment);
        let deeds: Vec<_> = (0..10)
            .map(|_| link.send(&[0; 100], Duration::ZERO))
            .collect();
        assert_eq!(
            deeds
                .iter()
                .filter(|deed| deed.dropped == Some(Drop::Queue))
                .count(),
            4
        );
        assert_eq!(link.poll_timeout(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn the_same_seed_does_the_same() {
        let impairment = Impairment {
            loss: 0.3,
            duplicate: 0.2,
            corrupt: 0.1,
            seed: 9,
            ..Impairment::default()
        };
        assert_eq!(deeds(impairment.clone(), 1000), deeds(impairment, 1000));
    }
}
