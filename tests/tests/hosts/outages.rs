//! The network fails for some seconds.

use framegram_tests::hosts::{Hosts, INTERFACE, SENDER_IPS, VIEWER_IPS};
use framegram_tests::outage::{SOURCE, assert_back, both, viewing};
use framegram_tests::program::Program;

/// A sender and a viewer on two hosts.
fn between(hosts: &Hosts, pull: bool) -> (Program, Program) {
    let (from, to) = if pull {
        let address = format!("{}:5005", SENDER_IPS[0]);
        (
            format!("--listen {address}"),
            format!("--connect {address}"),
        )
    } else {
        (format!("{}:5005", VIEWER_IPS[0]), String::new())
    };
    let sender = hosts.sender(&format!("{SOURCE} {from}"));
    both(sender, hosts.viewer(&viewing(&to)), pull)
}

/// Unplugs the cable at the sender, and plugs it in again.
fn without_cable(pull: bool) {
    let hosts = Hosts::new(1_500);
    let (sender, viewer) = between(&hosts, pull);
    let set = |state| {
        let _ = hosts.run_by_sender(&format!("ip link set {INTERFACE} {state}"));
    };
    assert_back(sender, viewer, |_, _| set("down"), |_, _| set("up"));
}

pub(crate) fn without_network_for_a_while() {
    without_cable(false);
}

pub(crate) fn without_network_for_a_while_where_the_viewer_asked() {
    without_cable(true);
}
