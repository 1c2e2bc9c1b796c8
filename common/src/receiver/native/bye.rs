//! A bye. Anybody can forge one, so it counts only when nothing follows it.

use std::time::Duration;

/// A bye counts after this many frame intervals without media ...
const INTERVALS: u32 = 2;

/// ... but no more than this.
const MAX_QUIET: Duration = Duration::from_millis(200);

/// A bye that media has followed for this long was forged, whatever last packet it claims.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// A received bye.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bye {
    /// When it first arrived.
    at: Duration,
    /// Media packets sent before it, as it claims.
    media: u64,
    /// When media last arrived.
    media_at: Duration,
    /// Whether it counts.
    counts: bool,
}

impl Bye {
    /// A bye that arrives `now`, after this many media packets.
    pub(super) fn new(media: u64, now: Duration) -> Self {
        Self {
            at: now,
            media,
            media_at: now,
            counts: false,
        }
    }

    /// Records a repetition.
    pub(super) fn repeat(&mut self, media: u64) {
        self.media = self.media.max(media);
    }

    /// Records a new media packet with this number. Returns whether the bye may still be true:
    /// packets that it overtook arrive after it.
    pub(super) fn record_media(&mut self, number: u64, now: Duration) -> bool {
        self.media_at = now;
        number < self.media && now.saturating_sub(self.at) < FORGOTTEN
    }

    /// When it begins to count, at this frame interval.
    pub(super) fn counts_at(&self, interval: Option<Duration>) -> Duration {
        let quiet = interval.map_or(MAX_QUIET, |interval| interval.saturating_mul(INTERVALS));
        self.media_at + quiet.min(MAX_QUIET)
    }

    /// Makes it count from now on.
    pub(super) fn count(&mut self) {
        self.counts = true;
    }

    pub(super) fn counts(&self) -> bool {
        self.counts
    }

    /// How long frames on the way are waited for.
    pub(super) fn over_at(&self, playout_delay: Duration) -> Duration {
        self.at + playout_delay
    }

    /// The number of media packets in the stream.
    pub(super) fn media(&self) -> u64 {
        self.media
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn it_counts_two_intervals_after_the_last_media_and_within_a_fifth_of_a_second() {
        let mut bye = Bye::new(10, 100 * MS);
        assert_eq!(bye.counts_at(Some(33 * MS)), 166 * MS);
        assert_eq!(bye.counts_at(Some(500 * MS)), 300 * MS);
        assert_eq!(bye.counts_at(None), 300 * MS);
        assert!(bye.record_media(9, 110 * MS), "it was overtaken");
        assert_eq!(bye.counts_at(Some(33 * MS)), 176 * MS);
        assert!(!bye.record_media(10, 120 * MS), "it came after the last");
    }

    #[test]
    fn one_that_claims_what_was_never_sent_is_forgotten() {
        let mut bye = Bye::new(1 << 40, 100 * MS);
        assert!(bye.record_media(10, 1_000 * MS));
        assert!(!bye.record_media(11, 1_100 * MS));
    }
}
