//! `--bitrate` is a limit for every second, checked with the times at which the program sent its
//! datagrams according to its own clock.
#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use framegram_common::wire::native::Packet;
use serde_json::Value;

/// What one stream sent: the time of each datagram in microseconds with its bytes, and the report
/// of the stream.
struct Sent {
    log: Vec<(u64, u64)>,
    report: Value,
}

fn send(source: &str, options: &str) -> Sent {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket
        .set_read_timeout(Some(Duration::from_millis(50)))
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_framegram-send"))
        .arg(source)
        .arg(socket.local_addr().unwrap().to_string())
        .args(options.split_whitespace())
        .arg("--report")
        .arg(&path)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut buffer = vec![0; 65_536];
    let mut log = Vec::new();
    loop {
        // Checked before the last datagrams are read.
        let ended = child.try_wait().unwrap();
        while let Ok(len) = socket.recv(&mut buffer) {
            let (header, _) = Packet::decode(&buffer[..len]).unwrap();
            log.push((header.sent.into(), len as u64));
        }
        if let Some(status) = ended {
            assert!(status.success());
            break;
        }
    }
    let report = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    log.sort_unstable();
    Sent { log, report }
}

impl Sent {
    /// The most bits in any one second.
    fn most(&self) -> u64 {
        let (mut first, mut sum, mut most) = (0, 0, 0);
        for (at, bytes) in &self.log {
            sum += bytes;
            while self.log[first].0 + 1_000_000 <= *at {
                sum -= self.log[first].1;
                first += 1;
            }
            most = most.max(sum);
        }
        most * 8
    }

    /// Bits per second from the second second to the end.
    fn mean(&self) -> u64 {
        let start = self.log[0].0 + 1_000_000;
        let end = self.log.last().unwrap().0;
        let settled = self.log.iter().filter(|(at, _)| *at >= start);
        let bytes: u64 = settled.map(|(_, bytes)| bytes).sum();
        bytes * 8_000_000 / (end - start)
    }

    fn frames(&self, kind: &str) -> u64 {
        self.report["frames"][kind].as_u64().unwrap()
    }
}

fn media(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    root.join("sample-media").join(name).display().to_string()
}

#[test]
fn no_second_of_the_pattern_holds_more_and_none_is_wasted() {
    let sent = send("pattern:640x360@30", "--bitrate 2.5M --duration 5s");
    assert!(sent.most() <= 2_500_000, "{}", sent.most());
    assert!(sent.mean() >= 1_750_000, "{}", sent.mean());
    assert!(sent.frames("quality_lowered") > 0);
    let quality = sent.report["stream"]["quality"].as_u64().unwrap();
    assert!((1..80).contains(&quality), "{quality}");
}

#[test]
fn no_second_of_a_clip_holds_more() {
    let sent = send(
        &media("clip.mp4"),
        "--loop --bitrate 600k --duration 5s --fec 30",
    );
    assert!(sent.most() <= 600_000, "{}", sent.most());
    assert!(sent.mean() >= 300_000, "{}", sent.mean());
    assert_eq!(sent.frames("sent"), sent.frames("captured"));
}

#[test]
fn jpegs_of_a_file_are_re_encoded_if_they_are_too_long() {
    let own = send(&media("mjpeg.avi"), "--loop --duration 1s");
    assert_eq!(own.frames("passed_through"), own.frames("sent"));
    let rate = own.mean().max(own.most()) / 3;
    let line = format!("--loop --bitrate {rate} --duration 4s");
    let sent = send(&media("mjpeg.avi"), &line);
    assert!(sent.most() <= rate, "{} of {rate}", sent.most());
    assert_eq!(sent.frames("passed_through"), 0);
}

#[test]
fn a_rate_too_low_for_the_frames_slows_them_instead_of_being_exceeded() {
    let sent = send(
        "pattern:640x360@60",
        "--bitrate 80k --duration 3s --fec off",
    );
    assert!(sent.most() <= 80_000, "{}", sent.most());
    assert!(sent.frames("sent") > 5);
}
