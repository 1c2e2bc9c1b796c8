//! An attacker who does not see the stream. Whatever it sends, from whatever address, only the
//! counters of other streams and of discarded datagrams change.

use serde_json::Value;

use super::*;

/// The statistics of a stream without the counters of other streams and of
/// discarded datagrams.
fn figures(stage: &Stage) -> Value {
    let mut figures = serde_json::to_value(stage.receiver.statistics()).unwrap();
    for count in ["foreign", "malformed"] {
        figures["packets"][count].take();
    }
    figures["stream"]["others"].take();
    figures["discarded"].take();
    figures
}

/// Plays a stream of 90 frames, with `attack` after each of the middle ones.
/// Returns its statistics, the number of discarded datagrams, and the frames shown.
fn played(mut attack: impl FnMut(&mut Stage)) -> (Value, u64, Vec<u64>) {
    let mut stage = Stage::new();
    stage.play(30);
    for _ in 0..30 {
        stage.play(1);
        attack(&mut stage);
    }
    stage.play(30);
    stage.finish();
    let packets = stage.receiver.statistics().packets;
    let refused = packets.foreign.unwrap() + packets.malformed.unwrap();
    (figures(&stage), refused, stage.shown)
}

#[test]
fn a_strangers_packets_change_only_the_counters_of_discarded_datagrams() {
    let (untouched, none, shown) = played(|_| ());
    assert_eq!((none, shown.len()), (0, 90));
    for row in 0..ROWS {
        let mut sent = 0;
        let (figures, refused, shown) = played(|stage| {
            let (_, packets) = attack(stage, row);
            for (packet, ahead) in packets {
                // Packet numbers that fit the stream, but another stream number.
                for from in [stranger(), sender()] {
                    let header = Header {
                        stream: STREAM as u32 ^ (1 << (sent % 32)),
                        destination: 0,
                        channel: packet.channel(),
                        number: PacketNumber(stage.next[packet.channel() as usize] + ahead),
                        sent: micros(stage.now),
                    };
                    let datagram = again(&header, &packet);
                    stage.arrive(from, &datagram);
                    sent += 1;
                }
            }
        });
        assert_eq!(shown.len(), 90, "row {row}");
        assert_eq!(refused, sent, "row {row}");
        assert_eq!(figures, untouched, "row {row}");
    }
}
