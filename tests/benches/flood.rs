//! Forged datagrams beside a stream, between two hosts: 100,000 a second, of
//! every kind. `cargo bench --bench flood [-- WORD...] [--strict]` runs all kinds,
//! or those whose name contains one of the words. It needs root. With `--strict`
//! it fails if a bound is exceeded. The first rows are a stream without a flood: what
//! a busy machine and loss cost by themselves.

use std::net::UdpSocket;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use framegram_seal::key_text;
use framegram_tests::flood::{FLOODS, Flood, SEALED};
use framegram_tests::hosts::{Hosts, SENDER_IPS, VIEWER_IPS};
use framegram_tests::measure::print_table;
use framegram_tests::program::Ended;

/// Forged datagrams a second.
const RATE: u64 = 100_000;

/// Duration of a flood, which begins when the stream has begun.
const FLOOD: Duration = Duration::from_secs(10);

/// Number of source ports.
const SOURCES: usize = 64;

/// Number of different datagrams. They are sent repeatedly.
const MADE: usize = 20_000;

/// Datagrams sent between two looks at the clock.
const BATCH: u64 = 100;

/// The bounds: the share of frames that are not intact, processors used by the
/// viewer, and its memory in MB above that of a stream with loss and no flood: the
/// tables for parity take 9 MB at the first loss.
const MOST_LOST: f64 = 0.005;
const MOST_PROCESSORS: f64 = 1.0;
const MOST_MEMORY: f64 = 4.0;

const PORT: u16 = 5005;

/// Arguments for a stream with loss.
const LOSS: &str = "--impair loss=3%";

/// The flag that makes an exceeded bound a failure.
const STRICT: &str = "--strict";

fn main() -> Result<ExitCode> {
    let (flags, words): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|word| word.starts_with('-'));
    let is_strict = flags.iter().any(|flag| flag == STRICT);
    if !nix::unistd::geteuid().is_root() {
        println!("A flood is not measured: hosts need root.\n");
        return Ok(ExitCode::SUCCESS);
    }
    let (mut rows, mut is_kept) = (Vec::new(), true);
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key");
    std::fs::write(&key, key_text((1, 2)).as_bytes())?;
    let key = format!("--key-file {}", key.display());
    let last = FLOODS[FLOODS.len() - 1];
    let in_the_clear = FLOODS.map(|flood| (flood, ""));
    let with_a_key = [last, SEALED].map(|flood| (flood, &*key));
    let (alone, lossy) = (play(None, "")?, play(None, LOSS)?);
    let is_idle = alone.is_kept(alone.memory);
    rows.push(alone.row("none"));
    rows.push(lossy.row("none, but loss"));
    for (flood, key) in in_the_clear.into_iter().chain(with_a_key) {
        let with = if key.is_empty() { "" } else { " (with a key)" };
        let name = format!("{}{with}", flood.name);
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            let played = play(Some(flood), key)?;
            is_kept &= played.is_kept(lossy.memory);
            rows.push(played.row(&name));
        }
    }
    println!("## Forged datagrams beside a stream\n");
    println!(
        "pattern:1280x720@30 for {} s, a flood of {RATE} datagrams a second.\n",
        FLOOD.as_secs()
    );
    let head = [
        "flood",
        "sent a second",
        "frames",
        "not whole",
        "its packets dropped here",
        "lost on the way",
        "dropped by the kernel",
        "processors",
        "memory MB",
    ];
    print_table(&head, &rows);
    if !is_idle {
        println!("This machine is too busy: without a flood a bound is exceeded too.\n");
    } else if !is_kept {
        println!("A bound is exceeded.\n");
    }
    Ok(ExitCode::from(u8::from(is_strict && !(is_kept && is_idle))))
}

/// The result of a stream under a flood.
struct Played {
    viewer: Ended,
    rate: f64,
    /// Datagrams dropped for lack of buffer space, as the kernel counts them.
    dropped: u64,
    processors: f64,
    /// Resident memory of the viewer at the end of the flood, in MB.
    memory: f64,
}

impl Played {
    fn counts(&self) -> (u64, u64) {
        let sent = self.viewer.count("frames.sent");
        (sent, sent - self.viewer.count("frames.intact"))
    }

    /// Whether the bounds are kept. `usual` is the memory without a flood. A cable of
    /// the kernel loses nothing: what is missing was dropped by the socket, and has to
    /// be told as such.
    fn is_kept(&self, usual: f64) -> bool {
        let (sent, lost) = self.counts();
        lost as f64 <= MOST_LOST * sent as f64
            && self.viewer.count("packets.lost") == 0
            && self.viewer.count("packets.socket_dropped") <= self.dropped
            && self.processors <= MOST_PROCESSORS
            && self.memory <= usual + MOST_MEMORY
    }

    fn row(&self, name: &str) -> Vec<String> {
        let (sent, lost) = self.counts();
        vec![
            name.to_owned(),
            format!("{:.0}", self.rate),
            sent.to_string(),
            lost.to_string(),
            self.viewer.count("packets.socket_dropped").to_string(),
            self.viewer.count("packets.lost").to_string(),
            self.dropped.to_string(),
            format!("{:.2}", self.processors),
            format!("{:.1}", self.memory),
        ]
    }
}

fn play(flood: Option<Flood>, arguments: &str) -> Result<Played> {
    let hosts = Hosts::new(1_500);
    let to = format!("{}:{PORT}", VIEWER_IPS[0]);
    let viewing = format!("--headless --once {arguments} {to}");
    let mut viewer = hosts.viewer(&viewing).run();
    viewer.wait_for("Waiting");
    let seconds = FLOOD.as_secs() + 3;
    let sending = format!("-t {seconds} {arguments} pattern:1280x720@30 {to}");
    let sender = hosts.sender(&sending).run();
    viewer.wait_for("Following");
    let sockets = hosts.on_sender(|| {
        let sockets = (0..SOURCES).map(|_| UdpSocket::bind((SENDER_IPS[0], 0)));
        sockets.collect::<std::io::Result<Vec<_>>>()
    })?;
    let mut rng = Rng::with_seed(1);
    let made = flood.map(|flood| (0..MADE).map(|_| (flood.make)(&mut rng)).collect());
    let datagrams: Vec<_> = made.unwrap_or_default();
    // `ip netns exec` becomes the program.
    let pid = viewer.pid();
    let (is_over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let begun = (Instant::now(), processor_time(pid)?);
    let mut memory = 0.0;
    let mut used = Duration::ZERO;
    thread::scope(|scope| -> Result<()> {
        if flood.is_some() {
            scope.spawn(|| pour(&sockets, &datagrams, &to, &is_over, &sent));
        }
        thread::sleep(FLOOD.saturating_sub(begun.0.elapsed()));
        memory = resident(pid)?;
        used = processor_time(pid)?.saturating_sub(begun.1);
        is_over.store(true, Ordering::Relaxed);
        Ok(())
    })?;
    let elapsed = begun.0.elapsed().as_secs_f64();
    let _ = sender.end().well();
    let viewer = viewer.end().well();
    Ok(Played {
        viewer,
        rate: sent.load(Ordering::Relaxed) as f64 / elapsed,
        dropped: dropped(&hosts.run_by_viewer("cat /proc/net/snmp")),
        processors: used.as_secs_f64() / elapsed,
        memory,
    })
}

/// Sends datagrams at the rate of the flood until `is_over`.
fn pour(
    sockets: &[UdpSocket],
    datagrams: &[Vec<u8>],
    to: &str,
    is_over: &AtomicBool,
    sent: &AtomicU64,
) {
    let begun = Instant::now();
    let mut all = datagrams.iter().cycle().zip(sockets.iter().cycle());
    let mut count = 0;
    while !is_over.load(Ordering::Relaxed) {
        for (datagram, socket) in all.by_ref().take(BATCH as usize) {
            // A datagram that does not fit the send buffer is not counted.
            count += u64::from(socket.send_to(datagram, to).is_ok());
        }
        sent.store(count, Ordering::Relaxed);
        let due = Duration::from_secs_f64(count as f64 / RATE as f64);
        thread::sleep(due.saturating_sub(begun.elapsed()));
    }
}

/// The processor time that a process has used
/// (<https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>).
fn processor_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("a name in brackets")?;
    let ticks = fields.split_whitespace().skip(11).take(2);
    let ticks = ticks.map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    let a_second = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?;
    let a_second = a_second.context("ticks of a second")?;
    Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
}

/// The resident memory of a process in MB.
fn resident(pid: u32) -> Result<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    Ok(kilobytes.context("a resident set")?.parse::<f64>()? / 1_000.0)
}

/// Datagrams dropped for lack of buffer space, from `/proc/net/snmp`.
fn dropped(snmp: &str) -> u64 {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (lines.next(), lines.next());
    let names = names.unwrap_or_default().split(' ');
    let mut named = names.zip(values.unwrap_or_default().split(' '));
    let value = named.find(|(name, _)| *name == "RcvbufErrors");
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}
