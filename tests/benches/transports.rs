//! The same stream over UDP and over TCP, between two hosts whose path delays and loses IP packets:
//! `cargo bench --bench transports [SECONDS]`, as root.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use framegram_lab::impair::Impairment;
use framegram_tests::hosts::{Hosts, INTERFACE, SENDER_IPS, VIEWER_IPS};
use framegram_tests::measure::print_table;
use framegram_tests::program::Ended;

/// Length of each stream in seconds.
const SECONDS: u32 = 15;

const SOURCE: &str = "pattern:1280x720@30";

const RATE: u64 = 100_000_000;

/// For a person who reacts to it, an older frame is late.
const IN_TIME_MS: f64 = 100.0;

/// A transport to compare.
struct Transport {
    name: &'static str,
    flags: &'static str,
    congestion: Option<&'static str>,
}

const TRANSPORTS: [Transport; 4] = [
    Transport {
        name: "UDP",
        flags: "--packet-size 1452",
        congestion: None,
    },
    Transport {
        name: "UDP without repair",
        flags: "--packet-size 1452 --fec off --no-retransmit",
        congestion: None,
    },
    Transport {
        name: "TCP, Cubic",
        flags: "--transport tcp",
        congestion: Some("cubic"),
    },
    Transport {
        name: "TCP, BBR",
        flags: "--transport tcp",
        congestion: Some("bbr"),
    },
];

fn main() -> Result<()> {
    let seconds = std::env::args().find_map(|word| word.parse().ok());
    let seconds = seconds.unwrap_or(SECONDS);
    if !nix::unistd::geteuid().is_root() {
        println!("UDP and TCP are not compared: hosts and their path need root.\n");
        return Ok(());
    }
    let known = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_available_congestion_control");
    let known = known.context("no TCP here")?;
    let known: Vec<_> = known.split_whitespace().collect();
    let mut rows = Vec::new();
    for rtt in [20, 100] {
        for loss in [0, 1, 5] {
            for transport in &TRANSPORTS {
                let has = |name: &str| known.contains(&name);
                if transport.congestion.is_none_or(has) {
                    let figures = play(transport, rtt, loss, seconds)?;
                    let path = [format!("{rtt} ms"), format!("{loss} %")];
                    rows.push([&path[..], &[transport.name.into()], &figures[..]].concat());
                }
            }
        }
    }
    println!("## UDP and TCP\n");
    println!(
        "{SOURCE}, {seconds} s each, a path of {} Mbit/s with 100 ms of queue. Delays are from \
         capture to shown; in time is at most {IN_TIME_MS} ms; bytes are those of IP packets to \
         the viewer, for each byte of JPEG that was sent.\n",
        RATE / 1_000_000
    );
    let head = [
        "RTT",
        "loss",
        "transport",
        "p50 ms",
        "p95 ms",
        "p99 ms",
        "in time",
        "complete",
        "bytes",
    ];
    print_table(&head, &rows);
    Ok(())
}

fn play(transport: &Transport, rtt: u32, loss: u32, seconds: u32) -> Result<Vec<String>> {
    let way = |loss: u32, seed| Impairment {
        loss: f64::from(loss) / 100.0,
        delay: Duration::from_millis(u64::from(rtt)) / 2,
        rate: Some(RATE),
        queue: Duration::from_millis(100),
        seed,
        ..Impairment::default()
    };
    let hosts = Hosts::with_path(way(loss, 1), way(loss, 2));
    if let Some(algorithm) = transport.congestion {
        let [from, _] = SENDER_IPS;
        let _ = hosts.run_by_sender(&format!(
            "ip route replace 10.77.5.0/24 dev {INTERFACE} src {from} congctl {algorithm}"
        ));
    }
    let viewer = hosts.viewer("--headless --once --report frames.csv");
    let mut viewer = viewer.run();
    viewer.wait_for("Waiting for a stream");
    let to = VIEWER_IPS[0];
    let flags = transport.flags;
    let sender = hosts.sender(&format!("{SOURCE} -t {seconds} {flags} {to}:5005"));
    let sender = sender.run().end().well();
    let viewer = viewer.end().well();
    let counter = format!("cat /sys/class/net/{INTERFACE}/statistics/tx_bytes");
    let bytes: f64 = hosts.run_by_sender(&counter).trim().parse()?;
    let delays = delays(&viewer)?;
    ensure!(!delays.is_empty(), "no frame was shown");
    let captured = sender.count("frames.captured") as f64;
    let at = |share: f64| delays[((delays.len() - 1) as f64 * share).round() as usize];
    let in_time = delays.iter().filter(|delay| **delay <= IN_TIME_MS).count();
    let percent = |part: f64| format!("{:.1} %", 100.0 * part / captured);
    eprintln!(
        "{} {rtt} ms {loss} %: p95 {:.0} ms",
        transport.name,
        at(0.95)
    );
    Ok(vec![
        format!("{:.0}", at(0.50)),
        format!("{:.0}", at(0.95)),
        format!("{:.0}", at(0.99)),
        percent(in_time as f64),
        percent(viewer.count("frames.intact") as f64),
        format!("{:.2}", bytes / sender.count("bytes.jpeg") as f64),
    ])
}

/// The delays of all frames shown, in milliseconds, ascending.
fn delays(viewer: &Ended) -> Result<Vec<f64>> {
    let table = String::from_utf8(viewer.file("frames.csv"))?;
    let mut rows = table.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let head = rows.next().context("no head")?;
    let column = |name| head.iter().position(|it| *it == name);
    let (shown, delay) = (column("shown_s"), column("delay_ms"));
    let (shown, delay) = shown.zip(delay).context("no such column")?;
    let shown = rows.filter(|row| row.get(shown).is_some_and(|cell| !cell.is_empty()));
    let delays = shown.filter_map(|row| row.get(delay)?.parse().ok());
    let mut delays: Vec<f64> = delays.collect();
    delays.sort_by(f64::total_cmp);
    Ok(delays)
}
