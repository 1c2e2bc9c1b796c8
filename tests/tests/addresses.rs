//! A machine's own addresses: those that look like others.

use framegram_tests::hosts::{Hosts, INTERFACE};

/// What Ethernet carries.
const ETHERNET: u32 = 1_500;

#[test]
fn an_own_address_is_no_broadcast_address_for_want_of_one() {
    let Some(hosts) = Hosts::new(ETHERNET) else {
        return;
    };
    for address in [
        "10.77.6.1/24",
        "10.77.7.0/31",
        "10.77.8.1/32",
        "10.77.9.1 peer 10.77.9.2/32",
        "10.77.10.1 peer 10.77.10.2/24",
    ] {
        hosts.run_by_sender(&format!("ip address add {address} dev {INTERFACE}"));
    }
    let to_sender = |address: &str| {
        let arguments = "--frames 1 pattern:160x90@30";
        hosts.sender(arguments).with([address]).run().end()
    };
    for address in [
        "10.77.6.1",
        "10.77.7.0",
        "10.77.7.1",
        "10.77.8.1",
        "10.77.9.1",
        "10.77.9.2",
        "10.77.10.1",
        "10.77.10.2",
    ] {
        let ended = to_sender(&format!("{address}:5005"));
        assert!(!ended.said.contains("broadcast"), "{}", ended.said);
    }
    for address in ["10.77.6.255", "10.77.10.255", "255.255.255.255"] {
        let ended = to_sender(&format!("{address}:5005"));
        assert!(ended.said.contains("--broadcast"), "{}", ended.said);
    }
    hosts.run_by_viewer(&format!("ip address add 10.77.6.2/24 dev {INTERFACE}"));
    let ended = hosts
        .viewer("--headless --connect 10.77.6.2:5005 --wait 100ms")
        .run()
        .end();
    assert!(!ended.said.contains("broadcast"), "{}", ended.said);
}
