//! Datagrams into traces.

use framegram_common::seq::{FrameSeq, PacketNumber};
use framegram_common::wire::native::{Chunk, Header, Packet, Reply, Totals};

use super::*;
use crate::trace::Body;
use crate::trace::tests::{packet, read};

const STREAM: u64 = 0x5eed;

fn sender() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 5000))
}

fn datagram(stream: u64, number: u64, sent: u64, packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let header = Header {
        stream,
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
        frame: FrameSeq(frame),
        frame_len: 30,
        index,
        size: 10,
        captured: 5,
        frame_crc: 0,
        tables: 0,
        slice: None,
        data: &[1; 10],
    })
}

fn at(micros: u64) -> Duration {
    Duration::from_micros(micros)
}

fn recorder(limit: u64) -> Recorder {
    let mut recorder = Recorder::new(&receiver::Config::default(), limit, at(0));
    recorder.note_followed(STREAM, Format::Native, sender(), at(1));
    recorder
}

fn taken(recorder: &mut Recorder) -> Vec<u8> {
    std::iter::from_fn(|| recorder.poll_block())
        .flatten()
        .collect()
}

#[test]
fn tells_what_became_of_each_datagram() {
    let mut recorder = recorder(1 << 20);
    let good = datagram(STREAM, 0, 10, &frame_chunk(0, 0));
    let mut damaged = datagram(STREAM, 1, 20, &frame_chunk(0, 1));
    *damaged.last_mut().unwrap() ^= 1;
    let foreign = datagram(STREAM + 1, 0, 10, &frame_chunk(0, 0));
    let reply = Reply {
        viewer: 1,
        report_sent: 100,
        report_received: 5_000,
    };
    let reply = datagram(STREAM, 0, 5_300, &Packet::Reply(reply));
    for bytes in [&good, &good, &damaged, &foreign, &reply, &vec![1, 2, 3]] {
        recorder.note_datagram(sender(), bytes, at(900));
    }
    recorder.note_foreign(44, at(901));
    recorder.finish(Why::Over, at(902));
    let (entries, error) = read(&taken(&mut recorder));
    assert!(error.is_none());
    let fates: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Datagram(datagram) => Some((datagram.fate, datagram.len as usize)),
            _ => None,
        })
        .collect();
    let expected = [
        (Fate::Received, good.len()),
        (Fate::Duplicate, good.len()),
        (Fate::Corrupt, damaged.len()),
        (Fate::Foreign, foreign.len()),
        (Fate::Received, reply.len()),
        (Fate::Corrupt, 3),
        (Fate::Foreign, 44),
    ];
    assert_eq!(fates, expected);
    assert_eq!(
        entries[4],
        packet(900, 1, 20, Body::Damaged, damaged.len() as u32).on(Channel::Media)
    );
    assert!(entries.contains(&packet(900, 0, 5_300, Body::Reply { rtt: 500 }, 60)));
    let end = Entry::End {
        at: 902,
        why: Why::Over,
        datagrams: 7,
    };
    assert_eq!(entries.last(), Some(&end));
}

impl Entry {
    fn on(mut self, other: Channel) -> Self {
        if let Self::Datagram(Datagram {
            content: Content::Native { channel, .. },
            ..
        }) = &mut self
        {
            *channel = other;
        }
        self
    }
}

#[test]
fn the_limit_is_kept_to_and_said() {
    for limit in [100, 500, 4_096, 100_000] {
        let mut recorder = recorder(limit);
        let mut file = Vec::new();
        for number in 0..50_000_u64 {
            let chunk = frame_chunk(number as u32 / 3, number as u16 % 3);
            let bytes = datagram(STREAM, number, number * 700, &chunk);
            recorder.note_datagram(sender(), &bytes, at(number * 701));
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
fn what_is_there_is_handed_out_every_second() {
    let mut recorder = recorder(1 << 20);
    let mut totals = |now| {
        let bytes = datagram(
            STREAM,
            now / 600_000,
            now,
            &Packet::Totals(Totals::default()),
        );
        recorder.note_datagram(sender(), &bytes, at(now));
        taken(&mut recorder).len()
    };
    assert_eq!(totals(600_000), HEAD);
    assert!(totals(1_200_000) > 20);
}
