//! Bytes that are no packets, and packets whose bytes are not those that were sent.

use framegram_common::wire::native::HEADER;

use super::*;

/// Bits are flipped where the UDP checksum no longer protects them: the datagrams are given
/// directly to the receiver.
#[test]
fn flipped_bits_are_counted_corrupt_and_treated_as_lost() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let sent = random_frames(&mut rng, 30, 20_000);
        let mut damaged = 0;
        let watched = tampered(
            &sent,
            sender::Config::default(),
            receiver::Config::default(),
            |datagram, _| {
                let mut datagram = datagram.to_vec();
                // Byes are not changed: packets behind the last one that arrives cannot be counted.
                if rng.u8(..20) == 0 && !matches!(decode(&datagram), Packet::SenderBye(_)) {
                    damaged += 1;
                    for _ in 0..rng.usize(1..32) {
                        let bit = rng.usize(..datagram.len() * 8);
                        datagram[bit / 8] ^= 1 << (bit % 8);
                    }
                }
                vec![datagram]
            },
        );
        assert_true(seed, &watched, &sent);
        let packets = watched.statistics().packets;
        // An even number of flips may cancel out, or change the first byte to none of ours. Then a
        // packet is lost, and a datagram of unknown format arrives.
        let (corrupt, lost) = (packets.corrupt.unwrap(), packets.lost.unwrap());
        for count in [corrupt, lost] {
            assert!(count <= damaged, "seed {seed}: {packets:?}");
            assert!(count + 1 >= damaged, "seed {seed}: {packets:?}");
        }
    }
}

fn decode(datagram: &[u8]) -> Packet<'_> {
    Packet::decode(datagram).unwrap().1
}

#[test]
fn arbitrary_bytes_are_counted_and_do_not_affect_a_stream() {
    for seed in 0..200 {
        let mut rng = Rng::with_seed(seed);
        let sent = random_frames(&mut rng, 20, 10_000);
        let watched = tampered(
            &sent,
            sender::Config::default(),
            receiver::Config::default(),
            |datagram, _| {
                let mut noise = vec![0; rng.usize(..1_500)];
                rng.fill(&mut noise);
                // Half of the datagrams begin like ours.
                let like = rng.usize(..40).min(noise.len());
                noise[..like].copy_from_slice(&datagram[..like]);
                vec![datagram.to_vec(), noise]
            },
        );
        assert_true(seed, &watched, &sent);
        assert_eq!(watched.shown.len(), sent.len(), "seed {seed}");
    }
}

/// Packets with correct checksums and false contents: any bytes in the body.
#[test]
fn arbitrary_bodies_with_correct_checksums_do_not_panic() {
    for seed in 0..300 {
        let mut rng = Rng::with_seed(seed);
        let sent = random_frames(&mut rng, 20, 10_000);
        let (watched, memory) = measure(|| {
            tampered(
                &sent,
                sender::Config::default(),
                receiver::Config::default(),
                |datagram, _| {
                    let mut false_one = datagram.to_vec();
                    for _ in 0..rng.usize(1..4) {
                        let at = rng.usize(HEADER..false_one.len().clamp(HEADER + 1, HEADER + 60));
                        if let Some(byte) = false_one.get_mut(at) {
                            *byte = rng.u8(..);
                        }
                    }
                    sign(&mut false_one);
                    // Unused numbers, so that the packets are looked at.
                    let (header, _) = Packet::decode(datagram).unwrap();
                    let ahead = header.number.0 + rng.u32(100..1_000);
                    false_one[8..12].copy_from_slice(&ahead.to_be_bytes());
                    sign(&mut false_one);
                    vec![datagram.to_vec(), false_one]
                },
            )
        });
        assert_bounded(&format!("seed {seed}"), memory, MOST_MEMORY);
        // A frame with a forged frame checksum may be shown. A frame that was sent and shown may
        // not be changed.
        let _ = serde_json::to_string(&watched.statistics()).unwrap();
    }
}

/// Corrects the checksums of a datagram.
fn sign(datagram: &mut [u8]) {
    let all: Vec<u8> = [&datagram[..16], &datagram[20..]].concat();
    let crc = incomplete::crc32c(&all);
    datagram[16..20].copy_from_slice(&crc.to_be_bytes());
}
