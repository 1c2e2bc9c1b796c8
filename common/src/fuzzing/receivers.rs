//! Drives receivers by lists of operations. Each operation is a byte and its arguments.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::bounds::{MAX_OPERATIONS, MAX_TURNS, START, STATISTICS_EVERY, VIEWER, address};
use super::input::Input;
use super::packets::PacketMaker;
use crate::receiver::{
    self, MAX_TILES, Output, Policy, ReceivedFrame, Receiver, SinkOutcome, Transmit,
};
use crate::seq::FrameNumber;
use crate::wire::native::Packet;

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
    watched.finish(now);
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
                watched.handle_bytes(&mut input, from, now);
            }
        }
        watched.drain(now);
    }
    watched.finish(now);
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
                watched.handle_bytes(&mut input, from, now);
            }
        }
        watched.drain(now);
        assert!(watched.receiver.tiles() <= MAX_TILES);
    }
    watched.finish(now);
}

/// A receiver whose every output is checked.
struct Watched {
    receiver: Receiver,
    /// The newest frame of each session.
    newest: BTreeMap<u64, FrameNumber>,
    /// When it is next due.
    due: Option<Duration>,
    /// The operations so far.
    operations: usize,
}

impl Watched {
    fn new(config: receiver::Config) -> Self {
        Self {
            receiver: Receiver::new(config, VIEWER, (1, 2), START),
            newest: BTreeMap::new(),
            due: None,
            operations: 0,
        }
    }

    /// Handles a datagram of arbitrary bytes.
    fn handle_bytes(&mut self, input: &mut Input<'_>, from: SocketAddr, now: Duration) {
        let len = usize::from(input.u16() % 1_500);
        self.receiver.handle_datagram(from, input.bytes(len), now);
    }

    /// Does what is due `now`, after each operation.
    fn drain(&mut self, now: Duration) {
        self.receiver.handle_timeout(now);
        self.take_output(now);
        self.operations += 1;
        if self.operations.is_multiple_of(STATISTICS_EVERY) {
            self.take_statistics();
        }
    }

    /// Ends the run. Each frame then has a record.
    fn finish(&mut self, now: Duration) {
        self.receiver.finish();
        while !matches!(self.receiver.poll_output(now), Output::Timeout(_)) {}
        self.take_statistics();
    }

    fn take_statistics(&self) {
        let _ = self.receiver.statistics();
        let tiles = self.receiver.tile_statistics();
        assert_eq!(tiles.len(), self.receiver.tiles());
    }

    /// Takes all output, until nothing is due `now`.
    fn take_output(&mut self, now: Duration) {
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
