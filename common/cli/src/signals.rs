//! Ctrl-C and its like: the first ends the program in order, once and for all;
//! another one cuts an end short that takes long.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level;

use crate::stop::Stop;
use crate::threads::{Thread, Threads};

/// How long the end may take before another signal cuts it short. `timeout`
/// sends its signal twice, to the program and to its group.
pub const PATIENCE: Duration = Duration::from_secs(1);

/// Listens for signals until it is dropped.
pub struct Listening {
    handle: Handle,
    thread: Option<Thread<()>>,
}

/// Has SIGINT, SIGTERM and SIGHUP stop `stop`. A SIGHUP that is ignored, as under
/// `nohup`, stays so.
///
/// # Errors
/// When the system has no room for another thread or handler.
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

/// Whether this program was started with a signal ignored.
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
    fn the_system_tells_which_signals_are_ignored() {
        let status = "Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\n";
        assert_eq!(ignored(status), 0x1001);
        assert_eq!(ignored("Name:\tx\n"), 0);
        // Rust's own programs begin with this one ignored.
        assert!(is_ignored(signal_hook::consts::SIGPIPE).unwrap());
        assert!(!is_ignored(SIGTERM).unwrap());
    }
}
