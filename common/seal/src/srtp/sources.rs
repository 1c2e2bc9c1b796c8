//! Sources that have sent authentic packets.

use std::time::Duration;

use super::SILENCE;

/// Most sources that are remembered, so that a recording of them is refused. Beyond that, the one
/// silent for longest is forgotten.
pub(super) const MAX_SOURCES: usize = 128;

#[derive(Debug, Default)]
pub(super) struct SrtpSources(Vec<SrtpSource>);

#[derive(Debug)]
struct SrtpSource {
    number: u32,
    /// Times of the last packet taken and of the last RTP packet.
    taken: Duration,
    media: Option<Duration>,
}

impl SrtpSources {
    pub(super) fn contains(&self, number: u32) -> bool {
        self.0.iter().any(|source| source.number == number)
    }

    /// Whether no RTP packet of the source was taken recently.
    pub(super) fn is_silent(&self, number: u32, now: Duration) -> bool {
        let media = self.0.iter().find(|source| source.number == number);
        let media = media.and_then(|source| source.media);
        media.is_none_or(|media| now.saturating_sub(media) >= SILENCE)
    }

    /// Records a packet of a source. Returns the source that is forgotten in its place, if any.
    pub(super) fn record(&mut self, number: u32, is_media: bool, now: Duration) -> Option<u32> {
        let media = is_media.then_some(now);
        let mut known = self.0.iter_mut();
        if let Some(source) = known.find(|source| source.number == number) {
            source.taken = now;
            source.media = media.or(source.media);
            return None;
        }
        let full = self.0.len() >= MAX_SOURCES;
        let places = self.0.iter().enumerate();
        let silent = places.min_by_key(|(_, source)| source.taken);
        let silent = silent.filter(|_| full).map(|(place, _)| place);
        let forgotten = silent.map(|place| self.0.swap_remove(place).number);
        self.0.push(SrtpSource {
            number,
            taken: now,
            media,
        });
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_source_silent_for_longest() {
        let mut sources = SrtpSources::default();
        let at = Duration::from_secs;
        for number in 0..MAX_SOURCES as u32 {
            assert_eq!(sources.record(number, true, at(number.into())), None);
        }
        assert_eq!(sources.record(0, false, at(500)), None);
        assert_eq!(sources.record(1_000, true, at(501)), Some(1));
        assert!(sources.contains(0) && !sources.contains(1));
        assert_eq!(sources.0.len(), MAX_SOURCES);
        assert!(sources.is_silent(0, at(501)), "reports are not media");
        assert!(!sources.is_silent(1_000, at(501)));
    }
}
