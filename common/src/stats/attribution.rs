//! Why packets are missing: lost on the way, dropped in the socket's buffer,
//! damaged, or one of these and no telling which.
//!
//! The system counts what it drops and names nothing, and of a packet whose
//! header is damaged as well only its arrival is known. What is known is when:
//! between two datagrams that were received. Each such event opens an episode,
//! which ends when every channel has had a packet since. The gaps that these
//! packets show are what the episode may explain, and no others: a packet that
//! is out of order, found missing and only then dropped, is taken for lost.

use std::collections::VecDeque;
use std::ops::Range;

use crate::wire::native::Channel;

/// The most episodes that are remembered; what lies in older ones cannot be
/// told.
const MAX_EPISODES: usize = 256;

/// The most gaps of one episode: one for each channel, and some for what the
/// sender's totals show. With more the episode explains nothing for certain.
const MAX_EPISODE_GAPS: usize = 64;

/// Why a packet is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    /// Nothing of it reached this machine.
    Network,
    /// This machine had no room for it.
    Socket,
    /// It arrived damaged.
    Corrupt,
    /// It never left the sender.
    Refused,
    /// One of several.
    Mixed,
}

impl Cause {
    /// The cause of two packets together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        if self == other { self } else { Self::Mixed }
    }
}

/// The episodes of one stream.
#[derive(Clone, Debug, Default)]
pub struct Causes {
    episodes: VecDeque<Episode>,
    /// The number of the first episode in the queue.
    first: u64,
    /// The episode that the next gap of each channel belongs to.
    pending: [Option<u64>; 3],
}

#[derive(Clone, Debug, Default)]
struct Episode {
    dropped: u64,
    damaged: u64,
    /// Datagrams were dropped that may have been of other streams.
    of_others: bool,
    gaps: Vec<(Channel, Range<u64>)>,
}

impl Causes {
    /// Datagrams were dropped in the socket's buffer.
    pub fn note_dropped(&mut self, datagrams: u64) {
        if datagrams > 0 {
            self.open().dropped += datagrams;
        }
    }

    /// Datagrams were dropped in the buffer of a socket that several streams
    /// share: whose they were nobody knows.
    pub fn note_shared_drops(&mut self) {
        self.open().of_others = true;
    }

    /// A datagram arrived that is damaged beyond telling which it was.
    pub fn note_damaged(&mut self) {
        self.open().damaged += 1;
    }

    /// The episode that what a packet of this channel shows to be missing
    /// belongs to. The next one belongs to another.
    pub fn take(&mut self, channel: Channel) -> Option<u64> {
        self.pending[channel as usize].take()
    }

    /// Notes numbers that were found missing in an episode.
    pub fn note_gap(&mut self, episode: Option<u64>, channel: Channel, range: Range<u64>) {
        let episode = episode.and_then(|number| self.get_mut(number));
        if let Some(episode) = episode.filter(|_| !range.is_empty()) {
            episode.gaps.push((channel, range));
        }
    }

    /// What explains the packets of a gap that are still missing and were not
    /// named as damaged; `missing` counts such packets of a range.
    #[must_use]
    pub fn cause(
        &self,
        episode: Option<u64>,
        missing: impl Fn(Channel, Range<u64>) -> u64,
    ) -> Cause {
        let Some(number) = episode else {
            return Cause::Network;
        };
        let index = number.checked_sub(self.first).map(|index| index as usize);
        let Some(episode) = index.and_then(|index| self.episodes.get(index)) else {
            return Cause::Mixed;
        };
        let still = episode.still(missing);
        match (episode.dropped, episode.damaged) {
            _ if episode.gaps.len() >= MAX_EPISODE_GAPS || episode.of_others => Cause::Mixed,
            (0, 0) => Cause::Network,
            // Some may have been of a channel that was not heard since.
            (dropped, 0) if dropped > still && self.pending.contains(&Some(number)) => Cause::Mixed,
            (dropped, 0) if dropped >= still => Cause::Socket,
            (0, damaged) if damaged >= still => Cause::Corrupt,
            _ => Cause::Mixed,
        }
    }

    /// How many of the datagrams dropped last were none of the packets that are
    /// known to be missing: what a channel lost since it was heard last is not
    /// known yet.
    #[must_use]
    pub fn dropped_unseen(&self, missing: impl Fn(Channel, Range<u64>) -> u64) -> u64 {
        let pending = self.pending.iter().any(Option::is_some);
        let newest = self.episodes.back().filter(|_| pending);
        newest.map_or(0, |episode| {
            episode.dropped.saturating_sub(episode.still(missing))
        })
    }

    fn open(&mut self) -> &mut Episode {
        // While some channel has had no packet since the last event, its next
        // gap may be of either: they are one episode.
        let newest = (self.first + self.episodes.len() as u64).checked_sub(1);
        let goes_on = newest.is_some() && self.pending.contains(&newest);
        if !goes_on {
            self.episodes.push_back(Episode::default());
            if self.episodes.len() > MAX_EPISODES {
                self.episodes.pop_front();
                self.first += 1;
            }
        }
        let newest = self.first + self.episodes.len() as u64 - 1;
        self.pending = [Some(newest); 3];
        let last = self.episodes.len() - 1;
        &mut self.episodes[last]
    }

    fn get_mut(&mut self, number: u64) -> Option<&mut Episode> {
        let index = number.checked_sub(self.first)?;
        let episode = self.episodes.get_mut(usize::try_from(index).ok()?)?;
        (episode.gaps.len() < MAX_EPISODE_GAPS).then_some(episode)
    }
}

impl Episode {
    /// How many packets of its gaps are missing still.
    fn still(&self, missing: impl Fn(Channel, Range<u64>) -> u64) -> u64 {
        let gaps = self.gaps.iter();
        gaps.map(|(channel, range)| missing(*channel, range.clone()))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: fn(Channel, Range<u64>) -> u64 = |_, range| range.end - range.start;

    /// A gap of so many media and repair packets, found after what was noted.
    fn found(causes: &mut Causes, media: u64, repair: u64) -> [Cause; 2] {
        let gaps = [(Channel::Media, media), (Channel::Repair, repair)];
        let episodes = gaps.map(|(channel, missing)| {
            let episode = causes.take(channel);
            causes.note_gap(episode, channel, 10..10 + missing);
            episode
        });
        causes.take(Channel::Control);
        episodes.map(|episode| causes.cause(episode, ALL))
    }

    #[test]
    fn what_the_counter_explains_wholly_was_dropped_here_and_the_rest_is_mixed() {
        let mut causes = Causes::default();
        assert_eq!(found(&mut causes, 3, 1), [Cause::Network; 2]);
        causes.note_dropped(4);
        assert_eq!(found(&mut causes, 3, 1), [Cause::Socket; 2]);
        causes.note_dropped(4);
        assert_eq!(found(&mut causes, 4, 1), [Cause::Mixed; 2]);
        causes.note_damaged();
        assert_eq!(found(&mut causes, 1, 0), [Cause::Corrupt; 2]);
        causes.note_damaged();
        causes.note_dropped(1);
        assert_eq!(found(&mut causes, 1, 0), [Cause::Mixed; 2]);
        assert_eq!(found(&mut causes, 1, 0), [Cause::Network; 2]);
    }

    #[test]
    fn an_episode_lasts_until_every_channel_was_heard() {
        let mut causes = Causes::default();
        causes.note_dropped(2);
        let media = causes.take(Channel::Media);
        causes.note_gap(media, Channel::Media, 0..2);
        // The repair channel has not been heard: its gap may be of the first
        // event or of this one.
        causes.note_dropped(1);
        let again = causes.take(Channel::Media);
        causes.note_gap(again, Channel::Media, 5..7);
        assert_eq!(media, again);
        assert_eq!(causes.cause(media, ALL), Cause::Mixed);
    }

    #[test]
    fn what_a_shared_socket_dropped_may_have_been_of_this_stream_or_not() {
        let mut causes = Causes::default();
        causes.note_shared_drops();
        assert_eq!(found(&mut causes, 3, 1), [Cause::Mixed; 2]);
        assert_eq!(found(&mut causes, 3, 1), [Cause::Network; 2]);
    }

    #[test]
    fn what_is_forgotten_is_not_guessed() {
        let mut causes = Causes::default();
        causes.note_dropped(1);
        let first = causes.take(Channel::Media);
        for _ in 0..MAX_EPISODES {
            found(&mut causes, 1, 1);
            causes.note_dropped(1);
        }
        assert_eq!(causes.cause(first, ALL), Cause::Mixed);
    }
}
