//! A bye, which anybody can send in the sender's name: it counts once nothing
//! follows it.

use std::time::Duration;

/// This many frame intervals without media prove a bye ...
const INTERVALS: u32 = 2;

/// ... but no more than this.
const MAX_QUIET: Duration = Duration::from_millis(200);

/// A bye that media has followed for this long was forged, whatever it claims to
/// be the last packet.
const FORGOTTEN: Duration = Duration::from_secs(1);

/// A bye that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bye {
    /// When it arrived first.
    at: Duration,
    /// Media packets that were sent before it, as it says.
    media: u64,
    /// When media came last.
    media_at: Duration,
    /// Whether nothing followed it.
    counts: bool,
}

impl Bye {
    /// One that arrives `now`, after this many media packets.
    pub(super) fn new(media: u64, now: Duration) -> Self {
        Self {
            at: now,
            media,
            media_at: now,
            counts: false,
        }
    }

    /// Takes another copy.
    pub(super) fn repeat(&mut self, media: u64) {
        self.media = self.media.max(media);
    }

    /// Takes a new media packet with this number. Returns whether the bye may still
    /// be true: packets that it overtook come after it.
    pub(super) fn record_media(&mut self, number: u64, now: Duration) -> bool {
        self.media_at = now;
        number < self.media && now.saturating_sub(self.at) < FORGOTTEN
    }

    /// When it begins to count, where frames come `interval` apart.
    pub(super) fn counts_at(&self, interval: Option<Duration>) -> Duration {
        let quiet = interval.map_or(MAX_QUIET, |interval| interval.saturating_mul(INTERVALS));
        self.media_at + quiet.min(MAX_QUIET)
    }

    /// Lets it count from now on.
    pub(super) fn count(&mut self) {
        self.counts = true;
    }

    pub(super) fn counts(&self) -> bool {
        self.counts
    }

    /// Until when frames that were on the way are waited for.
    pub(super) fn over_at(&self, playout_delay: Duration) -> Duration {
        self.at + playout_delay
    }

    /// Media packets that the stream consists of.
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
