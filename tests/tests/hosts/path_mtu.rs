//! Datagrams are as large as the path carries.

use std::thread::sleep;
use std::time::Duration;

use framegram_tests::hosts::{Hosts, VIEWER_IPS};
use framegram_tests::program::{Ended, PATIENT, Program};

/// The path MTU after the path has narrowed, in bytes.
const NARROW: u64 = 1_300;

/// Bytes of the headers of IPv4 and UDP.
const HEADERS: u64 = 28;

fn listening(hosts: &Hosts, arguments: &str) -> Program {
    let mut viewer = hosts
        .viewer(&format!("--headless --once {PATIENT} {arguments}"))
        .run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

fn send(hosts: &Hosts, source: &str, seconds: u32) -> Program {
    let to = format!("{}:5005", VIEWER_IPS[0]);
    // The datagrams are sent one by one, because a filter sees datagrams that are handed over
    // together as one.
    let arguments = format!("--duration {seconds}s --impair seed=0");
    hosts.sender(&arguments).with([source, &to]).run()
}

/// A value in the sender's report about the path to its only viewer.
fn found(sender: &Ended, name: &str) -> u64 {
    sender.count(&format!("path_mtu.0.{name}"))
}

pub(crate) fn jumbo_frames_are_used_where_they_pass() {
    let hosts = Hosts::new(9_000);
    let viewer = listening(&hosts, "");
    let sender = send(&hosts, "pattern:1920x1080@15", 3).end().well();
    let viewer = viewer.end().well();
    let largest = 9_000 - HEADERS;
    assert_eq!(found(&sender, "ceiling"), largest);
    assert_eq!(found(&sender, "datagram"), largest, "{}", sender.said);
    assert_eq!(viewer.count("stream.longest_datagram"), largest);
    let said = format!("carries datagrams of {largest} bytes");
    assert!(sender.said.contains(&said), "{}", sender.said);
    assert_eq!(viewer.count("frames.intact"), sender.count("frames.sent"));
    assert_eq!(hosts.fragments(), 0);
}

pub(crate) fn a_path_that_silently_carries_less_from_the_start_shows_every_frame() {
    let hosts = Hosts::new(1_500);
    narrow(&hosts);
    let viewer = listening(&hosts, "");
    let sender = send(&hosts, "pattern:640x360@30", 3).end().well();
    let viewer = viewer.end().well();
    assert!(found(&sender, "datagram") <= NARROW - HEADERS);
    assert_eq!(viewer.count("frames.intact"), sender.count("frames.sent"));
    assert_eq!(hosts.fragments(), 0);
}

pub(crate) fn the_picture_is_back_within_a_second_when_a_path_silently_carries_less() {
    for mtu in [1_500, 9_000] {
        let hosts = Hosts::new(mtu);
        let viewer = listening(&hosts, "--report frames.csv");
        let sender = send(&hosts, "pattern:640x360@30", 8);
        sleep(Duration::from_secs(3));
        narrow(&hosts);
        let (sender, viewer) = (sender.end().well(), viewer.end().well());
        assert_eq!(found(&sender, "black_holes"), 1, "{}", sender.said);
        assert!(found(&sender, "datagram") <= NARROW - HEADERS);
        assert!(sender.said.contains("do not arrive"), "{}", sender.said);
        let away = longest_gap(&viewer);
        // Nothing else interrupts the picture for so long.
        assert!((0.2..1.0).contains(&away), "away for {away} s, MTU {mtu}");
        assert_eq!(hosts.fragments(), 0);
    }
}

/// From now on, the path drops longer IP packets to the viewer silently.
fn narrow(hosts: &Hosts) {
    hosts.run_by_viewer("nft add table ip filter");
    hosts.run_by_viewer("nft add chain ip filter input { type filter hook input priority 0 ; }");
    hosts.run_by_viewer(&format!(
        "nft add rule ip filter input udp dport 5005 meta length > {NARROW} drop"
    ));
}

/// The longest time between two shown frames, in seconds.
fn longest_gap(viewer: &Ended) -> f64 {
    let table = String::from_utf8(viewer.file("frames.csv")).expect("text");
    let mut rows = table.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let head = rows.next().expect("a head");
    let column = head.iter().position(|name| *name == "shown_s");
    let column = column.expect("when frames were shown");
    let shown: Vec<f64> = rows.filter_map(|row| row[column].parse().ok()).collect();
    let gaps = shown.windows(2).map(|pair| pair[1] - pair[0]);
    gaps.fold(0.0, f64::max)
}
