//! Sender and viewer with the same clock.

use framegram_tests::clocks::play;

#[test]
fn on_one_machine_the_clock_is_shared_and_both_report_the_same_delays() {
    let (sender, viewer) = play(&[]);
    for stage in ["capture_to_encoded", "encoded_to_sent"] {
        for point in ["p50", "p95", "p99", "max"] {
            let name = format!("delays_ms.{stage}.{point}");
            let [own, told] = [&sender, &viewer].map(|ended| ended.value(&name).as_f64());
            // Sender reports carry microseconds.
            let apart = own.zip(told).map(|(own, told)| (own - told).abs());
            assert!(
                apart.is_some_and(|apart| apart < 0.002),
                "{name}: {apart:?}"
            );
        }
    }
    assert_eq!(viewer.value("clock.shared"), true);
    assert_eq!(viewer.value("stream.shared_clock"), true);
    let one = viewer.value("delays_ms.capture_to_shown.p50").as_f64();
    assert_eq!(one, viewer.value("latency_ms.p50").as_f64());
}
