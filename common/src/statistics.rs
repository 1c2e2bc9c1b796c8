//! The one struct of figures: counted by the core, printed by the programs,
//! and the report file as it stands.
//!
//! What is not known is `None` (null in a report), never zero. Fields may be
//! added, never redefined.

use serde::Serialize;

/// Everything that is told of a stream, by either side.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Which stream, and what is known of it.
    pub stream: Stream,
    /// What became of the frames.
    pub frames: Frames,
    /// What became of the packets of all channels.
    pub packets: Packets,
    /// Volumes.
    pub bytes: Bytes,
    /// Seconds from the first frame to the last: sent (sender) or received (viewer).
    pub duration_s: f64,
    /// Frames a second over that time: sent (sender) or shown (viewer).
    pub fps: Option<f64>,
    /// Bits a second of UDP payload over that time.
    pub bitrate_bps: Option<f64>,
    /// Interarrival jitter in milliseconds, measured on the send times of the
    /// packets (<https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1>).
    pub jitter_ms: Option<f64>,
    /// The share of the picture that had not arrived, from 0 to 1: the mean over
    /// the frames that are `concealed`, `None` where there are none. A sender
    /// does not know it.
    pub stale_share: Option<f64>,
    /// Capture to shown, in milliseconds; `None` unless both ends share a clock.
    pub latency_ms: Option<Percentiles>,
}

/// Which stream the figures are of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Stream {
    /// The side that counted.
    pub side: Side,
    /// The stream's number in 16 hexadecimal digits; the newest one, where a
    /// viewer followed several in turn.
    pub number: Option<String>,
    /// How many streams a viewer followed in turn, restarts included.
    pub followed: u64,
    /// How many other streams a viewer heard and did not follow.
    pub others: u64,
    /// Where the stream comes from (viewer) or goes to (sender).
    pub addresses: Vec<String>,
    /// The format of the datagrams.
    pub wire: Option<&'static str>,
    /// Width of the newest frame in pixels.
    pub width: Option<u32>,
    /// Height of the newest frame in pixels.
    pub height: Option<u32>,
    /// JPEG quality of the newest frame as the sender set it, 1 to 100.
    pub quality: Option<u8>,
    /// Whether both ends run on one clock.
    pub shared_clock: bool,
    /// Whether the sender said farewell.
    pub ended: bool,
}

/// Who counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// `framegram-send`
    #[default]
    Sender,
    /// `framegram-view`
    Viewer,
}

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
/// What became of the frames. A frame that was sent since the viewer joined
/// ends in exactly one of `shown`, `incomplete`, `lost`, `late`, `superseded`
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
    pub repaired_by_request: Option<u64>,
    /// Shown with holes that were filled from the frame before.
    pub concealed: Option<u64>,
    /// Some of it arrived, but not all in time, and it was not shown.
    pub incomplete: Option<u64>,
    /// Nothing of it arrived.
    pub lost: Option<u64>,
    /// All of it arrived, but after it was given up.
    pub late: Option<u64>,
    /// Complete, but a newer one was shown before it could be.
    pub superseded: Option<u64>,
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
    pub encoded_anew: Option<u64>,
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
    pub repaired_by_request: Option<u64>,
    /// Datagrams that the local system refused to send.
    pub send_errors: Option<u64>,
}
}

counts! {
/// Volumes in bytes.
pub struct Bytes {
    /// UDP payload sent.
    pub sent: Option<u64>,
    /// UDP payload received.
    pub received: Option<u64>,
    /// JPEG bytes of the frames sent (sender) or completed (viewer).
    pub jpeg: Option<u64>,
}
}

/// A distribution in four numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Percentiles {
    /// The median.
    pub p50: f64,
    /// 95 of 100 values are at most this.
    pub p95: f64,
    /// 99 of 100 values are at most this.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}
