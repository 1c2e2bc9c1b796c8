use framegram_common::{FrameNumber, SenderTime};

use super::strip::MAX_PLACES;
use super::*;

const START: Duration = Duration::from_secs(1_000_000);

/// A frame of a stream with 25 frames per second, shown 40 ms after capture on a
/// clock that is 7 s behind.
fn record(number: u64, outcome: Outcome) -> FrameRecord {
    let captured = START - Duration::from_secs(7) + Duration::from_millis(40 * number);
    let arrived = START + Duration::from_millis(40 * number + 30);
    let shown = outcome
        .is_shown()
        .then(|| arrived + Duration::from_millis(10));
    let known = outcome != Outcome::LostNetwork;
    FrameRecord {
        captured: known.then_some(SenderTime::from_micros(captured.as_micros() as u64)),
        first_chunk: known.then_some(arrived),
        last_chunk: known.then_some(arrived),
        complete: shown,
        shown,
        offset_micros: Some(7_000_000),
        ..FrameRecord::unknown(1, FrameNumber(number), outcome)
    }
}

fn sum(timeline: &Timeline, of: fn(&TimelineBucket) -> u64) -> u64 {
    timeline.buckets.iter().map(of).sum()
}

#[test]
fn every_frame_is_in_one_bucket_and_has_a_letter() {
    let mut recorder = TimelineRecorder::default();
    for number in 0..100 {
        let outcome = match number {
            10 => Outcome::LostNetwork,
            11 => Outcome::Skipped,
            30 => Outcome::IntactParity,
            31 => Outcome::IntactRetransmission,
            60 => Outcome::Concealed,
            _ => Outcome::IntactUnrepaired,
        };
        recorder.record_frame(&record(number, outcome));
    }
    let timeline = recorder.timeline();
    assert_eq!(timeline.buckets.len(), 4);
    assert_eq!(sum(&timeline, |bucket| bucket.shown), 98);
    assert_eq!(sum(&timeline, |bucket| bucket.lost), 1);
    assert_eq!(timeline.buckets[0].lost, 1);
    assert_eq!(timeline.buckets[1].repaired, 2);
    assert_eq!(timeline.buckets[2].concealed, 1);
    assert_eq!(
        (timeline.frames_per_letter, timeline.outcomes.len()),
        (1, 100)
    );
    assert_eq!(&timeline.outcomes[9..33], ".ns..................pr.");
    for bucket in &timeline.buckets {
        let delay = bucket.delay_ms.expect("known");
        assert!(
            (delay.mean - 40.0).abs() < 1e-6 && delay.min == delay.max,
            "{delay:?}"
        );
    }
    let bins = timeline.delay_histogram.expect("known");
    assert_eq!(bins.frames.iter().sum::<u64>(), 98);
    let bin = (40.0 / bins.width_ms) as usize;
    assert_eq!(bins.frames[bin], 98);
}

#[test]
fn a_long_stream_has_longer_buckets_and_coarser_letters_and_loses_nothing() {
    let mut recorder = TimelineRecorder::default();
    let frames = 5 * MAX_PLACES as u64;
    for number in 0..frames {
        let outcome = if number % 1000 == 7 {
            Outcome::LostNetwork
        } else {
            Outcome::IntactUnrepaired
        };
        recorder.record_frame(&record(number, outcome));
    }
    let timeline = recorder.timeline();
    assert!(timeline.buckets.len() <= MAX_BUCKETS);
    assert_eq!(timeline.bucket_s, 16);
    let lost = frames.div_ceil(1000);
    assert_eq!(sum(&timeline, |bucket| bucket.lost), lost);
    assert_eq!(sum(&timeline, |bucket| bucket.shown), frames - lost);
    assert_eq!(timeline.frames_per_letter, 8);
    assert_eq!(timeline.outcomes.len() as u64, frames / 8);
    assert_eq!(timeline.outcomes.matches('n').count() as u64, lost);
}

#[test]
fn count_changes_go_to_the_bucket_of_their_report() {
    let mut recorder = TimelineRecorder::default();
    let mut statistics = Statistics::default();
    recorder.record_statistics(&statistics, START - Duration::from_secs(50));
    for second in 0..3_u64 {
        statistics.bytes.received = Some(1000 * (second + 1));
        statistics.packets.lost = Some([5, 3, 4][second as usize]);
        statistics.packets.socket_dropped = Some(second);
        statistics.stream.quality = Some(80 - second as u8);
        recorder.record_statistics(&statistics, START + Duration::from_secs(second));
    }
    let buckets = recorder.timeline().buckets;
    let of = |of: fn(&TimelineBucket) -> u64| buckets.iter().map(of).collect::<Vec<_>>();
    assert_eq!(of(|bucket| bucket.bytes), [1000, 1000, 1000]);
    assert_eq!(of(|bucket| bucket.packets_lost), [3, 0, 1]);
    assert_eq!(of(|bucket| bucket.socket_dropped), [0, 1, 1]);
    assert_eq!(buckets[2].quality, Some(78));
    assert_eq!(recorder.timeline().delay_histogram, None);
}

#[test]
fn buckets_add_up_to_the_newest_totals_even_if_counts_fell() {
    let mut rng = fastrand::Rng::with_seed(7);
    for _ in 0..200 {
        let mut recorder = TimelineRecorder::default();
        let mut statistics = Statistics::default();
        // Buckets are joined on the way.
        let mut now = START;
        for _ in 0..rng.u64(1..40) {
            now += Duration::from_secs(rng.u64(0..200));
            let mut count = || Some(rng.u64(0..1_000));
            let (packets, bytes) = (&mut statistics.packets, &mut statistics.bytes);
            [packets.lost, packets.socket_dropped, bytes.received] =
                std::array::from_fn(|_| count());
            recorder.record_statistics(&statistics, now);
        }
        let timeline = recorder.timeline();
        let sums = [
            sum(&timeline, |bucket| bucket.packets_lost),
            sum(&timeline, |bucket| bucket.socket_dropped),
            sum(&timeline, |bucket| bucket.bytes),
        ];
        let told = [
            statistics.packets.lost,
            statistics.packets.socket_dropped,
            statistics.bytes.received,
        ];
        assert_eq!(sums.map(Some), told);
    }
}

#[test]
fn drops_first_counted_as_losses_are_corrected() {
    let mut recorder = TimelineRecorder::default();
    let mut statistics = Statistics::default();
    for (second, lost, dropped) in [(0, 2, 0), (1, 9, 0), (2, 1, 8)] {
        statistics.packets.lost = Some(lost);
        statistics.packets.socket_dropped = Some(dropped);
        recorder.record_statistics(&statistics, START + Duration::from_secs(second));
    }
    let buckets = recorder.timeline().buckets;
    let of = |of: fn(&TimelineBucket) -> u64| buckets.iter().map(of).collect::<Vec<_>>();
    assert_eq!(of(|bucket| bucket.packets_lost), [1, 0, 0]);
    assert_eq!(of(|bucket| bucket.socket_dropped), [0, 0, 8]);
}

#[test]
fn statistics_are_due_shortly_before_each_second_of_the_stream_ends() {
    let mut recorder = TimelineRecorder::default();
    let (ms, margin) = (Duration::from_millis, Duration::from_millis(100));
    assert_eq!(recorder.due(ms(5_000), margin), None);
    let mut statistics = Statistics::default();
    statistics.bytes.received = Some(1);
    recorder.record_statistics(&statistics, ms(5_300));
    for (now, due) in [
        (5_300, 6_200),
        (6_199, 6_200),
        (6_200, 7_200),
        (6_250, 7_200),
        (9_900, 10_200),
    ] {
        assert_eq!(recorder.due(ms(now), margin), Some(ms(due)), "at {now}");
    }
}
