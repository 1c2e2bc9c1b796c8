//! Handles Ctrl-C and similar signals. The first signal ends the program in
//! order. A later one aborts an end that takes too long.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level;

use crate::stop::Stop;
use crate::threads::{Thread, Threads};

/// Time after which another signal aborts the program. `timeout` sends its signal
/// twice: to the program and to its process group.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Handles signals until it is dropped.
pub struct Listening {
    handle: Handle,
    thread: Option<Thread<()>>,
}

/// Makes SIGINT, SIGTERM and SIGHUP trigger `stop`. If SIGHUP is ignored, as
/// under `nohup`, it stays ignored.
///
/// # Errors
/// If no thread or signal handler is available.
pub fn listen(stop: &Stop, threads: &Threads) -> Result<Listening> {
    let hangs_up = !is_ignored(SIGHUP).unwrap_or(false);
    let listened = [SIGINT, SIGTERM].into_iter();
    let listened = listened.chain(hangs_up.then_some(SIGHUP));
    let mut signals = Signals::new(listened).context("cannot listen for signals")?;
    let handle = signals.handle();
    let stop = stop.clone();
    let thread = threads.spawn("signals", move || {
        let mut first = None;
        for signal in signals.forever() {
            let now = Instant::now();
            if now.saturating_duration_since(*first.get_or_insert(now)) >= PATIENCE {
                low_level::exit(128 + signal);
            }
            stop.stop();
        }
    })?;
    Ok(Listening {
        handle,
        thread: Some(thread),
    })
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.handle.close();
        self.thread.take().map(Thread::join);
    }
}

/// Whether the program was started with this signal ignored.
fn is_ignored(signal: i32) -> io::Result<bool> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(ignored(&status) & 1 << (signal - 1) != 0)
}

/// The set of ignored signals in `/proc/self/status`
/// (<https://man7.org/linux/man-pages/man5/proc_pid_status.5.html>).
fn ignored(status: &str) -> u64 {
    let mut lines = status.lines();
    let set = lines.find_map(|line| line.strip_prefix("SigIgn:"));
    set.and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals_are_detected() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored(status), 0x1001);
        assert_eq!(ignored("Name:\tx\n"), 0);
        // Rust programs start with SIGPIPE ignored.
        assert!(is_ignored(signal_hook::consts::SIGPIPE).unwrap());
        assert!(!is_ignored(SIGTERM).unwrap());
    }
}
