//! What tshark shows of a recorded stream.

use std::net::UdpSocket;
use std::process::Command;

use super::*;

/// Frames of the recorded stream.
const RECORDED: usize = 60;

/// The longest that a sender takes to start on a busy machine.
const LONGEST_START: Duration = Duration::from_secs(60);

/// Bytes before the body of a packet with a key. The salt of a report follows, which is random too.
const CLEAR: usize = 20;

/// The values of a byte.
const VALUES: usize = 256;

/// What a receiver gets of a stream.
fn recorded(address: SocketAddr, arguments: &str) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind(address).unwrap();
    let silence = Some(Duration::from_secs(1));
    let line = format!("pattern:320x180@60 -n {RECORDED} {address} {arguments}");
    let sender = Start::new(SENDER, &line).run();
    let mut datagrams = Vec::new();
    let mut buffer = vec![0; 65_536];
    // Its start may take longer than its silence at the end.
    socket.set_read_timeout(Some(LONGEST_START)).unwrap();
    while let Ok(length) = socket.recv(&mut buffer) {
        datagrams.push(buffer[..length].to_vec());
        socket.set_read_timeout(silence).unwrap();
    }
    assert_eq!(
        sender.end().well().count("frames.sent"),
        RECORDED as u64,
        "{line}"
    );
    datagrams
}

/// A file of captured packets (<https://www.ietf.org/archive/id/draft-ietf-opsawg-pcap-06.html>).
fn captured(datagrams: &[Vec<u8>], to: SocketAddr) -> Vec<u8> {
    // A magic number, version 2.4, two unused fields, the longest packet, IP without a link layer.
    let mut file = Vec::new();
    for field in [0xa1b2_c3d4, 0x0002_0004, 0, 0, 0xffff, 101_u32] {
        file.extend(field.to_be_bytes());
    }
    for (number, datagram) in (0..).zip(datagrams) {
        let udp = 8 + datagram.len() as u16;
        let ip = 20 + udp;
        for field in [1, number, u32::from(ip), u32::from(ip)] {
            file.extend(field.to_be_bytes());
        }
        let [high, low] = ip.to_be_bytes();
        file.extend([0x45, 0, high, low, 0, 0, 0, 0, 64, 17, 0, 0]);
        file.extend([127, 0, 0, 1, 127, 0, 0, 1]);
        for field in [40_000, to.port(), udp, 0] {
            file.extend(field.to_be_bytes());
        }
        file.extend(datagram);
    }
    file
}

/// The names of what tshark finds in each packet, and its payload.
fn dissected(file: &Path) -> Vec<(String, Vec<u8>)> {
    let output = Command::new("tshark")
        .arg("-r")
        .arg(file)
        .args(["-T", "fields", "-e", "frame.protocols", "-e", "udp.payload"])
        .output()
        .expect("`scripts/install test` installs tshark");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| {
        let (names, digits) = line.split_once('\t').expect("two fields");
        let digits: String = digits.chars().filter(char::is_ascii_hexdigit).collect();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let payload = (0..digits.len()).step_by(2).map(byte);
        (names.to_owned(), payload.collect())
    });
    lines.collect()
}

/// How far the bytes of all bodies are from evenly distributed ones: the chi-square of their counts,
/// in standard deviations from its mean.
fn unevenness(payloads: &[Vec<u8>]) -> f64 {
    let mut counts = [0_u32; VALUES];
    let bodies = payloads.iter().filter_map(|payload| payload.get(CLEAR..));
    bodies
        .flatten()
        .for_each(|byte| counts[usize::from(*byte)] += 1);
    let all: u32 = counts.iter().sum();
    let mean = f64::from(all) / VALUES as f64;
    let square = |count: &u32| (f64::from(*count) - mean).powi(2) / mean;
    let freedom = (VALUES - 1) as f64;
    (counts.iter().map(square).sum::<f64>() - freedom) / (2.0 * freedom).sqrt()
}

#[test]
fn a_recorded_stream_with_a_key_shows_lengths_and_headers_alone() {
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("key");
    let made = Start::new(SENDER, "keygen").with([&key]).run_plain().end();
    assert_eq!(made.code, Some(0), "{}", made.said);
    let key = format!("--key-file {}", key.display());
    for (arguments, is_hidden) in [(key.as_str(), true), ("", false)] {
        let to = address();
        let datagrams = recorded(to, arguments);
        assert!(datagrams.len() > RECORDED);
        let file = folder.path().join("stream.pcap");
        fs::write(&file, captured(&datagrams, to)).unwrap();
        let dissected = dissected(&file);
        let (names, payloads): (Vec<_>, Vec<_>) = dissected.into_iter().unzip();
        assert_eq!(payloads, datagrams);
        // It takes a few for something else, as it would any bytes.
        let mut others = names.clone();
        others.retain(|names| names != "raw:ip:udp:data");
        assert!(others.len() * 50 < names.len(), "{others:?}");
        // By chance, evenly distributed bytes exceed 8 once in 10^10 streams.
        let unevenness = unevenness(&payloads);
        assert_eq!(unevenness < 8.0, is_hidden, "{unevenness}");
    }
}
