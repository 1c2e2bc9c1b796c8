//! JPEG in RTP as cameras send it: with what RFC 2435 has, and what it has not.

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use framegram_common::jpeg::JpegHeader;
use framegram_common::wire::rtp::{RtpPacket, SenderInfo, encode_bye};
use framegram_common::wire::rtp_jpeg::{Fragment, JpegKind, RestartSpan, Sampling, TableBytes};

use crate::odd_jpeg::Oddities;

/// Width and height of the picture in pixels.
pub const SIZE: (usize, usize) = (96, 64);

/// Frame interval.
const INTERVAL: Duration = Duration::from_millis(40);

/// Bytes of the scan in each packet.
const PIECE: usize = 400;

/// Minimum coded units between restart markers.
const RESTART: u16 = 4;

/// A camera, and the liberties that it takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Camera {
    /// The number of quantization tables in the first packet of a frame.
    pub tables: usize,
    /// Whether their values have 16 bits.
    pub is_wide: bool,
    /// The number (Q) of these tables.
    pub q: u8,
    /// The frames that have them: from the first of them up to but without the second.
    pub with_tables: (u64, u64),
    /// Whether no packet is marked as the last of its frame.
    pub is_unmarked: bool,
    /// What it says of restart markers.
    pub restarts: Restarts,
    /// Whether a frame is a field of interlaced video.
    pub has_fields: bool,
    /// Whether the packets contain whole JPEGs, with their headers.
    pub is_whole: bool,
    /// Whether all frames have the same time.
    pub is_timeless: bool,
    /// Whether it sends from another port from the middle on.
    pub moves: bool,
    /// Whether it is another source (SSRC) from the middle on.
    pub renumbers: bool,
}

/// Restart markers, and the header that states them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Restarts {
    /// Neither.
    None,
    /// Both.
    Stated,
    /// The header, and no marker.
    OnlyStated,
    /// The header with an interval of 0, and no marker.
    Zero,
}

impl Camera {
    /// It does what the RFC says, and sends its tables with each frame.
    pub fn usual() -> Self {
        Self {
            tables: 2,
            is_wide: false,
            q: 255,
            with_tables: (0, u64::MAX),
            is_unmarked: false,
            restarts: Restarts::None,
            has_fields: false,
            is_whole: false,
            is_timeless: false,
            moves: false,
            renumbers: false,
        }
    }

    /// Sends `count` frames and a bye to all of these addresses, at its own pace.
    ///
    /// # Panics
    /// If there is no socket.
    pub fn send(self, count: u64, to: &[SocketAddr]) {
        let open = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        let mut socket = open();
        let (mut sequence, mut source) = (65_530_u16, 7);
        let send = |socket: &UdpSocket, datagram: &[u8]| {
            for address in to {
                // That nobody listens any more is told by the next call.
                let _ = socket.send_to(datagram, address);
            }
        };
        for number in 0..count {
            if number == count / 2 {
                if self.moves {
                    socket = open();
                }
                if self.renumbers {
                    (source, sequence) = (8, 99);
                }
            }
            for datagram in self.packets(number, source, &mut sequence) {
                send(&socket, &datagram);
            }
            thread::sleep(INTERVAL);
        }
        let mut bye = Vec::new();
        let info = SenderInfo {
            source,
            ..SenderInfo::default()
        };
        encode_bye(&info, "camera", &mut bye);
        send(&socket, &bye);
    }

    /// The packets of a frame, numbered from `sequence` on, which advances.
    pub fn packets(self, number: u64, source: u32, sequence: &mut u16) -> Vec<Vec<u8>> {
        let packet = |(payload, is_last): (Vec<u8>, bool)| {
            let mut datagram = Vec::new();
            RtpPacket {
                sequence: *sequence,
                timestamp: match self.is_timeless {
                    true => 9,
                    false => 3_600 * number as u32,
                },
                source,
                marker: is_last && !self.is_unmarked,
                payload_type: 26,
                payload: &payload,
            }
            .encode(&mut datagram);
            *sequence = sequence.wrapping_add(1);
            datagram
        };
        self.payloads(number).into_iter().map(packet).collect()
    }

    /// The JPEG of a frame.
    pub fn jpeg(self, number: u64) -> Vec<u8> {
        self.drawn(number).write()
    }

    fn drawn(self, number: u64) -> Oddities {
        let (width, height) = SIZE;
        let height = if self.has_fields { height / 2 } else { height };
        let mut drawn = Oddities::none((width, height), number);
        if self.restarts == Restarts::Stated {
            drawn.restart = RESTART.into();
        }
        drawn
    }

    /// The payloads of a frame, and which is its last one.
    fn payloads(self, number: u64) -> Vec<(Vec<u8>, bool)> {
        let drawn = self.drawn(number);
        let jpeg = drawn.write();
        let header = JpegHeader::parse(&jpeg).expect("a JPEG");
        let scan = match self.is_whole {
            true => &jpeg[..],
            false => &jpeg[header.len..jpeg.len() - 2],
        };
        let kind = JpegKind {
            sampling: Sampling::Half,
            interval: (self.restarts != Restarts::None).then_some(RESTART),
            q: self.q,
            width: (drawn.size.0 / 8) as u8,
            height: (drawn.size.1 / 8) as u8,
        };
        let tables = self.table_bytes(number);
        let pieces = scan.chunks(PIECE).enumerate();
        let payload = |(piece, data): (usize, &[u8])| {
            let fragment = Fragment {
                kind,
                offset: (PIECE * piece) as u32,
                chunk: kind.interval.map(|_| RestartSpan::UNDIVIDED),
                tables: (piece == 0).then_some(TableBytes {
                    precision: if self.is_wide {
                        (1 << self.tables) - 1
                    } else {
                        0
                    },
                    bytes: &tables,
                }),
                data,
            };
            let mut payload = Vec::new();
            fragment.encode(&mut payload);
            if self.restarts == Restarts::Zero {
                payload[8..10].fill(0);
            }
            if self.has_fields {
                payload[0] = 1 + (number % 2) as u8;
            }
            (payload, PIECE * (piece + 1) >= scan.len())
        };
        pieces.map(payload).collect()
    }

    /// Those that the JPEG has, in zigzag order.
    fn table_bytes(self, number: u64) -> Vec<u8> {
        let (first, end) = self.with_tables;
        if !(first..end).contains(&number) {
            return Vec::new();
        }
        let table = |base: u8| (0..64).map(move |at| base + at / 4);
        let values = [8, 12, 12].into_iter().take(self.tables).flat_map(table);
        match self.is_wide {
            true => values.flat_map(|value| [0, value]).collect(),
            false => values.collect(),
        }
    }
}
