//! Packets about the stream: totals, reports, requests, and the handshake of
//! a viewer that comes by itself.

use super::HEADER;
use super::fields::{Reader, put_u16, put_u32, put_u64};
use crate::seq::FrameSeq;
use crate::wire::WireError;

/// The most frames that one request names.
pub const MAX_WANTS: usize = 64;

/// The most gaps that one request names, all frames together; what is missing
/// beyond them is asked for in the next.
pub const MAX_GAPS: usize = 255;

/// Bytes of a request's body before its frames.
pub const REQUEST_BODY: usize = 14;

/// Bytes of a request for each frame.
pub const WANT_LEN: usize = 6;

/// Bytes of a request for each gap.
pub const GAP_LEN: usize = 4;

/// Declares a body of plain numbers once: the struct, its order on the wire,
/// and both directions. The numbers that came `later` are not there where all
/// are 0, and 0 where they are not all there.
macro_rules! body {
    (
        $(#[$doc:meta])*
        $name:ident, $what:literal { $( $(#[$field_doc:meta])* $field:ident: $kind:ident, )* }
        $( later { $( $(#[$later_doc:meta])* $later:ident: $later_kind:ident, )* } )?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct $name {
            $( $(#[$field_doc])* pub $field: $kind, )*
            $( $( $(#[$later_doc])* pub $later: $later_kind, )* )?
        }

        impl $name {
            /// Bytes of it on the wire, without the numbers that came later.
            pub const LEN: usize = 0 $( + size_of::<$kind>() )*;

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
    /// the start, at least once a second, and in the farewell, which is sent
    /// several times; each counts itself.
    Totals, "totals" {
        /// Frames that the source delivered.
        frames_captured: u64,
        /// Frames replaced by a newer one before they were encoded.
        frames_replaced: u64,
        /// Frames that could not be encoded or sent.
        frames_not_sent: u64,
        /// Frames sent; their numbers are all below this one.
        frames_sent: u64,
        /// Packets of the media channel.
        media: u64,
        /// Packets of the repair channel.
        repair: u64,
        /// Packets of the control channel, this one included.
        control: u64,
        /// UDP payload of all of them in bytes, this one included, and those
        /// that its own system refused to send left out.
        bytes: u64,
        /// Bytes of the JPEGs of the frames sent.
        jpeg_bytes: u64,
        /// When the stream began, in the sender's microseconds.
        started: u64,
        /// Equal to the viewer's own where both read one clock: on one boot of
        /// one machine, in one time namespace; 0 where the sender cannot tell.
        boot_mark: u64,
        /// Microseconds from frame to frame; 0 where that is not known.
        interval: u32,
        /// Microseconds for which the sender keeps what it sent, to send it
        /// again on request; 0 where it answers no requests.
        kept: u32,
        /// Microseconds over which the packets of a frame are spread.
        spread: u32,
    }
    later {
        /// Packets of all channels that were counted and did not leave, since
        /// the sender's own system refused them.
        refused: u64,
        /// The newest run of media packets among these: its first number ...
        refused_first: u64,
        /// ... and one above its last; both 0 before there is one.
        refused_end: u64,
        /// Median time from capture to the end of encoding in microseconds.
        encode_p50: u32,
        /// 95th percentile of it.
        encode_p95: u32,
        /// 99th percentile of it.
        encode_p99: u32,
        /// Its maximum; 0 while it is not known.
        encode_max: u32,
        /// Median time from the end of encoding to the first datagram leaving
        /// in microseconds.
        send_p50: u32,
        /// 95th percentile of it.
        send_p95: u32,
        /// 99th percentile of it.
        send_p99: u32,
        /// Its maximum; 0 while it is not known.
        send_max: u32,
    }
}

impl Totals {
    /// Bytes of a datagram that carries them.
    #[must_use]
    pub fn datagram_len(&self) -> usize {
        let mut body = Vec::new();
        self.encode(&mut body);
        HEADER + body.len()
    }
}

body! {
    /// The sender's answer to a report: with the header's send time, the four
    /// timestamps of NTP (<https://www.rfc-editor.org/rfc/rfc5905#section-8>).
    Reply, "reply" {
        /// Whose report is answered.
        viewer: u64,
        /// The report's send time, in the viewer's microseconds.
        report_sent: u64,
        /// When it arrived, in the sender's microseconds.
        report_received: u64,
    }
}

body! {
    /// The viewer's counts since it joined, sent several times a second.
    Report, "report" {
        /// The viewer's number, drawn at random when it starts.
        viewer: u64,
        /// Media packets that were to come: the highest number and one, less
        /// the number of the first.
        media_expected: u64,
        /// Media packets received, each number once.
        media_received: u64,
        /// Repair packets received, each number once.
        repair_received: u64,
        /// Packets received of all channels, each number once.
        packets_received: u64,
        /// Packets lost on the way, of all channels.
        packets_lost: u64,
        /// Packets received again.
        packets_duplicate: u64,
        /// Packets received after one with a higher number.
        packets_reordered: u64,
        /// Packets that arrived damaged.
        packets_corrupt: u64,
        /// Datagrams dropped in the viewer's socket buffer.
        socket_dropped: u64,
        /// UDP payload received in bytes.
        bytes: u64,
        /// Frames shown.
        frames_shown: u64,
        /// Frames shown byte for byte as sent.
        frames_intact: u64,
        /// Frames shown with holes.
        frames_concealed: u64,
        /// Frames given up with something of them received.
        frames_incomplete: u64,
        /// Frames of which nothing arrived.
        frames_lost: u64,
        /// Frames that were complete only after they had been given up.
        frames_late: u64,
        /// Complete frames that a newer one overtook.
        frames_superseded: u64,
        /// Complete frames that no decoder takes.
        frames_undecodable: u64,
        /// Lost media packets before repair, in millionths, of late.
        loss_ppm: u32,
        /// Mean length of a run of lost media packets of late, in thousandths
        /// of a packet; 0 where none was lost.
        burst_milli: u32,
        /// Round-trip time in microseconds; 0 while it is not known.
        rtt: u32,
        /// Interarrival jitter in microseconds.
        jitter: u32,
        /// One-way delay above the least seen of late, in microseconds: a
        /// queue that fills.
        queueing: u32,
        /// How long the viewer waits for an incomplete frame, in microseconds.
        budget: u32,
        /// Median delay from capture to shown in microseconds; 0 unless known.
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
    /// A viewer asks a listening sender for the stream. As long as the answer
    /// that it may draw before it has proved its address.
    Connect, "connect" {
        /// The viewer's number.
        viewer: u64,
        /// The cookie of the challenge; 0 before there was one.
        cookie: u64,
    }
}

body! {
    /// The sender's answer to a first [`Connect`]: send this back from where
    /// you got it.
    Challenge, "challenge" {
        /// The viewer that asked.
        viewer: u64,
        /// What proves that it got this.
        cookie: u64,
    }
}

body! {
    /// The sender's answer to a viewer that it does not serve.
    Refusal, "refusal" {
        /// The viewer that asked.
        viewer: u64,
        /// Why: 1, it serves as many viewers as it may.
        reason: u16,
        /// How many viewers it serves at most.
        viewers: u16,
    }
}

body! {
    /// A viewer that came by itself takes its leave.
    Leave, "leave" {
        /// The viewer that goes.
        viewer: u64,
    }
}

body! {
    /// A viewer asks the sender at an address that it has not proved yet to send
    /// the nonce back from there. As long as the answer.
    PathChallenge, "path challenge" {
        /// The viewer's number.
        viewer: u64,
        /// What nobody elsewhere can know.
        nonce: u64,
    }
}

body! {
    /// The sender's answer to a [`PathChallenge`].
    PathResponse, "path response" {
        /// The viewer that asked.
        viewer: u64,
        /// Its nonce.
        nonce: u64,
    }
}

/// What a viewer misses.
///
/// ```text
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |                                viewer                                 |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |          request number           | frames |   0    |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
///   then for each frame:
/// |           frame number            | extra  |  gaps  | chunk of a gap,
/// +--------+--------+--------+--------+--------+--------+--------+--------+
///   how many, ... |
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// The viewer's number.
    pub viewer: u64,
    /// Copies of one request share it, and are answered once.
    pub number: u32,
    /// The frames, at most [`MAX_WANTS`].
    pub wants: Vec<Want>,
}

/// What is missing of one frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Want {
    /// The frame.
    pub frame: FrameSeq,
    /// How many packets more than named are welcome, against the loss of the
    /// answer itself.
    pub extra: u8,
    /// First chunk and count of each gap; none where nothing arrived and the
    /// viewer does not know what the frame consists of.
    pub gaps: Vec<(u16, u16)>,
}

impl Request {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.wants.len() <= MAX_WANTS);
        put_u64(out, self.viewer);
        put_u32(out, self.number);
        out.extend_from_slice(&[self.wants.len() as u8, 0]);
        for want in &self.wants {
            debug_assert!(want.gaps.len() <= MAX_GAPS);
            put_u32(out, want.frame.0);
            out.extend_from_slice(&[want.extra, want.gaps.len() as u8]);
            for (first, count) in &want.gaps {
                put_u16(out, *first);
                put_u16(out, *count);
            }
        }
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("request", body);
        let viewer = reader.u64()?;
        let number = reader.u32()?;
        let frames = usize::from(reader.u8()?);
        reader.u8()?;
        if frames > MAX_WANTS {
            return Err(WireError::Range {
                field: "frames of a request",
                got: frames as u64,
            });
        }
        let mut wants = Vec::with_capacity(frames);
        let mut named = 0;
        for _ in 0..frames {
            let frame = FrameSeq(reader.u32()?);
            let extra = reader.u8()?;
            let gaps = usize::from(reader.u8()?);
            named += gaps;
            if named > MAX_GAPS {
                return Err(WireError::Range {
                    field: "gaps of a request",
                    got: named as u64,
                });
            }
            let gaps = (0..gaps)
                .map(|_| Ok((reader.u16()?, reader.u16()?)))
                .collect::<Result<Vec<_>, WireError>>()?;
            wants.push(Want { frame, extra, gaps });
        }
        Ok(Self {
            viewer,
            number,
            wants,
        })
    }
}
