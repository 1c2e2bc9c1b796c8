//! Limits on deriving keys for strangers.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::prefix::SourcePrefix;

use crate::Refusal;

/// Keys that may fail in a second from one address (IPv6: one prefix of 64 bits). This limits an
/// attacker who tries passphrases. A program with the right key never fails.
pub(crate) const FAILURES: u32 = 100;

/// A number of trials that is available each second.
#[derive(Debug)]
pub(crate) struct Trials {
    a_second: u32,
    left: u32,
    since: Duration,
}

impl Trials {
    pub(crate) fn new(a_second: u32) -> Self {
        Self {
            a_second,
            left: a_second,
            since: Duration::ZERO,
        }
    }

    /// Takes a trial, if one is left at `now`.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        self.fill(now);
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }

    /// Refills the trials if a second has passed. Returns whether it has.
    fn fill(&mut self, now: Duration) -> bool {
        let begins = now.saturating_sub(self.since) >= Duration::from_secs(1);
        if begins {
            (self.left, self.since) = (self.a_second, now);
        }
        begins
    }
}

/// Trials for peers that have not proved to have the key: a number in total, and fewer for each
/// address.
#[derive(Debug)]
pub(crate) struct Strangers {
    trials: Trials,
    /// Failures in this second. A trial adds at most one.
    failed: HashMap<SourcePrefix, u32>,
}

impl Strangers {
    pub(crate) fn new(a_second: u32) -> Self {
        Self {
            trials: Trials::new(a_second),
            failed: HashMap::new(),
        }
    }

    /// Tries to open a datagram from an address. Without a trial left, it counts as not authentic.
    pub(crate) fn open(
        &mut self,
        from: SocketAddr,
        now: Duration,
        open: impl FnOnce(&mut Trials) -> Result<usize, Refusal>,
    ) -> Result<usize, Refusal> {
        if !self.take(from, now) {
            return Err(Refusal::Unauthentic);
        }
        let opened = open(&mut Trials::new(1));
        if opened == Err(Refusal::Unauthentic) {
            self.record_failure(from);
        }
        opened
    }

    /// Takes a trial for an address, if one is left at `now`.
    fn take(&mut self, from: SocketAddr, now: Duration) -> bool {
        if self.trials.fill(now) {
            self.failed.clear();
        }
        let failed = self.failed.get(&SourcePrefix::of(from.ip()));
        failed.is_none_or(|failed| *failed < FAILURES) && self.trials.take(now)
    }

    /// Counts a failed trial.
    fn record_failure(&mut self, from: SocketAddr) {
        *self.failed.entry(SourcePrefix::of(from.ip())).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_the_trials_of_each_second() {
        let mut trials = Trials::new(3);
        let at = Duration::from_millis;
        let taken = |trials: &mut Trials, now| (0..9).filter(|_| trials.take(now)).count();
        assert_eq!(taken(&mut trials, at(100)), 3);
        assert_eq!(taken(&mut trials, at(900)), 0);
        assert_eq!(taken(&mut trials, at(1_000)), 3);
    }

    #[test]
    fn bounds_the_failures_of_an_address_and_of_all_together() {
        let mut strangers = Strangers::new(10 * FAILURES);
        let mut tried = |host: u8, now| {
            let from = SocketAddr::from(([192, 0, 2, host], 1_000));
            let mut tried = 0;
            for port in 0..2 * FAILURES as u16 {
                let from = SocketAddr::new(from.ip(), 1_000 + port);
                if strangers.take(from, now) {
                    strangers.record_failure(from);
                    tried += 1;
                }
            }
            tried
        };
        let second = Duration::from_secs(1);
        assert_eq!(tried(1, second), FAILURES);
        assert_eq!(tried(1, second), 0);
        let others: u32 = (2..30).map(|host| tried(host, second)).sum();
        assert_eq!(others, 9 * FAILURES);
        assert_eq!(tried(1, 2 * second), FAILURES);
    }
}
