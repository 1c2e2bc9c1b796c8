//! An impaired link: what a network does to datagrams, seeded, with an exact log.
//! [`Link`] works in virtual time, [`Stage`] in front of a socket, and
//! [`ImpairedLinks`] are the links of a program with their log.

mod judge;
mod links;
mod log;
mod spec;
mod stage;

use std::time::Duration;

pub use judge::{LinkDecision, Passage, REORDER_BY};
pub use links::ImpairedLinks;
pub use log::{Act, HEADER, Log, LogReader, LogRow, LoggedChunk, NoRow, PacketName, ReadError};
pub use spec::SpecError;
pub use stage::{Handed, MAX_BYTES, MAX_DATAGRAMS, Stage};

/// What the link does to datagrams. The default does nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Probability that a datagram is lost, independently of others, from 0 to 1.
    pub loss: f64,
    /// Loss in bursts, in addition to `loss`.
    pub bursts: Option<GilbertElliott>,
    /// One-way delay.
    pub delay: Duration,
    /// Jitter: the delay of each datagram varies by up to ± `jitter`, uniformly,
    /// so that datagrams may overtake each other.
    pub jitter: Duration,
    /// Probability that a datagram is held back by [`REORDER_BY`].
    pub reorder: f64,
    /// Probability that a datagram is duplicated.
    pub duplicate: f64,
    /// Probability that one bit of a copy is flipped.
    pub corrupt: f64,
    /// Bottleneck in bits of UDP payload per second.
    pub rate: Option<u64>,
    /// Longest queueing delay in front of the bottleneck.
    pub queue: Duration,
    /// Bytes that pass the bottleneck at once after a pause (token bucket): it carries
    /// `rate` in the long run only.
    pub bucket: usize,
    /// Largest datagram that passes, in bytes of UDP payload.
    pub mtu: Option<usize>,
    /// Random seed. The same seed gives the same result for the same datagrams.
    pub seed: u64,
}

impl Impairment {
    /// Upper bound on the time from sending to arrival.
    pub fn longest(&self) -> Duration {
        let held = if self.reorder > 0.0 {
            REORDER_BY
        } else {
            Duration::ZERO
        };
        self.delay + self.jitter + self.queue + held
    }
}

/// A two-state Markov chain, stepped by each datagram or by time. The good state
/// loses nothing, the bad one everything.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GilbertElliott {
    /// Probability per step of turning bad.
    pub p: f64,
    /// Probability per step of turning good.
    pub r: f64,
    /// Time between steps; `None` steps once per datagram.
    pub step: Option<Duration>,
}

/// The link in virtual time. Input: [`Link::send`]; output: [`Link::poll`], due at
/// [`Link::poll_timeout`].
#[derive(Debug)]
pub struct Link(Stage<()>);

impl Link {
    /// A link with this impairment.
    pub fn new(impairment: Impairment) -> Self {
        Self(Stage::since_zero(impairment))
    }

    /// Sends a datagram. Returns what happens to it.
    pub fn send(&mut self, datagram: &[u8], now: Duration) -> LinkDecision {
        self.0.push(datagram, (), now)
    }

    /// Sets the rate of the bottleneck from now on, in bits of UDP payload a second.
    pub fn set_rate(&mut self, rate: u64, now: Duration) {
        self.0.set_rate(rate, now);
    }

    /// The next datagram that has arrived by `now`.
    pub fn poll(&mut self, now: Duration) -> Option<Vec<u8>> {
        self.0.poll(now).map(|handed| handed.datagram)
    }

    /// When the next datagram arrives.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.0.poll_timeout()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decisions(impairment: Impairment, datagrams: usize) -> Vec<LinkDecision> {
        let mut link = Link::new(impairment);
        (0..datagrams)
            .map(|i| link.send(&[0; 100], Duration::from_micros(100) * i as u32))
            .collect()
    }

    fn share(decisions: &[LinkDecision], of: impl Fn(&LinkDecision) -> bool) -> f64 {
        decisions.iter().filter(|decision| of(decision)).count() as f64 / decisions.len() as f64
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
    fn probabilities_hold_over_many_datagrams() {
        let impairment = Impairment {
            loss: 0.05,
            duplicate: 0.02,
            corrupt: 0.01,
            seed: 1,
            ..Impairment::default()
        };
        let decisions = decisions(impairment, 200_000);
        assert!((share(&decisions, |decision| decision.dropped.is_some()) - 0.05).abs() < 0.003);
        assert!(
            (share(&decisions, |decision| decision.intact + decision.corrupt
                == 2)
                - 0.019)
                .abs()
                < 0.002
        );
        assert!((share(&decisions, |decision| decision.corrupt > 0) - 0.0097).abs() < 0.002);
    }

    #[test]
    fn bursts_have_their_share_and_their_mean_length() {
        let chain = GilbertElliott {
            p: 0.0105,
            r: 0.2,
            step: None,
        };
        let decisions = decisions(
            Impairment {
                bursts: Some(chain),
                seed: 2,
                ..Impairment::default()
            },
            400_000,
        );
        let lost = share(&decisions, |decision| decision.dropped == Some(Act::Burst));
        let runs = decisions
            .windows(2)
            .filter(|pair| pair[0].dropped.is_none() && pair[1].dropped.is_some());
        let mean = lost * decisions.len() as f64 / runs.count() as f64;
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
        let decisions: Vec<_> = (0..10)
            .map(|_| link.send(&[0; 100], Duration::ZERO))
            .collect();
        assert_eq!(
            decisions
                .iter()
                .filter(|decision| decision.dropped == Some(Act::Queue))
                .count(),
            4
        );
        assert_eq!(link.poll_timeout(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn a_bucket_lets_a_burst_pass_at_once_and_the_rate_after_it() {
        let impairment = Impairment {
            rate: Some(800_000),
            queue: Duration::from_millis(5),
            bucket: 400,
            ..Impairment::default()
        };
        let mut link = Link::new(impairment);
        let mut send = |count, now| {
            let decisions = (0..count).map(|_| link.send(&[0; 100], now));
            let passed = decisions.filter_map(|decision| decision.passages[0]);
            let delays = passed.map(|passage| (passage.arrives - now).as_millis());
            delays.collect::<Vec<_>>()
        };
        let millis = Duration::from_millis;
        assert_eq!(send(12, millis(0)), [0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
        // Six have left the queue and two tokens are there again.
        assert_eq!(send(3, millis(8)), [0, 0, 1]);
        assert_eq!(send(6, millis(100)), [0, 0, 0, 0, 1, 2]);
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
        assert_eq!(
            decisions(impairment.clone(), 1000),
            decisions(impairment, 1000)
        );
    }
}
