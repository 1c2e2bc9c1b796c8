//! Both state machines under attack. Whatever arrives, memory, work and the data sent stay
//! bounded, nothing panics, and no frame is called intact that is not the frame sent.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod feedback;
mod followed;
mod forged;
mod grid;
mod incomplete;
mod noise;
mod parity;
mod places;
mod quadratic;
mod strangers;

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::Statistics;
use framegram_common::reassembly::MAX_HELD_BYTES;
use framegram_common::receiver::{self, Output, ReceivedFrame, Receiver, SinkOutcome, Transmit};
use framegram_common::sender::{self, Sender};
use framegram_common::seq::{FrameNumber, PacketNumber};
use framegram_common::wire::native::{Chunk, FrameHeader, Header, Packet, WireHeader};
use framegram_tests::counting::{Counting, Memory, measure};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const STREAM: u64 = 0x5eed;
const VIEWER: u64 = 0x1e77;
const START: Duration = Duration::from_secs(100);
const INTERVAL: Duration = Duration::from_micros(33_333);

/// The most memory that a receiver may take: frames, as much parity, a code over it during
/// reconstruction, and what it keeps of frames without their bytes.
const MOST_MEMORY: usize = 3 * MAX_HELD_BYTES;

fn sender() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

/// The address of somebody else.
fn at(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, host], port))
}

/// An attacker who knows the stream number and makes packets of that stream.
struct Forger {
    stream: u64,
    numbers: [u64; 3],
}

impl Forger {
    fn new() -> Self {
        Self {
            stream: STREAM,
            numbers: [0; 3],
        }
    }

    /// The packet as a datagram, with the next number of its channel.
    fn datagram(&mut self, packet: &Packet<'_>, now: Duration) -> Vec<u8> {
        let channel = packet.channel();
        let number = &mut self.numbers[channel as usize];
        let header = Header {
            stream: self.stream as u32,
            destination: 0,
            channel,
            number: PacketNumber(*number),
            sent: now.as_micros() as u64,
        };
        *number += 1;
        let mut out = Vec::new();
        packet.encode(&header, &mut out);
        out
    }
}

/// The packet once more, with a number and a checksum of its own.
fn again(header: impl Into<WireHeader>, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    packet.encode(header, &mut out);
    out
}

/// A chunk that claims to be one of a frame of this length.
fn claim(frame: FrameNumber, len: usize, size: usize, index: u16, data: &[u8]) -> Chunk<'_> {
    let start = usize::from(index) * size;
    let header = FrameHeader {
        len: len as u32,
        crc: 7,
        captured: 1,
        size: size as u16,
        tables: 0,
    };
    let chunk = Chunk {
        frame: frame.seq(),
        index,
        count: len.div_ceil(size) as u16,
        restart_cycle: None,
        header: None,
        data: &data[..size.min(len - start)],
    };
    Chunk {
        header: chunk.has_header().then_some(header),
        ..chunk
    }
}

/// A receiver under observation.
struct Watched {
    receiver: Receiver,
    shown: Vec<ReceivedFrame>,
    /// Whether the shown frames are kept.
    keeps: bool,
    /// Datagrams and bytes that it sent.
    sent: (u64, u64),
    /// When it next has something to do.
    due: Option<Duration>,
}

impl Watched {
    fn new(config: receiver::Config) -> Self {
        Self {
            receiver: Receiver::new(config, VIEWER, (1, 2), START),
            shown: Vec::new(),
            keeps: true,
            sent: (0, 0),
            due: None,
        }
    }

    fn take(&mut self, datagram: &[u8], now: Duration) {
        self.receiver.handle_datagram(sender(), datagram, now);
        self.drain(now);
    }

    fn drain(&mut self, now: Duration) {
        self.receiver.handle_timeout(now);
        let mut turns = 0;
        loop {
            match self.receiver.poll_output(now) {
                Output::Frame(frame) => {
                    self.receiver
                        .handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    if self.keeps {
                        self.shown.push(frame);
                    }
                }
                Output::Event(_) | Output::Record(_) => {}
                Output::Transmit(Transmit { datagram, .. }) => {
                    self.sent.0 += 1;
                    self.sent.1 += datagram.len() as u64;
                    turns += 1;
                    assert!(turns < 100, "does not come to rest at {now:?}");
                }
                Output::Timeout(due) => {
                    self.due = due;
                    return;
                }
            }
        }
    }

    fn statistics(&self) -> Statistics {
        self.receiver.statistics()
    }
}

/// A stream whose every datagram passes through `tamper`, which returns what arrives instead.
/// Nothing is sent back.
fn tampered(
    frames: &[Bytes],
    transmitter: sender::Config,
    receiver: receiver::Config,
    mut tamper: impl FnMut(&[u8], Duration) -> Vec<Vec<u8>>,
) -> Watched {
    let mut watched = Watched::new(receiver);
    let config = sender::Config {
        interval: Some(INTERVAL),
        ..transmitter
    };
    let mut transmitter = Sender::new(config, STREAM, START);
    let mut frames = frames.iter();
    let (mut now, mut frame_due, mut buffer) = (START, START, Vec::new());
    let mut last = None;
    loop {
        if now >= frame_due && last.is_none() {
            match frames.next() {
                Some(frame) => {
                    let taken = transmitter.handle_frame(frame.clone(), now, None, now);
                    taken.unwrap();
                }
                None => {
                    transmitter.finish(now);
                    last = Some(now);
                }
            }
            frame_due += INTERVAL;
        }
        while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut buffer) {
            for datagram in buffer.chunks(transmit.segment) {
                for arriving in tamper(datagram, now) {
                    watched.take(&arriving, now);
                }
            }
        }
        watched.drain(now);
        let next = [
            last.is_none().then_some(frame_due),
            transmitter.poll_timeout(),
            watched.due,
        ];
        let over = last.is_some_and(|last| now > last + Duration::from_secs(2));
        match next.into_iter().flatten().min() {
            Some(next) if !over => now = next.max(now + Duration::from_micros(1)),
            _ => return watched,
        }
    }
}

fn random_frames(rng: &mut Rng, count: usize, most: usize) -> Vec<Bytes> {
    let frame = |_| {
        let mut bytes = vec![0; rng.usize(1..most)];
        rng.fill(&mut bytes);
        Bytes::from(bytes)
    };
    (0..count).map(frame).collect()
}

/// Asserts that every complete frame that was shown is the one sent.
fn assert_true(seed: u64, watched: &Watched, sent: &[Bytes]) {
    for frame in &watched.shown {
        let number = frame.id.number.0 as usize;
        assert!(
            frame.stale.is_empty() && sent.get(number) == Some(&frame.jpeg),
            "seed {seed}: frame {number} was shown and is not the one sent"
        );
    }
}

fn assert_bounded(what: &str, memory: Memory, most: usize) {
    assert!(
        memory.peak <= most,
        "{what}: held {} bytes, {most} are the bound",
        memory.peak
    );
}
