//! Other people's programs, and the project's own for comparison: started by one line, and killed
//! when they are dropped.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

use crate::program::until;

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Peer {
    child: Child,
    line: String,
}

impl Peer {
    /// Starts a program in a folder, with arguments that contain no blanks. It has no input, and
    /// its standard output is discarded.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(folder: &Path, line: &str) -> Self {
        Self::start_with(folder, line, Stdio::null(), Stdio::null())
    }

    /// The same with this standard input and output.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start_with(folder: &Path, line: &str, input: Stdio, output: Stdio) -> Self {
        let mut words = line.split_whitespace();
        let child = Command::new(words.next().expect("a program"))
            .args(words)
            .current_dir(folder)
            .stdin(input)
            .stdout(output)
            .spawn();
        Self {
            child: child.unwrap_or_else(|error| {
                panic!("{error}: {line}\n`scripts/install test bench` installs the peers")
            }),
            line: line.to_owned(),
        }
    }

    /// Waits until a program listens at an address, according to the system's own list, so no
    /// datagram is sent to find out.
    ///
    /// # Panics
    /// If the deadline passes, or the address is not IPv4.
    pub fn listens_at(self, address: SocketAddr) -> Self {
        let SocketAddr::V4(v4) = address else {
            panic!("{address} is not IPv4");
        };
        let host = u32::from_ne_bytes(v4.ip().octets());
        let port = v4.port();
        let names = [
            format!("{host:08X}:{port:04X}"),
            format!("00000000:{port:04X}"),
        ];
        until(&format!("{address} to be heard"), || {
            let list = fs::read_to_string("/proc/net/udp").expect("Linux says it");
            let mut local = list
                .lines()
                .filter_map(|line| line.split_whitespace().nth(1));
            let heard = local.any(|local| names.iter().any(|name| name == local));
            heard.then_some(())
        });
        self
    }

    /// Its standard input, if that is a pipe and was not taken before.
    pub fn take_input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, if that is a pipe and was not taken before.
    pub fn take_output(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Processor time of all its threads so far, including ended ones.
    ///
    /// # Panics
    /// If it was waited for.
    pub fn processor_time(&self) -> Duration {
        let pid = i32::try_from(self.child.id()).expect("process numbers are small");
        let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(pid));
        let time = clock.and_then(clock_gettime).expect("it is our child");
        time.into()
    }

    /// Bytes that it has written so far, including to devices, but not to sockets.
    ///
    /// # Panics
    /// If it was waited for.
    pub fn written(&self) -> u64 {
        let counts = fs::read_to_string(format!("/proc/{}/io", self.child.id()));
        let counts = counts.expect("it is our child");
        let line = counts.lines().find_map(|line| line.strip_prefix("wchar: "));
        let line = line.expect("Linux counts what is written");
        line.parse().expect("a number")
    }

    /// Whether it is still running.
    ///
    /// # Panics
    /// Never.
    pub fn is_running(&mut self) -> bool {
        let ended = self.child.try_wait().expect("it is our child");
        ended.is_none()
    }

    /// Waits until it ends successfully.
    ///
    /// # Panics
    /// If the deadline passes, or it fails.
    pub fn end(mut self) {
        let status = until(&format!("the end of {}", self.line), || {
            self.child.try_wait().expect("it is our child")
        });
        assert!(status.success(), "{}", self.line);
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
