//! A bound on the frames that are kept here for all senders together.

use framegram_common::gallery::MAX_HELD;
use framegram_common::receiver::FrameId;

use super::Sender;

/// The most bytes of frames, as many as are held while they arrive: frames of
/// ordinary cameras are a thousandth of it.
pub(super) const MAX_KEPT: usize = MAX_HELD;

/// Drops frames while all senders together keep more than `most` bytes: those
/// shown before, whose loss leaves holes unfilled, and then those that wait.
/// The largest goes first. Returns the places and names of those that waited.
pub(super) fn bound(senders: &mut [Sender], most: usize) -> Vec<(usize, FrameId)> {
    let mut dropped = Vec::new();
    loop {
        let kept = senders
            .iter()
            .map(|sender| sender.last_len() + sender.waiting_len());
        if kept.sum::<usize>() <= most {
            return dropped;
        }
        let largest = |of: fn(&Sender) -> usize| {
            let places = senders.iter().enumerate();
            let largest = places.max_by_key(|(_, sender)| of(sender))?;
            (of(largest.1) > 0).then_some(largest.0)
        };
        if let Some(place) = largest(Sender::last_len) {
            senders[place].last = None;
        } else if let Some(place) = largest(Sender::waiting_len) {
            let waiting = senders[place].waiting.take();
            dropped.extend(waiting.map(|frame| (place, frame.id)));
        } else {
            return dropped;
        }
    }
}

impl Sender {
    fn last_len(&self) -> usize {
        self.last.as_ref().map_or(0, bytes::Bytes::len)
    }

    fn waiting_len(&self) -> usize {
        self.waiting.as_ref().map_or(0, |frame| frame.jpeg.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;
    use framegram_common::FrameNumber;
    use framegram_common::receiver::ReceivedFrame;

    use super::*;

    #[test]
    fn what_was_shown_goes_before_what_waits_and_the_largest_first() {
        let sender = |stream: u64, last: usize, waiting: usize| Sender {
            last: Some(Bytes::from(vec![0; last])),
            waiting: Some(ReceivedFrame {
                id: FrameId {
                    stream,
                    number: FrameNumber(0),
                },
                jpeg: Bytes::from(vec![0; waiting]),
                stale: Vec::new(),
                captured: Duration::ZERO,
                completed: Duration::ZERO,
                checked: true,
            }),
            ..Sender::default()
        };
        let mut senders = [sender(0, 100, 500), sender(1, 1_000, 10), sender(2, 10, 20)];
        assert_eq!(bound(&mut senders, 1_640), []);
        assert_eq!(bound(&mut senders, 640), []);
        let kept: Vec<_> = senders.iter().map(Sender::last_len).collect();
        assert_eq!(kept, [100, 0, 10]);
        let dropped = bound(&mut senders, 50);
        assert_eq!(dropped.len(), 1);
        assert_eq!((dropped[0].0, dropped[0].1.stream), (0, 0));
        assert_eq!(senders[2].waiting_len(), 20);
    }
}
