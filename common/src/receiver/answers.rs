//! What was asked for of one frame, and what is seen of the answers: the
//! packets of each come in the order that they were asked for, so that what
//! has come shows what is lost, and when the rest is to come.

use std::collections::BTreeMap;
use std::time::Duration;

/// An answer is not taken for that of a request so short a time ago: this part
/// of a round trip, in percent, since round trips differ.
const SOONEST: u32 = 75;

/// The chunks of one frame that were asked for.
#[derive(Debug, Default)]
pub(super) struct Answers {
    chunks: BTreeMap<u16, AskedChunk>,
    /// One for each request that named the frame, the oldest first.
    answers: Vec<Answer>,
}

/// One request's answer.
#[derive(Debug)]
struct Answer {
    asked: Duration,
    /// Time from packet to packet.
    gap: Duration,
    /// The places in it that came, each further than the one before, and when.
    reached: Vec<(u16, Duration)>,
}

/// What was done for one chunk.
#[derive(Debug, Default)]
struct AskedChunk {
    /// When the newest answer ought to have come, while nothing of it is seen.
    answered: Duration,
    /// The answers that it is to come with, the newest last, and its place in
    /// each: one for each time that it was asked for.
    places: Vec<(usize, u16)>,
}

impl Answer {
    /// When the packet at a place came, or should have.
    fn expected(&self, place: u16) -> Option<Duration> {
        let beyond = self
            .reached
            .partition_point(|(reached, _)| *reached < place);
        match self.reached.get(beyond) {
            Some((_, since)) => Some(*since),
            None => {
                let (reached, at) = self.reached.last()?;
                Some(*at + self.gap * u32::from(place - reached))
            }
        }
    }
}

impl Answers {
    /// Notes that these are asked for now, whose packets will leave `gap` apart
    /// and ought to have come at `answered`.
    pub(super) fn note_asked(
        &mut self,
        chunks: &[u16],
        gap: Duration,
        answered: Duration,
        now: Duration,
    ) {
        let answer = self.answers.len();
        for (index, place) in chunks.iter().zip(0..) {
            let chunk = self.chunks.entry(*index).or_default();
            chunk.answered = answered;
            chunk.places.push((answer, place));
        }
        self.answers.push(Answer {
            asked: now,
            gap,
            reached: Vec::new(),
        });
    }

    /// Notes that a chunk comes that was sent again. Where it is the first of
    /// its answer: by how much it is later than a round trip after the request.
    pub(super) fn note_came(
        &mut self,
        index: u16,
        rtt: Duration,
        now: Duration,
    ) -> Option<Duration> {
        let places = &self.chunks.get(&index)?.places;
        let (answer, place) = places.iter().rev().find_map(|(answer, place)| {
            let possible = self.answers[*answer].asked + rtt * SOONEST / 100 <= now;
            possible.then_some((*answer, *place))
        })?;
        let answer = &mut self.answers[answer];
        let first = answer.reached.is_empty();
        if answer
            .reached
            .last()
            .is_none_or(|(furthest, _)| *furthest < place)
        {
            answer.reached.push((place, now));
        }
        let soonest = answer.asked + rtt + answer.gap * u32::from(place);
        first.then(|| now.saturating_sub(soonest))
    }

    /// How often a chunk was asked for.
    pub(super) fn rounds(&self, index: u16) -> u32 {
        self.chunks
            .get(&index)
            .map_or(0, |chunk| chunk.places.len() as u32)
    }

    /// When a chunk that is missing may be asked for again; `None` where it was
    /// not asked for yet.
    pub(super) fn due(&self, index: u16, patience: Duration) -> Option<Duration> {
        let chunk = self.chunks.get(&index)?;
        let ((newest, place), earlier) = chunk.places.split_last()?;
        let newest = &self.answers[*newest];
        let own = newest.expected(*place);
        let own = own.map_or(chunk.answered, |at| at + patience);
        // An answer that comes after it was asked for once more was only late:
        // the second request drew nothing.
        let late = earlier.iter().filter_map(|(answer, place)| {
            let expected = self.answers[*answer].expected(*place)?;
            (expected > newest.asked).then_some(expected + patience)
        });
        late.chain([own]).min()
    }
}
