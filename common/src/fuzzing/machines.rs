//! Drives the state machines by lists of operations. Each operation is a byte and its arguments.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::arrivals::arrival_report;
use super::input::Input;
use crate::chunk::ChunkedFrame;
use crate::fec::{Fec, ParityBlock};
use crate::frame::Frame;
use crate::receiver::{
    self, MAX_TILES, Output, Policy, ReceivedFrame, Receiver, SinkOutcome, Transmit,
};
use crate::sender::{self, Sender};
use crate::seq::{FrameNumber, FrameSeq, PacketNumber};
use crate::wire::native::{
    Chunk, Echo, FRAME_HEADER_EVERY, FrameHeader, FrameNack, HEADER, Header, MAX_GAPS,
    MAX_NACK_FRAMES, Nack, Packet, ReceiverReport, SenderReport, Tables, micros, sign,
};

/// Upper bound on the operations of one list. Longer lists find nothing more.
pub(super) const MAX_OPERATIONS: usize = 300;

/// Upper bound on outputs without time advancing. A machine with more never comes to rest.
pub(super) const MAX_TURNS: usize = 5_000;

pub(super) const START: Duration = Duration::from_secs(100);
pub(super) const STREAM: u64 = 7;
pub(super) const VIEWER: u64 = 9;

/// A receiver of the native format.
pub(super) fn receiver(bytes: &[u8]) {
    let mut input = Input(bytes);
    let config = receiver::Config {
        playout_delay: Duration::from_millis(input.number() % 10_000),
        nack: input.u8() & 1 == 0,
        strict: input.u8() & 1 == 0,
        clock_id: |_| Some(1),
        ..receiver::Config::default()
    };
    let mut watched = Watched::new(config);
    let mut sender = PacketMaker::default();
    let mut now = START;
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 20),
            1 => now = watched.due.map_or(now, |at| at.max(now)),
            2 => watched.receiver.handle_socket_drops(input.number()),
            3 => {
                let len = usize::from(input.u8());
                watched
                    .receiver
                    .handle_datagram(address(0), input.bytes(len), now);
            }
            _ => {
                let from = address(u8::from(input.u8() == 0));
                let datagram = sender.datagram(&mut input, now);
                watched.receiver.handle_datagram(from, &datagram, now);
            }
        }
        watched.drain(now);
    }
}

/// A receiver of every format.
pub(super) fn formats(bytes: &[u8]) {
    let mut input = Input(bytes);
    let config = receiver::Config {
        playout_delay: Duration::from_millis(input.number() % 10_000),
        size: (input.u8() & 1 == 0).then(|| (input.u16(), input.u16())),
        ..receiver::Config::default()
    };
    let mut watched = Watched::new(config);
    let mut sender = PacketMaker::default();
    let mut now = START;
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let from = address(input.u8() % 2);
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 20),
            1 => now = watched.due.map_or(now, |at| at.max(now)),
            2 => {
                let datagram = sender.datagram(&mut input, now);
                watched.receiver.handle_datagram(from, &datagram, now);
            }
            _ => {
                let len = usize::from(input.u16() % 1_500);
                watched
                    .receiver
                    .handle_datagram(from, input.bytes(len), now);
            }
        }
        watched.drain(now);
    }
}

/// A receiver of several senders side by side.
pub(super) fn grid(bytes: &[u8]) {
    let mut input = Input(bytes);
    let config = receiver::Config {
        policy: Policy::Grid,
        ..receiver::Config::default()
    };
    let mut watched = Watched::new(config);
    let mut senders: [PacketMaker; 3] = Default::default();
    let mut now = START;
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let from = address(input.u8());
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 2_000),
            1 => now = watched.due.map_or(now, |at| at.max(now)),
            2..=4 => {
                let sender = input.below(senders.len());
                let datagram = senders[sender].datagram(&mut input, now);
                watched.receiver.handle_datagram(from, &datagram, now);
            }
            _ => {
                let len = usize::from(input.u16() % 1_500);
                watched
                    .receiver
                    .handle_datagram(from, input.bytes(len), now);
            }
        }
        watched.drain(now);
        let receiver = &watched.receiver;
        assert!(receiver.tiles() <= MAX_TILES);
        assert_eq!(receiver.tile_statistics().len(), receiver.tiles());
    }
}

/// A receiver whose every output is checked.
struct Watched {
    receiver: Receiver,
    /// The newest frame of each session.
    newest: BTreeMap<u64, FrameNumber>,
    /// When it is next due.
    due: Option<Duration>,
}

impl Watched {
    fn new(config: receiver::Config) -> Self {
        Self {
            receiver: Receiver::new(config, VIEWER, (1, 2), START),
            newest: BTreeMap::new(),
            due: None,
        }
    }

    /// Takes all output, until nothing is due `now`.
    fn drain(&mut self, now: Duration) {
        self.receiver.handle_timeout(now);
        let mut turns = 0;
        loop {
            assert!(turns < MAX_TURNS, "does not come to rest");
            match self.receiver.poll_output(now) {
                Output::Frame(frame) => self.settle(&frame, now),
                Output::Transmit(Transmit { datagram, .. }) => {
                    turns += 1;
                    assert!(Packet::decode(&datagram).is_ok() || datagram[0] >= 128);
                }
                Output::Event(_) | Output::Record(_) => {}
                Output::Timeout(due) => {
                    self.due = due;
                    if due.is_none_or(|at| at > now) {
                        break;
                    }
                    turns += 1;
                    self.receiver.handle_timeout(now);
                }
            }
        }
        let _ = self.receiver.statistics();
    }

    fn settle(&mut self, frame: &ReceivedFrame, now: Duration) {
        let id = frame.id;
        let before = self.newest.insert(id.session, id.number);
        let follows = before.is_none_or(|newest| newest < id.number);
        assert!(follows, "{id:?} after {before:?}");
        let outcomes = [
            SinkOutcome::Shown { at: now },
            SinkOutcome::Skipped,
            SinkOutcome::Undecodable,
        ];
        let outcome = outcomes[frame.jpeg.len() % outcomes.len()];
        self.receiver.handle_outcome(id, outcome);
        self.receiver.handle_outcome(id, outcome);
    }
}

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
                let frames: Vec<_> = (0..=input.below(4) as u64)
                    .map(|behind| Arc::new(chunked_at(frame.0 + behind)))
                    .collect();
                block = ParityBlock::new(u16::from(input.u8()), &frames, 8).expect("a block");
                let mut parity = block.packet(input.below(8));
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

fn chunked(frame: FrameNumber) -> ChunkedFrame {
    chunked_at(frame.0)
}

/// A frame whose length and bytes follow from its number. Every other frame is the same JPEG with
/// restart slices.
fn chunked_at(number: u64) -> ChunkedFrame {
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

pub(super) fn address(host: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], 5_000))
}

pub(super) fn sender(bytes: &[u8]) {
    let mut input = Input(bytes);
    let fecs = [
        Fec::Auto,
        Fec::Off,
        Fec::Fixed(0.2),
        Fec::Fixed(1.0),
        Fec::Fixed(1e9),
    ];
    let config = sender::Config {
        datagram: input.u16().into(),
        destinations: input.below(3),
        interval: (input.u8() & 1 == 0).then(|| Duration::from_micros(input.number())),
        pace: input.u8() & 1 == 0,
        rate: match input.u8() % 3 {
            0 => sender::Rate::Fixed,
            1 => sender::Rate::Auto { first: None },
            _ => sender::Rate::Auto {
                first: Some(input.number()),
            },
        },
        fec: fecs[input.below(fecs.len())],
        retransmit: input.u8() & 1 == 0,
        first_frame: FrameNumber(input.number() % (1 << 40)),
        ..sender::Config::default()
    };
    let mut machine = Sender::new(config, STREAM, START);
    let (mut now, mut number, mut out) = (START, 0, Vec::new());
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 20),
            1 => now = machine.poll_timeout().map_or(now, |at| at.max(now)),
            2 if input.u8() & 1 == 0 => {
                machine.search_path_mtu(input.below(3), input.u16().into(), now);
            }
            2 => machine.set_datagram(input.u16().into()),
            3 => {
                let len = usize::from(input.u16());
                let jpeg = if len.is_multiple_of(3) {
                    Bytes::from_static(SLICED)
                } else {
                    Bytes::from(vec![7; len])
                };
                let _ = machine.handle_frame(jpeg, now, Some(80), now);
            }
            4 if input.u8() == 1 => machine.finish(now),
            5 => {
                let len = usize::from(input.u8());
                machine.handle_datagram(input.below(3), input.bytes(len), now);
            }
            _ => {
                let packet = feedback(&mut input);
                let header = Header {
                    stream: STREAM as u32,
                    destination: 0,
                    channel: packet.channel(),
                    number: PacketNumber(number),
                    sent: input.number(),
                };
                number += 1;
                let mut datagram = Vec::new();
                packet.encode(&header, &mut datagram);
                machine.handle_datagram(input.below(3), &datagram, now);
            }
        }
        for turn in 0.. {
            assert!(turn < MAX_TURNS, "does not come to rest");
            let sender::Output::Transmit(transmit) = machine.poll_output(now, &mut out) else {
                break;
            };
            assert!(transmit.segment > 0 && !out.is_empty());
            for datagram in out.chunks(transmit.segment) {
                assert!(Packet::decode(datagram).is_ok());
            }
        }
        assert!(
            machine.poll_timeout().is_none_or(|at| at > now),
            "does not rest"
        );
        let _ = machine.statistics(now);
    }
}

fn feedback(input: &mut Input<'_>) -> Packet<'static> {
    let kind = input.u8() % 3;
    if kind == 2 {
        return Packet::ArrivalReport(arrival_report(input, VIEWER));
    }
    if kind == 0 {
        return Packet::ReceiverReport(ReceiverReport {
            viewer: input.number(),
            loss_ppm: input.number() as u32,
            burst_milli: input.number() as u32,
            rtt: input.number() as u32,
            queueing: input.number() as u32,
            playout_delay: input.number() as u32,
            ..ReceiverReport::default()
        });
    }
    let mut room = MAX_GAPS;
    let wants = (0..input.below(MAX_NACK_FRAMES + 1)).map(|_| {
        let gaps = input.below(5).min(room);
        room -= gaps;
        FrameNack {
            frame: FrameSeq::new(input.number() as u32),
            extra: input.u8(),
            gaps: (0..gaps)
                .map(|_| (input.number() as u16, input.number() as u16))
                .collect(),
        }
    });
    let wants = wants.collect();
    Packet::Nack(Nack {
        viewer: input.number(),
        number: input.number() as u32,
        frames: wants,
    })
}

/// A grey picture of 32 by 16 in eight restart slices.
pub(super) const SLICED: &[u8] = include_bytes!("sliced.jpg");

/// Its header.
pub(super) const TABLES: &[u8] = SLICED.split_at(SLICED_HEADER).0;

/// Its length.
const SLICED_HEADER: usize = 155;
