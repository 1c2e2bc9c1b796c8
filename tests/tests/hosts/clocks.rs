//! Sender and viewer with clocks that differ.

use std::process::Command;
use std::time::Duration;

use framegram_tests::clocks::play;

/// Whether this system has time namespaces.
pub(crate) fn are_there() -> bool {
    let tried = Command::new("unshare").args(["--time", "true"]).status();
    tried.is_ok_and(|status| status.success())
}

/// The command that enters a time namespace whose monotonic clock is ahead by `ahead`.
fn other_clock(ahead: Duration) -> Vec<String> {
    let seconds = ahead.as_secs().to_string();
    let words = ["unshare", "--time", "--monotonic", &seconds];
    let words = words.into_iter().chain(["--fork", "--kill-child"]);
    words.map(str::to_owned).collect()
}

/// How far this program's monotonic clock is ahead of the machine's own.
fn own_offset() -> Duration {
    let offsets = std::fs::read_to_string("/proc/self/timens_offsets").unwrap_or_default();
    let mut lines = offsets.lines().map(|line| line.split_whitespace());
    let monotonic =
        lines.find_map(|mut words| (words.next() == Some("monotonic")).then_some(words));
    let seconds = monotonic.and_then(|mut words| words.next()?.parse().ok());
    Duration::from_secs(seconds.unwrap_or(0))
}

pub(crate) fn two_clocks_set_apart_are_told_from_one_and_joined_within_the_uncertainty() {
    let ahead = Duration::from_secs(1_000);
    // A namespace's offset is relative to the machine's own clock, and this program may be in a
    // time namespace already.
    let starter = other_clock(own_offset() + ahead);
    let starter: Vec<_> = starter.iter().map(String::as_str).collect();
    let (_, viewer) = play(&starter);
    assert_eq!(viewer.value("clock.shared"), false);
    assert_eq!(viewer.value("stream.shared_clock"), false);
    assert!(viewer.value("latency_ms").is_null());
    let figure = |name: &str| viewer.value(name).as_f64().expect(name);
    let off = figure("clock.offset_ms") + ahead.as_secs_f64() * 1e3;
    let uncertainty = figure("clock.uncertainty_ms");
    assert!(off.abs() <= uncertainty, "{:#}", viewer.report);
    // It is still a measurement, because both programs are on one machine.
    assert!(uncertainty < 100.0, "{:#}", viewer.report);
    for stage in ["capture_to_shown", "sent_to_complete", "one_way"] {
        let delay = figure(&format!("delays_ms.{stage}.p95"));
        assert!(delay < 1_000.0, "{stage}: {delay} ms");
    }
}
