//! Packets of a sender, genuine and forged.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::bounds::{STREAM, VIEWER};
use super::input::Input;
use crate::chunk::ChunkedFrame;
use crate::fec::ParityBlock;
use crate::frame::Frame;
use crate::seq::{FrameNumber, FrameSeq, PacketNumber};
use crate::wire::native::{
    Chunk, Echo, FRAME_HEADER_EVERY, FrameHeader, HEADER, Header, Packet, SenderReport, Tables,
    micros, sign,
};

/// Makes packets of a stream that always has the same frames.
#[derive(Default)]
pub(super) struct PacketMaker {
    numbers: [u64; 3],
}

impl PacketMaker {
    pub(super) fn datagram(&mut self, input: &mut Input<'_>, now: Duration) -> Vec<u8> {
        let frame = FrameNumber(input.number() % (1 << 33));
        let sent = micros(now).wrapping_sub(input.number());
        let (mut shard, mut counts) = (Vec::new(), Vec::new());
        let (block, mut chunk);
        let chunked = chunked(frame);
        let packet = match input.u8() % 12 {
            0..4 => Packet::Chunk(chunked.chunk(input.below(chunked.count()))),
            4 => Packet::Retransmission(chunked.chunk(input.below(chunked.count()))),
            5 => {
                chunk = chunked.chunk(input.below(chunked.count()));
                lie(&mut chunk, input);
                Packet::Chunk(chunk)
            }
            6 | 7 => {
                block = block_of(frame, input.below(4) as u64 + 1);
                let number = input.u8().into();
                let mut parity = block.packet(input.below(SHARDS));
                parity.block = number;
                match input.u8() % 8 {
                    0 => {
                        shard.extend_from_slice(parity.shard);
                        let at = input.below(shard.len());
                        shard[at] ^= input.u8();
                        parity.shard = &shard;
                    }
                    1 => {
                        counts.extend((0..=input.below(4)).map(|_| u16::from(input.u8()) + 1));
                        parity.counts.clone_from(&counts);
                    }
                    2 => parity.shards = input.u16().max(parity.index + 1),
                    3 => parity.first = FrameSeq::new(input.u32()),
                    _ => {}
                }
                Packet::Parity(parity)
            }
            8 => Packet::SenderReport(totals(input, sent, now)),
            9 => Packet::SenderBye(totals(input, sent, now)),
            10 => Packet::Echo(Echo {
                viewer: VIEWER,
                report_sent: input.u32(),
                report_received: input.number(),
            }),
            _ => Packet::Tables(Tables {
                set: u16::from(input.u8()).max(1),
                quality: Some(80),
                part: 0,
                parts: 1,
                header: TABLES,
            }),
        };
        let number = &mut self.numbers[packet.channel() as usize];
        let header = Header {
            stream: STREAM as u32 + u32::from(input.u8() == 1),
            destination: 0,
            channel: packet.channel(),
            number: PacketNumber(number.wrapping_add(if input.u8() < 200 {
                0
            } else {
                input.number()
            })),
            sent,
        };
        *number = header.number.0.wrapping_add(1);
        let mut datagram = Vec::new();
        packet.encode(&header, &mut datagram);
        // Now and then, a body that no encoder makes.
        if input.u8() == 255 {
            let at = HEADER + input.below(datagram.len() - HEADER);
            datagram[at] ^= input.u8();
            sign(&mut datagram);
        }
        datagram
    }
}

fn lie(chunk: &mut Chunk<'_>, input: &mut Input<'_>) {
    match input.u8() % 5 {
        0 => chunk.restart_cycle = Some(input.u16() % 4_095),
        1 => chunk.frame = FrameSeq::new(input.u32()),
        // One that is neither the first nor the last.
        2 if !chunk.index.is_multiple_of(FRAME_HEADER_EVERY) => {
            chunk.index = input.u16() % 512;
            chunk.index += u16::from(chunk.index.is_multiple_of(FRAME_HEADER_EVERY));
            chunk.count = chunk.index + 2 + input.u16() % 512;
            chunk.header = None;
            chunk.data = &chunk.data[..chunk.data.len().min(usize::from(input.u16()) + 1)];
        }
        3 => {
            if let Some(header) = &mut chunk.header {
                header.crc = input.u32();
                header.captured = input.u32();
                header.tables = input.u16();
            }
        }
        _ => {
            // The longest possible length at this size; only the beginning is sent.
            let len = input.u32() % (1 << 20) + 1;
            chunk.data = &chunk.data[..chunk.data.len().min(len as usize)];
            chunk.index = 0;
            chunk.count = (len as usize).div_ceil(chunk.data.len().max(1)) as u16;
            chunk.header = Some(FrameHeader {
                len,
                crc: input.u32(),
                captured: input.u32(),
                size: chunk.data.len() as u16,
                tables: 0,
            });
        }
    }
}

fn totals(input: &mut Input<'_>, sent: u64, now: Duration) -> SenderReport {
    SenderReport {
        frames_captured: input.number(),
        frames_replaced: input.number(),
        frames_sent: input.number(),
        media: input.number(),
        repair: input.number(),
        control: input.number(),
        started: micros(now).wrapping_sub(input.number()),
        sent_high: (sent >> 32) as u32,
        id: STREAM + (u64::from(input.u8() == 1) << 32),
        clock_id: input.number(),
        interval: input.u32() % 100_000,
        kept: input.u32() % 100_000,
        spread: input.u32() % 100_000,
        send_errors: input.number(),
        unsent_first: input.number(),
        unsent_end: input.number(),
        encode_max: input.u32(),
        ..SenderReport::default()
    }
}

/// Upper bound on the frames and on the blocks that are kept for the next runs: making them takes
/// longer than most packets.
const MAX_MADE: usize = 512;

/// Parity shards of a block.
const SHARDS: usize = 8;

thread_local! {
    static FRAMES: RefCell<BTreeMap<FrameNumber, Arc<ChunkedFrame>>> = RefCell::default();
    static BLOCKS: RefCell<BTreeMap<(FrameNumber, u64), Arc<ParityBlock>>> = RefCell::default();
}

/// What was made for this key, or is made now.
fn made<K: Ord, V>(known: &mut BTreeMap<K, Arc<V>>, key: K, make: impl FnOnce() -> V) -> Arc<V> {
    if known.len() >= MAX_MADE {
        known.clear();
    }
    Arc::clone(known.entry(key).or_insert_with(|| Arc::new(make())))
}

/// The parity over this many frames.
fn block_of(first: FrameNumber, frames: u64) -> Arc<ParityBlock> {
    let make = || {
        let frames = (0..frames).map(|behind| chunked(FrameNumber(first.0 + behind)));
        let frames: Vec<_> = frames.collect();
        ParityBlock::new(0, &frames, SHARDS).expect("a block")
    };
    BLOCKS.with_borrow_mut(|blocks| made(blocks, (first, frames), make))
}

/// A frame whose length and bytes follow from its number. Every other frame is the same JPEG with
/// restart slices.
fn chunked(number: FrameNumber) -> Arc<ChunkedFrame> {
    FRAMES.with_borrow_mut(|frames| made(frames, number, || cut(number)))
}

fn cut(FrameNumber(number): FrameNumber) -> ChunkedFrame {
    let (jpeg, tables) = if number.is_multiple_of(2) {
        (SLICED.to_vec(), 1)
    } else {
        let len = number.wrapping_mul(0x9e37_79b9) % 4_000 + 1;
        ((0..len).map(|at| (at * 31 + number) as u8).collect(), 0)
    };
    let slices = if tables == 0 {
        Vec::new()
    } else {
        crate::jpeg::slice_starts(&jpeg, TABLES.len())
    };
    let frame = Frame {
        number: FrameNumber(number),
        jpeg: Bytes::from(jpeg),
        captured: Duration::from_micros(number % 1_000_000),
    };
    ChunkedFrame::new(frame, 640, tables, slices).expect("a frame")
}

/// A grey picture of 32 by 16 in eight restart slices.
pub(super) const SLICED: &[u8] = include_bytes!("sliced.jpg");

/// Its header.
pub(super) const TABLES: &[u8] = SLICED.split_at(SLICED_HEADER).0;

/// Its length.
const SLICED_HEADER: usize = 155;
