//! What both programs find out about the path between them.

use super::{listening, sender};
use framegram_tests::program::address;

/// The largest UDP payload of IPv4.
const LARGEST: u64 = 65_507;

#[test]
fn datagrams_are_as_large_as_udp_allows_and_both_sides_describe_the_path() {
    let address = address();
    let viewer = listening(address, "--once");
    let arguments = "--rate auto --frames 90";
    let sender = sender("pattern:640x360@30", address, arguments).run();
    let (sender, viewer) = (sender.end().well(), viewer.end().well());
    assert_eq!(sender.count("path_mtu.0.datagram"), LARGEST);
    assert_eq!(viewer.count("stream.longest_datagram"), LARGEST);
    assert_eq!(viewer.count("frames.intact"), 90);
    let line = |said: &str, start: &str| {
        let mut lines = said.lines();
        let line = lines.find_map(|line| line.find(start).map(|at| line[at..].to_owned()));
        line.unwrap_or_else(|| panic!("no {start:?} in:\n{said}"))
    };
    let told = line(&sender.said, &format!("path to {address}: "));
    let parts = [
        "no limit found",
        "datagrams of 65507 bytes",
        "RTT",
        "queue",
        "clock offset",
        "socket buffer",
    ];
    for part in parts {
        assert!(told.contains(part), "no {part} in {told}");
    }
    let told = line(&viewer.said, "Path: ");
    let parts = [
        "bit/s",
        "datagrams of up to 65507 bytes",
        "RTT",
        "queue",
        "one clock",
    ];
    for part in parts {
        assert!(told.contains(part), "no {part} in {told}");
    }
    // The reports have the figures. Loopback limits nothing.
    assert!(sender.value("paths.0.rate_bps").is_null());
    assert!(sender.count("paths.0.socket_buffer") > 0);
    assert!(sender.value("paths.0.clock_offset_ms").is_number());
    assert!(viewer.value("paths.0.clock_offset_ms").is_null());
    for report in [&sender, &viewer] {
        let value = |name| report.value(name).as_f64();
        assert!(value("paths.0.rtt_ms") > Some(0.0), "{:#}", report.report);
        let interval = value("paths.0.frame_interval_ms").unwrap_or(0.0);
        assert!((interval - 1_000.0 / 30.0).abs() < 0.1, "{interval}");
    }
}
