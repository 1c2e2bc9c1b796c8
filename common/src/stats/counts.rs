//! Frame, packet and byte counts.

use serde::Serialize;

/// Declares a struct of counts that may be unknown, and their addition. A sum is
/// unknown if one of its parts is.
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
            /// Adds the counts of an earlier stream.
            pub fn add(&mut self, before: &Self) {
                $( self.$field = self.$field.zip(before.$field).map(|(a, b)| a + b); )*
            }
        }
    };
}

counts! {
/// Frame counts. How frames ended is in `outcomes`: captured = sum of the
/// outcomes + `unaccounted`; sent = `before_joining` + `shown` + `incomplete` +
/// `lost` + `late` + `skipped` + `undecodable`.
pub struct Frames {
    /// Frames delivered by the source. A viewer takes the sender's count, so that
    /// frames lost at the end are included.
    pub captured: Option<u64>,
    /// Captured, but neither replaced nor sent: encoding failed, or (sender only)
    /// the operating system rejected every datagram.
    pub not_sent: Option<u64>,
    /// Frames handed to the network.
    pub sent: Option<u64>,
    /// Frames shown or recorded by the viewer.
    pub shown: Option<u64>,
    /// Shown byte for byte as sent, with or without repair.
    pub intact: Option<u64>,
    /// Not shown; a part arrived in time.
    pub incomplete: Option<u64>,
    /// Not shown; nothing arrived.
    pub lost: Option<u64>,
    /// Captured by the sender's count but without an outcome; 0 if every frame is
    /// accounted for.
    pub unaccounted: Option<u64>,
    /// Sent after the last sender report that arrived: 0 after a bye, otherwise
    /// unknown.
    pub after_last_report: Option<u64>,
    /// Encoded at a lower quality to fit the requested size.
    pub quality_lowered: Option<u64>,
    /// Scaled down to fit the requested size.
    pub scaled_down: Option<u64>,
    /// Skipped by the source as unreadable (broken stills).
    pub unreadable: Option<u64>,
    /// Sent exactly as the camera, file or pipe delivered them.
    pub passed_through: Option<u64>,
    /// Delivered as JPEG and re-encoded, because the wire format cannot carry
    /// them unchanged.
    pub reencoded: Option<u64>,
}
}

counts! {
/// Packets of all channels from sender to viewer since the viewer joined, control
/// packets included: sent = received + lost + socket_dropped.
pub struct Packets {
    /// Packets sent, by the sender's count.
    pub sent: Option<u64>,
    /// Packets received, each number counted once.
    pub received: Option<u64>,
    /// Packets neither received nor dropped in the socket buffer: lost on the
    /// network, or corrupt.
    pub lost: Option<u64>,
    /// Further copies of packets that had already arrived.
    pub duplicate: Option<u64>,
    /// Packets received after one with a higher number
    /// (<https://www.rfc-editor.org/rfc/rfc4737#section-3>).
    pub reordered: Option<u64>,
    /// Datagrams dropped in the viewer's socket buffer, by the kernel's count.
    /// Receive offload is off, because it would count several datagrams as one.
    pub socket_dropped: Option<u64>,
    /// Datagrams in no known format.
    pub malformed: Option<u64>,
    /// Datagrams from the stream's address with a wrong checksum. Their packets
    /// count as lost unless an intact copy arrived.
    pub corrupt: Option<u64>,
    /// Datagrams from an address that is not allowed, or of a stream that is not
    /// followed.
    pub foreign: Option<u64>,
    /// Lost chunks that parity restored.
    pub repaired_by_parity: Option<u64>,
    /// Lost chunks that a retransmission restored. A chunk whose original arrived
    /// late does not count.
    pub repaired_by_retransmission: Option<u64>,
    /// Datagrams that the sender's operating system rejected; `sent` does not
    /// include them.
    pub send_errors: Option<u64>,
    /// Datagrams that are not sealed with the viewer's key, or were changed on the
    /// way. They have no other effect. Only with a key.
    pub unauthentic: Option<u64>,
    /// Authentic datagrams that had already arrived, including copies made by the
    /// network. Only with a key.
    pub replayed: Option<u64>,
    /// Datagrams sealed with keys that are not known: they arrived before the first
    /// sender report of their stream, before a handshake was complete, or after the
    /// end of what it had agreed on. Only with a key.
    pub unknown_keys: Option<u64>,
    /// Feedback datagrams (NACKs and reports) that the viewer's operating system
    /// rejected. Without feedback, only parity repairs loss.
    pub feedback_errors: Option<u64>,
}
}

impl Packets {
    /// Share of the sent packets that were lost on the network or dropped in the
    /// viewer's socket buffer, from 0 to 1.
    pub fn missing_share(&self) -> Option<f64> {
        let missing = self.lost? + self.socket_dropped.unwrap_or(0);
        let all = missing + self.received?;
        (all > 0).then(|| missing as f64 / all as f64)
    }
}

counts! {
/// Volumes in bytes.
pub struct Bytes {
    /// UDP payload sent; a viewer learns it from the sender's bye.
    pub sent: Option<u64>,
    /// UDP payload received.
    pub received: Option<u64>,
    /// JPEG bytes of frames sent (sender) or completed (viewer).
    pub jpeg: Option<u64>,
}
}
