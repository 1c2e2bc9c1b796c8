//! One outcome for every frame that was captured.

use serde::Serialize;

use super::counts::counts;

counts! {
/// What became of each frame that the sender captured, as the viewer knows it.
/// A frame is in exactly one of these, but for the last two fields:
/// captured = their sum + `unaccounted`. A sender knows the first two of
/// itself and the rest only as far as [`Frames`](super::Frames) says.
pub struct Outcomes {
    /// A newer one took its place before it was encoded.
    pub replaced: Option<u64>,
    /// It could not be encoded, or not be handed to the network; or not shown:
    /// every packet that it lacked was refused by the sender's own system.
    pub not_sent: Option<u64>,
    /// Sent before the viewer's first packet.
    pub before_joining: Option<u64>,
    /// Not shown: every packet that it lacked was lost on the way.
    pub lost_network: Option<u64>,
    /// Not shown: every packet that it lacked was dropped in the viewer's
    /// socket buffer.
    pub lost_socket: Option<u64>,
    /// Not shown: it lacked packets for more than one reason, or one gap holds
    /// more packets than the system's counter, which names none, explains.
    pub mixed: Option<u64>,
    /// Not shown: every packet that it lacked arrived damaged.
    pub corrupt: Option<u64>,
    /// Not shown: all of it arrived, after its deadline.
    pub late: Option<u64>,
    /// Whole, but no JPEG that can be decoded.
    pub undecodable: Option<u64>,
    /// Whole and in time, but a newer one was shown.
    pub skipped: Option<u64>,
    /// Shown with holes that were filled from the frame before.
    pub concealed: Option<u64>,
    /// Shown whole; it took parity.
    pub intact_parity: Option<u64>,
    /// Shown whole; it took chunks sent again on request, and no parity.
    pub intact_retransmission: Option<u64>,
    /// Shown whole, and nothing had to be repaired.
    pub intact_unrepaired: Option<u64>,
    /// Still waited for, or on its way to be shown; 0 once a stream has ended.
    pub open: Option<u64>,
    /// Announced, and behind the last packet that the viewer knows of: whether
    /// it was lost cannot be told.
    pub tail_unknown: Option<u64>,
    /// Captured, by the sender's count, and in none of these: 0 where the
    /// accounts are whole.
    pub unaccounted: Option<u64>,
    /// Frames sent after the last totals that the viewer received: 0 after a
    /// farewell, unknown without one.
    pub after_last_totals: Option<u64>,
}
}
