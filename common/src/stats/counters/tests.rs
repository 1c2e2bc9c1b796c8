//! Outcomes of frames, derived from packets.

use super::*;
use crate::seq::PacketNumber;

/// Chunks per frame.
const CHUNKS: u64 = 3;

/// A viewer that listened when the stream began.
struct Viewer(Counters);

impl Viewer {
    fn new() -> Self {
        Self(Counters::new(7))
    }

    /// Receives the packets with these numbers.
    fn receive(&mut self, numbers: impl IntoIterator<Item = u64>) {
        for number in numbers {
            let (frame, now) = (number / CHUNKS, Duration::from_millis(number));
            let header = Header {
                stream: 7,
                destination: 0,
                channel: Channel::Media,
                number: PacketNumber(number),
                sent: 0,
            };
            assert_eq!(self.0.record_packet(&header, 1_000, now), Insertion::New);
            let frame = FrameNumber(frame);
            if !self.0.frames.open().any(|record| record.number == frame) {
                self.0.begin_frame(frame, CHUNKS as u16, now);
            }
            let base = Some(frame.0 * CHUNKS);
            self.0
                .frames
                .record_chunk(frame, base, SenderTime::default(), now);
        }
    }

    fn show(&mut self, frame: u64) {
        let (frame, now) = (FrameNumber(frame), Duration::from_secs(1));
        self.0.frames.complete(frame, now);
        self.0.frames.record_shown(frame, now);
    }

    /// Receives a sender report: the packets and frames sent, and the range of
    /// packets that the sender's operating system rejected.
    fn report(&mut self, media: u64, frames_sent: u64, unsent: std::ops::Range<u64>) {
        let report = SenderReport {
            media,
            frames_sent,
            frames_captured: frames_sent,
            send_errors: unsent.end - unsent.start,
            unsent_first: unsent.start,
            unsent_end: unsent.end,
            ..SenderReport::default()
        };
        self.0.record_sender_report(report, true);
    }

    /// The outcome of each frame, in the order of frame numbers.
    fn outcomes(mut self) -> Vec<Outcome> {
        let before = self.0.statistics(&Outlook::default()).outcomes;
        self.0.settle(&Outlook::default(), true, &mut |_| {});
        let after = self.0.statistics(&Outlook::default()).outcomes;
        assert_eq!(
            before, after,
            "what is told before the end is what it is then"
        );
        let records = std::iter::from_fn(|| self.0.frames.poll());
        records.map(|record| record.outcome).collect()
    }
}

#[test]
fn missing_chunks_count_as_network_losses_unless_another_cause_is_known() {
    let mut viewer = Viewer::new();
    viewer.receive([0, 1, 2, 3, 5]);
    viewer.receive(9..12);
    viewer.show(0);
    viewer.0.frames.give_up(FrameNumber(1));
    viewer.0.frames.give_up(FrameNumber(3));
    viewer
        .0
        .frames
        .complete_late(FrameNumber(3), Duration::from_secs(2));
    viewer.report(12, 4, 0..0);
    let (intact, lost, late) = (
        Outcome::IntactUnrepaired,
        Outcome::LostNetwork,
        Outcome::Late,
    );
    // Nothing of the third frame arrived.
    assert_eq!(viewer.outcomes(), [intact, lost, lost, late]);
}

#[test]
fn socket_drops_and_network_losses_are_separated_as_far_as_the_count_allows() {
    for (dropped, outcome) in [(1, Outcome::LostSocket), (2, Outcome::LostUnknown)] {
        let mut viewer = Viewer::new();
        viewer.receive(0..4);
        viewer.0.record_socket_drops(1);
        // One packet was dropped; one or two are missing.
        viewer.receive(4 + dropped..6 + dropped);
        viewer.receive(6 + dropped..9);
        viewer.show(0);
        for frame in [1, 2] {
            viewer.0.frames.give_up(FrameNumber(frame));
        }
        viewer.report(9, 3, 0..0);
        let outcomes = viewer.outcomes();
        assert_eq!(outcomes[1], outcome, "{dropped} missing: {outcomes:?}");
    }
}

#[test]
fn unsent_packets_and_the_announced_tail_do_not_count_as_lost() {
    let mut viewer = Viewer::new();
    viewer.receive([0, 1, 2, 6, 7, 8]);
    viewer.show(0);
    viewer.show(2);
    viewer.report(9, 4, 3..6);
    let intact = Outcome::IntactUnrepaired;
    let ended = [intact, Outcome::NotSent, intact, Outcome::TailUnknown];
    assert_eq!(viewer.outcomes(), ended);
}
