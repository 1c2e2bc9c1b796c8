//! A flood of forged datagrams beside a stream: 100,000 a second, of every kind that an
//! attacker who does not see the stream can make. The stream goes on, memory stays constant, and
//! the work per datagram is bounded.

use framegram_tests::flood::{FLOODS, Flood};

use super::*;

/// Forged datagrams per frame of the stream: 100,000 a second.
const PER_FRAME: usize = 3_333;

/// The most bytes that are allocated for a forged datagram on average, including the datagram
/// itself. An RTP packet of a new source takes most, because it opens a session.
const MOST_TAKEN: usize = 32 << 10;

/// A source address: that of one host, any, or the sender's own, which is forged.
fn source(rng: &mut Rng) -> SocketAddr {
    match rng.u8(..4) {
        0 => sender(),
        1 => SocketAddr::from(([198, 51, 100, 7], rng.u16(1..))),
        _ => SocketAddr::from((rng.u32(..).to_be_bytes(), rng.u16(1..))),
    }
}

/// Plays frames of the stream under a flood.
fn play(stage: &mut Stage, flood: &Flood, rng: &mut Rng, frames: u64) {
    for _ in 0..frames {
        stage.play(1);
        for _ in 0..PER_FRAME {
            let (from, datagram) = (source(rng), (flood.make)(rng));
            stage.receiver.handle_datagram(from, &datagram, stage.now);
        }
        stage.drain();
    }
}

#[test]
fn a_stream_continues_under_a_flood_with_bounded_memory_and_work() {
    for (seed, flood) in FLOODS.iter().enumerate() {
        let mut rng = Rng::with_seed(seed as u64);
        let mut stage = Stage::new();
        stage.play(30);
        let (_, early) = measure(|| play(&mut stage, flood, &mut rng, 4));
        let (_, late) = measure(|| play(&mut stage, flood, &mut rng, 12));
        stage.play(30);
        let name = flood.name;
        assert_eq!(stage.shown, (0..76).collect::<Vec<_>>(), "{name}");
        let statistics = stage.receiver.statistics();
        assert_eq!(statistics.frames.lost, Some(0), "{name}");
        assert_eq!(statistics.packets.lost, Some(0), "{name}");
        let addresses = &statistics.stream.addresses;
        assert_eq!(addresses, &[sender().to_string()], "{name}");
        // Sources on probation may hold this much; a longer flood adds nothing.
        assert!(early.peak <= MAX_HELD_BYTES, "{name}: {early:?}");
        assert!(late.peak <= 1 << 20, "{name}: {late:?}");
        let each = (early.taken + late.taken) / (16 * PER_FRAME);
        assert!(each <= MOST_TAKEN, "{name}: {each} bytes a datagram");
    }
}
