//! Packets about the stream: sender and receiver reports, NACKs, and the handshake with a viewer
//! that connects.

use super::HEADER;
use super::fields::{Reader, put_u16, put_u32, put_u64};
use crate::seq::FrameSeq;
use crate::wire::WireError;

/// The most frames in one NACK.
pub const MAX_NACK_FRAMES: usize = 64;

/// The most gaps in one NACK, over all its frames. The next NACK names further gaps.
pub const MAX_GAPS: usize = 255;

/// Bytes of a NACK's body before its frames.
pub const NACK_BODY: usize = 13;

/// Bytes of a NACK for each frame.
pub const FRAME_NACK_LEN: usize = 6;

/// Bytes of a NACK for each gap.
pub const GAP_LEN: usize = 4;

/// Declares a body of plain numbers once: the struct, the order on the wire, and both directions.
/// The `later` numbers are omitted if all of them are 0, and read as 0 if any of them is missing.
macro_rules! body {
    (
        $(#[$doc:meta])*
        $name:ident, $what:literal {
            $( $(#[$field_doc:meta])* $field:ident: $kind:ident $( <= $most:ident )?, )*
        }
        $( later {
            $( $(#[$later_doc:meta])* $later:ident: $later_kind:ident $( <= $later_most:ident )?, )*
        } )?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $kind, )*
            $( $( $(#[$later_doc])* pub $later: $later_kind, )* )?
        }

        impl $name {
            /// Its bytes on the wire, without the later numbers.
            pub const LEN: usize = 0 $( + size_of::<$kind>() )*;

            /// Whether its numbers are within their bounds.
            pub fn is_possible(&self) -> bool {
                let within: &[bool] = &[
                    $( $( self.$field <= $most, )? )*
                    $( $( $( self.$later <= $later_most, )? )* )?
                ];
                !within.contains(&false)
            }

            pub(super) fn encode(&self, out: &mut Vec<u8>) {
                $( out.extend_from_slice(&self.$field.to_be_bytes()); )*
                $( if $( self.$later != 0 )||* {
                    $( out.extend_from_slice(&self.$later.to_be_bytes()); )*
                } )?
            }

            pub(super) fn decode(body: &[u8]) -> Result<Self, WireError> {
                let mut reader = Reader::new($what, body);
                let read = Self {
                    $( $field: reader.$kind()?, )*
                    $( $( $later: 0, )* )?
                };
                $( let later = ($( reader.$later_kind(), )*);
                let read = match later {
                    ($( Ok($later), )*) => Self { $( $later, )* ..read },
                    _ => read,
                }; )?
                Ok(read)
            }
        }
    };
}

body! {
    /// The sender's own counts since its start, for one destination. Sent at
    /// the start, at least once a second, and several times as the bye; each
    /// report counts itself.
    SenderReport, "sender report" {
        /// Frames that the source delivered.
        frames_captured: u64 <= MAX_COUNT,
        /// Frames replaced by a newer one before they were encoded.
        frames_replaced: u64 <= MAX_COUNT,
        /// Frames that could not be encoded or sent.
        frames_not_sent: u64 <= MAX_COUNT,
        /// Frames sent; their numbers are all below this one.
        frames_sent: u64 <= MAX_COUNT,
        /// Packets of the media channel.
        media: u64 <= MAX_COUNT,
        /// Packets of the repair channel.
        repair: u64 <= MAX_COUNT,
        /// Packets of the control channel, this one included.
        control: u64 <= MAX_COUNT,
        /// UDP payload of all these packets in bytes, including this one and excluding those that
        /// failed to send.
        bytes: u64 <= MAX_COUNT,
        /// Bytes of the JPEGs of the frames sent.
        jpeg_bytes: u64 <= MAX_COUNT,
        /// When the stream began, in the sender's microseconds.
        started: u64,
        /// The upper half of this report's send time; the header has the lower half.
        sent_high: u32,
        /// Drawn at random when the sender starts. Its low half is the stream number. Two senders
        /// with the same stream number differ in this one.
        id: u64,
        /// Equal to the viewer's own id if both read the same clock, that is, in one boot of one
        /// machine and in one time namespace; 0 if unknown.
        clock_id: u64,
        /// Frame interval in microseconds; 0 if unknown.
        interval: u32,
        /// How long the sender keeps packets for retransmission, in microseconds; 0 if it answers
        /// no NACKs.
        kept: u32,
        /// Microseconds over which the packets of a frame are spread.
        spread: u32,
    }
    later {
        /// Packets of all channels that were numbered and not sent, because of send errors.
        send_errors: u64 <= MAX_COUNT,
        /// The newest run of media packets that were not sent: its first number ...
        unsent_first: u64,
        /// ... and one above its last; both 0 before the first send error.
        unsent_end: u64,
        /// Median time from capture to the end of encoding in microseconds.
        encode_p50: u32,
        /// 95th percentile of it.
        encode_p95: u32,
        /// 99th percentile of it.
        encode_p99: u32,
        /// Its maximum; 0 while unknown.
        encode_max: u32,
        /// Median time from the end of encoding to the sending of the first datagram, in
        /// microseconds.
        send_p50: u32,
        /// 95th percentile of it.
        send_p95: u32,
        /// 99th percentile of it.
        send_p99: u32,
        /// Its maximum; 0 while unknown.
        send_max: u32,
        /// The interval of arrival reports that the sender wants, in microseconds; 0 if it wants
        /// none.
        arrivals_every: u32,
    }
}

/// No stream has counts above this. Sums of higher ones could overflow.
const MAX_COUNT: u64 = 1 << 48;

impl SenderReport {
    /// Bytes of a datagram that carries it.
    pub fn datagram_len(&self) -> usize {
        let mut body = Vec::new();
        self.encode(&mut body);
        HEADER + body.len()
    }
}

body! {
    /// The sender's answer to a receiver report. With the header's send time, it has the four
    /// timestamps of NTP (<https://www.rfc-editor.org/rfc/rfc5905#section-8>).
    Echo, "echo" {
        /// The viewer whose report this answers.
        viewer: u64,
        /// The report's send time from its header, in the viewer's microseconds.
        report_sent: u32,
        /// When it arrived, in the sender's microseconds.
        report_received: u64,
    }
}

body! {
    /// The viewer's counts since it joined, sent several times a second.
    ReceiverReport, "receiver report" {
        /// The viewer's number, drawn at random when it starts.
        viewer: u64,
        /// Media packets expected: the highest number plus one, minus the first number.
        media_expected: u64 <= MAX_COUNT,
        /// Media packets received, each number once.
        media_received: u64 <= MAX_COUNT,
        /// Repair packets received, each number once.
        repair_received: u64 <= MAX_COUNT,
        /// Packets received of all channels, each number once.
        packets_received: u64 <= MAX_COUNT,
        /// Packets lost, of all channels.
        packets_lost: u64 <= MAX_COUNT,
        /// Duplicates received.
        packets_duplicate: u64 <= MAX_COUNT,
        /// Packets received after one with a higher number.
        packets_reordered: u64 <= MAX_COUNT,
        /// Corrupt packets received.
        packets_corrupt: u64 <= MAX_COUNT,
        /// Datagrams dropped in the viewer's socket buffer.
        socket_dropped: u64 <= MAX_COUNT,
        /// UDP payload received in bytes.
        bytes: u64 <= MAX_COUNT,
        /// Frames shown.
        frames_shown: u64 <= MAX_COUNT,
        /// Frames shown byte for byte as sent.
        frames_intact: u64 <= MAX_COUNT,
        /// Frames shown concealed.
        frames_concealed: u64 <= MAX_COUNT,
        /// Frames given up of which some chunks arrived.
        frames_incomplete: u64 <= MAX_COUNT,
        /// Frames of which no chunk arrived.
        frames_lost: u64 <= MAX_COUNT,
        /// Frames that were complete only after they were given up.
        frames_late: u64 <= MAX_COUNT,
        /// Complete frames skipped for a newer one.
        frames_skipped: u64 <= MAX_COUNT,
        /// Complete frames that do not decode.
        frames_undecodable: u64 <= MAX_COUNT,
        /// Recent share of media packets lost before repair, in millionths.
        loss_ppm: u32,
        /// Recent mean length of a run of lost media packets, in thousandths of
        /// a packet; 0 if none was lost.
        burst_milli: u32,
        /// Round-trip time in microseconds; 0 while unknown.
        rtt: u32,
        /// Interarrival jitter in microseconds.
        jitter: u32,
        /// One-way delay above the recent minimum, in microseconds: a sign of a queue that fills.
        queueing: u32,
        /// Playout delay in microseconds: how long the viewer waits for a frame.
        playout_delay: u32,
        /// The longest datagram received recently, in the last 0.1 to 0.2 s, in bytes of UDP
        /// payload.
        longest: u32,
        /// Median delay from capture to shown in microseconds; 0 if unknown.
        latency_p50: u32,
        /// 95th percentile of it.
        latency_p95: u32,
        /// 99th percentile of it.
        latency_p99: u32,
        /// Its maximum.
        latency_max: u32,
    }
}

body! {
    /// A viewer's request for the stream of a listening sender. As long as the answer, since the
    /// viewer's address is not proved yet.
    Connect, "connect" {
        /// The viewer's number.
        viewer: u64,
        /// The cookie of the challenge; 0 before there was one.
        cookie: u64,
    }
}

body! {
    /// The sender's answer to a first [`Connect`]. The viewer returns the cookie from the address
    /// that received it.
    Challenge, "challenge" {
        /// The viewer that sent the request.
        viewer: u64,
        /// Proves that the viewer received this packet.
        cookie: u64,
    }
}

body! {
    /// The sender's answer to a viewer that it does not serve.
    Reject, "reject" {
        /// The viewer that sent the request.
        viewer: u64,
        /// The reason. 1: it already serves as many viewers as it may.
        reason: u16,
        /// How many viewers it serves at most.
        viewers: u16,
    }
}

body! {
    /// The sender's answer to a viewer that it serves from now on, or already, if
    /// there is a key: sealed, it carries the sender's half of the handshake.
    Accept, "accept" {
        /// The viewer that asked.
        viewer: u64,
        /// The destination that it is.
        destination: u16,
    }
}

body! {
    /// A viewer that connected ends its stream.
    ReceiverBye, "receiver bye" {
        /// The viewer that ends it.
        viewer: u64,
    }
}

body! {
    /// A viewer's request to a sender's unproved address to return the nonce. As long as the
    /// answer.
    PathChallenge, "path challenge" {
        /// The viewer's number.
        viewer: u64,
        /// Known only to whoever receives at that address.
        nonce: u64,
    }
}

body! {
    /// The sender's answer to a [`PathChallenge`].
    PathResponse, "path response" {
        /// The viewer that sent the challenge.
        viewer: u64,
        /// Its nonce.
        nonce: u64,
    }
}

/// What a viewer asks to be sent again.
///
/// ```text
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |                                viewer                                 |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |            NACK number            | frames |
/// +--------+--------+--------+--------+--------+
///   then for each frame:
/// |           frame number            | extra  |  gaps  | chunk of a gap,
/// +--------+--------+--------+--------+--------+--------+--------+--------+
///   how many, ... |
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Nack {
    /// The viewer's number.
    pub viewer: u64,
    /// Copies of one NACK share it. It is answered once.
    pub number: u32,
    /// The frames, at most [`MAX_NACK_FRAMES`].
    pub frames: Vec<FrameNack>,
}

/// What is lost of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameNack {
    /// The frame.
    pub frame: FrameSeq,
    /// Extra packets beyond the named ones, in case retransmissions are lost.
    pub extra: u8,
    /// First chunk and length of each gap. Empty if no chunk arrived, since the viewer does not
    /// know how many there are.
    pub gaps: Vec<(u16, u16)>,
}

impl Nack {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.frames.len() <= MAX_NACK_FRAMES);
        put_u64(out, self.viewer);
        put_u32(out, self.number);
        out.push(self.frames.len() as u8);
        for nacked in &self.frames {
            debug_assert!(nacked.gaps.len() <= MAX_GAPS);
            put_u32(out, nacked.frame.bits());
            out.extend_from_slice(&[nacked.extra, nacked.gaps.len() as u8]);
            for (first, count) in &nacked.gaps {
                put_u16(out, *first);
                put_u16(out, *count);
            }
        }
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("nack", body);
        let viewer = reader.u64()?;
        let number = reader.u32()?;
        let count = usize::from(reader.u8()?);
        if count > MAX_NACK_FRAMES {
            return Err(WireError::Range {
                field: "frames of a NACK",
                got: count as u64,
            });
        }
        let mut frames = Vec::with_capacity(count);
        let mut named = 0;
        for _ in 0..count {
            let frame = FrameSeq::new(reader.u32()?);
            let extra = reader.u8()?;
            let gaps = usize::from(reader.u8()?);
            named += gaps;
            if named > MAX_GAPS {
                return Err(WireError::Range {
                    field: "gaps of a NACK",
                    got: named as u64,
                });
            }
            let gaps = (0..gaps)
                .map(|_| Ok((reader.u16()?, reader.u16()?)))
                .collect::<Result<Vec<_>, WireError>>()?;
            frames.push(FrameNack { frame, extra, gaps });
        }
        Ok(Self {
            viewer,
            number,
            frames,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_above_those_of_any_stream_are_impossible() {
        for (count, is_possible) in [(0, true), (MAX_COUNT, true), (MAX_COUNT + 1, false)] {
            let sent = SenderReport {
                bytes: count,
                ..SenderReport::default()
            };
            let received = ReceiverReport {
                media_expected: count,
                ..ReceiverReport::default()
            };
            let both = (sent.is_possible(), received.is_possible());
            assert_eq!(both, (is_possible, is_possible), "{count}");
        }
    }
}
