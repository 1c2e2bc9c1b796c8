//! Frames with holes are shown, and compared with the last complete frame shown until the next.

use framegram_tests::concealment::{clips, measure};

#[test]
fn concealed_frames_are_closer_to_the_original_than_the_last_complete_frame() {
    for clip in clips() {
        let losses = [0.01, 0.05, 0.10];
        let qualities = measure(&clip, None, 60, &losses, 3).unwrap();
        for (loss, quality) in losses.into_iter().zip(qualities) {
            // A slice is at most half a chunk long, so it lies in one or two chunks.
            assert!(quality.fresh >= 1.0 - 1.6 * loss, "{quality:?}");
            assert!(quality.filled <= quality.sent, "{quality:?}");
            let held = (quality.sent - quality.filled) / (quality.sent - quality.frozen);
            assert!(
                held < 0.6,
                "at {loss} {held} of what freezing costs: {quality:?}"
            );
        }
    }
}
