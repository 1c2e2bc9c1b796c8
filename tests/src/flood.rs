//! Forged datagrams of every kind that someone who does not see a stream can make.

use std::time::Duration;

use fastrand::Rng;
use framegram_common::seq::{FrameNumber, PacketNumber};
use framegram_common::wire::native::{Chunk, FrameHeader, Header, Packet, Parity, SenderReport};
use framegram_seal::{Secret, SenderSeal, Suite, key_text};

/// A kind of forged datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Flood {
    /// What they are.
    pub name: &'static str,
    /// Makes a datagram. The number of its stream is at least [`STREAMS`].
    pub make: fn(&mut Rng) -> Vec<u8>,
}

/// The lowest stream number of a forged packet.
pub const STREAMS: u32 = 1 << 16;

/// All kinds, and at last a mixture of them.
pub const FLOODS: [Flood; 10] = [
    flood("random bytes", noise),
    flood("frames that never become complete", |rng| chunk(rng, 3_000)),
    flood("frames of 16 MB", |rng| chunk(rng, 16 << 20)),
    flood("frames of one datagram", |rng| chunk(rng, LEN)),
    flood("parity", parity),
    flood("reports and byes", counts),
    flood("RTP, each of another source", |rng| rtp(rng, 0)),
    flood("RTP, far within a frame", |rng| rtp(rng, 0xff_0000)),
    flood("JPEGs that never end", jpeg),
    flood("all of these", |rng| {
        (FLOODS[rng.usize(..FLOODS.len() - 1)].make)(rng)
    }),
];

/// Packets as a sender with another key seals them: each is of a start of its own,
/// whose salt the reports among them tell.
pub const SEALED: Flood = flood("sealed with another key", sealed);

const fn flood(name: &'static str, make: fn(&mut Rng) -> Vec<u8>) -> Flood {
    Flood { name, make }
}

/// Bytes of a chunk or a fragment.
const LEN: usize = 1_400;

/// The packet as a datagram of a random stream.
fn packet(rng: &mut Rng, packet: &Packet<'_>) -> Vec<u8> {
    let header = Header {
        stream: rng.u32(STREAMS..),
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(rng.u32(..).into()),
        sent: rng.u32(..).into(),
    };
    let mut datagram = Vec::new();
    packet.encode(&header, &mut datagram);
    datagram
}

fn sealed(rng: &mut Rng) -> Vec<u8> {
    let packet = match rng.u8(..3) {
        0 => chunk(rng, LEN),
        1 => parity(rng),
        _ => counts(rng),
    };
    let key = key_text((rng.u64(..), rng.u64(..)));
    let secret = Secret::from_key(&key).expect("a key");
    let salt = rng.u128(..).to_be_bytes();
    let mut seal = SenderSeal::new(secret, salt, Suite::best());
    let mut datagram = Vec::new();
    seal.seal(&packet, packet.len(), Duration::ZERO, &mut datagram);
    datagram
}

fn noise(rng: &mut Rng) -> Vec<u8> {
    let mut noise = vec![0; rng.usize(..LEN)];
    rng.fill(&mut noise);
    noise
}

fn chunk(rng: &mut Rng, len: usize) -> Vec<u8> {
    let data = [0xff; LEN];
    let header = FrameHeader {
        len: len as u32,
        crc: rng.u32(..),
        captured: rng.u32(..),
        size: LEN as u16,
        tables: 0,
    };
    let chunk = Chunk {
        frame: FrameNumber(rng.u32(..).into()).seq(),
        // The last chunk may be shorter.
        index: rng.u16(..(len / LEN) as u16),
        count: len.div_ceil(LEN) as u16,
        restart_cycle: None,
        header: None,
        data: &data,
    };
    let header = chunk.has_header().then_some(header);
    packet(rng, &Packet::Chunk(Chunk { header, ..chunk }))
}

fn parity(rng: &mut Rng) -> Vec<u8> {
    let shard = [7; LEN];
    let parity = Parity {
        block: rng.u16(..),
        first: FrameNumber(rng.u32(..).into()).seq(),
        counts: vec![2_000; rng.usize(1..=16)],
        shards: 2_000,
        index: rng.u16(..2_000),
        shard: &shard,
    };
    packet(rng, &Packet::Parity(parity))
}

fn counts(rng: &mut Rng) -> Vec<u8> {
    let report = SenderReport {
        frames_sent: rng.u64(..1 << 20),
        media: rng.u64(..1 << 30),
        started: rng.u64(..1 << 40),
        id: rng.u64(..),
        interval: 33_333,
        ..SenderReport::default()
    };
    if rng.bool() {
        packet(rng, &Packet::SenderReport(report))
    } else {
        packet(rng, &Packet::SenderBye(report))
    }
}

/// A fragment (<https://www.rfc-editor.org/rfc/rfc2435#section-3.1>) in RTP.
fn rtp(rng: &mut Rng, offset: u32) -> Vec<u8> {
    let mut datagram = vec![0x80, 26];
    datagram.extend(rng.u16(..).to_be_bytes());
    datagram.extend([rng.u32(..).to_be_bytes(), rng.u32(..).to_be_bytes()].concat());
    datagram.extend(offset.to_be_bytes());
    datagram.extend([1, 60, 80, 60]);
    datagram.resize(LEN, 0x55);
    datagram
}

fn jpeg(rng: &mut Rng) -> Vec<u8> {
    let mut datagram = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
    datagram.resize(rng.usize(20..LEN), 0x55);
    datagram
}
