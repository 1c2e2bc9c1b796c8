//! Incomplete frames of formats without a checksum of their own: all outputs agree about them.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use framegram_common::wire::rtp::{self, RtpPacket};
use framegram_common::wire::rtp_jpeg::Picture;

use crate::support::{Folder, Viewer, json, picture};

/// Frames of several thousand bytes of coded data.
fn frames(count: usize) -> Vec<Vec<u8>> {
    (0..count)
        .map(|number| {
            picture(240, 176, |x, y| {
                let noise = (x * 31 + y * 17 + x * y + number * 7) as u8;
                [noise, noise.wrapping_mul(3), 128]
            })
        })
        .collect()
}

/// Shows a stream, which `send` sends to the given addresses, with every kind of output. Returns
/// how many frames were intact and how many undecodable in each. Fails with the viewer's messages
/// if it skipped frames on a busy machine.
fn shown(send: impl Fn(&UdpSocket, &[SocketAddr])) -> Vec<(u64, u64)> {
    let folder = Folder::new();
    let kinds: [&[&str]; 3] = [
        &["--headless"],
        &["--headless", "--output", &folder.path("film.mjpeg")],
        &["--headless", "--output", &folder.path("film.y4m")],
    ];
    let viewers: Vec<_> = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| {
            let report = folder.path(&format!("{index}.json"));
            let ending = ["--once", "--report", &report];
            let viewer = Viewer::listening(&[kind, &ending[..]].concat());
            (viewer, report)
        })
        .collect();
    let addresses: Vec<_> = viewers.iter().map(|(viewer, _)| viewer.address()).collect();
    send(&UdpSocket::bind("127.0.0.1:0").unwrap(), &addresses);
    viewers
        .into_iter()
        .map(|(viewer, report)| {
            let ended = viewer.end();
            assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
            let report = json(&report);
            let frames = |name: &str| report["frames"][name].as_u64().unwrap();
            let outcomes = |name: &str| report["outcomes"][name].as_u64().unwrap();
            assert_eq!(
                (outcomes("skipped"), frames("incomplete")),
                (0, 0),
                "{}",
                ended.stderr
            );
            (frames("intact"), outcomes("undecodable"))
        })
        .collect()
}

#[test]
fn bare_jpegs_that_lack_a_datagram_are_intact_nowhere() {
    let all = shown(|socket, addresses| {
        for (number, jpeg) in frames(300).iter().enumerate() {
            let pieces = jpeg.len().div_ceil(PIECE);
            assert!(pieces > 4, "{pieces}");
            for (index, piece) in jpeg.chunks(PIECE).enumerate() {
                let is_missing =
                    number % 3 == 1 && number < 285 && index == 2 + number % (pieces - 3);
                for address in addresses.iter().filter(|_| !is_missing) {
                    socket.send_to(piece, address).unwrap();
                }
            }
            wait_until_read(addresses);
        }
    });
    assert_eq!(all, [(205, 95); 3]);
}

/// A program that renumbers packets after a lossy path causes such streams.
#[test]
fn rtp_that_was_patched_is_intact_nowhere() {
    let all = shown(|socket, addresses| {
        let mut sequence = 0;
        for (number, jpeg) in frames(120).into_iter().enumerate() {
            let mut jpeg = jpeg;
            if number % 4 == 1 {
                let at = 2_000 + number * 5;
                jpeg.drain(at..at + PIECE);
            }
            let picture = Picture::of(&jpeg).unwrap();
            let cuts = picture.cut(PIECE);
            for (index, cut) in cuts.iter().enumerate() {
                let mut payload = Vec::new();
                picture.fragment(&jpeg, cut).encode(&mut payload);
                let mut datagram = Vec::new();
                RtpPacket {
                    marker: index + 1 == cuts.len(),
                    payload_type: rtp::JPEG,
                    sequence,
                    timestamp: number as u32 * 900,
                    source: 7,
                    payload: &payload,
                }
                .encode(&mut datagram);
                sequence = sequence.wrapping_add(1);
                for address in addresses {
                    socket.send_to(&datagram, address).unwrap();
                }
            }
            wait_until_read(addresses);
        }
    });
    assert_eq!(all, [(90, 30); 3]);
}

/// Waits at least one frame interval, and until the viewers' socket buffers are empty, so that none
/// drops a datagram however busy the machine is.
fn wait_until_read(addresses: &[SocketAddr]) {
    loop {
        std::thread::sleep(INTERVAL);
        let sockets = std::fs::read_to_string("/proc/net/udp").unwrap();
        let is_read = |address: &SocketAddr| {
            let SocketAddr::V4(v4) = address else {
                panic!("addresses of tests are IPv4");
            };
            let host = u32::from_ne_bytes(v4.ip().octets());
            let address = format!("{host:08X}:{:04X}", v4.port());
            let socket = sockets.lines().find(|line| line.contains(&address));
            let queues = socket.and_then(|socket| socket.split_whitespace().nth(4));
            queues.is_none_or(|queues| queues.ends_with(":00000000"))
        };
        if addresses.iter().all(is_read) {
            return;
        }
    }
}

/// Length of a datagram when FFmpeg cuts a stream with `pkt_size=1400`.
const PIECE: usize = 1_400;

/// Frame interval.
const INTERVAL: Duration = Duration::from_millis(15);
