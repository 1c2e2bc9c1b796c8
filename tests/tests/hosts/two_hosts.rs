//! Two hosts with a network of 1,500-byte packets between them.

use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::Signal;

use framegram_tests::hosts::{Hosts, INTERFACE, VIEWER_IPS};
use framegram_tests::program::{Ended, PATIENT, Program, footage, media, until};

/// The MTU of Ethernet.
const ETHERNET: u32 = 1_500;

fn listening(hosts: &Hosts, arguments: &str) -> Program {
    let mut viewer = hosts
        .viewer(&format!("--headless {PATIENT} {arguments}"))
        .run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

/// Sends a source to a viewer that records at its default address.
fn play(hosts: &Hosts, source: &str, to: &str, sending: &str) -> (Ended, Ended) {
    let viewer = listening(hosts, "--once --output out.mjpeg");
    let sender = hosts.sender(sending).with([source, to]).run().end().well();
    (sender, viewer.end().well())
}

fn assert_complete((sender, viewer): &(Ended, Ended), frames: u64) {
    assert_eq!(sender.count("frames.sent"), frames);
    assert_eq!(viewer.count("frames.intact"), frames, "{:#}", viewer.report);
    assert_eq!(viewer.count("packets.lost"), 0);
    assert_eq!(viewer.count("packets.socket_dropped"), 0);
    assert_eq!(
        viewer.count("packets.received"),
        sender.count("packets.sent")
    );
}

pub(crate) fn every_file_arrives_complete_without_ip_fragments() {
    let hosts = Hosts::new(ETHERNET);
    let to = format!("{}:5005", VIEWER_IPS[0]);
    for (name, frames) in [
        ("clip.mp4", 150),
        ("mjpeg.avi", 50),
        ("rotated.mp4", 30),
        ("variable-rate.mp4", 50),
        ("stills", 3),
    ] {
        let source = media(name);
        let rate = if name == "stills" { "--fps 10" } else { "" };
        let ended = play(&hosts, &source, &to, rate);
        assert_complete(&ended, frames);
    }
    for file in footage() {
        let ended = play(&hosts, &file, &to, "--duration 5s");
        let sent = ended.0.count("frames.sent");
        assert!(sent > 20, "{sent} frames of {file}");
        assert_complete(&ended, sent);
    }
    assert_eq!(hosts.fragments(), 0);
}

pub(crate) fn large_frames_arrive_complete_over_ipv4_and_ipv6() {
    let hosts = Hosts::new(ETHERNET);
    for to in [
        format!("{}:5005", VIEWER_IPS[0]),
        format!("[{}]:5005", VIEWER_IPS[1]),
    ] {
        let ended = play(&hosts, "pattern:1920x1080@15", &to, "--frames 30");
        assert_complete(&ended, 30);
    }
    assert_eq!(hosts.fragments(), 0);
}

pub(crate) fn large_datagrams_are_cut_by_ip_only_when_they_are_asked_for() {
    let hosts = Hosts::new(ETHERNET);
    let to = format!("{}:5005", VIEWER_IPS[0]);
    let ended = play(
        &hosts,
        "pattern:640x360@30",
        &to,
        "--frames 10 --packet-size 8000",
    );
    assert_complete(&ended, 10);
    assert!(hosts.fragments() > 0);
}

pub(crate) fn a_path_of_smaller_packets_gets_smaller_datagrams() {
    let hosts = Hosts::new(1_000);
    let to = format!("{}:5005", VIEWER_IPS[0]);
    for (size, least) in [("auto", 60), ("1452", 50)] {
        let viewer = listening(&hosts, "--once");
        let sender = hosts
            .sender(&format!("--frames 60 --packet-size {size}"))
            .with(["pattern:640x360@30", &to])
            .run()
            .end()
            .well();
        let viewer = viewer.end().well();
        assert!(sender.said.contains("datagram"), "{}", sender.said);
        assert!(
            viewer.count("frames.intact") >= least,
            "{:#}",
            viewer.report
        );
    }
    assert_eq!(hosts.fragments(), 0);
}

pub(crate) fn a_group_reaches_its_viewers() {
    let hosts = Hosts::new(ETHERNET);
    for (group, interface) in [("239.5.5.5:5006", ""), ("239.5.5.6:5006", INTERFACE)] {
        let interface = if interface.is_empty() {
            String::new()
        } else {
            format!("--interface {interface}")
        };
        let viewers: Vec<_> = (0..2)
            .map(|_| {
                let arguments = format!("{group} {interface} --once --output out.mjpeg");
                listening(&hosts, &arguments)
            })
            .collect();
        let sender = hosts
            .sender("--frames 20 pattern:320x180@30")
            .with([group])
            .run()
            .end()
            .well();
        assert_eq!(sender.count("frames.sent"), 20);
        for viewer in viewers {
            assert_eq!(viewer.end().well().count("frames.intact"), 20);
        }
    }
}

pub(crate) fn a_broadcast_reaches_the_viewer() {
    let hosts = Hosts::new(ETHERNET);
    for to in ["10.77.5.255:5005", "255.255.255.255:5005"] {
        let refused = hosts.sender("pattern").with([to]).run().end();
        assert_eq!(refused.code, Some(1));
        assert!(refused.said.contains("--broadcast"), "{}", refused.said);
    }
    let ended = play(
        &hosts,
        "pattern:320x180@30",
        "10.77.5.255:5005",
        "--broadcast --frames 20",
    );
    assert_complete(&ended, 20);
}

pub(crate) fn the_viewer_tells_the_command_that_reaches_it() {
    let hosts = Hosts::new(ETHERNET);
    let mut viewer = listening(&hosts, "--once");
    // Another thread writes the lines, one after another.
    viewer.wait_for(&format!("framegram-send camera {}:5005", VIEWER_IPS[0]));
    viewer.signal(Signal::SIGTERM);
    let _ = viewer.end().well();
}

pub(crate) fn an_unreachable_network_does_not_end_a_stream_that_runs() {
    let hosts = Hosts::new(ETHERNET);
    // No host has this address: the cable is there, the neighbour is not.
    let sender = hosts
        .sender("--frames 60 pattern:160x90@30 10.77.5.9:5005")
        .run()
        .end()
        .well();
    assert_eq!(sender.count("frames.sent"), 60);
}

/// Packets that the sender's firewall has dropped.
fn dropped(hosts: &Hosts) -> u64 {
    let chain = hosts.run_by_sender("nft list chain inet own out");
    let count = chain.split("packets ").nth(1);
    let count = count.and_then(|rest| rest.split(' ').next());
    count.map_or(0, |count| count.parse().expect("a count"))
}

/// Longer than a patient viewer waits for a frame. What the frame lacks until then is
/// retransmitted.
const REFUSED: Duration = Duration::from_secs(1);

pub(crate) fn what_the_senders_own_firewall_refuses_is_not_blamed_on_the_network() {
    let hosts = Hosts::new(ETHERNET);
    let by_sender = |words: &str| hosts.run_by_sender(words);
    by_sender("nft add table inet own");
    by_sender("nft add chain inet own out { type filter hook output priority 0 ; }");
    let mut viewer = listening(&hosts, "--once");
    let sender = hosts
        .sender("--duration 5s pattern:640x360@30")
        .with([format!("{}:5005", VIEWER_IPS[0])])
        .run();
    viewer.wait_for("It is the native format");
    by_sender("nft add rule inet own out udp dport 5005 counter drop");
    until("the firewall to drop", || {
        (dropped(&hosts) > 200).then_some(())
    });
    sleep(REFUSED);
    by_sender("nft flush chain inet own out");
    let (sender, viewer) = (sender.end().well(), viewer.end().well());
    let refused = sender.count("packets.send_errors");
    assert!(refused > 200, "{:#}", sender.report);
    for (name, count) in [
        ("packets.send_errors", refused),
        ("packets.received", sender.count("packets.sent")),
        ("packets.lost", 0),
        ("packets.socket_dropped", 0),
        ("outcomes.lost_network", 0),
        ("outcomes.lost_unknown", 0),
        ("frames.unaccounted", 0),
    ] {
        assert_eq!(viewer.count(name), count, "{name}: {:#}", viewer.report);
    }
    assert!(viewer.count("outcomes.not_sent") > 0, "{:#}", viewer.report);
    let said = "rejected by the sender's operating system";
    assert!(viewer.said.contains(said), "{}", viewer.said);
}
