//! Reports an error that recurs with every datagram once.

use std::time::Duration;

/// After this long without an error, a destination counts as reachable again. Connection refused
/// comes back for every other datagram, so one success says little.
const QUIET: Duration = Duration::from_secs(1);

/// Decides when an error is new, and when it is over.
#[derive(Debug, Default)]
pub(super) struct ErrorThrottle {
    /// The first error and the last one.
    span: Option<(Duration, Duration)>,
}

impl ErrorThrottle {
    /// Records an error. Returns whether it is new.
    pub(super) fn is_new(&mut self, now: Duration) -> bool {
        let first = self.since();
        self.span = Some((first.unwrap_or(now), now));
        first.is_none()
    }

    /// Records a success. Returns whether the previous errors are over.
    pub(super) fn clears(&mut self, now: Duration) -> bool {
        let is_over = |(_, last): (_, Duration)| now.saturating_sub(last) >= QUIET;
        self.span.take_if(|span| is_over(*span)).is_some()
    }

    /// When the errors began.
    pub(super) fn since(&self) -> Option<Duration> {
        self.span.map(|(first, _)| first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn errors_and_their_end_are_reported_once() {
        let mut errors = ErrorThrottle::default();
        assert!(!errors.clears(Duration::ZERO));
        assert!(errors.is_new(1000 * MS));
        assert!(!errors.clears(1010 * MS));
        assert!(!errors.is_new(1900 * MS));
        assert!(!errors.clears(2800 * MS));
        assert!(errors.clears(2900 * MS));
        assert!(!errors.clears(4000 * MS));
        assert!(errors.is_new(5000 * MS));
    }
}
