//! Several senders to one viewer, side by side.

use std::net::UdpSocket;
use std::path::Path;

use framegram_common::seq::{FrameSeq, PacketNumber};
use framegram_common::wire::native::{Chunk, Header, Packet};
use framegram_tests::program::{PATIENT, Program, SENDER, Start, VIEWER, address, until};
use framegram_tests::screen::Screen;
use image::{Rgb, RgbImage};
use nix::sys::signal::Signal;

const RED: [u8; 3] = [230, 20, 20];
const BLUE: [u8; 3] = [20, 20, 230];

/// A still of one colour.
fn still(folder: &Path, name: &str, colour: [u8; 3]) -> String {
    let path = folder.join(name);
    let picture = RgbImage::from_pixel(160, 90, Rgb(colour));
    picture.save(&path).expect("a still");
    path.display().to_string()
}

fn forever(source: &str, to: &str) -> Program {
    Start::new(SENDER, "--loop --fps 20")
        .with([source, to])
        .run()
}

#[test]
fn senders_of_every_format_have_their_own_statistics() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let (rows, picture) = (path("rows.csv"), path("grid.png"));
    // The next port is for reports, and no other test's.
    let mut address = address();
    address.set_port(address.port() + 1_000);
    let mut viewer = Start::new(
        VIEWER,
        &format!(
            "{address} --layout grid --headless {PATIENT} --once --stats json --report {} --snapshot {}",
            rows.display(),
            picture.display()
        ),
    )
    .run();
    viewer.wait_for("Waiting for a stream");
    let wires = ["native", "rtp", "raw", "native"];
    let senders = wires.map(|wire| {
        let line = format!("--wire {wire} --frames 100 pattern:320x180@30 {address}");
        Start::new(SENDER, &line).run()
    });
    for sender in senders {
        let sender = sender.end().well();
        assert_eq!(sender.count("frames.sent"), 100);
        // RTP's reports come and go by the next port.
        if sender.value("stream.wire") == "rtp" {
            assert_eq!(sender.count("packets.lost"), 0);
        }
    }
    let viewer = viewer.end().well();
    let senders = viewer.value("senders").as_array().expect("several");
    assert_eq!(senders.len(), 4);
    for one in senders {
        let frames = &one["frames"];
        let count = |name: &str| frames[name].as_u64().expect(name);
        assert_eq!(count("intact") + count("superseded"), 100, "{one:#}");
        assert!(count("intact") > 0, "{one:#}");
        assert!(wires.contains(&one["stream"]["wire"].as_str().expect("a format")));
    }
    assert_eq!(
        viewer.count("frames.intact") + viewer.count("frames.superseded"),
        400
    );

    let lines: Vec<serde_json::Value> = String::from_utf8_lossy(&viewer.output)
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let last = lines.last().expect("a last line");
    assert_eq!((&last["last"], lines.len() > 1), (&true.into(), true));
    assert_eq!(last["senders"], *viewer.value("senders"));

    let rows = std::fs::read_to_string(rows).expect("rows");
    let streams = |of: &serde_json::Value| of["stream"]["number"].as_str().map(str::to_owned);
    for one in senders
        .iter()
        .filter(|one| one["stream"]["wire"] == "native")
    {
        let stream = streams(one).expect("a number");
        let own = rows.lines().filter(|row| row.starts_with(&stream));
        assert_eq!(own.count(), 100, "rows of {stream}");
    }
    let picture = image::open(picture).expect("a picture").to_rgb8();
    assert_eq!(picture.dimensions(), (1280, 720));
    let colours: std::collections::BTreeSet<_> = picture.pixels().map(|pixel| pixel.0).collect();
    assert!(colours.len() > 100, "{} colours", colours.len());
}

/// The beginnings of 64 frames, each from a port of its own: once they had all
/// places, for a minute.
#[test]
fn strangers_who_are_there_first_keep_no_sender_out() {
    let address = address();
    let mut viewer = Start::new(
        VIEWER,
        &format!("{address} --layout grid --headless {PATIENT} --frames 20"),
    )
    .run();
    viewer.wait_for("Waiting for a stream");
    for stream in 0..64 {
        let socket = UdpSocket::bind("127.0.0.66:0").expect("a socket");
        let chunk = Packet::Chunk(Chunk {
            frame: FrameSeq(0),
            frame_len: 2_000,
            index: 0,
            size: 1_000,
            captured: 1,
            frame_crc: 7,
            tables: 0,
            slice: None,
            data: &[0; 1_000],
        });
        let header = Header {
            stream,
            destination: 0,
            channel: chunk.channel(),
            number: PacketNumber(0),
            sent: 0,
        };
        let mut datagram = Vec::new();
        chunk.encode(&header, &mut datagram);
        socket.send_to(&datagram, address).expect("loopback");
    }
    let _sender = forever("pattern:160x90", &address.to_string());
    let viewer = viewer.end().well();
    assert!(viewer.count("frames.intact") >= 20);
}

#[test]
fn tiles_show_every_sender_and_one_can_be_picked() {
    let folder = tempfile::tempdir().expect("a folder");
    let screen = Screen::new();
    let address = address().to_string();
    let mut viewer = Start::new(VIEWER, &format!("{address} --layout grid"))
        .environment("DISPLAY", screen.name())
        .run();
    viewer.wait_for("Waiting for a stream");
    let window = screen.window("framegram");
    let _red = forever(&still(folder.path(), "red.png", RED), &address);
    viewer.wait_for("Sender 1 is");
    let _blue = forever(&still(folder.path(), "blue.png", BLUE), &address);
    viewer.wait_for("Sender 2 is");

    let until_seen = |what: &str, left: [u8; 3], right: [u8; 3]| {
        until(what, || {
            let seen = screen.look(window)?;
            let like = |x: u32, colour: [u8; 3]| {
                let pixel = seen.get_pixel(x, seen.height() / 2).0;
                pixel
                    .iter()
                    .zip(colour)
                    .all(|(one, other)| one.abs_diff(other) < 12)
            };
            let quarter = seen.width() / 4;
            (like(quarter, left) && like(3 * quarter, right)).then_some(())
        });
    };
    until_seen("both senders", RED, BLUE);
    screen.press(window, '2');
    until_seen("the second one alone", BLUE, BLUE);
    screen.press(window, '0');
    until_seen("both again", RED, BLUE);
    screen.mouse(window, (100, 360), true);
    until_seen("the one that was clicked", RED, RED);
    screen.mouse(window, (100, 360), false);
    screen.press(window, '1');
    until_seen("both once more", RED, BLUE);
    until("the title to count them", || {
        screen.title(window).contains("2 senders").then_some(())
    });
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    assert_eq!(viewer.value("senders").as_array().map(Vec::len), Some(2));
    assert_eq!(viewer.count("packets.lost"), 0);
}
