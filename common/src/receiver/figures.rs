//! What a receiver counts, for each tile and for all together.

use super::native::LatencyBreakdown;
use super::tile::Tile;
use super::{Policy, Receiver};
use crate::stats::{Delays, DiscardReason, Discards, Packets, Side, Statistics};

impl Receiver {
    /// The counts so far of each tile, over all streams that were followed in it.
    pub fn tile_statistics(&self) -> Vec<Statistics> {
        let shared = self.config.policy == Policy::Grid;
        let of = |tile: &Tile| {
            let mut statistics = tile.statistics(None);
            if shared && self.tiles.len() > 1 {
                statistics.packets.socket_dropped = None;
            } else if shared {
                self.tell_drops(&mut statistics.packets);
            }
            statistics
        };
        self.tiles.iter().map(of).collect()
    }

    /// The counts so far of all tiles together, without what differs between them.
    pub fn statistics(&self) -> Statistics {
        let unproven = self.probation.newest_native();
        let unproven = unproven.filter(|_| self.config.policy == Policy::Follow);
        let followed = self.tiles.iter().any(|tile| tile.followed() > 0);
        let unproven = unproven.filter(|_| !followed);
        let is_counted = unproven.is_some();
        let mut unproven = unproven.map(|session| session.statistics(&LatencyBreakdown::default()));
        let mut each = self
            .tiles
            .iter()
            .map(|tile| tile.statistics(unproven.take()));
        let mut all = each.next().unwrap_or_default();
        all = each.fold(all, |all, other| together(all, &other));
        let refuted = self.probation.refuted();
        let waiting = if is_counted {
            0
        } else {
            self.probation.native_packets()
        };
        let packets = &mut all.packets;
        packets.malformed = Some(self.malformed + refuted.malformed);
        packets.foreign = Some(self.foreign + refuted.foreign + waiting);
        if self.config.policy == Policy::Grid {
            self.tell_drops(packets);
        }
        all.discarded = self.discarded(followed).figures();
        all.stream.side = Side::Viewer;
        all.stream.others = self.others.count();
        if self.tiles.len() > 1 {
            let stream = &mut all.stream;
            (stream.number, stream.wire, stream.quality) = (None, None, None);
            (stream.width, stream.height) = (None, None);
            let addresses = self.tiles.iter().filter_map(Tile::from);
            stream.addresses = addresses.map(|from| from.to_string()).collect();
            (all.jitter_ms, all.latency_ms) = (None, None);
            (all.delays_ms, all.clock) = (Delays::default(), None);
        }
        all
    }

    /// What was not taken so far, and may still prove a stream.
    fn discarded(&self, followed: bool) -> Discards {
        let mut discarded = self.discarded.clone();
        if !followed || self.config.policy == Policy::Grid {
            for (from, datagrams) in self.probation.unproven() {
                discarded.record(DiscardReason::Unknown, None, from, datagrams);
            }
        }
        discarded
    }

    /// What the socket dropped counts as missing, and was not lost on the way.
    fn tell_drops(&self, packets: &mut Packets) {
        let left = |lost: u64| lost.saturating_sub(self.socket_drops);
        packets.lost = packets.lost.map(left);
        packets.socket_dropped = Some(self.socket_drops);
    }
}

/// Adds up the counts of streams side by side, as if they came one after another, but within the
/// duration of the longest.
fn together(mut all: Statistics, other: &Statistics) -> Statistics {
    let longest = all.duration_s.max(other.duration_s);
    let followed = all.stream.followed + other.stream.followed;
    all.add(other);
    let intervals = all.intervals();
    all.stream.followed = followed;
    all.duration_s = longest;
    let is_long = longest > 0.0;
    all.fps = intervals.filter(|_| is_long).map(|n| n / longest);
    let received = all.bytes.received.filter(|_| is_long);
    all.bitrate_bps = received.map(|bytes| bytes as f64 * 8.0 / longest);
    all
}
