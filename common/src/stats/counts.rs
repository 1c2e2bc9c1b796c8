//! Counts of frames, packets and bytes.

use serde::Serialize;

/// Declares a struct of counts that may be unknown, and their addition: what is
/// unknown of one part is unknown of the whole.
macro_rules! counts {
    (
        $(#[$doc:meta])*
        pub struct $name:ident { $( $(#[$field_doc:meta])* pub $field:ident: Option<u64>, )* }
    ) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: Option<u64>, )*
        }

        impl $name {
            /// Adds what was counted before, of another stream.
            pub fn add(&mut self, before: &Self) {
                $( self.$field = self.$field.zip(before.$field).map(|(a, b)| a + b); )*
            }
        }
    };
}

counts! {
/// How many frames there were. How they ended is in `outcomes`: captured =
/// their sum + `unaccounted`; sent = `before_joining` + `shown` + `incomplete` +
/// `lost` + `late` + `skipped` + `undecodable`.
pub struct Frames {
    /// Delivered by the source. On the viewer's side this is the sender's own
    /// count, so that frames lost at the end count too.
    pub captured: Option<u64>,
    /// Captured, and neither replaced nor sent: encoding it failed, or on the
    /// sender's side its own system refused all of it.
    pub not_sent: Option<u64>,
    /// Handed to the network.
    pub sent: Option<u64>,
    /// Shown (or recorded) by the viewer.
    pub shown: Option<u64>,
    /// Shown byte for byte as sent, repaired on the way or not.
    pub intact: Option<u64>,
    /// Some of it arrived, but not all in time, and it was not shown.
    pub incomplete: Option<u64>,
    /// Nothing of it arrived.
    pub lost: Option<u64>,
    /// Captured by the sender's count, and with no outcome: 0 where every frame
    /// is accounted for.
    pub unaccounted: Option<u64>,
    /// Sent after the last sender report that arrived: 0 after a bye, unknown
    /// without one.
    pub after_last_report: Option<u64>,
    /// Encoded at a lower quality to fit the size that was asked for.
    pub quality_lowered: Option<u64>,
    /// Scaled down to fit the size that was asked for.
    pub scaled_down: Option<u64>,
    /// Left out by the source because it could not be read (a broken still).
    pub unreadable: Option<u64>,
    /// Sent exactly as a camera, file or pipe delivered them.
    pub passed_through: Option<u64>,
    /// Delivered as JPEGs, and re-encoded because the wire format cannot carry
    /// them as they are.
    pub reencoded: Option<u64>,
}
}

counts! {
/// The packets of all channels from sender to viewer, since the viewer joined,
/// control packets included: sent = received + lost + socket_dropped.
pub struct Packets {
    /// Sent, as the sender says.
    pub sent: Option<u64>,
    /// Received, each number counted once.
    pub received: Option<u64>,
    /// Sent, and neither received nor dropped in the socket buffer: it was lost
    /// on the way, or arrived corrupt.
    pub lost: Option<u64>,
    /// Copies received of packets that had arrived before.
    pub duplicate: Option<u64>,
    /// Received after one with a higher number
    /// (<https://www.rfc-editor.org/rfc/rfc4737#section-3>).
    pub reordered: Option<u64>,
    /// Dropped in the viewer's own socket buffer, as its kernel says with each
    /// datagram. Receive offload, which would count many as one, is off.
    pub socket_dropped: Option<u64>,
    /// Not a packet of any known format.
    pub malformed: Option<u64>,
    /// Datagrams from the stream's address whose checksum does not hold. What
    /// they carried is among those lost, unless an intact copy arrived.
    pub corrupt: Option<u64>,
    /// From an address that is not allowed, or of a stream not followed.
    pub foreign: Option<u64>,
    /// Chunks that were lost and rebuilt from parity.
    pub repaired_by_parity: Option<u64>,
    /// Chunks that were lost and retransmitted. One that came late after all was
    /// not lost.
    pub repaired_by_retransmission: Option<u64>,
    /// Datagrams that the sender's own system refused to send; they are not
    /// among those sent.
    pub send_errors: Option<u64>,
    /// Datagrams of feedback that the viewer's own system did not take: NACKs
    /// and reports, without which nothing is repaired that parity does not.
    pub feedback_errors: Option<u64>,
}
}

impl Packets {
    /// Of the packets sent, the share that was lost on the way or dropped in the
    /// viewer's socket buffer, 0 to 1.
    #[must_use]
    pub fn missing_share(&self) -> Option<f64> {
        let missing = self.lost? + self.socket_dropped.unwrap_or(0);
        let all = missing + self.received?;
        (all > 0).then(|| missing as f64 / all as f64)
    }
}

counts! {
/// Volumes in bytes.
pub struct Bytes {
    /// UDP payload sent; a viewer knows it from the sender's bye.
    pub sent: Option<u64>,
    /// UDP payload received.
    pub received: Option<u64>,
    /// JPEG bytes of the frames sent (sender) or completed (viewer).
    pub jpeg: Option<u64>,
}
}
