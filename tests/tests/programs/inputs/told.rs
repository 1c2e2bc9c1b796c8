//! What a person is told when nothing comes that can be shown.

use framegram_common::wire::rtp::RtpPacket;

use super::*;

fn rtp(payload_type: u8, number: u16, step: u32, payload: &[u8]) -> Vec<u8> {
    let packet = RtpPacket {
        sequence: number,
        timestamp: step * u32::from(number),
        source: 7,
        marker: false,
        payload_type,
        payload,
    };
    let mut datagram = Vec::new();
    packet.encode(&mut datagram);
    datagram
}

/// The datagrams that one frame, or one packet, makes.
type Send = fn(u16) -> Vec<Vec<u8>>;

#[test]
fn what_cannot_be_shown_is_named_once_with_what_to_do() {
    let cases: [(Send, &str); 13] = [
        (
            |number| vec![rtp(96, number, 3_000, &[0x7c, 0x85, 1])],
            "likely H.264",
        ),
        (
            |number| vec![rtp(96, number, 3_000, &[0x62, 1, 1])],
            "likely H.265",
        ),
        (
            |number| vec![rtp(96, number, 3_000, &[0x90, 0x80, 0x80, 0])],
            "likely VP8",
        ),
        (
            |number| vec![rtp(97, number, 960, &[0xf8, 0xb4, 0xaf])],
            "plays no sound",
        ),
        (
            // As FFmpeg cuts it where nobody says otherwise.
            |number| {
                let packet = |byte: &usize| if byte.is_multiple_of(188) { 0x47 } else { 0 };
                let begin = usize::from(number) * 1_472;
                vec![(begin..begin + 1_472).map(|byte| packet(&byte)).collect()]
            },
            "is MPEG-TS",
        ),
        (
            // A script that counts the pieces down.
            |number| {
                let jpeg = Oddities::none((96, 64), number.into()).write();
                let pieces: Vec<_> = jpeg.chunks(400).collect();
                let left = (0..pieces.len()).rev();
                let pieces = pieces.iter().zip(left);
                pieces
                    .map(|(piece, left)| [&[left as u8], *piece].concat())
                    .collect()
            },
            "behind a header of 1 byte",
        ),
        (
            |number| {
                let jpeg = Oddities::none((96, 64), number.into()).write();
                vec![[&[0x80, 4, 0x95, 9, 9, 0, 0, 0, 0, 0, 0][..], &jpeg].concat()]
            },
            "a Python object",
        ),
        (|_| vec![b"/9j/4AAQSkZJRgABAQAAAQABAAD".repeat(9)], "base64"),
        (|_| vec!["21 °C\n".into()], "is text"),
        (
            |_| vec![b"GET /stream HTTP/1.1\r\n\r\n".to_vec()],
            "an HTTP request",
        ),
        (
            |_| {
                let mut handshake = vec![0; 64];
                (handshake[0], handshake[19]) = (0x80, 5);
                vec![handshake]
            },
            "framegram-send 'srt:",
        ),
        (
            // Of each JPEG only the first datagram comes.
            |number| vec![Oddities::none((96, 64), number.into()).write()[..700].to_vec()],
            "none of them is complete",
        ),
        (
            // Nothing that anybody knows, though some begin like RTP.
            |number| vec![(0..300).map(|at| (at * 7 + number * 61) as u8).collect()],
            "of no known format",
        ),
    ];
    thread::scope(|scope| {
        for (send, text) in cases {
            scope.spawn(move || told(send, text));
        }
    });
}

fn told(send: Send, text: &str) {
    let address = address();
    let mut viewer = Start::new(VIEWER, &format!("--headless {address}")).run();
    viewer.wait_for("Waiting");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for number in 0..40 {
        for datagram in send(number) {
            socket.send_to(&datagram, address).unwrap();
        }
        thread::sleep(INTERVAL);
    }
    viewer.wait_for(text);
    let said = viewer.said();
    assert_eq!(said.matches(text).count(), 1, "{said}");
    let lines = said.lines().filter(|line| line.contains("127.0.0.1:"));
    assert_eq!(
        lines.filter(|line| line.contains(" from ")).count(),
        1,
        "{said}"
    );
}

#[test]
fn who_connects_and_speaks_something_else_is_told_of() {
    for (begin, text) in [
        (
            &b"GET / HTTP/1.1\r\nHost: viewer\r\n\r\n"[..],
            "an HTTP request",
        ),
        (
            b"ANNOUNCE rtsp://viewer/ RTSP/1.0\r\n\r\n",
            "an RTSP request",
        ),
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "JPEG"),
    ] {
        let address = address();
        let mut viewer = Start::new(VIEWER, &format!("--headless {address}")).run();
        viewer.wait_for("Waiting");
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(begin).unwrap();
        viewer.wait_for(text);
        let said = viewer.said();
        assert!(said.contains("--transport tcp"), "{said}");
        assert_eq!(said.matches(text).count(), 1, "{said}");
    }
}
