//! Byes: forged ones do not end a stream, and forged media do not bring back one that has ended.

use super::*;

/// A forged bye in sequence, with the next number and the true counts.
#[test]
fn a_bye_counts_only_when_no_media_follows_it() {
    for interval in [Some(INTERVAL), None] {
        let mut stage = Stage::before(interval);
        stage.play(30);
        let bye = Packet::SenderBye(stage.totals());
        stage.forge(sender(), &bye, 0);
        let before = stage.went_to(sender());
        stage.play(30);
        assert_eq!(stage.shown.len(), 60);
        assert!(!stage.ended);
        assert!(!stage.receiver.statistics().stream.ended);
        // Five reports a second go on.
        assert!(stage.went_to(sender()) >= before + 4 * REPORT);
        stage.transmitter.finish(stage.now);
        stage.pass(202 * MS);
        assert!(
            stage.ended,
            "a true one ends it 200 ms after the last media"
        );
        let statistics = stage.receiver.statistics();
        assert!(statistics.stream.ended);
        assert_eq!(statistics.frames.lost, Some(0));
    }
}

/// A stranger who learned the stream's number sends packets that got lost, from the sender's
/// forged address.
#[test]
fn a_stream_that_has_ended_keeps_no_other_out() {
    let mut stage = Stage::new();
    stage.play(30);
    stage.forth = false;
    stage.play(2);
    stage.forth = true;
    stage.play(30);
    stage.finish();
    assert!(stage.ended);
    stage.rest(2_000 * MS);
    let is_media = |datagram: &Vec<u8>| {
        let (header, _) = Packet::decode(datagram).unwrap();
        header.channel == Channel::Media
    };
    let lost = std::mem::take(&mut stage.lost);
    let media: Vec<_> = lost.into_iter().filter(is_media).collect();
    assert!(media.len() > 2);
    for datagram in media {
        stage.arrive(sender(), &datagram);
        stage.rest(20 * MS);
    }
    assert!(stage.receiver.statistics().stream.ended);
    // The next stream of anybody is followed with its first packet of media.
    let mut next = Sender::new(sender::Config::default(), STREAM + 1, stage.now);
    let taken = next.handle_frame(vec![7; 900].into(), stage.now, None, stage.now);
    taken.unwrap();
    let mut buffer = Vec::new();
    while let sender::Output::Transmit(transmit) = next.poll_output(stage.now, &mut buffer) {
        for datagram in buffer.chunks(transmit.segment) {
            stage.arrive(stranger(), datagram);
        }
    }
    assert!(stage.receiver.follows(stranger()));
}
