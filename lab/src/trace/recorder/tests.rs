//! Records datagrams as traces.

use framegram_common::receiver::{Output, Receiver};
use framegram_common::seq::{FrameSeq, PacketNumber};
use framegram_common::wire::native::{Chunk, Echo, FrameHeader, Header, Packet, SenderReport};

use super::*;
use crate::trace::PacketBody;
use crate::trace::tests::{packet, read};

const STREAM: u64 = 0x5eed;

fn sender() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

fn datagram(stream: u64, number: u64, sent: u64, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header {
        stream: stream as u32,
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(number),
        sent,
    };
    packet.encode(&header, &mut out);
    out
}

fn frame_chunk(frame: u32, index: u16) -> Packet<'static> {
    Packet::Chunk(Chunk {
        frame: FrameSeq::new(frame),
        index,
        count: 3,
        restart_cycle: None,
        header: Some(FrameHeader {
            len: 30,
            crc: 0,
            captured: 5,
            size: 10,
            tables: 0,
        })
        .filter(|_| index != 1),
        data: &[1; 10],
    })
}

fn at(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn recorder(limit: u64) -> Recorder {
    let mut recorder = Recorder::new(&receiver::Config::default(), limit, at(0));
    recorder.record_followed(STREAM, Format::Native, sender(), at(1));
    recorder
}

fn taken(recorder: &mut Recorder) -> Vec<u8> {
    std::iter::from_fn(|| recorder.poll_block())
        .flatten()
        .collect()
}

#[test]
fn each_datagram_has_its_disposition_in_the_trace() {
    let mut recorder = recorder(1 << 20);
    let good = datagram(STREAM, 0, 10, &frame_chunk(0, 0));
    let mut damaged = datagram(STREAM, 1, 20, &frame_chunk(0, 1));
    *damaged.last_mut().unwrap() ^= 1;
    let foreign = datagram(STREAM + 1, 0, 10, &frame_chunk(0, 0));
    let reply = Echo {
        viewer: 1,
        report_sent: 100,
        report_received: 5_000,
    };
    let reply = datagram(STREAM, 0, 5_300, &Packet::Echo(reply));
    for (bytes, verdict) in [
        (&good, Verdict::Received),
        (&good, Verdict::Duplicate),
        (&damaged, Verdict::Corrupt),
        (&foreign, Verdict::Foreign),
        (&reply, Verdict::Received),
        (&vec![1, 2, 3], Verdict::Corrupt),
    ] {
        recorder.record_datagram(sender(), bytes, Some(verdict), at(900));
    }
    recorder.record_foreign(44, at(901));
    recorder.finish(Why::Over, at(902));
    let (entries, error) = read(&taken(&mut recorder));
    assert!(error.is_none());
    let dispositions: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Datagram(datagram) => Some((datagram.disposition, datagram.len as usize)),
            _ => None,
        })
        .collect();
    let expected = [
        (Disposition::Received, good.len()),
        (Disposition::Duplicate, good.len()),
        (Disposition::Corrupt, damaged.len()),
        (Disposition::Foreign, foreign.len()),
        (Disposition::Received, reply.len()),
        (Disposition::Corrupt, 3),
        (Disposition::Foreign, 44),
    ];
    assert_eq!(dispositions, expected);
    assert!(entries.contains(&packet(900, 0, 5_300, PacketBody::Echo { rtt: 500 }, 40)));
    let end = Entry::End {
        at: 902,
        why: Why::Over,
        datagrams: 7,
    };
    assert_eq!(entries.last(), Some(&end));
}

#[test]
fn the_limit_is_kept_to_and_said() {
    for limit in [100, 500, 4_096, 20_000] {
        let mut recorder = recorder(limit);
        let mut file = Vec::new();
        for number in 0..50_000_u64 {
            let chunk = frame_chunk(number as u32 / 3, number as u16 % 3);
            let bytes = datagram(STREAM, number, number * 700, &chunk);
            let verdict = Some(Verdict::Received);
            recorder.record_datagram(sender(), &bytes, verdict, at(number * 701));
            file.extend(taken(&mut recorder));
        }
        recorder.finish(Why::Over, at(1));
        file.extend(taken(&mut recorder));
        assert_eq!(recorder.ended(), Some(Why::Limit));
        assert!(
            file.len() as u64 <= limit.max(400),
            "{} of {limit}",
            file.len()
        );
        assert_eq!(file.len() as u64, recorder.bytes());
        let (entries, error) = read(&file);
        assert!(error.is_none(), "{error:?}");
        let count = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Datagram(_)));
        let count = count.count() as u64;
        assert!(matches!(
            entries.last(),
            Some(Entry::End { why: Why::Limit, datagrams, .. }) if *datagrams == count
        ));
    }
}

#[test]
fn pending_entries_are_handed_out_every_second() {
    let mut recorder = recorder(1 << 20);
    let mut totals = |now| {
        let bytes = datagram(
            STREAM,
            now / 600_000,
            now,
            &Packet::SenderReport(SenderReport::default()),
        );
        recorder.record_datagram(sender(), &bytes, Some(Verdict::Received), at(now));
        taken(&mut recorder).len()
    };
    assert_eq!(totals(600_000), HEAD);
    assert!(totals(1_200_000) > 20);
}

/// A receiver, and the recorder of its datagrams.
struct Watched {
    receiver: Receiver,
    recorder: Recorder,
    now: Duration,
}

impl Watched {
    fn new() -> Self {
        let config = receiver::Config::default();
        Self {
            recorder: Recorder::new(&config, 1 << 20, at(0)),
            receiver: Receiver::new(config, 7, (1, 2), at(0)),
            now: at(0),
        }
    }

    fn take(&mut self, from: SocketAddr, bytes: &[u8]) {
        self.now += at(1_000);
        let now = self.now;
        let before = self.receiver.session_of(0);
        let verdict = self.receiver.handle_datagram(from, bytes, now);
        if self.receiver.session_of(0) != before {
            let stream = self.receiver.stream(0).unwrap();
            let from = self.receiver.from(0).unwrap();
            self.recorder
                .record_followed(stream, Format::Native, from, now);
        }
        self.recorder.record_datagram(from, bytes, verdict, now);
        while !matches!(self.receiver.poll_output(now), Output::Timeout(_)) {}
    }

    /// Number of datagrams per disposition: in the trace, and by the receiver's
    /// counts.
    fn counts(mut self) -> ([u64; 5], [u64; 5]) {
        let packets = self.receiver.statistics().packets;
        let counted = [
            packets.received,
            packets.duplicate,
            packets.corrupt,
            packets.foreign,
            packets.malformed,
        ];
        self.recorder.finish(Why::Over, self.now);
        let (entries, error) = read(&taken(&mut self.recorder));
        assert!(error.is_none(), "{error:?}");
        let dispositions = [
            Disposition::Received,
            Disposition::Duplicate,
            Disposition::Corrupt,
            Disposition::Foreign,
            Disposition::Malformed,
        ];
        let with = |disposition| {
            let of = |entry: &&Entry| matches!(entry, Entry::Datagram(datagram) if datagram.disposition == disposition);
            entries.iter().filter(of).count() as u64
        };
        (
            dispositions.map(with),
            counted.map(Option::unwrap_or_default),
        )
    }
}

fn elsewhere(host: u8) -> SocketAddr {
    SocketAddr::from(([198, 51, 100, host], 5000))
}

fn totals(stream: u64, number: u64, frames_sent: u64) -> Vec<u8> {
    let totals = SenderReport {
        frames_sent,
        control: number + 1,
        ..SenderReport::default()
    };
    datagram(stream, number, 0, &Packet::SenderReport(totals))
}

#[test]
fn says_of_each_datagram_what_the_receiver_says() {
    let mut watched = Watched::new();
    let mut damaged = datagram(STREAM, 0, 10, &frame_chunk(0, 0));
    *damaged.last_mut().unwrap() ^= 1;
    // Before the first chunk: two copies of a sender report, a damaged datagram,
    // a sender report of another stream, and one of this stream from another
    // address.
    watched.take(sender(), &totals(STREAM, 0, 0));
    watched.take(sender(), &totals(STREAM, 0, 0));
    watched.take(sender(), &damaged);
    watched.take(elsewhere(1), &totals(STREAM + 1, 0, 0));
    watched.take(elsewhere(2), &totals(STREAM, 0, 0));
    watched.take(sender(), &datagram(STREAM, 1, 20, &frame_chunk(0, 1)));
    // Then packets of this stream from another address, and a leap in its
    // numbers.
    watched.take(elsewhere(3), &datagram(STREAM, 2, 30, &frame_chunk(0, 2)));
    watched.take(elsewhere(3), &totals(STREAM, 1, 0));
    watched.take(sender(), &totals(STREAM, 1, 1 << 20));
    watched.take(sender(), &datagram(STREAM, 2, 30, &frame_chunk(0, 2)));
    watched.take(sender(), &datagram(STREAM, 2, 30, &frame_chunk(0, 2)));
    let (traced, counted) = watched.counts();
    assert_eq!(traced, counted);
    // A corrupt datagram that arrives before a stream is followed belongs to
    // none.
    assert_eq!(traced, [3, 2, 0, 4, 2]);
}

#[test]
fn unclaimed_packets_are_bounded_and_count_as_foreign() {
    let mut watched = Watched::new();
    for number in 0..1_000 {
        watched.take(elsewhere(1), &totals(STREAM, number, 0));
    }
    assert!(watched.recorder.open.len() <= 64);
    watched.recorder.finish(Why::Over, at(1));
    let (entries, _) = read(&taken(&mut watched.recorder));
    let foreign = |entry: &&Entry| matches!(entry, Entry::Datagram(datagram) if datagram.disposition == Disposition::Foreign);
    assert_eq!(entries.iter().filter(foreign).count(), 1_000);
}
