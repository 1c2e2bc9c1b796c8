//! Limits the memory of frames kept for all tiles together.

use framegram_common::receiver::{MAX_HELD, ReceivedFrame};

use super::TileState;

/// Upper bound on the bytes of frames, the same as for frames that are being received. Frames of
/// ordinary cameras take a thousandth of it.
pub(super) const MAX_KEPT: usize = MAX_HELD;

/// Drops frames until all tiles together keep at most `most` bytes: first those shown before,
/// without which holes stay unfilled, then waiting ones. The largest goes first. Returns the
/// waiting frames that were dropped.
pub(super) fn bound(tiles: &mut [TileState], most: usize) -> Vec<ReceivedFrame> {
    let mut dropped = Vec::new();
    loop {
        let kept = tiles
            .iter()
            .map(|tile| tile.last_len() + tile.waiting_len());
        if kept.sum::<usize>() <= most {
            return dropped;
        }
        let largest = |of: fn(&TileState) -> usize| {
            let all = tiles.iter().enumerate();
            let largest = all.max_by_key(|(_, tile)| of(tile))?;
            (of(largest.1) > 0).then_some(largest.0)
        };
        if let Some(tile) = largest(TileState::last_len) {
            tiles[tile].last = None;
        } else if let Some(tile) = largest(TileState::waiting_len) {
            dropped.extend(tiles[tile].waiting.take());
        } else {
            return dropped;
        }
    }
}

impl TileState {
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
    use framegram_common::receiver::FrameId;
    use framegram_common::{FrameNumber, SenderTime};

    use super::*;

    #[test]
    fn shown_frames_are_dropped_before_waiting_ones_and_the_largest_first() {
        let tile = |stream: u64, last: usize, waiting: usize| TileState {
            last: Some(Bytes::from(vec![0; last])),
            waiting: Some(ReceivedFrame {
                id: FrameId {
                    session: 1,
                    stream,
                    number: FrameNumber(0),
                },
                jpeg: Bytes::from(vec![0; waiting]),
                tile: 0,
                stale: Vec::new(),
                captured: SenderTime::default(),
                completed: Duration::ZERO,
                checked: true,
            }),
            ..TileState::default()
        };
        let mut tiles = [tile(0, 100, 500), tile(1, 1_000, 10), tile(2, 10, 20)];
        assert_eq!(bound(&mut tiles, 1_640), []);
        assert_eq!(bound(&mut tiles, 640), []);
        let kept: Vec<_> = tiles.iter().map(TileState::last_len).collect();
        assert_eq!(kept, [100, 0, 10]);
        let dropped = bound(&mut tiles, 50);
        assert_eq!(dropped.len(), 1);
        assert_eq!(dropped[0].id.stream, 0);
        assert_eq!(tiles[2].waiting_len(), 20);
    }
}
