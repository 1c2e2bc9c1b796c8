//! JPEG in RTP as cameras send it: with what RFC 2435 has, and what it has not.

use framegram_common::jpeg::JpegHeader;
use framegram_common::wire::rtp::Packet;
use framegram_common::wire::rtp_jpeg::{Fragment, JpegKind, RestartSpan, Sampling, TableBytes};

use super::*;

const SIZE: (usize, usize) = (96, 64);

/// A liberty that a camera takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Camera {
    /// Tables of 64 bytes that come along.
    tables: usize,
    /// Which number they have.
    q: u8,
    /// They come with the first frame only.
    once: bool,
    /// No packet says that it is the last of its frame.
    unmarked: bool,
    /// Restarts are announced, and none is made.
    announces: bool,
    /// The time stands still.
    timeless: bool,
    /// From the middle on it comes from another port.
    moves: bool,
    /// From the middle on it is another source.
    renumbers: bool,
}

impl Camera {
    /// Sends `count` frames to `to`.
    fn send(self, count: u64, to: std::net::SocketAddr) {
        let mut socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let (mut sequence, mut source) = (65_530_u16, 7);
        for seed in 0..count {
            if seed == count / 2 {
                if self.moves {
                    socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
                }
                if self.renumbers {
                    (source, sequence) = (8, 99);
                }
            }
            for payload in self.payloads(seed) {
                let (payload, is_last) = payload;
                let mut datagram = Vec::new();
                Packet {
                    sequence,
                    timestamp: if self.timeless {
                        9
                    } else {
                        3_600 * seed as u32
                    },
                    source,
                    marker: is_last && !self.unmarked,
                    payload_type: 26,
                    payload: &payload,
                }
                .encode(&mut datagram);
                socket.send_to(&datagram, to).unwrap();
                sequence = sequence.wrapping_add(1);
            }
            thread::sleep(INTERVAL);
        }
    }

    fn payloads(self, seed: u64) -> Vec<(Vec<u8>, bool)> {
        let jpeg = Oddities::none(SIZE, seed).write();
        let header = JpegHeader::parse(&jpeg).unwrap();
        let scan = &jpeg[header.len..jpeg.len() - 2];
        // Those that the JPEG has, in zigzag order.
        let table = |base: u8| (0..64).map(move |at| base + at / 4);
        let tables: Vec<u8> = [8, 12, 12].into_iter().flat_map(table).collect();
        let kind = JpegKind {
            sampling: Sampling::Half,
            interval: self.announces.then_some(5),
            q: self.q,
            width: (SIZE.0 / 8) as u8,
            height: (SIZE.1 / 8) as u8,
        };
        let pieces = scan.chunks(400).enumerate();
        let payload = |(number, data): (usize, &[u8])| {
            let sent = if self.once && seed > 0 {
                0
            } else {
                64 * self.tables
            };
            let fragment = Fragment {
                kind,
                offset: 400 * number as u32,
                chunk: self.announces.then_some(RestartSpan::UNDIVIDED),
                tables: (number == 0).then_some(TableBytes {
                    precision: 0,
                    bytes: &tables[..sent],
                }),
                data,
            };
            let mut payload = Vec::new();
            fragment.encode(&mut payload);
            (payload, 400 * (number + 1) >= scan.len())
        };
        pieces.map(payload).collect()
    }
}

#[test]
fn the_liberties_that_cameras_take_are_understood() {
    let usual = Camera {
        tables: 2,
        q: 255,
        ..Camera::default()
    };
    for camera in [
        usual,
        Camera {
            tables: 3,
            q: 128,
            ..usual
        },
        Camera {
            q: 200,
            once: true,
            ..usual
        },
        Camera {
            unmarked: true,
            ..usual
        },
        Camera {
            announces: true,
            ..usual
        },
        Camera {
            timeless: true,
            ..usual
        },
    ] {
        let (viewer, address) = recording();
        camera.send(15, address);
        let (ended, jpegs) = recorded(viewer);
        assert_eq!(ended.count("frames.intact"), 15, "{camera:?}");
        let scan = |jpeg: &[u8]| jpeg[JpegHeader::parse(jpeg).unwrap().len..].to_vec();
        for (seed, jpeg) in (0..).zip(&jpegs) {
            assert_eq!(
                scan(jpeg),
                scan(&Oddities::none(SIZE, seed).write()),
                "{camera:?}"
            );
        }
    }
}

#[test]
fn a_camera_whose_tables_never_come_is_told_of_once() {
    let address = address();
    let mut viewer = Start::new(VIEWER, &format!("--headless {address}")).run();
    viewer.wait_for("Waiting");
    let camera = Camera {
        q: 255,
        ..Camera::default()
    };
    camera.send(20, address);
    viewer.wait_for("None of these frames can be decoded");
    let said = viewer.said();
    assert_eq!(said.matches("None of these frames").count(), 1, "{said}");
}

#[test]
fn a_camera_that_comes_from_another_port_or_under_another_number_is_followed() {
    let usual = Camera {
        tables: 2,
        q: 255,
        ..Camera::default()
    };
    for camera in [
        Camera {
            moves: true,
            ..usual
        },
        Camera {
            renumbers: true,
            ..usual
        },
        Camera {
            moves: true,
            renumbers: true,
            ..usual
        },
    ] {
        let (viewer, address) = recording();
        camera.send(40, address);
        let intact = recorded(viewer).0.count("frames.intact");
        // Of half a second in which the old one is waited for.
        assert!((28..=40).contains(&intact), "{intact}: {camera:?}");
    }
}
