//! Inputs as they occur: the servers of cameras, scripts, recorders and folders. Each test
//! generates its own.

#[path = "inputs/devices.rs"]
mod devices;
#[path = "inputs/geometry.rs"]
mod geometry;
#[path = "inputs/names.rs"]
mod names;
#[path = "inputs/passwords.rs"]
mod passwords;
#[path = "inputs/rtp.rs"]
mod rtp;
#[path = "inputs/rtsp.rs"]
mod rtsp;
#[path = "inputs/streams.rs"]
mod streams;
#[path = "inputs/told.rs"]
mod told;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use framegram_tests::odd_jpeg::{Oddities, in_recording};
use framegram_tests::program::{Ended, PATIENT, Program, SENDER, Start, VIEWER, address};

const INTERVAL: Duration = Duration::from_millis(40);

/// The JPEGs of a camera.
fn frames(count: u64) -> Vec<Vec<u8>> {
    (0..count)
        .map(|seed| Oddities::none((96, 64), seed).write())
        .collect()
}

/// A viewer that records, and its address.
fn recording() -> (Program, std::net::SocketAddr) {
    let address = address();
    let arguments = format!("--headless --once --output out.mjpeg {address} {PATIENT}");
    let mut viewer = Start::new(VIEWER, &arguments).run();
    viewer.wait_for("Waiting");
    (viewer, address)
}

fn recorded(viewer: Program) -> (Ended, Vec<Bytes>) {
    let file = viewer.folder().join("out.mjpeg");
    let held = std::fs::File::open(&file);
    let ended = viewer.end().well();
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut held.unwrap(), &mut bytes).unwrap();
    (ended, in_recording(&bytes))
}

/// Plays sources, given as arguments, with these flags: what the sender and the
/// viewer say, and what came.
fn played<A: AsRef<OsStr>>(
    source: impl IntoIterator<Item = A>,
    flags: &str,
) -> (Ended, Ended, Vec<Bytes>) {
    let (viewer, address) = recording();
    let sender = Start::new(SENDER, &format!("--fps 25 {flags}"));
    let sender = sender.with(source).with([address.to_string()]);
    let sender = sender.run().end().well();
    let (viewer, jpegs) = recorded(viewer);
    (sender, viewer, jpegs)
}

/// A server that answers each connection with a header and what `send` writes;
/// its URL.
fn camera(
    header: &'static str,
    connections: usize,
    send: impl Fn(usize, &mut TcpStream) -> std::io::Result<()> + Send + 'static,
) -> String {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/stream", server.local_addr().unwrap());
    thread::spawn(move || {
        for (number, connection) in server.incoming().flatten().enumerate().take(connections) {
            let mut connection = connection;
            let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
            while lines
                .next()
                .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
            {}
            // Before the answer comes an interim one, where the header begins another.
            let status = if header.starts_with("\r\n") {
                "100 Continue"
            } else {
                "200 OK"
            };
            let mut header = format!("HTTP/1.1 {status}\r\n{header}\r\n\r\n");
            if header.contains(NONE) {
                header.clear();
            }
            // A client that has seen enough goes away.
            let _ = connection
                .write_all(header.as_bytes())
                .and_then(|()| send(number, &mut connection));
        }
    });
    url
}

/// Of a server that sends no header at all.
const NONE: &str = "no header";

const MULTIPART: &str = "Content-Type: multipart/x-mixed-replace; boundary=frame";

#[test]
fn a_camera_s_jpegs_come_over_http_in_every_dialect() {
    let part = |jpeg: &[u8], has_length: bool| {
        let length = match has_length {
            true => format!("Content-Length: {}\r\n", jpeg.len()),
            false => String::new(),
        };
        let head = format!("Content-Type: image/jpeg\r\n{length}\r\n");
        [head.as_bytes(), jpeg, b"\r\n"].concat()
    };
    let dialects: [(&str, &str, bool, bool); 6] = [
        ("good", MULTIPART, true, true),
        ("no length", MULTIPART, true, false),
        ("no first boundary", MULTIPART, false, true),
        (
            "an interim answer",
            "\r\nHTTP/1.1 200 OK\r\nContent-Type: multipart/x-mixed-replace; boundary=frame",
            true,
            true,
        ),
        (
            "dashes in the boundary",
            "Content-Type: multipart/x-mixed-replace; boundary=--frame",
            true,
            true,
        ),
        (
            "another boundary",
            "Content-Type: multipart/x-mixed-replace; boundary=other",
            true,
            false,
        ),
    ];
    for (name, header, boundary_first, has_length) in dialects {
        let url = camera(header, 1, move |_, connection| {
            for jpeg in frames(12) {
                let part = part(&jpeg, has_length);
                let bytes = match boundary_first {
                    true => [b"--frame\r\n", &part[..]].concat(),
                    false => [&part[..], b"--frame\r\n"].concat(),
                };
                connection.write_all(&bytes)?;
                thread::sleep(INTERVAL);
            }
            Ok(())
        });
        let (viewer, address) = recording();
        let sender = Start::new(SENDER, &format!("--frames 12 {url} {address}")).run();
        let _ = sender.end().well();
        let (_, jpegs) = recorded(viewer);
        assert_eq!(jpegs, frames(12), "{name}");
    }
}

#[test]
fn chunks_of_any_length_that_arrive_together_with_the_header_are_decoded() {
    let url = camera(NONE, 1, |_, connection| {
        let mut answer =
            format!("HTTP/1.1 200 OK\r\n{MULTIPART}\r\nTransfer-Encoding: chunked\r\n\r\n")
                .into_bytes();
        for jpeg in frames(12) {
            let part = [b"--frame\r\n\r\n", &jpeg[..], b"\r\n"].concat();
            for chunk in part.chunks(100) {
                answer.extend(format!("{:x}\r\n", chunk.len()).bytes());
                answer.extend(chunk);
                answer.extend(b"\r\n");
            }
            connection.write_all(&answer)?;
            answer.clear();
            thread::sleep(INTERVAL);
        }
        Ok(())
    });
    let (viewer, address) = recording();
    let sender = Start::new(SENDER, &format!("--frames 12 {url} {address}")).run();
    let sender = sender.end().well();
    assert_eq!(sender.count("frames.unreadable"), 0);
    assert_eq!(recorded(viewer).1, frames(12));
}

#[test]
fn a_camera_whose_connection_breaks_is_requested_again() {
    let url = camera(MULTIPART, 2, |number, connection| {
        for jpeg in frames(12).iter().skip(6 * number).take(6) {
            connection.write_all(&[b"--frame\r\n\r\n", &jpeg[..], b"\r\n"].concat())?;
            thread::sleep(INTERVAL);
        }
        Ok(())
    });
    let url = url.replace("http://", "http://admin:secret@");
    let (viewer, address) = recording();
    let sender = Start::new(SENDER, &format!("--frames 12 {url} {address}")).run();
    let said = sender.end().well().said;
    assert!(said.contains("broke off; trying again in 0.5 s"), "{said}");
    assert!(said.contains("is back"), "{said}");
    assert!(!said.contains("secret"), "{said}");
    assert_eq!(recorded(viewer).1, frames(12));
}

#[test]
fn a_servers_answer_can_be_piped() {
    let (viewer, address) = recording();
    let mut sender = Start::new(SENDER, &format!("- {address}")).piped().run();
    let mut input = sender.input().unwrap();
    for jpeg in frames(12) {
        let part = [
            b"--frame\r\nContent-Type: image/jpeg\r\n\r\n",
            &jpeg[..],
            b"\r\n",
        ]
        .concat();
        input.write_all(&part).unwrap();
        thread::sleep(INTERVAL);
    }
    drop(input);
    let _ = sender.end().well();
    assert_eq!(recorded(viewer).1, frames(12));
}

#[test]
fn frames_that_end_early_are_left_out_unless_they_are_wanted() {
    let mut odd = Oddities::none((96, 64), 1);
    odd.missing_rows = 2;
    let stream: Vec<_> = (0..12)
        .map(|number| match number % 2 {
            0 => Oddities::none((96, 64), number).write(),
            _ => odd.write(),
        })
        .collect();
    for (flag, sent) in [("", 6), ("--keep-broken", 12)] {
        let (viewer, address) = recording();
        let mut sender = Start::new(SENDER, &format!("--fps 25 {flag} - {address}"))
            .piped()
            .run();
        sender.input().unwrap().write_all(&stream.concat()).unwrap();
        let sender = sender.end().well();
        assert_eq!(sender.count("frames.sent"), sent);
        assert_eq!(sender.count("frames.unreadable"), 12 - sent);
        let (viewer, jpegs) = recorded(viewer);
        assert_eq!(viewer.count("frames.intact"), 6, "{flag}");
        assert_eq!(jpegs.len(), 6);
    }
}

#[test]
fn a_server_without_a_header_is_understood() {
    let url = camera(NONE, 1, |_, connection| {
        for jpeg in frames(12) {
            connection.write_all(&jpeg)?;
            thread::sleep(INTERVAL);
        }
        Ok(())
    });
    let (viewer, address) = recording();
    let sender = Start::new(SENDER, &format!("--frames 12 {url} {address}")).run();
    let _ = sender.end().well();
    assert_eq!(recorded(viewer).1, frames(12));
}

#[test]
fn a_file_of_which_nothing_can_be_read_is_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    for content in [
        &b"a page that says that there is no photo\n"[..],
        &[0xff, 0xd8, 0xff],
    ] {
        std::fs::write(&path, content).unwrap();
        let sender = Start::new(SENDER, "").with([path.to_str().unwrap(), &address().to_string()]);
        let ended = sender.run().end();
        assert_eq!(ended.code, Some(1), "{}", ended.said);
    }
}

#[test]
fn a_source_of_which_nothing_can_be_sent_is_a_failure() {
    let mut odd = Oddities::none((96, 64), 1);
    odd.missing_rows = 3;
    let mut sender = Start::new(SENDER, &format!("- {}", address()))
        .piped()
        .run();
    sender
        .input()
        .unwrap()
        .write_all(&odd.write().repeat(3))
        .unwrap();
    let ended = sender.end();
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.said.contains("no frame of the source can be read"),
        "{}",
        ended.said
    );
}

#[test]
fn bare_jpegs_without_an_end_are_intact_and_gaps_are_not() {
    let (viewer, address) = recording();
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let odd = |seed| {
        let mut odd = Oddities::none((96, 64), seed);
        odd.has_end = false;
        odd.write()
    };
    for seed in 0..12 {
        let jpeg = odd(seed);
        let pieces: Vec<_> = jpeg.chunks(if seed < 6 { 9_000 } else { 700 }).collect();
        for (number, piece) in pieces.iter().enumerate() {
            // The last JPEGs lack their middle.
            if seed < 10 || number != pieces.len() / 2 {
                socket.send_to(piece, address).unwrap();
            }
        }
        thread::sleep(INTERVAL);
    }
    let (ended, jpegs) = recorded(viewer);
    assert_eq!(ended.count("frames.intact"), 10);
    assert_eq!(jpegs.len(), 10);
}

#[test]
fn unusable_datagrams_are_described_once_by_the_viewer() {
    let address = address();
    let mut viewer = Start::new(VIEWER, &format!("--headless {address}")).run();
    viewer.wait_for("Waiting");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut packet = vec![0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x7c, 0x85];
    packet.resize(900, 7);
    for sequence in 0..30 {
        packet[3] = sequence;
        socket.send_to(&packet, address).unwrap();
        thread::sleep(INTERVAL);
    }
    viewer.wait_for("likely H.264");
    let said = viewer.said();
    assert_eq!(said.matches("likely H.264").count(), 1, "{said}");
}

#[test]
fn unusable_datagrams_are_described_in_the_grid_next_to_a_stream() {
    let address = address();
    let arguments = format!("--grid --headless {address} {PATIENT}");
    let mut viewer = Start::new(VIEWER, &arguments).run();
    viewer.wait_for("Waiting");
    let arguments = format!("--frames 300 pattern:96x64 {address}");
    let _sender = Start::new(SENDER, &arguments).run();
    viewer.wait_for("Sender 1");
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let odd = {
        let mut odd = Oddities::none((96, 64), 1);
        odd.stray.1 = vec![7; 9];
        odd.write()
    };
    for _ in 0..30 {
        socket.send_to(b"temperature 21.5\n", address).unwrap();
        thread::sleep(INTERVAL);
    }
    viewer.wait_for("is text");
    // Another sender, whose JPEGs decode with a warning.
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    for _ in 0..30 {
        socket.send_to(&odd, address).unwrap();
        thread::sleep(INTERVAL);
    }
    viewer.wait_for("with a warning (sender 2:");
}
