//! What a packet filter drops, on the way and on the sender's machine.

use framegram_tests::hosts::{Hosts, INTERFACE, VIEWER_IPS};
use framegram_tests::measuring::{LOG, assert_equal, check, recorded, wait_for_rows};
use framegram_tests::program::{Ended, Start};
use nix::sys::signal::Signal;

/// A sender that is stopped after a thousand datagrams.
fn stopped_in_midst(sender: Start) -> Ended {
    let sender = sender.run();
    wait_for_rows(&sender, 80_000);
    sender.signal(Signal::SIGINT);
    sender.end().well()
}

/// Plays a stream between two hosts. The sender has this impairment, and writes it to a log.
fn play(hosts: &Hosts, harm: &str) -> (Ended, Ended) {
    let line = format!("{}:5005 --headless --once --wait 30s", VIEWER_IPS[0]);
    let mut viewer = hosts.viewer(&line).run();
    viewer.wait_for("Waiting for a stream");
    let line = format!(
        "pattern:320x180@60 --packet-size 1452 {}:5005 {}",
        VIEWER_IPS[0],
        recorded(Some(harm))
    );
    let sender = stopped_in_midst(hosts.sender(&line));
    (sender, viewer.end().well())
}

pub(crate) fn what_a_filter_drops_is_lost_on_the_way_to_the_last_packet_that_it_counts() {
    let hosts = Hosts::new(1_500);
    hosts.run_by_viewer("nft add table ip filter");
    hosts.run_by_viewer("nft add chain ip filter input { type filter hook input priority 0 ; }");
    hosts.run_by_viewer("nft add counter ip filter dropped");
    hosts.run_by_viewer(
        "nft add rule ip filter input udp dport 5005 numgen random mod 100 < 5 \
         counter name dropped drop",
    );
    // The datagrams are sent one by one, because a filter sees datagrams that are handed over
    // together as one.
    let (sender, viewer) = play(&hosts, "seed=0");
    let counted = hosts.run_by_viewer("nft list counter ip filter dropped");
    let mut words = counted.split_whitespace();
    let dropped = words
        .find(|word| *word == "packets")
        .and_then(|_| words.next());
    let dropped: u64 = dropped
        .and_then(|count| count.parse().ok())
        .expect(&counted);
    assert!(dropped > 5, "{counted}");
    // Byes behind the last packet that arrived are dropped, or arrive after the viewer has ended.
    // The viewer knows all packets before them, and none of these byes.
    let tail = sender.count("packets.sent") - viewer.count("packets.sent");
    let lost = viewer.count("packets.lost");
    let all = lost..=lost + tail;
    assert!(
        all.contains(&dropped),
        "{all:?} {counted} {:#}",
        viewer.report
    );
    assert_eq!(viewer.count("packets.socket_dropped"), 0);
    let checked = check(&viewer.path("report.json"), &[&sender.path(LOG)]);
    let table = String::from_utf8_lossy(&checked.output);
    assert_eq!(checked.code, Some(1), "{table}");
    assert!(table.contains("differs"), "{table}");
}

pub(crate) fn an_end_that_is_lost_on_the_way_is_unknown_and_all_before_it_exact() {
    let hosts = Hosts::new(1_500);
    let harm = "loss=5%,dup=3%,corrupt=2%,delay=3ms±3ms,seed=5";
    let line = format!(
        "{}:5005 --headless --once --wait 30s {}",
        VIEWER_IPS[0],
        recorded(Some(harm))
    );
    let mut viewer = hosts.viewer(&line).run();
    viewer.wait_for("Waiting for a stream");
    let line = format!(
        "pattern:320x180@90 --packet-size 1452 {}:5005",
        VIEWER_IPS[0]
    );
    let sender = hosts.sender(&line).run();
    viewer.wait_for("Following the stream");
    wait_for_rows(&viewer, 40_000);
    hosts.run_by_viewer("nft add table ip filter");
    hosts.run_by_viewer("nft add chain ip filter input { type filter hook input priority 0 ; }");
    hosts.run_by_viewer("nft add rule ip filter input udp dport 5005 drop");
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    let viewer = viewer.end().well();
    assert_equal(harm, &viewer, &[&viewer.path(LOG)]);
    assert_eq!(viewer.value("stream.ended"), false);
    assert!(viewer.value("frames.after_last_report").is_null());
    assert!(sender.count("packets.sent") > viewer.count("packets.sent"));
}

pub(crate) fn what_the_senders_own_system_refuses_was_not_sent_and_is_no_loss() {
    let hosts = Hosts::new(1_500);
    hosts.run_by_sender("nft add table ip filter");
    hosts.run_by_sender("nft add chain ip filter output { type filter hook output priority 0 ; }");
    hosts.run_by_sender(
        "nft add rule ip filter output udp dport 5005 numgen random mod 100 < 5 drop",
    );
    let (sender, viewer) = play(&hosts, "loss=5%,seed=6");
    let table = assert_equal("refused", &viewer, &[&sender.path(LOG)]);
    assert!(viewer.count("accounts.0.send_errors") > 5, "{table}");
}

/// A sender of a second of each format, to the viewer's host.
fn a_second(hosts: &Hosts, wire: &str) -> Ended {
    let to = VIEWER_IPS[0];
    let line = format!("--wire {wire} --frames 30 pattern:320x180@30 {to}:5005");
    hosts.sender(&line).run().end()
}

pub(crate) fn a_sender_whose_every_datagram_is_refused_fails_and_says_why() {
    let hosts = Hosts::new(1_500);
    for wire in ["native", "rtp", "raw"] {
        // Nobody listens, which is no failure.
        let ended = a_second(&hosts, wire).well();
        assert_eq!(ended.count("frames.sent"), 30, "{wire}");
    }
    hosts.run_by_sender("nft add table ip filter");
    hosts.run_by_sender("nft add chain ip filter output { type filter hook output priority 0 ; }");
    hosts.run_by_sender("nft add rule ip filter output udp dport 5005 drop");
    for wire in ["native", "rtp", "raw"] {
        let ended = a_second(&hosts, wire);
        assert_eq!(ended.code, Some(1), "{wire}: {}", ended.said);
        let last = ended.said.lines().last().unwrap_or_default();
        let why = format!(
            "nothing could be sent to {}:5005: Operation not permitted",
            VIEWER_IPS[0]
        );
        assert!(last.contains(&why), "{wire}: {last}");
    }
}

pub(crate) fn a_sender_without_a_route_fails_and_says_why() {
    let hosts = Hosts::new(1_500);
    hosts.run_by_sender(&format!("ip address flush dev {INTERFACE}"));
    let ended = a_second(&hosts, "native");
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    let last = ended.said.lines().last().unwrap_or_default();
    assert!(last.contains("Network is unreachable"), "{last}");
}
