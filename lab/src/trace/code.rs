//! Entries as bytes, and back.
//!
//! Fields in their order, `Δ` a difference that may be negative; `at`, `transit`
//! and the like are what stood last in the block:
//!
//! ```text
//!  1 begin     Δat, budget, flags (1: asks, 2: whole frames only)
//!  2 stream    number (8 bytes), format (0 native, 1 RTP, 2 raw)
//!  3 drops     Δat, Δtotal
//!  4 frame     Δ from the frame after the last, outcome (a byte, below)
//!  5 chunk     packet, place
//!  6 resent    packet, place
//!  7 parity    packet, bytes unless SAME_SIZE
//!  8 tables    packet, bytes
//!  9 totals    packet, bytes, counts
//! 10 bye  packet, bytes, counts
//! 11 reply     packet, bytes, round trip
//! 13 RTP       Δat, Δ from the sequence number after the last, Δtimestamp,
//!              bytes unless SAME_SIZE
//! 14 other     Δat, disposition (as in trace::Disposition), bytes
//! 15 end       Δat, why, datagrams
//!
//! packet       Δat (its arrival), Δ from the number after the last of its
//!              channel unless IN_ORDER, Δtransit (arrival less sent)
//! place        nothing if NEXT: the chunk behind the last one of its kind;
//!              else its index, and if NEW_FRAME: Δframe, frame length, chunk
//!              size, Δcaptured
//! counts       the fields of trace::Counts
//! ```
//!
//! Flags of a tag: 0x10 IN_ORDER, 0x20 NEXT or SAME_SIZE, 0x40 NEW_FRAME (of
//! RTP: the marker), 0x80 a duplicate. Of tables 0x20 says that they are none,
//! but the answer that proves the sender's address.

mod put;
mod take;

use framegram_common::stats;
use framegram_common::wire::Format;
use framegram_common::wire::native::Channel;

use super::{ChunkPlace, Disposition, Why};

/// What stood last in a block.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    at: u64,
    transit: u64,
    /// By channel, the number after the last.
    next: [u64; 3],
    /// The last chunk sent first, and the last sent again.
    places: [ChunkPlace; 2],
    parity: u32,
    drops: u64,
    /// The frame after the last that was settled.
    frame: u64,
    sequence: u16,
    timestamp: u32,
    rtp: u32,
}

/// What stands for the outcome of a frame.
fn outcome_code(outcome: stats::Outcome) -> u8 {
    match outcome {
        stats::Outcome::IntactUnrepaired => 0,
        stats::Outcome::IntactRetransmission => 1,
        stats::Outcome::IntactParity => 2,
        stats::Outcome::Concealed => 3,
        stats::Outcome::Skipped => 4,
        stats::Outcome::Undecodable => 5,
        stats::Outcome::Late => 6,
        stats::Outcome::Corrupt => 7,
        stats::Outcome::LostUnknown => 8,
        stats::Outcome::LostSocket => 9,
        stats::Outcome::LostNetwork => 10,
        stats::Outcome::BeforeJoining => 11,
        stats::Outcome::TailUnknown => 12,
        stats::Outcome::Open => 13,
        stats::Outcome::NotSent => 14,
        stats::Outcome::Replaced => 15,
    }
}

const FORMATS: [Format; 3] = [Format::Native, Format::Rtp, Format::Raw];
const WHYS: [Why; 3] = [Why::Over, Why::Limit, Why::Slow];
const DISPOSITIONS: [Disposition; 5] = [
    Disposition::Received,
    Disposition::Duplicate,
    Disposition::Corrupt,
    Disposition::Foreign,
    Disposition::Malformed,
];

const BEGIN: u8 = 1;
const STREAM: u8 = 2;
const DROPS: u8 = 3;
const FRAME: u8 = 4;
const CHUNK: u8 = 5;
const RESENT: u8 = 6;
const PARITY: u8 = 7;
const TABLES: u8 = 8;
const TOTALS: u8 = 9;
const SENDER_BYE: u8 = 10;
const REPLY: u8 = 11;
const RTP: u8 = 13;
const OTHER: u8 = 14;
const END: u8 = 15;

const IN_ORDER: u8 = 0x10;
const NEXT: u8 = 0x20;
const SAME_SIZE: u8 = 0x20;
const PROOF: u8 = 0x20;
const NEW_FRAME: u8 = 0x40;
const DUPLICATE: u8 = 0x80;
