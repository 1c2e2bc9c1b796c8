//! The measured delay is the simulated delay.

use framegram_tests::program::address;

use nix::sys::signal::Signal;

use super::{listening, sender};
use framegram_tests::measuring::{recorded, wait_for_rows};

/// The median time from sender to viewer, in milliseconds.
fn one_way(viewers: &str, senders: &str) -> f64 {
    let address = address();
    let viewer = listening(address, &recorded(Some(viewers)));
    let sender = sender("pattern:160x96@60", address, &recorded(Some(senders))).run();
    wait_for_rows(&sender, 16_000);
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
    let viewer = viewer.end().well();
    let median = viewer.value("delays_ms.one_way.p50");
    median.as_f64().expect("the clock is shared")
}

#[test]
fn twenty_milliseconds_of_delay_are_measured_as_such() {
    let plain = one_way("seed=0", "seed=0");
    let more = one_way("delay=20ms", "seed=0") - plain;
    assert!((more - 20.0).abs() < 1.0, "{more} ms");
    // A sender that simulates the delay sends when it gets the processor, and not before.
    let more = one_way("seed=0", "delay=20ms") - plain;
    assert!(more > 19.0, "{more} ms");
}
