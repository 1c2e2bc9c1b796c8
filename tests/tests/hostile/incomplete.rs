//! Frames of which a part never arrives.

use super::*;

/// How many datagrams a receiver may send in a second: NACKs two milliseconds apart with some
/// copies each, and five reports.
const MOST_SENT: f64 = 2_000.0;

/// Every frame lacks its last chunk, at a rate that no budget can keep up with.
fn frames_without_their_end(budget: Duration, len: usize, count: u64) -> (Watched, Memory) {
    let data = vec![0x5a; 1_400];
    measure(|| {
        let mut forger = Forger::new();
        let mut watched = Watched::new(receiver::Config {
            playout_delay: budget,
            ..receiver::Config::default()
        });
        watched.keeps = false;
        let mut now = START;
        for number in 0..count {
            let chunks = len.div_ceil(data.len()) as u16;
            // All chunks but one of small frames, and the beginning of large ones.
            for index in (0..chunks - 1).take(40) {
                let chunk = claim(FrameNumber(number), len, data.len(), index, &data);
                let datagram = forger.datagram(&Packet::Chunk(chunk), now);
                watched.take(&datagram, now);
                now += Duration::from_micros(100);
            }
        }
        let seconds = (now - START).as_secs_f64();
        let most = (seconds * MOST_SENT) as u64 + 10;
        assert!(watched.sent.0 <= most, "sent {} of {most}", watched.sent.0);
        watched
    })
}

#[test]
fn memory_is_bounded_when_every_frame_is_incomplete() {
    let budgets = [Duration::from_millis(60), Duration::from_secs(30)];
    for budget in budgets {
        for (len, count) in [
            (3_000, 2_000),
            (50_000, 400),
            (1_000_000, 150),
            (16 << 20, 50),
        ] {
            let (watched, memory) = frames_without_their_end(budget, len, count);
            assert_bounded(&format!("{budget:?}, {len}"), memory, MOST_MEMORY);
            assert_eq!(watched.statistics().frames.intact, Some(0));
        }
    }
}

#[test]
fn one_datagram_takes_no_more_memory_than_the_longest_frame() {
    let data = vec![0; 512];
    for len in [1, 100_000, 16 << 20] {
        let mut forger = Forger::new();
        let mut watched = Watched::new(receiver::Config::default());
        let first = claim(FrameNumber(0), 1, 1, 0, &data);
        watched.take(&forger.datagram(&Packet::Chunk(first), START), START);
        let chunk = claim(FrameNumber(1), len, 512, 0, &data);
        let datagram = forger.datagram(&Packet::Chunk(chunk), START);
        let ((), memory) = measure(|| watched.take(&datagram, START));
        assert!(memory.taken < len + 100_000, "{len}: {memory:?}");
    }
}

/// Complete frames are held behind one of which nothing arrives, as long as the viewer's budget
/// permits.
#[test]
fn memory_is_bounded_while_a_frame_never_arrives() {
    let jpeg = vec![7; 60_000];
    let (watched, memory) = measure(|| {
        let mut forger = Forger::new();
        let mut watched = Watched::new(receiver::Config {
            playout_delay: Duration::from_secs(30),
            ..receiver::Config::default()
        });
        watched.keeps = false;
        let mut now = START;
        for number in (0..20_000).filter(|number| *number != 1) {
            let mut chunk = claim(FrameNumber(number), jpeg.len(), jpeg.len(), 0, &jpeg);
            if let Some(header) = &mut chunk.header {
                header.crc = FrameHeader::checksum(chunk.frame, &jpeg);
            }
            let datagram = forger.datagram(&Packet::Chunk(chunk), now);
            watched.take(&datagram, now);
            now += Duration::from_micros(100);
        }
        watched
    });
    assert_bounded("behind a hole", memory, MOST_MEMORY);
    assert!(watched.statistics().frames.intact.unwrap() > 19_000);
}

/// CRC-32C, bit by bit.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 }
        })
    };
    !bytes.iter().fold(!0, step)
}

/// Frame numbers jump, so that many frames in between are waited for.
#[test]
fn work_is_bounded_when_frame_numbers_jump() {
    let data = vec![0; 100];
    let (_, memory) = measure(|| {
        let mut forger = Forger::new();
        let mut watched = Watched::new(receiver::Config {
            playout_delay: Duration::from_secs(30),
            ..receiver::Config::default()
        });
        let mut now = START;
        for step in 0..1_000_u64 {
            let number = FrameNumber(step * 100_000);
            let chunk = claim(number, 200, 100, 0, &data);
            let datagram = forger.datagram(&Packet::Chunk(chunk), now);
            watched.take(&datagram, now);
            now += Duration::from_micros(100);
        }
        watched
    });
    assert_bounded("leaps", memory, 16 << 20);
}
