//! A machine's own addresses: those that look like others, and those that change during a stream.

use nix::sys::signal::Signal;

use framegram_tests::hosts::{Hosts, INTERFACE, SENDER_IPS, VIEWER_IPS};
use framegram_tests::program::{Ended, PATIENT, Program};

/// The MTU of Ethernet.
const ETHERNET: u32 = 1_500;

/// Frames per second of these streams.
const FPS: u64 = 30;

/// Their duration. Addresses change once frames are shown.
const LASTING: &str = "--duration 7s";

const SOURCE: &str = "pattern:320x180@30";

/// The sender's and the viewer's address after the change.
const MOVED: [&str; 2] = ["10.77.5.21", "10.77.5.22"];

/// Frames of the first second may be over before the viewer follows the stream, and starting the
/// processes may cost as many again. All further lost frames were lost by the change.
const BEGINNING: u64 = FPS;

fn viewer(hosts: &Hosts, arguments: &str) -> Program {
    hosts
        .viewer(&format!("--headless {PATIENT} --wait 20s {arguments}"))
        .run()
}

fn listening(hosts: &Hosts, arguments: &str) -> Program {
    let mut viewer = viewer(hosts, &format!("--once {arguments}"));
    viewer.wait_for("Waiting for a stream");
    viewer
}

fn followed(viewer: &mut Program) {
    viewer.wait_for("It is the native format");
}

/// Asserts that the stream was interrupted for no longer than this many seconds.
fn assert_away_at_most(seconds: u64, sender: &Ended, viewer: &Ended) {
    let sent = sender.count("frames.captured");
    let intact = viewer.count("frames.intact");
    assert!(sent > 5 * FPS, "{sent} frames");
    assert!(
        intact + BEGINNING + seconds * FPS >= sent,
        "{intact} of {sent} frames arrived complete\n{}\n{}",
        sender.said,
        viewer.said
    );
}

pub(crate) fn an_own_address_is_no_broadcast_address_for_want_of_one() {
    let hosts = Hosts::new(ETHERNET);
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
    let ended = viewer(&hosts, "--connect 10.77.6.2:5005 --wait 100ms").end();
    assert!(!ended.said.contains("broadcast"), "{}", ended.said);
}

pub(crate) fn a_sender_whose_address_changes_goes_on() {
    let hosts = Hosts::new(ETHERNET);
    let mut viewer = listening(&hosts, "");
    let sender = hosts
        .sender(&format!("{SOURCE} {LASTING}"))
        .with([format!("{}:5005", VIEWER_IPS[0])])
        .run();
    followed(&mut viewer);
    hosts.move_sender(SENDER_IPS[0], MOVED[0]);
    let (sender, viewer) = (sender.end().well(), viewer.end().well());
    assert_away_at_most(1, &sender, &viewer);
    assert_eq!(viewer.count("stream.followed"), 1);
}

pub(crate) fn a_viewer_that_asked_and_whose_address_changes_goes_on() {
    let hosts = Hosts::new(ETHERNET);
    let sender = hosts
        .sender(&format!("{SOURCE} --listen 0.0.0.0:5005 {LASTING}"))
        .run();
    let to = format!("--once --connect {}:5005", SENDER_IPS[0]);
    let mut viewer = viewer(&hosts, &to);
    followed(&mut viewer);
    hosts.move_viewer(VIEWER_IPS[0], MOVED[1]);
    let (sender, viewer) = (sender.end().well(), viewer.end().well());
    assert_away_at_most(1, &sender, &viewer);
    assert_eq!(viewer.count("stream.followed"), 1);
}

pub(crate) fn a_group_goes_on_when_addresses_change_on_either_side() {
    let hosts = Hosts::new(ETHERNET);
    let group = "239.5.5.5:5006";
    for interface in ["", &format!("--interface {INTERFACE}")] {
        let mut viewer = listening(&hosts, &format!("{group} {interface}"));
        let arguments = format!("{SOURCE} {group} {interface} {LASTING}");
        let sender = hosts.sender(&arguments).run();
        followed(&mut viewer);
        hosts.move_sender(SENDER_IPS[0], MOVED[0]);
        hosts.move_viewer(VIEWER_IPS[0], MOVED[1]);
        hosts.move_sender(MOVED[0], SENDER_IPS[0]);
        hosts.move_viewer(MOVED[1], VIEWER_IPS[0]);
        hosts.replace_cable();
        let (sender, viewer) = (sender.end().well(), viewer.end().well());
        assert_away_at_most(1, &sender, &viewer);
        assert_eq!(viewer.count("stream.followed"), 1);
    }
}

pub(crate) fn a_viewer_that_has_a_name_is_found_at_its_new_address() {
    let hosts = Hosts::new(ETHERNET);
    hosts.name_for_sender("screen", VIEWER_IPS[0]);
    let mut viewer = listening(&hosts, "");
    let sender = hosts
        .sender(&format!("{SOURCE} screen:5005 {LASTING}"))
        .run();
    followed(&mut viewer);
    hosts.move_viewer(VIEWER_IPS[0], MOVED[1]);
    hosts.name_for_sender("screen", MOVED[1]);
    let (sender, viewer) = (sender.end().well(), viewer.end().well());
    assert_away_at_most(3, &sender, &viewer);
}

pub(crate) fn a_sender_that_has_a_name_is_asked_at_its_new_address() {
    let hosts = Hosts::new(ETHERNET);
    hosts.name_for_viewer("camera-host", SENDER_IPS[0]);
    let mut sender = hosts
        .sender(&format!("{SOURCE} --listen 0.0.0.0:5005"))
        .run();
    sender.wait_for("To connect, type");
    let mut viewer = viewer(&hosts, "--connect camera-host:5005 --frames 120");
    followed(&mut viewer);
    hosts.move_sender(SENDER_IPS[0], MOVED[0]);
    hosts.name_for_viewer("camera-host", MOVED[0]);
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("stream.followed"), 1);
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
}

pub(crate) fn a_sender_that_announces_itself_is_asked_at_its_new_address() {
    let hosts = Hosts::new(ETHERNET);
    let arguments = format!("{SOURCE} --listen 0.0.0.0:5005 --announce kitchen");
    let mut sender = hosts.sender(&arguments).run();
    sender.wait_for("To connect, type");
    let mut viewer = viewer(&hosts, "--connect kitchen --frames 120");
    followed(&mut viewer);
    hosts.move_sender(SENDER_IPS[0], MOVED[0]);
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("stream.followed"), 1);
    assert!(
        viewer
            .said
            .contains(&format!("connecting to {}:5005", MOVED[0])),
        "{}",
        viewer.said
    );
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
}
