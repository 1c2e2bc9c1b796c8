//! Measures rate and queue of a path next to a stream: from the bytes that reach
//! a host, and from the RTT of `ping`.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use framegram_net::clock;

use crate::hosts::{Hosts, INTERFACE, VIEWER_IPS};

/// Interval between samples, and between pings.
const EVERY: Duration = Duration::from_millis(50);

/// Measures until it is finished.
#[derive(Debug)]
pub struct PathMeter {
    stop: Arc<AtomicBool>,
    bytes: JoinHandle<Vec<(Duration, u64)>>,
    ping: Child,
}

/// The measured values, each with its time on the monotonic clock.
#[derive(Clone, Debug)]
pub struct Measured {
    /// Bytes of Ethernet frames received so far.
    pub bytes: Vec<(Duration, u64)>,
    /// RTTs of the answered pings, in milliseconds.
    pub rtts: Vec<(Duration, f64)>,
}

impl PathMeter {
    /// Measures the path to the viewer's host, on which the process `viewer`
    /// runs.
    ///
    /// # Panics
    /// If the program `ping` is missing.
    pub fn start(hosts: &Hosts, viewer: u32) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let counters = format!("/proc/{viewer}/net/dev");
        let bytes = thread::spawn(move || {
            let mut samples = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let now = clock::now();
                let read = fs::read_to_string(&counters);
                samples.extend(
                    read.ok()
                        .and_then(|text| received(&text))
                        .map(|it| (now, it)),
                );
                thread::sleep(EVERY);
            }
            samples
        });
        let every = EVERY.as_secs_f64().to_string();
        let mut ping = hosts.command_of_sender("ping");
        ping.args(["-D", "-n", "-i", &every, VIEWER_IPS[0]]);
        let ping = ping.stdout(Stdio::piped()).spawn();
        Self {
            stop,
            bytes,
            ping: ping.expect("the program ping is there"),
        }
    }

    /// Ends the measurement.
    ///
    /// # Panics
    /// If one of its threads panicked.
    pub fn finish(self) -> Measured {
        self.stop.store(true, Ordering::Relaxed);
        let bytes = self.bytes.join().expect("it reads and sleeps");
        let pid = self.ping.id().to_string();
        let _ = Command::new("kill").args(["-INT", &pid]).status();
        let said = self.ping.wait_with_output().expect("it is our child");
        let offset = clock::wall_offset();
        let said = String::from_utf8_lossy(&said.stdout).into_owned();
        let rtts = said.lines().filter_map(|line| ping(line, offset)).collect();
        Measured { bytes, rtts }
    }
}

impl Measured {
    /// Mean rate in a period, in bits per second.
    pub fn rate(&self, from: Duration, to: Duration) -> f64 {
        let mut within = self.bytes.iter().filter(|(at, _)| (from..=to).contains(at));
        let (Some(first), Some(last)) = (within.next(), within.next_back()) else {
            return 0.0;
        };
        let bytes = last.1.saturating_sub(first.1) as f64;
        8.0 * bytes / (last.0 - first.0).as_secs_f64().max(1e-9)
    }

    /// Quantile `share` of the queueing delay in a period, in milliseconds: the
    /// RTT minus the smallest RTT of all.
    pub fn queue(&self, share: f64, from: Duration, to: Duration) -> f64 {
        let least = self.rtts.iter().map(|(_, rtt)| *rtt);
        let least = least.fold(f64::INFINITY, f64::min);
        let within = self.rtts.iter().filter(|(at, _)| (from..=to).contains(at));
        let mut within: Vec<_> = within.map(|(_, rtt)| rtt - least).collect();
        within.sort_by(f64::total_cmp);
        let at = (within.len().saturating_sub(1) as f64 * share).round() as usize;
        within.get(at).copied().unwrap_or(f64::NAN)
    }
}

/// Bytes received over the cable, from `/proc/net/dev`.
fn received(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let name = format!("{INTERFACE}:");
    let line = lines.find_map(|line| line.trim_start().strip_prefix(&name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Time of an answer on the monotonic clock, and its RTT in milliseconds.
fn ping(line: &str, offset: Duration) -> Option<(Duration, f64)> {
    let (stamp, _) = line.strip_prefix('[')?.split_once(']')?;
    let at = Duration::try_from_secs_f64(stamp.parse().ok()?).ok()?;
    let (_, rtt) = line.split_once("time=")?;
    let rtt = rtt.split_whitespace().next()?.parse().ok()?;
    Some((at.saturating_sub(offset), rtt))
}
