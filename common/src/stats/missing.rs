//! What the packet numbers tell of frames of which packets are missing.

use std::ops::Range;

use super::sequence::SequenceTracker;
use super::socket_drops::{LossCause, SocketDrops};
use super::unsent::UnsentRanges;
use crate::wire::native::Channel;

/// Everything that is known of missing packets.
#[derive(Clone, Copy, Debug)]
pub(super) struct MissingPackets<'a> {
    /// By channel, in the order of [`Channel`].
    pub(super) numbers: &'a [SequenceTracker; 3],
    pub(super) drops: &'a SocketDrops,
    pub(super) unsent: &'a UnsentRanges,
    /// The media packets that this side is accountable for, from the first to
    /// below the last.
    pub(super) media: (u64, u64),
}

/// What is known of a range of media packets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Missing {
    /// Why some are missing; `None` where none is known to be.
    pub(super) cause: Option<LossCause>,
    /// How many are missing.
    pub(super) count: u64,
    /// Whether some are beyond what is known to have been sent.
    pub(super) unknown: bool,
}

impl MissingPackets<'_> {
    /// What is known of a range of media packets.
    pub(super) fn of(&self, range: Range<u64>) -> Missing {
        let (first, sent) = self.media;
        let mut missing = Missing {
            unknown: range.end > sent || range.is_empty(),
            ..Missing::default()
        };
        let start = range.start.max(first);
        let end = range.end.min(sent).max(start);
        let media = &self.numbers[Channel::Media as usize];
        // What was sent before the packet that was received first.
        let opened = media.opened().unwrap_or(end).clamp(start, end);
        self.add(start..opened, None, &mut missing);
        for (gap_start, gap) in media.gaps_in(opened..end) {
            let clipped = gap_start.max(opened)..gap.end.min(end);
            self.add(clipped, gap.drop_event, &mut missing);
        }
        missing
    }

    fn add(&self, gap: Range<u64>, drop_event: Option<u64>, missing: &mut Missing) {
        let left = self.left(Channel::Media, gap.clone());
        let unsent = self.unsent(Channel::Media, &gap);
        let cause = || {
            self.drops
                .cause(drop_event, |channel, gap| self.left(channel, gap))
        };
        missing.count += left + unsent;
        let causes = [
            (unsent > 0).then_some(LossCause::SendError),
            (left > 0).then(cause),
        ];
        for cause in causes.into_iter().flatten() {
            missing.cause = Some(missing.cause.map_or(cause, |before| before.and(cause)));
        }
    }

    /// How many packets of a range left the sender and are missing.
    fn left(&self, channel: Channel, range: Range<u64>) -> u64 {
        let unsent = self.unsent(channel, &range);
        self.numbers[channel as usize].missing_in(range) - unsent
    }

    /// How many packets of a range never left.
    fn unsent(&self, channel: Channel, range: &Range<u64>) -> u64 {
        match channel {
            Channel::Media => {
                let missing = self.numbers[channel as usize].missing_in(range.clone());
                self.unsent.count_in(range).min(missing)
            }
            Channel::Repair | Channel::Control => 0,
        }
    }
}
