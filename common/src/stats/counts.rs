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
pub(super) use counts;

counts! {
/// What became of the frames. A frame that was sent since the viewer joined
/// ends in exactly one of `shown`, `incomplete`, `lost`, `late`, `skipped`
/// and `undecodable`.
pub struct Frames {
    /// Delivered by the source.
    pub captured: Option<u64>,
    /// Captured, and replaced by a newer one before it was encoded.
    pub replaced: Option<u64>,
    /// Captured, and not sent: encoding or sending it failed.
    pub not_sent: Option<u64>,
    /// Handed to the network.
    pub sent: Option<u64>,
    /// Sent before the viewer joined.
    pub before_joining: Option<u64>,
    /// Shown (or recorded) by the viewer.
    pub shown: Option<u64>,
    /// Shown, byte for byte as sent, repaired on the way or not.
    pub intact: Option<u64>,
    /// Intact, and parity was needed for it.
    pub repaired_by_parity: Option<u64>,
    /// Intact, and chunks sent again on request were needed for it.
    pub repaired_by_retransmission: Option<u64>,
    /// Shown with holes that were filled from the frame before.
    pub concealed: Option<u64>,
    /// Some of it arrived, but not all in time, and it was not shown.
    pub incomplete: Option<u64>,
    /// Nothing of it arrived.
    pub lost: Option<u64>,
    /// All of it arrived, but after it was given up.
    pub late: Option<u64>,
    /// Complete, but a newer one was shown before it could be.
    pub skipped: Option<u64>,
    /// Complete, but not a JPEG that can be decoded.
    pub undecodable: Option<u64>,
    /// Encoded at a lower quality to fit the size that was asked for.
    pub quality_lowered: Option<u64>,
    /// Scaled down to fit the size that was asked for.
    pub scaled_down: Option<u64>,
    /// Skipped by the source because it could not be read (a broken still).
    pub unreadable: Option<u64>,
    /// Sent exactly as a camera, file or pipe delivered them.
    pub passed_through: Option<u64>,
    /// Delivered as JPEGs, and encoded anew because the wire format cannot
    /// carry them as they are.
    pub reencoded: Option<u64>,
}
}

counts! {
/// What became of the packets of all channels from sender to viewer. `sent` is
/// the sender's own count since the viewer joined, control packets included;
/// sent = received + lost + socket_dropped + corrupt, where a packet of which
/// both a good and a damaged copy arrived counts as received.
pub struct Packets {
    /// Sent, as the sender says.
    pub sent: Option<u64>,
    /// Received, each number counted once.
    pub received: Option<u64>,
    /// Sent, and nothing of it arrived.
    pub lost: Option<u64>,
    /// Received again.
    pub duplicate: Option<u64>,
    /// Received after one with a higher number
    /// (<https://www.rfc-editor.org/rfc/rfc4737#section-3>).
    pub reordered: Option<u64>,
    /// Dropped in the viewer's own socket buffer, as its kernel says.
    pub socket_dropped: Option<u64>,
    /// Not a packet of any known format.
    pub malformed: Option<u64>,
    /// Arrived, but only with a checksum that does not hold.
    pub corrupt: Option<u64>,
    /// From an address that is not allowed, or of a stream not followed.
    pub foreign: Option<u64>,
    /// Chunks that were lost and rebuilt from parity.
    pub repaired_by_parity: Option<u64>,
    /// Chunks that were lost and sent again on request.
    pub repaired_by_retransmission: Option<u64>,
    /// Datagrams that the sender's own system refused to send; they are not
    /// among those sent.
    pub send_errors: Option<u64>,
    /// Datagrams of feedback that the viewer's own system did not take: requests
    /// and reports, without which nothing is repaired that parity does not.
    pub feedback_errors: Option<u64>,
}
}

impl Packets {
    /// Of the packets sent, the share that was lost on the way, dropped in the
    /// viewer's socket buffer or corrupt, 0 to 1. What a format does not tell
    /// apart is among those lost.
    #[must_use]
    pub fn missing_share(&self) -> Option<f64> {
        let missing = self.lost? + self.corrupt.unwrap_or(0) + self.socket_dropped.unwrap_or(0);
        let all = missing + self.received?;
        (all > 0).then(|| missing as f64 / all as f64)
    }
}

counts! {
/// Volumes in bytes.
pub struct Bytes {
    /// UDP payload sent; a viewer knows it from the sender's farewell.
    pub sent: Option<u64>,
    /// UDP payload received.
    pub received: Option<u64>,
    /// JPEG bytes of the frames sent (sender) or completed (viewer).
    pub jpeg: Option<u64>,
}
}
