//! Instructions that the parts executed for each frame take, counted by
//! Valgrind's callgrind and compared with the figures below.
//!
//! Instructions do not depend on what else the machine does. They depend on the
//! compiler and on how a crate is divided to be compiled: the figures are those of
//! [`COMPILER`] and `CARGO_INCREMENTAL=0 cargo test`, as in CI. Otherwise, and without
//! Valgrind, the comparison is reported as ignored. `CARGO_INCREMENTAL=0 cargo test
//! --workspace --test instructions -- --nocapture` prints what is counted, to renew the
//! figures.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, ExitCode};
use std::time::Duration;

use bytes::Bytes;
use framegram_common::receiver::{self, Output, Receiver, SinkOutcome};
use framegram_common::sender::{self, Sender};
use framegram_media::{
    Compressor, Decoder, Image, Pixels, Reduction, SourcePlane, ToJpeg, XrgbImage,
};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Content, Pattern};
use libtest_mimic::{Arguments, Trial};

/// The compiler that the figures are of.
const COMPILER: &str = "rustc 1.95.0";

/// How far a count may be from its figure.
const SLACK: f64 = 0.03;

/// Frames counted, and frames before them that fill tables and caches.
const FRAMES: usize = 12;
const WARM_UP: usize = 4;

/// The size of the frames.
const SIZE: (usize, usize) = (1920, 1080);

/// A piece of work, and the thousands of instructions that a frame takes.
type Work = (&'static str, fn(), u64);

const WORK: [Work; 4] = [
    ("a frame into datagrams", send, 3_802),
    ("datagrams into a frame", receive, 1_703),
    ("planes of limited range into a JPEG", encode, 45_059),
    ("a JPEG into the format of windows", decode, 49_281),
];

/// The argument with which this program does one piece of work.
const ONE: &str = "--work";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    if arguments.next().as_deref() == Some(ONE) {
        let name = arguments.next().unwrap_or_default();
        let (_, work, _) = WORK.iter().find(|(known, ..)| *known == name).unwrap();
        work();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    let not_run = why_not();
    if let (Some(why), false) = (&not_run, arguments.list) {
        eprintln!("not run: {why}");
    }
    let trials = WORK.map(|(name, _, figure)| {
        let trial = move || {
            compare(name, figure);
            Ok(())
        };
        Trial::test(name, trial).with_ignored_flag(not_run.is_some())
    });
    libtest_mimic::run(&arguments, trials.into()).exit_code()
}

/// Why counts cannot be compared here.
fn why_not() -> Option<String> {
    let first_line = |program: &str| {
        let output = Command::new(program).arg("--version").output().ok()?;
        let text = String::from_utf8(output.stdout).ok()?;
        Some(text.lines().next()?.to_owned())
    };
    if std::env::var("CARGO_INCREMENTAL").as_deref() != Ok("0") {
        return Some("the figures are of a build with CARGO_INCREMENTAL=0".to_owned());
    }
    if first_line("valgrind").is_none() {
        return Some("valgrind is not installed".to_owned());
    }
    let compiler = first_line("rustc").unwrap_or_default();
    let same = compiler.starts_with(COMPILER);
    (!same).then(|| format!("the figures are of {COMPILER}, this is {compiler}"))
}

fn compare(name: &str, figure: u64) {
    let counted = count(name) / FRAMES as u64 / 1_000;
    println!("{name}: {counted} thousand instructions, expected {figure}");
    let off = counted as f64 / figure as f64 - 1.0;
    assert!(
        off.abs() <= SLACK,
        "{name}: {counted} thousand instructions instead of {figure} ({:+.1} %)",
        off * 100.0
    );
}

/// Instructions executed within [`counted_by_callgrind`].
fn count(name: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*counted_by_callgrind*")
        .arg(std::env::current_exe().unwrap())
        .args([ONE, name])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let line = text.lines().find_map(|line| line.split_once("Collected :"));
    line.expect("a count").1.trim().parse().unwrap()
}

/// Runs a piece of work; nothing outside of it is counted.
#[inline(never)]
fn counted_by_callgrind<T>(work: impl FnOnce() -> T) -> T {
    std::hint::black_box(work())
}

/// Does the work for frames that are not counted, then for those that are.
fn for_each_frame<T>(mut work: impl FnMut() -> T) {
    for _ in 0..WARM_UP {
        work();
    }
    for _ in 0..FRAMES {
        counted_by_callgrind(&mut work);
    }
}

fn picture() -> Image {
    let (width, height) = SIZE;
    let pattern = Pattern::new(width, height, 30.0).unwrap();
    pattern.picture(1).unwrap()
}

fn jpeg() -> Bytes {
    let mut encoder = Encoder::new(Settings::default()).unwrap();
    encoder.encode(&Content::Image(picture())).unwrap().jpeg
}

const INTERVAL: Duration = Duration::from_millis(33);

fn sender(now: Duration) -> Sender {
    let config = sender::Config {
        pace: false,
        ..sender::Config::default()
    };
    Sender::new(config, 1, now)
}

/// Hands a frame to the sender. Returns its datagrams, several in each batch.
fn datagrams(sender: &mut Sender, jpeg: &Bytes, now: Duration) -> Vec<(Vec<u8>, usize)> {
    sender
        .handle_frame(jpeg.clone(), now, Some(80), now)
        .unwrap();
    let mut batches = Vec::new();
    loop {
        let mut out = Vec::new();
        let sender::Output::Transmit(transmit) = sender.poll_output(now, &mut out) else {
            return batches;
        };
        batches.push((out, transmit.segment));
    }
}

fn send() {
    let jpeg = jpeg();
    let mut now = Duration::from_secs(1);
    let mut sender = sender(now);
    for_each_frame(|| {
        now += INTERVAL;
        datagrams(&mut sender, &jpeg, now)
    });
}

fn receive() {
    let jpeg = jpeg();
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 5_005));
    let mut now = Duration::from_secs(1);
    let mut sender = sender(now);
    let mut receiver = Receiver::new(receiver::Config::default(), 1, (1, 2), now);
    for index in 0..WARM_UP + FRAMES {
        now += INTERVAL;
        let batches = datagrams(&mut sender, &jpeg, now);
        let mut work = || {
            for (bytes, segment) in &batches {
                for datagram in bytes.chunks(*segment) {
                    receiver.handle_datagram(from, datagram, now);
                }
            }
            let Output::Frame(frame) = receiver.poll_output(now) else {
                panic!("frame {index} is incomplete");
            };
            receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
            while !matches!(receiver.poll_output(now), Output::Timeout(_)) {}
            frame
        };
        let frame = if index < WARM_UP {
            work()
        } else {
            counted_by_callgrind(work)
        };
        assert_eq!(frame.jpeg, jpeg);
    }
}

/// The path of a video file behind its decoder.
fn encode() {
    let image = picture();
    let Pixels::Yuv(subsampling, limited) = image.pixels() else {
        panic!("the pattern has planes");
    };
    let mut compressor = Compressor::new().unwrap();
    for_each_frame(|| {
        let mut full = vec![0; limited.len()];
        let from = subsampling.split(SIZE.0, SIZE.1, limited);
        let from = from.map(|(samples, pitch, _)| SourcePlane { samples, pitch });
        let conversion = ToJpeg::new(false, None);
        conversion.copy(&from.collect::<Vec<_>>(), *subsampling, SIZE, &mut full);
        let image = Image::yuv(SIZE.0, SIZE.1, *subsampling, full.into()).unwrap();
        compressor.compress(&image, 80).unwrap()
    });
}

fn decode() {
    let jpeg = jpeg();
    let mut decoder = Decoder::new().unwrap();
    let mut picture = XrgbImage::default();
    for_each_frame(|| {
        let decoded = decoder.decode(&jpeg, Reduction::default(), &mut picture);
        decoded.unwrap();
    });
}
