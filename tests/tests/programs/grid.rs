//! One viewer shows several senders side by side.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;

use framegram_common::seq::{FrameSeq, PacketNumber};
use framegram_common::wire::native::{Chunk, FrameHeader, Header, Packet};
use framegram_lab::trace::{Disposition, Entry, TraceReader};
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
    let address = address();
    let mut viewer = Start::new(
        VIEWER,
        &format!(
            "{address} --grid --headless {PATIENT} --once --stats json --report {} --snapshot {}",
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
        // The next port is for the reports of RTP.
        if sender.value("stream.wire") == "rtp" {
            assert_eq!(sender.count("packets.lost"), 0);
        }
    }
    let viewer = viewer.end().well();
    let senders = viewer.value("senders").as_array().expect("several");
    assert_eq!(senders.len(), 4);
    for one in senders {
        let intact = one["frames"]["intact"].as_u64().expect("counted");
        let skipped = one["outcomes"]["skipped"].as_u64().expect("counted");
        assert_eq!(intact + skipped, 100, "{one:#}");
        assert!(intact > 0, "{one:#}");
        assert!(wires.contains(&one["stream"]["wire"].as_str().expect("a format")));
    }
    assert_eq!(
        viewer.count("frames.intact") + viewer.count("outcomes.skipped"),
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

/// Each tile can have what a single stream can have: a recording, a trace and timecodes.
#[test]
fn a_grid_is_recorded_traced_and_read_for_timecodes() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let address = address();
    let mut viewer = Start::new(
        VIEWER,
        &format!(
            "{address} --grid --headless {PATIENT} --once --read-timecode --output {} --trace {}",
            path("cam.mjpeg").display(),
            path("cam.trace").display()
        ),
    )
    .run();
    viewer.wait_for("Waiting for a stream");
    let senders = [(); 2].map(|()| {
        let line = format!("--timecode --frames 60 pattern:320x180@30 {address}");
        Start::new(SENDER, &line).run()
    });
    for sender in senders {
        let _ = sender.end().well();
    }
    let viewer = viewer.end().well();
    let senders = viewer.value("senders").as_array().expect("several");
    assert_eq!(senders.len(), 2);
    for one in senders {
        let read = one["timecode"]["shown"].as_u64().expect("counted");
        let intact = one["frames"]["intact"].as_u64().expect("counted");
        assert!(read == intact && read > 0, "{one:#}");
    }
    for name in ["cam.mjpeg", "cam-2.mjpeg"] {
        let recorded = fs::read(path(name)).expect("a recording");
        assert!(recorded.starts_with(&[0xff, 0xd8]), "{name}");
    }
    for (name, one) in ["cam.trace", "cam-2.trace"].into_iter().zip(senders) {
        let trace = fs::read(path(name)).expect("a trace");
        let mut reader = TraceReader::new(&trace[..]).expect("a trace");
        let entries = std::iter::from_fn(|| reader.next_entry().expect("a complete trace"));
        let is_received = |entry: &Entry| matches!(entry, Entry::Datagram(it) if it.disposition == Disposition::Received);
        let received = entries.filter(is_received).count() as u64;
        assert_eq!(
            Some(received),
            one["packets"]["received"].as_u64(),
            "{name}"
        );
    }
}

/// The beginnings of 64 frames, each from a port of its own. They once occupied all tiles for a
/// minute.
#[test]
fn strangers_that_arrive_first_block_no_sender() {
    let address = address();
    let mut viewer = Start::new(
        VIEWER,
        &format!("{address} --grid --headless {PATIENT} --frames 20"),
    )
    .run();
    viewer.wait_for("Waiting for a stream");
    for stream in 0..64 {
        let socket = UdpSocket::bind("127.0.0.66:0").expect("a socket");
        let chunk = Packet::Chunk(Chunk {
            frame: FrameSeq::new(0),
            index: 0,
            count: 2,
            restart_cycle: None,
            header: Some(FrameHeader {
                len: 2_000,
                crc: 7,
                captured: 1,
                size: 1_000,
                tables: 0,
            }),
            data: &[0; 1_000],
        });
        let header = Header {
            stream: stream as u32,
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
    let mut viewer = Start::new(VIEWER, &format!("{address} --grid"))
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

/// A grey 8K picture with this many scans. Each scan makes a decoder visit all blocks, and costs
/// the sender some 30 bytes.
fn in_passes(passes: u8) -> Vec<u8> {
    const WIDTH: u16 = 7_680;
    const HEIGHT: u16 = 4_320;
    const BLOCKS: u32 = 960 * 540;
    let segment = |marker: u8, content: &[u8]| {
        let len = content.len() as u16 + 2;
        [&[0xff, marker][..], &len.to_be_bytes(), content].concat()
    };
    // Its only code has one bit, and stands for this value.
    let table =
        |which: u8, value: u8| segment(0xc4, &[&[which, 1][..], &[0; 15], &[value]].concat());
    let scan = |first: u8, last: u8| segment(0xda, &[1, 1, 0, first, last, 0]);
    let size = [HEIGHT.to_be_bytes(), WIDTH.to_be_bytes()].concat();
    let mut jpeg = vec![0xff, 0xd8];
    jpeg.extend(segment(0xdb, &[&[0][..], &[16; 64]].concat()));
    jpeg.extend(segment(0xc2, &[&[8][..], &size, &[1, 1, 0x11, 0]].concat()));
    jpeg.extend(table(0x00, 0));
    jpeg.extend(table(0x10, 0xe0));
    jpeg.extend(scan(0, 0));
    jpeg.extend(vec![0; BLOCKS as usize / 8]);
    let mut runs = String::new();
    let mut left = BLOCKS;
    while left > 0 {
        // A run of 16384 blocks without coefficients, followed by 14 bits.
        let run = left.min(32_767);
        runs += &format!("0{:014b}", run - 16_384);
        left -= run;
    }
    while !runs.len().is_multiple_of(8) {
        runs.push('1');
    }
    let bytes = runs.as_bytes().chunks(8).map(|bits| {
        let bits = std::str::from_utf8(bits).expect("digits");
        u8::from_str_radix(bits, 2).expect("eight bits")
    });
    let stuffed = bytes.flat_map(|byte| {
        let zero = (byte == 0xff).then_some(0);
        std::iter::once(byte).chain(zero)
    });
    let stuffed: Vec<_> = stuffed.collect();
    for coefficient in 1..passes {
        jpeg.extend(scan(coefficient, coefficient));
        jpeg.extend(&stuffed);
    }
    jpeg.extend([0xff, 0xd9]);
    jpeg
}

/// A sender of such pictures.
fn bombs(folder: &Path, passes: u8, line: &str) -> Program {
    let path = folder.join(format!("{passes}.mjpeg"));
    fs::write(&path, in_passes(passes)).expect("a file");
    let line = format!("--loop {} {line}", path.display());
    Start::new(SENDER, &line).run()
}

#[test]
fn frames_that_take_long_to_decode_cost_the_other_senders_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = address().to_string();
    let line = format!("{address} --grid --headless {PATIENT}");
    let mut viewer = Start::new(VIEWER, &line).run();
    viewer.wait_for("Waiting for a stream");
    // First JPEGs with more scans than are accepted, which a sender only sends if it is told not to
    // check, then JPEGs with an accepted number.
    let line = format!("--fps 5 {address}");
    let _refused = bombs(folder.path(), 51, &format!("--keep-broken {line}"));
    viewer.wait_for("Sender 1 is");
    let _taken = bombs(folder.path(), 15, &line);
    viewer.wait_for("Sender 2 is");
    let line = format!("--frames 60 pattern:320x180@10 {address}");
    let real = Start::new(SENDER, &line).run().end().well();
    assert_eq!(real.count("frames.sent"), 60);
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    let senders = viewer.value("senders").as_array().expect("several");
    let shown = |sender: usize| senders[sender]["frames"]["shown"].as_u64();
    assert_eq!(senders.len(), 3, "{}", viewer.said);
    // With one decoder for all tiles, a sixth of them were shown.
    assert!(shown(2) > Some(30), "{}", viewer.said);
    assert_eq!(
        (shown(0), senders[1]["outcomes"]["undecodable"].as_u64()),
        (Some(0), Some(0))
    );
    assert!(shown(1) > Some(0), "{}", viewer.said);
}

#[test]
fn a_backlog_of_slow_frames_does_not_keep_a_viewer_from_ending() {
    let folder = tempfile::tempdir().expect("a folder");
    let address = address().to_string();
    let line = format!("{address} --headless {PATIENT} --output /dev/null --output-format y4m");
    let mut viewer = Start::new(VIEWER, &line).run();
    viewer.wait_for("Waiting for a stream");
    // Faster than any machine decodes them.
    let line = format!("--fps 100 --frames 60 {address}");
    let sender = bombs(folder.path(), 15, &line).end().well();
    assert_eq!(sender.count("frames.sent"), 60);
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    // Frames that waited for the decoder are skipped.
    assert!(viewer.count("outcomes.skipped") > 20, "{}", viewer.said);
    assert_eq!(viewer.count("outcomes.undecodable"), 0);
}
