//! JPEGs without a header.

use super::*;

#[test]
fn bare_jpegs_in_one_datagram_and_in_several() {
    let mut receiver = receiver();
    for frame in 0..6_u32 {
        let jpeg = jpeg(frame.into());
        let size = if frame < 3 { jpeg.len() } else { 700 };
        for (index, piece) in jpeg.chunks(size).enumerate() {
            if (frame, index) != (4, 2) {
                receiver.handle_datagram(address(9), piece, at(frame));
            }
        }
        while let Some(frame) = receiver.poll_frame() {
            assert_eq!(frame.jpeg, jpeg);
            receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: at(9) });
        }
    }
    let statistics = receiver.statistics();
    assert_eq!(
        (statistics.frames.intact, statistics.frames.incomplete),
        (Some(5), Some(1))
    );
    assert_eq!(
        (statistics.packets.lost, statistics.frames.sent),
        (None, None)
    );
    assert_eq!(statistics.stream.wire, Some("raw"));
}

#[test]
fn a_bare_jpeg_without_its_end_is_counted() {
    let mut receiver = receiver();
    receiver.handle_datagram(address(9), &jpeg(0), at(0));
    receiver.handle_datagram(address(9), &jpeg(1)[..900], at(0));
    let due = receiver.poll_timeout(Duration::ZERO).unwrap();
    receiver.handle_timeout(due);
    assert_eq!(receiver.statistics().frames.incomplete, Some(1));
}
