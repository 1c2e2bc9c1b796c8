//! On one machine, every source arrives completely. Programs start and end in any order, and get
//! invalid input.

mod ending;
mod files;
mod lossy;
mod meeting;
mod paths;
mod refusing;
mod reports;
mod scenes;
mod strangers;
mod timecode;
mod tracing;

use std::net::SocketAddr;

use framegram_tests::program::{Ended, PATIENT, Program, SENDER, Start, VIEWER};

/// A viewer that already listens at `address`.
fn listening(address: SocketAddr, arguments: &str) -> Program {
    let mut viewer = viewer(address, arguments).run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

fn viewer(address: SocketAddr, arguments: &str) -> Start {
    Start::new(
        VIEWER,
        &format!("{address} --headless {PATIENT} {arguments}"),
    )
}

fn sender(source: &str, address: SocketAddr, arguments: &str) -> Start {
    Start::new(SENDER, arguments).with([source, &address.to_string()])
}

/// Asserts that all `frames` were captured, sent and shown, byte for byte, and
/// that no packet was lost.
fn assert_complete(sender: &Ended, viewer: &Ended, frames: u64) {
    for name in ["captured", "sent"] {
        let name = format!("frames.{name}");
        assert_eq!(sender.count(&name), frames, "{name}: {:#}", sender.report);
    }
    for name in ["captured", "sent", "shown", "intact"] {
        let name = format!("frames.{name}");
        assert_eq!(viewer.count(&name), frames, "{name}: {:#}", viewer.report);
    }
    for name in ["lost", "socket_dropped", "corrupt", "malformed"] {
        let name = format!("packets.{name}");
        assert_eq!(viewer.count(&name), 0, "{name}: {:#}", viewer.report);
    }
    for name in ["frames.sent", "packets.sent", "bytes.sent", "stream.number"] {
        assert_eq!(sender.value(name), viewer.value(name), "{name}");
    }
    assert_eq!(viewer.value("stream.ended"), true);
}
