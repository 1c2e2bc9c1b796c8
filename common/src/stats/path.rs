//! What the path does to packets and frames: patterns of loss, delays, clocks.

use serde::Serialize;

use super::Percentiles;

/// How lost packets lie among those that carry chunks for the first time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LossPattern {
    /// Packets sent, from the first one on that the viewer is accountable for.
    pub packets: u64,
    /// Of these, not received, for whatever reason.
    pub lost: u64,
    /// Loss periods: runs of packets lost in a row
    /// (<https://www.rfc-editor.org/rfc/rfc3357#section-5.3>).
    pub periods: u64,
    /// How many loss periods were 1, 2, 3, ... packets long; the last entry
    /// counts those of 64 packets and more.
    pub period_lengths: Vec<u64>,
    /// The longest loss period in packets.
    pub longest: u64,
    /// From one lost packet to the next, in packets
    /// (<https://www.rfc-editor.org/rfc/rfc3357#section-5.2>); `None` before
    /// the second.
    pub distance: Option<Percentiles>,
    /// Gaps and bursts.
    pub bursts: Bursts,
}

impl LossPattern {
    /// Loss periods of up to this many packets are counted by their length.
    pub const LENGTHS: usize = 64;

    /// Adds the pattern of another stream, which came before; the distances
    /// are those of the newer one.
    pub fn add(&mut self, before: &Self) {
        self.packets += before.packets;
        self.lost += before.lost;
        self.periods += before.periods;
        self.longest = self.longest.max(before.longest);
        let longest = self.period_lengths.len().max(before.period_lengths.len());
        self.period_lengths.resize(longest, 0);
        for (own, other) in self.period_lengths.iter_mut().zip(&before.period_lengths) {
            *own += other;
        }
        self.distance = self.distance.or(before.distance);
        self.bursts.add(&before.bursts);
    }
}

/// Bursts and the gaps between them
/// (<https://www.rfc-editor.org/rfc/rfc6958#section-3>): a burst begins and
/// ends with a lost packet and holds no 16 packets received in a row (Gmin). A
/// lost packet with 16 received on either side of it is part of a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bursts {
    /// How many bursts.
    pub bursts: u64,
    /// Packets in bursts.
    pub burst_packets: u64,
    /// Of these, lost.
    pub burst_lost: u64,
    /// The longest burst in packets.
    pub longest_burst: u64,
    /// Packets in gaps.
    pub gap_packets: u64,
    /// Of these, lost.
    pub gap_lost: u64,
}

impl Bursts {
    /// So many packets received in a row end a burst.
    pub const GMIN: u64 = 16;

    fn add(&mut self, before: &Self) {
        self.bursts += before.bursts;
        self.burst_packets += before.burst_packets;
        self.burst_lost += before.burst_lost;
        self.longest_burst = self.longest_burst.max(before.longest_burst);
        self.gap_packets += before.gap_packets;
        self.gap_lost += before.gap_lost;
    }
}

/// Where the time between capture and showing went, in milliseconds: over the
/// frames sent if the sender measures it, else over the frames shown. `None` if
/// it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Delays {
    /// From capture to the end of encoding; the sender measures it.
    pub capture_to_encoded: Option<Percentiles>,
    /// From the end of encoding to the first datagram of the frame leaving;
    /// the sender measures it.
    pub encoded_to_sent: Option<Percentiles>,
    /// From the first datagram leaving to the frame being whole: it needs the
    /// sender's clock, see `clock`.
    pub sent_to_complete: Option<Percentiles>,
    /// From whole to shown, on the viewer's clock only.
    pub complete_to_shown: Option<Percentiles>,
    /// From capture to shown: it needs the sender's clock.
    pub capture_to_shown: Option<Percentiles>,
    /// One way: from a datagram leaving to its arrival, over all datagrams
    /// that carry chunks for the first time
    /// (<https://www.rfc-editor.org/rfc/rfc7679>); it needs the sender's clock.
    pub one_way: Option<Percentiles>,
}

/// The sender's clock, seen from the viewer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Clock {
    /// Whether both are one: both ends run on one boot of one machine, in one
    /// time namespace. The other fields are 0 then.
    pub shared: bool,
    /// Whether both ends have the identity of one boot, and clocks that cannot
    /// be one: so it is with clones of a virtual machine.
    pub cloned: bool,
    /// What is to be added to the sender's time to have the viewer's, in
    /// milliseconds.
    pub offset_ms: f64,
    /// How fast the offset grows, in millionths.
    pub drift_ppm: f64,
    /// How far off that is at most, either way, in millionths: the longer the
    /// stream, the less.
    pub drift_uncertainty_ppm: f64,
    /// How far off the offset is at most, either way, in milliseconds: half of
    /// the least round trip, and what the clocks may have drifted since.
    pub uncertainty_ms: f64,
}
