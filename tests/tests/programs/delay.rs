//! Delays that are known in advance, or measured in two different ways.

use framegram_tests::program::{Ended, LAB, SENDER, Start, VIEWER, address};

/// A frame interval in milliseconds.
const INTERVAL: f64 = 1000.0 / 30.0;

/// Plays a stream of four seconds. Returns the ended sender and viewer.
fn play(sending: &str, viewing: &str) -> (Ended, Ended) {
    let to = address();
    let mut viewer = Start::new(VIEWER, &format!("{to} --headless --once {viewing}")).run();
    viewer.wait_for("Waiting for a stream");
    let sending = format!("pattern:320x180@30 {to} --frames 120 {sending}");
    let sender = Start::new(SENDER, &sending).run().end().well();
    (sender, viewer.end().well())
}

fn median(ended: &Ended, name: &str) -> f64 {
    let value = ended.value(name)["p50"].as_f64();
    value.unwrap_or_else(|| panic!("no {name} in {:#}", ended.report))
}

/// The median of the delays that the log lists for chunks, in milliseconds.
fn done(log: &str) -> f64 {
    let rows = log.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let delivered = rows.filter(|row| row.contains(&"media") && row.contains(&"delivered"));
    let mut delays: Vec<f64> = delivered
        .map(|row| row.last().expect("columns").parse().expect("a delay"))
        .collect();
    delays.sort_by(f64::total_cmp);
    delays[delays.len() / 2]
}

#[test]
fn an_injected_delay_is_measured_to_a_millisecond() {
    for millis in [5.0, 20.0, 45.0] {
        let (_, viewer) = play("", &format!("--impair delay={millis}ms"));
        let measured = median(&viewer, "delays_ms.one_way");
        assert!(
            (measured - millis).abs() < 1.0,
            "{measured} for {millis} ms"
        );
        for stage in ["sent_to_complete", "capture_to_shown"] {
            let longer = median(&viewer, &format!("delays_ms.{stage}"));
            assert!(longer >= measured, "{stage}: {:#}", viewer.report);
        }
    }
    // The program needs time to wake up before it sends. The log says how long it took.
    let (sender, viewer) = play("--impair delay=20ms --impair-log log.csv", "");
    let log = String::from_utf8(sender.file("log.csv")).expect("text");
    let (done, measured) = (done(&log), median(&viewer, "delays_ms.one_way"));
    assert!(
        (measured - done).abs() < 1.0,
        "{measured} for {done} ms that were done"
    );
}

#[test]
fn the_bar_code_read_by_another_program_agrees_within_a_frame_interval() {
    for injected in [0.0, 70.0] {
        let to = address();
        // Another program observes the frames that a program outputs. It knows only their pixels
        // and its own clock.
        let viewing = format!("{to} --headless --once --output - --output-format y4m");
        let viewing = format!("{viewing} --impair delay={injected}ms --latency 200ms");
        let mut viewer = Start::new(VIEWER, &viewing);
        let mut watcher = Start::new(LAB, "analyze -");
        viewer.into_input_of(&mut watcher);
        let watcher = watcher.run();
        let mut viewer = viewer.run();
        viewer.wait_for("Waiting for a stream");
        let sending = format!("pattern:640x360@30 {to} --frames 120 --timecode");
        let sender = Start::new(SENDER, &sending).run();
        let _ = sender.end().well();
        let (viewer, watcher) = (viewer.end().well(), watcher.end().well());
        assert_eq!(
            watcher.count("timecode.shown"),
            viewer.count("frames.shown")
        );
        let seen = median(&watcher, "timecode.delay_ms");
        let told = median(&viewer, "delays_ms.capture_to_shown");
        assert!(
            (seen - told).abs() < INTERVAL,
            "seen after {seen} ms, shown after {told}"
        );
        assert!(seen >= injected && told >= injected, "{seen}, {told}");
        // It is not seen before the picture was complete either.
        let complete = median(&viewer, "delays_ms.sent_to_complete");
        assert!(
            seen > complete,
            "seen after {seen} ms, complete after {complete}"
        );
    }
}
