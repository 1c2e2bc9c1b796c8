//! Measurements agree with what was done: real programs, impaired on purpose by one of them or by
//! the system, and their reports compared with the log of it.

mod checked;
mod delays;
mod joining;
mod mixtures;
mod socket_drops;

use std::net::SocketAddr;

use framegram_tests::program::{Program, SENDER, Start, VIEWER};

/// A viewer that already listens, and ends with the stream.
fn listening(address: SocketAddr, arguments: &str) -> Program {
    staying(address, &format!("--once {arguments}"))
}

/// A viewer that already listens, and waits for further streams.
fn staying(address: SocketAddr, arguments: &str) -> Program {
    let line = format!("{address} --headless --wait 30s {arguments}");
    let mut viewer = Start::new(VIEWER, &line).run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

/// A sender that runs on one processor, so that loopback keeps the order of its datagrams.
fn sender(source: &str, address: SocketAddr, arguments: &str) -> Start {
    let processor = processor();
    let line = format!("{source} {address} --packet-size 1452 {arguments}");
    Start::by(&["taskset", "-c", &processor], SENDER, &line)
}

/// A processor on which this program may run.
fn processor() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    let first = allowed.and_then(|list| list.trim().split([',', '-']).next());
    first.unwrap_or("0").to_owned()
}
