//! How often keys are derived for strangers.

use std::time::Duration;

/// A measure that fills with time: what is tried for others than those who have
/// proved to have the key.
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

    /// Whether one more may be tried at `now`.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        if now.saturating_sub(self.since) >= Duration::from_secs(1) {
            (self.left, self.since) = (self.a_second, now);
        }
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_a_second() {
        let mut trials = Trials::new(3);
        let at = Duration::from_millis;
        let taken = |trials: &mut Trials, now| (0..9).filter(|_| trials.take(now)).count();
        assert_eq!(taken(&mut trials, at(100)), 3);
        assert_eq!(taken(&mut trials, at(900)), 0);
        assert_eq!(taken(&mut trials, at(1_000)), 3);
    }
}
