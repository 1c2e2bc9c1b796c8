//! A viewer to run, and a stream to send to it.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use bytes::Bytes;
use framegram_common::Sender;
use framegram_common::sender::{self, Config};
use framegram_media::{Subsampling, XrgbImage};
use framegram_net::{ConnectOptions, Socket, Waker, clock, is_refused, wait};

/// A running viewer.
pub(crate) struct Viewer {
    pub(crate) child: Child,
    address: SocketAddr,
    lines: Receiver<String>,
    told: String,
}

/// The results of a viewer.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

/// A command without a display.
pub(crate) fn viewer(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_framegram-view"));
    command
        .args(arguments)
        .env_remove("DISPLAY")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

impl Viewer {
    /// Starts a viewer on a free port, and waits until it listens.
    pub(crate) fn listening(arguments: &[&str]) -> Self {
        Self::start(viewer(arguments))
    }

    pub(crate) fn start(mut command: Command) -> Self {
        let address = address();
        command.arg(address.to_string());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in stderr.lines() {
                // If the test has failed, nobody listens any more.
                let _ = sender.send(line.unwrap());
            }
        });
        let told = String::new();
        let mut viewer = Self {
            child,
            address,
            lines,
            told,
        };
        viewer.wait_for("framegram-send camera");
        viewer
    }

    /// Waits until it has written this to standard error.
    pub(crate) fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.told.contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("it never said {text:?}, but: {}", self.told);
            };
            self.told += &line;
            self.told.push('\n');
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status();
        assert!(status.unwrap().success());
    }

    /// Waits until it ends.
    pub(crate) fn end(mut self) -> Ended {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.told += &line;
                    self.told.push('\n');
                }
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it did not end, but said: {}", self.told),
            }
        }
        let mut stdout = Vec::new();
        if let Some(mut pipe) = self.child.stdout.take() {
            pipe.read_to_end(&mut stdout).unwrap();
        }
        Ended {
            status: self.child.wait().unwrap(),
            stdout,
            stderr: std::mem::take(&mut self.told),
        }
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        // It is still running only if the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends the JPEGs as one stream, 100 a second, and a bye if `bye` is set.
pub(crate) fn send(to: SocketAddr, jpegs: &[Vec<u8>], bye: bool) {
    let socket = Socket::connect(to, &ConnectOptions::default()).unwrap();
    let waker = Waker::new().unwrap();
    let stream = framegram_net::random_u64();
    let config = Config {
        destinations: 1,
        interval: Some(INTERVAL),
        pace: false,
        clock_id: clock::clock_id(stream),
        ..Config::default()
    };
    let begun = clock::now();
    let mut transmitter = Sender::new(config, stream, begun);
    let mut out = Vec::new();
    let mut drain = |transmitter: &mut Sender| {
        while let sender::Output::Transmit(transmit) =
            transmitter.poll_output(clock::now(), &mut out)
        {
            match socket.send(None, &out, transmit.segment) {
                // The viewer has ended.
                Err(error) if is_refused(&error) => {}
                other => other.unwrap(),
            }
        }
    };
    let mut until = |transmitter: &mut Sender, time: Duration| {
        // Everything is sent, however late it is on a busy machine.
        drain(transmitter);
        while clock::now() < time && !transmitter.is_finished() {
            let next = transmitter.poll_timeout().unwrap_or(time).min(time);
            let timeout = next.saturating_sub(clock::now());
            wait(&[], &waker, Some(timeout)).unwrap();
            drain(transmitter);
        }
    };
    for (number, jpeg) in jpegs.iter().enumerate() {
        until(&mut transmitter, begun + INTERVAL * number as u32);
        let now = clock::now();
        transmitter.handle_captured(number as u64 + 1);
        let jpeg = Bytes::from(jpeg.clone());
        transmitter.handle_frame(jpeg, now, None, now).unwrap();
    }
    let end = begun + INTERVAL * jpegs.len() as u32;
    until(&mut transmitter, end);
    if bye {
        transmitter.finish(clock::now());
        until(&mut transmitter, end + Duration::from_secs(10));
        assert!(transmitter.is_finished());
    }
}

/// Frames that differ: noise, and one colour channel that depends on the number.
pub(crate) fn frames(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            picture(160, 120, |x, y| {
                let noise = (x * 31 + y * 17 + number * 7) as u8 % 64;
                [noise + (number % 64) as u8, noise, 128 + noise]
            })
        })
        .collect()
}

/// A JPEG of quality 90 in 4:2:0 whose pixel at (x, y) is `colour(x, y)`.
pub(crate) fn picture(
    width: usize,
    height: usize,
    colour: impl Fn(usize, usize) -> [u8; 3],
) -> Vec<u8> {
    let pixels = (0..width * height).map(|i| {
        let [red, green, blue] = colour(i % width, i / width);
        u32::from_be_bytes([0, red, green, blue])
    });
    let image = XrgbImage {
        pixels: pixels.collect(),
        width,
        height,
    };
    image.to_jpeg(90, Subsampling::Yuv420).unwrap()
}

/// A test's own folder, which is deleted in the end.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

pub(crate) fn json(path: &str) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// An address of this machine that no other test uses. Each test process has its own host in 127/8,
/// derived from its process ID, and counts the ports.
pub(crate) fn address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(5_005);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let host = [127, high.max(1), middle, low];
    (host, PORT.fetch_add(2, Ordering::Relaxed)).into()
}

/// How long a viewer may take to write an expected line on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Frame interval.
const INTERVAL: Duration = Duration::from_millis(10);
