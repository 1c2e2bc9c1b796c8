//! Writes and reads traces.

use proptest::prelude::*;

use super::code::CodeState;
use super::*;

const MEDIA: ChunkPlace = ChunkPlace {
    frame: 7,
    index: 0,
    frame_len: 4_000,
    size: 1_334,
    captured: 1_000_000,
};

pub(super) fn packet(arrival: u64, number: u64, sent: u64, body: PacketBody, len: u32) -> Entry {
    Entry::Datagram(Datagram {
        arrival,
        len,
        disposition: Disposition::Received,
        content: DatagramContent::Native { number, sent, body },
    })
}

fn chunk(arrival: u64, number: u64, sent: u64, place: ChunkPlace) -> Entry {
    packet(arrival, number, sent, PacketBody::Chunk(place), 1_400)
}

fn other(arrival: u64, len: u32, disposition: Disposition) -> Entry {
    Entry::Datagram(Datagram {
        arrival,
        len,
        disposition,
        content: DatagramContent::Other,
    })
}

/// An entry of every kind, with every flag.
fn examples() -> Vec<(&'static str, Entry)> {
    let second = ChunkPlace { index: 1, ..MEDIA };
    let last = ChunkPlace { index: 2, ..MEDIA };
    let next = ChunkPlace {
        frame: 8,
        captured: 1_033_333,
        ..MEDIA
    };
    let counts = TracedCounts {
        frames_captured: 10,
        frames_sent: 9,
        packets: [27, 3, 2],
        bytes: 42_000,
        jpeg_bytes: 36_000,
        interval: 33_333,
        kept: 60_000,
        spread: 15_000,
    };
    let twice = match chunk(502_410, 21, 1_000_700, second) {
        Entry::Datagram(datagram) => Entry::Datagram(Datagram {
            disposition: Disposition::Duplicate,
            ..datagram
        }),
        entry => entry,
    };
    let rtp = |sequence, marker| {
        Entry::Datagram(Datagram {
            arrival: 700_000,
            len: 1_400,
            disposition: Disposition::Received,
            content: DatagramContent::Rtp {
                sequence,
                timestamp: 3_000,
                marker,
            },
        })
    };
    vec![
        (
            "begin",
            Entry::Begin {
                at: 500_000,
                playout_delay: 60_000,
                nack: true,
                strict: false,
            },
        ),
        (
            "stream",
            Entry::Stream {
                number: 0xa1a2_a3a4_a5a6_a7a8,
                format: Format::Native,
            },
        ),
        ("chunk", chunk(501_700, 20, 1_000_100, MEDIA)),
        ("chunk", chunk(502_300, 21, 1_000_700, second)),
        ("chunk_twice", twice),
        ("chunk", chunk(535_100, 23, 1_033_400, next)),
        (
            "resent",
            packet(
                541_000,
                5,
                1_039_000,
                PacketBody::Retransmission(last),
                1_366,
            ),
        ),
        (
            "parity",
            packet(541_200, 6, 1_039_100, PacketBody::Parity, 1_424),
        ),
        (
            "parity",
            packet(541_300, 7, 1_039_200, PacketBody::Parity, 1_424),
        ),
        (
            "tables",
            packet(541_500, 0, 1_039_300, PacketBody::Tables, 660),
        ),
        (
            "totals",
            packet(541_600, 1, 1_039_400, PacketBody::SenderReport(counts), 136),
        ),
        (
            "reply",
            packet(541_700, 2, 1_039_500, PacketBody::Echo { rtt: 412 }, 60),
        ),
        (
            "drops",
            Entry::Drops {
                at: 541_800,
                total: 17,
            },
        ),
        (
            "frame",
            Entry::Frame {
                number: 7,
                outcome: stats::Outcome::LostNetwork,
            },
        ),
        ("other", other(541_900, 48, Disposition::Foreign)),
        ("rtp", rtp(9_000, false)),
        ("rtp", rtp(9_001, true)),
        (
            "proof",
            packet(705_000, 3, 1_195_000, PacketBody::Proof, 52),
        ),
        (
            "bye",
            packet(710_000, 4, 1_200_000, PacketBody::SenderBye(counts), 136),
        ),
        (
            "end",
            Entry::End {
                at: 800_000,
                why: Why::Over,
                datagrams: 14,
            },
        ),
    ]
}

fn file(entries: &[Entry]) -> Vec<u8> {
    let mut file = block::head();
    block::put(&block::entries(entries), &mut file);
    file
}

/// The entries that can be read, and the error that ended reading.
pub(super) fn read(bytes: &[u8]) -> (Vec<Entry>, Option<TraceError>) {
    let mut entries = Vec::new();
    let mut reader = match TraceReader::new(bytes) {
        Ok(reader) => reader,
        Err(error) => return (entries, Some(error)),
    };
    loop {
        match reader.next_entry() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return (entries, None),
            Err(error) => {
                assert!(
                    matches!(reader.next_entry(), Ok(None)),
                    "nothing comes after {error}"
                );
                return (entries, Some(error));
            }
        }
    }
}

#[test]
fn a_traced_datagram_takes_a_few_bytes() {
    let mut rng = fastrand::Rng::with_seed(1);
    let entries: Vec<_> = (0..1_000_u64)
        .map(|number| {
            let place = ChunkPlace {
                frame: number / 20,
                index: (number % 20) as u16,
                frame_len: 26_000 + number as u32 / 20 * 7 % 100,
                captured: 1_000_000 + number / 20 * 33_333,
                ..MEDIA
            };
            let sent = place.captured + 4_000 + number % 20 * 500;
            chunk(sent + 2_000_000 + rng.u64(..300), number, sent, place)
        })
        .collect();
    let len = file(&entries).len();
    assert!(len <= 6 * entries.len(), "{len}");
    assert_eq!(read(&file(&entries)).0, entries);
}

#[test]
fn a_file_that_was_cut_off_is_read_up_to_its_last_complete_frame() {
    let entries: Vec<_> = examples().into_iter().map(|(_, entry)| entry).collect();
    let (one, other) = (file(&entries[..9]), file(&entries[9..]));
    let complete = [&one[..], &other[MAGIC.len() + 1..]].concat();
    for len in 0..complete.len() {
        let (read, error) = read(&complete[..len]);
        let error = error.expect("it is incomplete");
        match len {
            0..=7 => assert!(matches!(error, TraceError::NoTrace), "{len}: {error}"),
            _ => assert!(error.is_partial(), "{len}: {error}"),
        }
        let expected = if len >= one.len() { &entries[..9] } else { &[] };
        // Each block can be read alone.
        assert_eq!(read, expected, "{len}");
    }
    assert_eq!(read(&complete).0, entries);
    assert!(read(&complete).1.is_none());
}

#[test]
fn bytes_after_the_end_of_a_trace_are_reported() {
    let entries: Vec<_> = examples().into_iter().map(|(_, entry)| entry).collect();
    let complete = file(&entries);
    let (read, error) = read(&[&complete[..], b"?"].concat());
    assert_eq!(read, entries);
    let junk = matches!(error, Some(TraceError::Junk(behind)) if behind == complete.len() as u64);
    assert!(junk, "{error:?}");
}

#[test]
fn damage_is_detected_and_described() {
    let entries: Vec<_> = examples().into_iter().map(|(_, entry)| entry).collect();
    let complete = file(&entries);
    for at in 0..complete.len() {
        let mut damaged = complete.clone();
        damaged[at] ^= 4;
        let (read, error) = read(&damaged);
        assert!(error.is_some() && read.is_empty(), "{at}");
    }
    let mut newer = complete;
    newer[MAGIC.len()] = 2;
    assert!(matches!(read(&newer).1, Some(TraceError::Version(2))));
}

fn any_place() -> impl Strategy<Value = ChunkPlace> {
    (
        any::<u64>(),
        1_u32..3_000,
        1_u16..2_000,
        any::<u64>(),
        any::<u16>(),
    )
        .prop_map(|(frame, frame_len, size, captured, index)| {
            let mut place = ChunkPlace {
                frame,
                index: 0,
                frame_len,
                size,
                captured,
            };
            place.index = index % place.count() as u16;
            place
        })
}

fn any_body() -> impl Strategy<Value = PacketBody> {
    let counts = (any::<[u64; 7]>(), any::<[u32; 3]>()).prop_map(|(counts, micros)| TracedCounts {
        frames_captured: counts[0],
        frames_sent: counts[1],
        packets: [counts[2], counts[3], counts[4]],
        bytes: counts[5],
        jpeg_bytes: counts[6],
        interval: micros[0],
        kept: micros[1],
        spread: micros[2],
    });
    prop_oneof![
        4 => any_place().prop_map(PacketBody::Chunk),
        2 => any_place().prop_map(PacketBody::Retransmission),
        2 => Just(PacketBody::Parity),
        1 => Just(PacketBody::Tables),
        1 => Just(PacketBody::Proof),
        1 => counts.clone().prop_map(PacketBody::SenderReport),
        1 => counts.prop_map(PacketBody::SenderBye),
        1 => any::<u64>().prop_map(|rtt| PacketBody::Echo { rtt }),
    ]
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let native = (any::<[u64; 3]>(), any_body(), 0_u32..3_000, any::<bool>()).prop_map(
        |([arrival, number, sent], body, len, twice)| match packet(arrival, number, sent, body, len)
        {
            Entry::Datagram(datagram) if twice => Entry::Datagram(Datagram {
                disposition: Disposition::Duplicate,
                ..datagram
            }),
            entry => entry,
        },
    );
    let rtp = (any::<(u64, u32, u16, u32, bool)>()).prop_map(
        |(arrival, len, sequence, timestamp, marker)| {
            Entry::Datagram(Datagram {
                arrival,
                len,
                disposition: Disposition::Received,
                content: DatagramContent::Rtp {
                    sequence,
                    timestamp,
                    marker,
                },
            })
        },
    );
    prop_oneof![
        8 => native,
        2 => rtp,
        1 => any::<(u64, u64)>().prop_map(|(at, total)| Entry::Drops { at, total }),
        1 => (any::<u64>(), 0..stats::OUTCOMES.len()).prop_map(|(number, outcome)| Entry::Frame {
            number,
            outcome: stats::OUTCOMES[outcome].outcome,
        }),
        1 => any::<(u64, u64, bool, bool)>().prop_map(|(at, playout_delay, nack, strict)| {
            Entry::Begin { at, playout_delay, nack, strict }
        }),
        1 => any::<u64>().prop_map(|number| Entry::Stream { number, format: Format::Rtp }),
        1 => any::<(u64, u32)>().prop_map(|(at, len)| other(at, len, Disposition::Malformed)),
    ]
}

proptest! {
    #[test]
    fn every_event_is_read_as_written(
        entries in proptest::collection::vec(any_entry(), 0..60)
    ) {
        let (mut state, mut block) = (CodeState::default(), Vec::new());
        entries.iter().for_each(|entry| state.put(entry, &mut block));
        let (mut state, mut input) = (CodeState::default(), &block[..]);
        for entry in &entries {
            prop_assert_eq!(state.take(&mut input), Some(*entry));
        }
        prop_assert!(input.is_empty());
    }
}
