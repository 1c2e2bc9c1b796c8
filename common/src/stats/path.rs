//! Properties of the path: loss patterns, delays, clocks.

use serde::Serialize;

use super::Percentiles;

/// Measurements of the path from the sender to one destination. The sender measures
/// the rates; the side that writes the report measures RTT and queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct PathFigures {
    /// The destination, counted from 0 in the order of the command line.
    pub destination: u16,
    /// Bits per second that may be sent now, parity and retransmissions included;
    /// absent where nothing is known to limit them.
    pub rate_bps: Option<f64>,
    /// Bits per second at which the datagrams of the newest frames arrived: what the
    /// path carries, as far as they reveal it.
    pub capacity_bps: Option<f64>,
    /// How much longer the newest datagrams took than the fastest recent ones, in
    /// milliseconds.
    pub queue_ms: Option<f64>,
    /// RTT in milliseconds; the sender's includes the wait for the report.
    pub rtt_ms: Option<f64>,
    /// Clock offset in milliseconds: what to add to the sender's time to get the viewer's. The
    /// sender's estimate, from the least delay of its packets and half of the RTT; the viewer's own is
    /// in `clock`.
    pub clock_offset_ms: Option<f64>,
    /// Half of the RTT in milliseconds: how far `clock_offset_ms` may be off, either way.
    pub clock_uncertainty_ms: Option<f64>,
    /// Size of the viewer's socket buffer in bytes, if known.
    pub socket_buffer: Option<u64>,
    /// Frames sent to other viewers that this path had no room for.
    pub frames_left_out: u64,
    /// Frames sent here in the second encoding, at a lower quality.
    pub frames_second_encoding: u64,
    /// Milliseconds from frame to frame of those sent here, on average over the newest
    /// ones, as the sender says. `None` if unknown.
    pub frame_interval_ms: Option<f64>,
}

/// Pattern of loss among the packets that carry chunks for the first time.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LossPattern {
    /// Packets sent, from the first one in the viewer's counts.
    pub packets: u64,
    /// Of these, packets not received, for any reason.
    pub lost: u64,
    /// Number of loss periods: runs of consecutive lost packets
    /// (<https://www.rfc-editor.org/rfc/rfc3357#section-5.3>).
    pub periods: u64,
    /// Number of loss periods of 1, 2, 3, ... packets; the last entry counts
    /// those of 64 packets or more.
    pub period_lengths: Vec<u64>,
    /// Longest loss period in packets.
    pub longest: u64,
    /// Loss distance: packets from one lost packet to the next
    /// (<https://www.rfc-editor.org/rfc/rfc3357#section-5.2>); `None` with fewer
    /// than two losses.
    pub distance: Option<Percentiles>,
    /// Bursts and gaps.
    pub bursts: Bursts,
}

impl LossPattern {
    /// Loss periods are counted by length up to this many packets.
    pub const LENGTHS: usize = 64;

    /// Adds the pattern of an earlier stream. The distances stay those of the
    /// newer one.
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
/// (<https://www.rfc-editor.org/rfc/rfc6958#section-3>). A burst begins and ends
/// with a lost packet and contains no 16 consecutive received packets (Gmin). A
/// lost packet with 16 received packets on either side belongs to a gap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Bursts {
    /// Number of bursts.
    pub bursts: u64,
    /// Packets in bursts.
    pub burst_packets: u64,
    /// Of these, packets lost.
    pub burst_lost: u64,
    /// Longest burst in packets.
    pub longest_burst: u64,
    /// Packets in gaps.
    pub gap_packets: u64,
    /// Of these, packets lost.
    pub gap_lost: u64,
}

impl Bursts {
    /// This many consecutive received packets end a burst.
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

/// The parts of the delay from capture to display, in milliseconds: of the frames
/// sent for parts that the sender measures, otherwise of the frames shown. `None`
/// if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Delays {
    /// From capture to the end of encoding, measured by the sender.
    pub capture_to_encoded: Option<Percentiles>,
    /// From the end of encoding until the first datagram of the frame is sent,
    /// measured by the sender.
    pub encoded_to_sent: Option<Percentiles>,
    /// From the first datagram being sent until the frame is complete. Needs the
    /// sender's clock, see `clock`.
    pub sent_to_complete: Option<Percentiles>,
    /// From the frame being complete to display, by the viewer's clock alone.
    pub complete_to_shown: Option<Percentiles>,
    /// From capture to display. Needs the sender's clock.
    pub capture_to_shown: Option<Percentiles>,
    /// One-way delay of datagrams that carry chunks for the first time
    /// (<https://www.rfc-editor.org/rfc/rfc7679>). Needs the sender's clock.
    pub one_way: Option<Percentiles>,
}

/// The sender's clock relative to the viewer's.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClockOffset {
    /// Whether both ends share one clock: the same boot of the same machine, in
    /// the same time namespace. The other fields are 0 then.
    pub shared: bool,
    /// Whether both ends claim the same boot but their clocks differ, as with
    /// clones of a virtual machine.
    pub cloned: bool,
    /// Clock offset in milliseconds: what to add to the sender's time to get the
    /// viewer's.
    pub offset_ms: f64,
    /// Rate at which the offset grows, in parts per million.
    pub drift_ppm: f64,
    /// Largest error of `drift_ppm`, either way, in parts per million. It shrinks
    /// as the stream goes on.
    pub drift_uncertainty_ppm: f64,
    /// Largest error of `offset_ms`, either way, in milliseconds: half of the
    /// shortest round trip, plus possible drift since then.
    pub uncertainty_ms: f64,
}

/// The largest datagram that the path to a destination carries, in bytes of UDP
/// payload, and the evidence for it (<https://www.rfc-editor.org/rfc/rfc8899>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PathMtuFigures {
    /// The destination's number.
    pub destination: u16,
    /// The largest datagram that is sent.
    pub datagram: usize,
    /// What the interface carries.
    pub ceiling: usize,
    /// The smallest size that failed: no probe of it was acknowledged, or no datagram
    /// of it arrived while smaller ones did. `None` if no size failed.
    pub too_large: Option<usize>,
    /// Probes sent.
    pub probes: u64,
    /// How often large datagrams stopped arriving while smaller ones did not.
    pub black_holes: u32,
}
