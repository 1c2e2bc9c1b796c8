//! Other people's programs on the other end: GStreamer, FFmpeg and a few lines
//! of Python with OpenCV. `make test` installs them.

#![expect(clippy::unwrap_used, reason = "tests may fail")]

mod corpus;
mod djpeg;
mod ffmpeg;
mod gstreamer;
mod liberties;
mod python;
mod srtp;
mod tshark;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use framegram_common::jpeg::JpegHeader;
use framegram_common::wire::Format;
use framegram_media::{Image, Subsampling};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::Content;
use framegram_tests::peer::Peer;
use framegram_tests::program::{Ended, PATIENT, Program, SENDER, Start, VIEWER};

/// Frames of a clip: more than a peer uses for probing.
const FRAMES: usize = 40;

/// The share of datagrams that a bad link loses.
const LOSS: f64 = 0.02;

/// Frame interval.
const INTERVAL: Duration = Duration::from_millis(25);

/// An address with its own port. The next port is for reports.
fn address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(6_000);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let host = [127, high.max(1), middle, low];
    (host, PORT.fetch_add(2, Ordering::Relaxed)).into()
}

/// A moving clip of JPEGs, with or without restart slices.
fn clip((width, height): (usize, usize), sampling: Subsampling, slices: bool) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(Settings {
        quality: Some(70),
        slices: slices.then_some(1_452),
        // RTP carries no Huffman tables.
        format: Format::Rtp,
        ..Settings::default()
    })
    .expect("an encoder");
    let (chroma, _) = sampling.chroma(width, height).expect("in colour");
    let frames = (0..FRAMES).map(|frame| {
        let mut planes: Vec<u8> = (0..width * height)
            .map(|at| ((at % width / 4 + frame * 5) ^ (at / width / 4)) as u8)
            .collect();
        let rest = sampling.bytes(width, height) - planes.len();
        planes.extend((0..rest).map(|at| (at % chroma + 3 * frame) as u8));
        let picture = Image::yuv(width, height, sampling, planes.into()).expect("a picture");
        let encoded = encoder.encode(&Content::Image(picture)).expect("a JPEG");
        encoded.jpeg.to_vec()
    });
    frames.collect()
}

/// The JPEGs in a file that contains one after another.
fn split(mut bytes: &[u8]) -> Vec<&[u8]> {
    let mut jpegs = Vec::new();
    while let Some(end) = bytes.windows(2).position(|two| two == [0xff, 0xd9]) {
        let end = end + 2;
        jpegs.push(&bytes[..end]);
        // FFmpeg appends another end of image to a JPEG that has one.
        bytes = bytes[end..]
            .strip_prefix(&[0xff, 0xd9])
            .unwrap_or(&bytes[end..]);
        // In a recording of the viewer, the time of the next JPEG precedes it.
        if bytes.starts_with(b"\r\n--framegram\r\n") {
            let header = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            bytes = &bytes[header.expect("the end of a header") + 4..];
        }
    }
    jpegs
}

/// The part of a JPEG that RTP carries. The receiver may write another header.
fn scan(jpeg: &[u8]) -> &[u8] {
    let header = JpegHeader::parse(jpeg).expect("a JPEG");
    let scan = &jpeg[header.len..];
    let end = scan.windows(2).position(|two| two == [0xff, 0xd9]);
    &scan[..end.expect("an end of image")]
}

/// Asserts that JPEGs have exactly the scans of some that were sent, in order. Returns how many of
/// those sent are missing between the first and the last.
fn assert_scans(sent: &[Vec<u8>], received: &[&[u8]]) -> usize {
    let mut sent = sent.iter().map(|jpeg| scan(jpeg));
    let mut missing = 0;
    for (index, jpeg) in received.iter().enumerate() {
        let skipped = sent.position(|other| other == scan(jpeg));
        let skipped = skipped.unwrap_or_else(|| panic!("frame {index} is none that was sent"));
        missing += if index == 0 { 0 } else { skipped };
    }
    missing
}

fn viewer(address: SocketAddr, arguments: &str) -> Program {
    let mut viewer = Start::new(
        VIEWER,
        &format!("{address} --headless {PATIENT} --wait 20s --output out.mjpeg {arguments}"),
    )
    .run();
    viewer.wait_for("Waiting for a stream");
    viewer
}

/// Feeds a clip to a sender at its frame rate. Ends the sender unless it ended before.
fn send(clip: &[Vec<u8>], address: SocketAddr, arguments: &str) -> Ended {
    let arguments = format!("- {address} {arguments}");
    let mut sender = Start::new(SENDER, &arguments).piped().run();
    let mut input = sender.input().expect("a pipe");
    for jpeg in clip {
        input.write_all(jpeg).expect("the sender reads");
        std::thread::sleep(INTERVAL);
    }
    drop(input);
    sender.end().well()
}

/// The files that GStreamer's `multifilesink` wrote, in order.
fn files(folder: &Path, prefix: &str) -> Vec<Vec<u8>> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .expect("a folder")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with(prefix))
        })
        .collect();
    names.sort();
    names
        .iter()
        .map(|path| fs::read(path).expect("a file"))
        .collect()
}

fn slices(jpegs: &[Vec<u8>]) -> Vec<&[u8]> {
    jpegs.iter().map(Vec::as_slice).collect()
}
