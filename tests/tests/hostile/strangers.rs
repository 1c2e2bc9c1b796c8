//! Attackers that send to a viewer from other addresses, or from the sender's forged one. No
//! address is sent more than came from there, and the stream goes on as before.

mod blind;
mod byes;
mod flood;
mod reflection;

use std::collections::BTreeMap;

use super::*;
use framegram_common::receiver::Event;
use framegram_common::wire::native::{
    Challenge, Channel, Echo, HEADER, Parity, ReceiverReport, Reject, SenderReport, Tables, micros,
};

const MS: Duration = Duration::from_millis(1);

/// Bytes of a receiver report.
const REPORT: u64 = (HEADER + ReceiverReport::LEN) as u64;

fn stranger() -> SocketAddr {
    SocketAddr::from(([198, 51, 100, 7], 7))
}

/// A sender and a viewer, and attackers between them.
struct Stage {
    transmitter: Sender,
    receiver: Receiver,
    now: Duration,
    /// The sender's address.
    at: SocketAddr,
    /// Whether the viewer hears the sender, and whether the sender hears the viewer.
    forth: bool,
    back: bool,
    frame_due: Duration,
    /// The next number of each channel: one above the highest that the sender used.
    next: [u64; 3],
    frames: u64,
    shown: Vec<u64>,
    ended: bool,
    /// What the sender sent and the viewer did not hear.
    lost: Vec<Vec<u8>>,
    /// Bytes that came from each address, and bytes that were sent there.
    came: BTreeMap<SocketAddr, u64>,
    went: BTreeMap<SocketAddr, u64>,
    rng: Rng,
}

impl Stage {
    fn new() -> Self {
        Self::before(Some(INTERVAL))
    }

    /// A stage whose sender knows this frame interval, or none.
    fn before(interval: Option<Duration>) -> Self {
        let config = sender::Config {
            interval,
            ..sender::Config::default()
        };
        Self {
            transmitter: Sender::new(config, STREAM, START),
            receiver: Receiver::new(receiver::Config::default(), VIEWER, (1, 2), START),
            now: START,
            at: sender(),
            forth: true,
            back: true,
            frame_due: START,
            next: [0; 3],
            frames: 0,
            shown: Vec::new(),
            ended: false,
            lost: Vec::new(),
            came: BTreeMap::new(),
            went: BTreeMap::new(),
            rng: Rng::with_seed(1),
        }
    }

    /// Plays this many frames.
    fn play(&mut self, frames: u64) {
        let end = self.frames + frames;
        while self.frames < end || self.now < self.frame_due {
            if self.now >= self.frame_due {
                let mut jpeg = vec![0; 5_000];
                self.rng.fill(&mut jpeg);
                let now = self.now;
                let taken = self
                    .transmitter
                    .handle_frame(Bytes::from(jpeg), now, None, now);
                taken.unwrap();
                self.frames += 1;
                self.frame_due += INTERVAL;
            }
            self.step();
        }
    }

    fn step(&mut self) {
        let (now, mut buffer) = (self.now, Vec::new());
        while let sender::Output::Transmit(transmit) =
            self.transmitter.poll_output(now, &mut buffer)
        {
            for datagram in buffer.chunks(transmit.segment) {
                let (header, _) = Packet::decode(datagram).unwrap();
                let next = &mut self.next[header.channel as usize];
                *next = (*next).max(u64::from(header.number.0) + 1);
                if self.forth {
                    self.arrive(self.at, datagram);
                } else {
                    self.lost.push(datagram.to_vec());
                }
            }
        }
        self.drain();
        self.now += MS;
    }

    /// Lets time pass without frames.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.step();
        }
        self.frame_due = self.now;
    }

    /// Lets time pass in which nobody sends.
    fn rest(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += 20 * MS;
            self.drain();
        }
        self.frame_due = self.now;
    }

    /// A datagram arrives from an address, and the answers go out.
    fn arrive(&mut self, from: SocketAddr, datagram: &[u8]) {
        *self.came.entry(from).or_default() += datagram.len() as u64;
        self.receiver.handle_datagram(from, datagram, self.now);
        self.drain();
    }

    fn drain(&mut self) {
        let now = self.now;
        self.receiver.handle_timeout(now);
        loop {
            match self.receiver.poll_output(now) {
                Output::Frame(frame) => {
                    self.receiver
                        .handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    if frame.id.stream == STREAM {
                        self.shown.push(frame.id.number.0);
                    }
                }
                Output::Event(Event::Ended { stream, .. }) => self.ended |= stream == STREAM,
                Output::Event(_) | Output::Record(_) => {}
                Output::Transmit(Transmit { to, datagram, .. }) => {
                    *self.went.entry(to).or_default() += datagram.len() as u64;
                    if self.back && to == self.at {
                        self.transmitter.handle_datagram(0, &datagram, now);
                    }
                }
                Output::Timeout(_) => break,
            }
        }
    }

    /// A packet of the stream arrives from this address, `ahead` of the next number of its channel.
    fn forge(&mut self, from: SocketAddr, packet: &Packet<'_>, ahead: u64) {
        let header = Header {
            stream: STREAM as u32,
            destination: 0,
            channel: packet.channel(),
            number: PacketNumber(self.next[packet.channel() as usize] + ahead),
            sent: micros(self.now),
        };
        let datagram = again(&header, packet);
        self.arrive(from, &datagram);
    }

    /// What the sender's own counts would be.
    fn totals(&self) -> SenderReport {
        SenderReport {
            frames_captured: self.frames,
            frames_sent: self.frames,
            media: self.next[0],
            repair: self.next[1],
            control: self.next[2] + 1,
            started: micros(START),
            interval: INTERVAL.as_micros() as u32,
            kept: 100_000,
            ..SenderReport::default()
        }
    }

    /// Ends the stream, and lets the viewer notice.
    fn finish(&mut self) {
        self.transmitter.finish(self.now);
        self.pass(400 * MS);
    }

    fn went_to(&self, address: SocketAddr) -> u64 {
        self.went.get(&address).copied().unwrap_or(0)
    }
}

/// One packet of each kind with its worst contents, and how far it is ahead of the numbers of its
/// channel.
fn attack(stage: &Stage, row: usize) -> (&'static str, Vec<(Packet<'static>, u64)>) {
    static DATA: [u8; 100] = [0; 100];
    let totals = stage.totals();
    let ahead = |frames: u64| claim(FrameNumber(stage.frames + frames), 300, 100, 0, &DATA);
    let one = |packet, ahead| vec![(packet, ahead)];
    let tables = Tables {
        set: 9,
        quality: None,
        part: 0,
        parts: 1,
        header: &DATA,
    };
    let of_frames = |frames| SenderReport {
        frames_sent: frames,
        ..totals
    };
    let absurd = SenderReport {
        media: totals.media + (1 << 23),
        repair: totals.repair + (1 << 23),
        ..totals
    };
    let parity = Parity {
        block: 1,
        first: FrameNumber(stage.frames + (1 << 19)).seq(),
        counts: vec![2, 2],
        shards: 2,
        index: 0,
        shard: &DATA,
    };
    match row {
        0 => (
            "totals of 2^20 frames",
            one(Packet::SenderReport(of_frames((1 << 20) - 1)), 0),
        ),
        1 => (
            "totals 2^19 frames ahead",
            one(Packet::SenderReport(of_frames(stage.frames + (1 << 19))), 0),
        ),
        2 => (
            "totals of absurd packets",
            one(Packet::SenderReport(absurd), 0),
        ),
        3 => (
            "resent, 2^19 frames ahead",
            one(Packet::Retransmission(ahead(1 << 19)), 0),
        ),
        4 => (
            "resent, 1000 frames ahead",
            one(Packet::Retransmission(ahead(1000)), 0),
        ),
        5 => (
            "chunk, 1000 frames ahead",
            one(Packet::Chunk(ahead(1000)), 1 << 23),
        ),
        6 => (
            "media and repair 2^23 ahead",
            vec![
                (Packet::Chunk(ahead(0)), 1 << 23),
                (Packet::Retransmission(ahead(0)), 1 << 23),
            ],
        ),
        7 => ("media 2^23 ahead", one(Packet::Chunk(ahead(0)), 1 << 23)),
        8 => ("control 2^23 ahead", one(Packet::Tables(tables), 1 << 23)),
        9 => ("parity, 2^19 frames ahead", one(Packet::Parity(parity), 0)),
        10 => (
            "a bye of fewer packets than came",
            one(
                Packet::SenderBye(SenderReport { media: 1, ..totals }),
                1 << 20,
            ),
        ),
        _ => (
            "a bye in good order, again and again",
            (1 << 20..(1 << 20) + 3)
                .map(|number| (Packet::SenderBye(totals), number))
                .collect(),
        ),
    }
}

const ROWS: usize = 12;

#[test]
fn no_packet_from_elsewhere_changes_a_stream() {
    for row in 0..ROWS {
        for lead in [0, 1] {
            let mut stage = Stage::new();
            stage.play(30);
            let (name, packets) = attack(&stage, row);
            for (packet, ahead) in &packets {
                // In sequence too, where only the address is wrong.
                stage.forge(stranger(), packet, ahead * lead);
            }
            stage.play(60);
            assert_eq!(stage.shown, (0..90).collect::<Vec<_>>(), "{name}");
            assert!(!stage.ended, "{name}");
            let statistics = stage.receiver.statistics();
            assert_eq!(
                statistics.stream.addresses,
                [sender().to_string()],
                "{name}"
            );
            assert_eq!(
                (statistics.frames.lost, statistics.packets.lost),
                (Some(0), Some(0)),
                "{name}"
            );
            let sent = packets.len() as u64;
            assert_eq!(statistics.packets.foreign, Some(sent), "{name}");
            stage.finish();
            assert!(stage.ended, "{name}");
        }
    }
}

#[test]
fn no_forged_jump_freezes_or_ends_a_stream_or_distorts_its_figures() {
    for row in 0..ROWS {
        let mut stage = Stage::new();
        stage.play(30);
        let (name, packets) = attack(&stage, row);
        for (packet, ahead) in &packets {
            stage.forge(sender(), packet, *ahead);
        }
        stage.play(60);
        assert_eq!(stage.shown, (0..90).collect::<Vec<_>>(), "{name}");
        assert!(!stage.ended, "{name}");
        let statistics = stage.receiver.statistics();
        let frames = &statistics.frames;
        assert_eq!((frames.sent, frames.lost), (Some(90), Some(0)), "{name}");
        assert_eq!(statistics.packets.lost, Some(0), "{name}");
        let before = stage.went_to(sender());
        stage.finish();
        assert!(stage.ended, "{name}");
        assert!(stage.went_to(sender()) > before, "{name}: nothing is told");
    }
}

/// The sender's host gets another address, and its numbers continue.
#[test]
fn a_sender_that_moves_is_followed_within_a_fifth_of_a_second() {
    for back in [true, false] {
        for interval in [Some(INTERVAL), None] {
            let mut stage = Stage::before(interval);
            stage.back = back;
            stage.play(30);
            stage.at = SocketAddr::from(([192, 0, 2, 77], 50_000));
            stage.play(60);
            let missed = 90 - stage.shown.len();
            assert!(missed <= 7, "back {back}: {missed} frames were not shown");
            assert_eq!(
                stage.receiver.statistics().stream.addresses,
                [stage.at.to_string()]
            );
            let before = stage.went_to(stage.at);
            stage.play(30);
            assert_eq!(stage.shown.len() + missed, 120);
            assert!(stage.went_to(stage.at) > before);
            stage.finish();
            assert!(stage.ended);
        }
    }
}

/// The sender pauses, and an attacker who knows its packet numbers continues in its place.
#[test]
fn nobody_displaces_a_delayed_sender_that_answers() {
    for pause in [250, 500, 1_000] {
        let mut stage = Stage::new();
        stage.play(30);
        let data = [7; 100];
        let end = stage.now + pause * MS;
        let mut ahead = 0;
        while stage.now < end {
            let chunk = claim(FrameNumber(stage.frames + ahead), 200, 100, 0, &data);
            stage.forge(stranger(), &Packet::Chunk(chunk), ahead);
            ahead += 1;
            stage.rest(20 * MS);
        }
        stage.play(60);
        let statistics = stage.receiver.statistics();
        assert_eq!(
            statistics.stream.addresses,
            [sender().to_string()],
            "after {pause} ms"
        );
        assert_eq!(stage.shown, (0..90).collect::<Vec<_>>(), "{pause} ms");
        assert_eq!(statistics.packets.foreign, Some(ahead), "{pause} ms");
        let (came, went) = (stage.came[&stranger()], stage.went_to(stranger()));
        assert!(went <= came, "{went} for {came}");
    }
}

/// The sender has just begun, or has sent for long, and pauses. Two packets in sequence come from
/// another address, as if the sender had moved. That proves nothing while the sender's answers may
/// still be on their way, and nothing once it has answered.
#[test]
fn two_packets_in_sequence_take_no_stream_from_a_sender_that_answers_or_had_no_time_to() {
    for (frames, answers) in [(1, true), (2, true), (30, true), (2, false), (10, false)] {
        for pause in [110, 150, 1_000] {
            // For this long, the sender's answers may be on their way.
            if pause > 150 && !answers {
                continue;
            }
            let mut stage = Stage::new();
            stage.back = answers;
            stage.play(frames);
            stage.back = true;
            stage.rest(pause * MS);
            let data = [7; 100];
            for ahead in 0..2 {
                let chunk = claim(FrameNumber(stage.frames + ahead), 200, 100, 0, &data);
                stage.forge(stranger(), &Packet::Chunk(chunk), ahead);
            }
            stage.play(60);
            let statistics = stage.receiver.statistics();
            assert_eq!(
                statistics.stream.addresses,
                [sender().to_string()],
                "after {frames} frames and {pause} ms, answers {answers}"
            );
            assert_eq!(stage.shown, (0..frames + 60).collect::<Vec<_>>());
        }
    }
}

/// All outages that a person notices, at all frame rates: the numbers continue far ahead, and are
/// accepted at once.
#[test]
fn a_stream_continues_at_once_after_any_outage() {
    for (seconds, interval) in [
        (1, 33_333),
        (60, 33_333),
        (60, 8_333),
        (3_600, 8_333),
        (100, 1_000_000),
    ] {
        let interval = Duration::from_micros(interval);
        let mut forger = Forger::new();
        let mut watched = Watched::new(receiver::Config::default());
        let jpeg = vec![7; 1_400];
        let crc = incomplete::crc32c(&jpeg);
        let data = jpeg.repeat(64);
        // A frame of 64 packets.
        let mut send = |watched: &mut Watched, number: u64, now: Duration| {
            forger.numbers[0] = number * 64;
            for index in 0..64 {
                let mut chunk = claim(FrameNumber(number), data.len(), 1_400, index, &data);
                chunk.data = &jpeg;
                if let Some(header) = &mut chunk.header {
                    header.crc = crc;
                }
                let datagram = forger.datagram(&Packet::Chunk(chunk), now);
                watched.take(&datagram, now);
            }
        };
        let outage = seconds * 1_000_000 / interval.as_micros() as u64;
        for number in (0..20).chain(20 + outage..40 + outage) {
            let passed = u32::try_from(number).unwrap();
            send(&mut watched, number, START + interval * passed);
        }
        let received = watched.statistics().packets.received;
        assert_eq!(received, Some(40 * 64), "{seconds} s, {interval:?}");
    }
}
