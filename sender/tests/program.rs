//! The program as a process: exit statuses, and errors in one line.

#![allow(clippy::unwrap_used, reason = "a test that cannot begin has failed")]

#[path = "program/files.rs"]
mod files;
#[path = "program/life.rs"]
mod life;
#[path = "program/panics.rs"]
mod panics;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A test's own folder, which is deleted in the end.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.0.path().join(name), bytes).unwrap();
        self.path(name)
    }
}

/// A port that nobody listens on: the discard port of a loopback address.
const NOBODY: &str = "127.0.0.9:9";

/// Loading OpenCV takes longer than everything else until the first picture.
#[test]
fn only_the_companion_is_linked_with_opencv() {
    let libraries = |program: &str| {
        // The dynamic loader lists them, and does not start the program.
        let listed = Command::new(program)
            .env("LD_TRACE_LOADED_OBJECTS", "1")
            .output()
            .unwrap();
        String::from_utf8(listed.stdout).unwrap()
    };
    let own = libraries(env!("CARGO_BIN_EXE_framegram-send"));
    assert!(
        own.contains("libavcodec") && !own.contains("opencv"),
        "{own}"
    );
    let companion = libraries(env!("CARGO_BIN_EXE_framegram-send-opencv"));
    assert!(companion.contains("libopencv_videoio"), "{companion}");
}

fn send(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_framegram-send"))
        .args(arguments)
        .env_remove("DISPLAY")
        .env_remove("WAYLAND_DISPLAY")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

/// Asserts that it ends with `code`, with one line on standard error that contains `words`, and
/// with nothing on standard output.
#[track_caller]
fn fails(arguments: &[&str], input: &[u8], code: i32, words: &[&str]) {
    let output = send(arguments, input);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {stderr}");
    assert_eq!(stderr.lines().count(), 1, "{arguments:?}: {stderr}");
    for word in words {
        assert!(stderr.contains(word), "no {word:?} in: {stderr}");
    }
    assert!(output.stdout.is_empty());
}

#[test]
fn wrong_usage_is_2() {
    fails(&[], b"", 2, &["SOURCE", "--help"]);
    fails(&["pattern"], b"", 2, &["DEST"]);
    fails(&["pattern", "10.0.0.1"], b"", 2, &["HOST:PORT"]);
    fails(&["pattern:10", NOBODY], b"", 2, &["1280x720"]);
    fails(&["pattern", NOBODY, "--quality", "0"], b"", 2, &["1..=100"]);
    fails(
        &["pattern", NOBODY, "--bitrate", "8"],
        b"",
        2,
        &["64k to 10G"],
    );
    fails(
        &["pattern", NOBODY, "--fec", "300"],
        b"",
        2,
        &["off, auto", "1 to 200"],
    );
    fails(&["pattern", NOBODY, "--no-pace=1"], b"", 2, &["--no-pace"]);
    fails(&["pattern", NOBODY, "--fly"], b"", 2, &["--fly"]);
    fails(&["-", NOBODY, "--loop"], b"", 2, &["--loop"]);
}

#[test]
fn help_is_0_and_on_standard_output() {
    for flag in ["-h", "--help", "--version"] {
        let output = send(&[flag], b"");
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty());
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn sources_that_cannot_be_read_are_1() {
    let folder = Folder::new();
    let text = b"neither a video nor a still\n".repeat(20);
    let text = folder.write("text.txt", &text);
    let noise: Vec<u8> = (0..50_000_u32)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect();
    let video = folder.write("video.mp4", &noise);
    let still = folder.write("still.png", b"\x89PNG\r\n\x1a\n and no more");
    let empty = folder.write("empty.mp4", b"");
    let missing = folder.path("missing.mp4");
    let stills = folder.path("stills");
    fs::create_dir(&stills).unwrap();
    let url = "http://127.0.0.1:9/x";

    fails(
        &[&missing, NOBODY],
        b"",
        1,
        &["no such file", "missing.mp4"],
    );
    fails(&[&text, NOBODY], b"", 1, &["text.txt", "not a video"]);
    fails(&[&video, NOBODY], b"", 1, &["video.mp4", "not a video"]);
    fails(&[&empty, NOBODY], b"", 1, &["empty.mp4 is empty"]);
    fails(&[&still, NOBODY], b"", 1, &["still.png"]);
    fails(&[&stills, NOBODY], b"", 1, &["no stills in", "stills"]);
    fails(
        &["/dev/video97", NOBODY],
        b"",
        1,
        &["no camera at /dev/video97"],
    );
    fails(&["camera:98", NOBODY], b"", 1, &["/dev/video98"]);
    fails(&[url, NOBODY], b"", 1, &[url]);
}

#[test]
fn standard_input_without_a_stream_is_status_1() {
    fails(
        &["-", NOBODY],
        b"",
        1,
        &["nothing arrived on standard input"],
    );
    fails(&["-", NOBODY], b"RIFF....AVI LIST", 1, &["not a video"]);
    fails(
        &["-", NOBODY],
        b"\xFF\xD8\xFF\xE0 half",
        1,
        &["no complete JPEG"],
    );
    fails(&["-", NOBODY], b"YUV4MPEG2 W4 H4 C412\n", 1, &["C412"]);
    fails(
        &["-", NOBODY],
        b"YUV4MPEG2 W4 H4\nFRAME\nx",
        1,
        &["frame 0"],
    );
}

#[test]
fn destinations_that_cannot_be_sent_to_are_1() {
    let unknown = "no-such-host.invalid:5005";
    fails(&["pattern", unknown], b"", 1, &["no-such-host.invalid"]);
    fails(
        &["pattern", "255.255.255.255:5005"],
        b"",
        1,
        &["--broadcast"],
    );
    fails(&["pattern", "0.0.0.0:5005"], b"", 1, &["0.0.0.0"]);
}

#[test]
fn missing_inputs_are_reported_before_streaming() {
    let folder = Folder::new();
    let report = folder.path("no/such/folder/report.json");
    fails(
        &["pattern", NOBODY, "--report", &report],
        b"",
        1,
        &["report.json"],
    );
    fails(
        &["pattern", NOBODY, "--preview"],
        b"",
        1,
        &["--preview", "display"],
    );
    let full = [
        "pattern",
        NOBODY,
        "--report",
        "/dev/full",
        "--frames",
        "1",
        "--quiet",
    ];
    fails(&full, b"", 1, &["/dev/full"]);
}

#[test]
fn connection_refused_by_a_destination_does_not_end_the_stream() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let line = [
        "pattern:160x90@50",
        NOBODY,
        "--frames",
        "20",
        "--report",
        &report,
    ];
    let output = send(&line, b"");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    let said = stderr.matches("nobody listens at 127.0.0.9:9").count();
    assert_eq!(said, 1, "{stderr}");
    let report: serde_json::Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    assert_eq!(report["frames"]["captured"], 20);
    assert_eq!(report["frames"]["sent"], 20);
    assert_eq!(report["outcomes"]["replaced"], 0);
    assert_eq!(report["stream"]["addresses"][0], NOBODY);
    assert_eq!(report["stream"]["width"], 160);
    assert_eq!(report["stream"]["quality"], 80);
    assert_eq!(report["frames"]["shown"], serde_json::Value::Null);
}

#[test]
fn quiet_is_silent() {
    let output = send(
        &["pattern:160x90@100", NOBODY, "--frames", "10", "--quiet"],
        b"",
    );
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty() && output.stdout.is_empty());
}

#[test]
fn verbose_logs_what_is_opened_and_chosen() {
    let line = ["pattern:160x90@100", NOBODY, "-n", "3"];
    let log = |flag: &str| {
        let output = send(&[&line[..], &[flag]].concat(), b"");
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stdout.is_empty());
        String::from_utf8(output.stderr).unwrap()
    };
    let some = log("-v");
    assert!(
        some.contains("INFO  framegram_cli::logging: framegram-send"),
        "{some}"
    );
    assert!(
        some.contains("INFO  framegram_send: source Pattern"),
        "{some}"
    );
    assert!(!some.contains("DEBUG"), "{some}");
    let more = log("-vv");
    assert!(
        more.contains("DEBUG framegram_cli::threads: thread \"source\" starts"),
        "{more}"
    );
    let both = [&line[..], &["-q", "-v"]].concat();
    fails(&both, b"", 2, &["--quiet", "--verbose"]);
}

/// Whether a process handles SIGINT itself.
fn hears_signals(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.unwrap().trim(), 16).unwrap();
    caught & (1 << (2 - 1)) != 0
}

/// Starts a stream, and sends it `signal` once it has reported its start. Returns how it ended and
/// what its report contains.
fn interrupted(signal: &str, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let mut child = Command::new(env!("CARGO_BIN_EXE_framegram-send"))
        .args(arguments)
        .args(["--report", &report])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Kept open, so that a source that reads it waits.
    let _input = child.stdin.take();
    while !hears_signals(child.id()) {
        std::thread::yield_now();
    }
    if !arguments.contains(&"-") {
        let stderr = BufReader::new(child.stderr.take().unwrap());
        stderr
            .lines()
            .find(|line| line.as_ref().unwrap().contains("frames"));
    }
    let killed = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status();
    assert!(killed.unwrap().success());
    let code = child.wait().unwrap().code();
    let report = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    (code, report)
}

#[test]
fn signals_end_a_stream_in_order() {
    for signal in ["-INT", "-TERM"] {
        let (code, report) = interrupted(signal, &["pattern:160x90", NOBODY]);
        assert_eq!(code, Some(0));
        assert_eq!(report["stream"]["ended"], true);
        assert!(report["frames"]["sent"].as_u64() > Some(0));
        assert_eq!(report["frames"]["sent"], report["frames"]["captured"]);
    }
}

#[test]
fn a_signal_ends_the_wait_for_a_silent_pipe() {
    let (code, report) = interrupted("-INT", &["-", NOBODY]);
    assert_eq!(code, Some(0));
    assert_eq!(report["frames"]["sent"], 0);
}

#[test]
fn a_truncated_jpeg_is_reported() {
    let still = fs::read(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../sample-media/stills/scene-1.jpg"
    ));
    let still = still.unwrap();
    let input = [&still[..], &still[..still.len() / 2]].concat();
    let output = send(&["-", NOBODY, "--report", "-"], &input);
    assert_eq!(output.status.code(), Some(0));
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(
        told.contains("sent 1 of 1 frames (1 more could not be read)"),
        "{told}"
    );
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["frames"]["unreadable"], 1);
}

#[test]
fn a_report_that_never_was_leaves_no_file() {
    let folder = Folder::new();
    let report = folder.path("sent.json");
    let missing = folder.path("missing.mp4");
    fails(
        &[&missing, NOBODY, "--report", &report],
        b"",
        1,
        &["missing.mp4"],
    );
    assert!(!fs::exists(&report).unwrap());
}

/// A chunk of a PNG.
fn chunk(kind: [u8; 4], data: &[u8]) -> Vec<u8> {
    let mut checked = kind.to_vec();
    checked.extend_from_slice(data);
    let checksum = !checked.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| {
            (sum >> 1) ^ (0xedb8_8320 * (sum & 1))
        })
    });
    let mut chunk = (data.len() as u32).to_be_bytes().to_vec();
    chunk.extend(checked);
    chunk.extend(checksum.to_be_bytes());
    chunk
}

/// Endless zeros, as zlib compresses them, in `len` bytes: a literal, then lengths of 258 at a
/// distance of 1, with 13 bits each.
fn packed_zeros(len: usize) -> Vec<u8> {
    let mut packed = vec![0x78, 0x01];
    let bits = [1, 1, 0]
        .into_iter()
        .chain([0, 0, 1, 1, 0, 0, 0, 0])
        .chain([1, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0].into_iter().cycle());
    let bits: Vec<u8> = bits.take(len * 8).collect();
    let bytes = bits.chunks(8).map(|bits| {
        let ones = bits.iter().enumerate().map(|(at, bit)| bit << at);
        ones.sum::<u8>()
    });
    packed.extend(bytes);
    packed
}

/// The chunks of a still besides its pixels are not decompressed.
#[test]
fn a_png_costs_no_more_than_its_pixels() {
    let folder = Folder::new();
    let still = folder.path("still.png");
    image::RgbImage::new(8, 8).save(&still).unwrap();
    let png = fs::read(&still).unwrap();
    let header = 8 + 25;
    let besides = [
        chunk(*b"iCCP", &[b"p\0\0", &packed_zeros(4 << 20)[..]].concat()),
        chunk(*b"zTXt", &[b"t\0\0", &packed_zeros(1 << 20)[..]].concat()),
    ];
    let whole = [&png[..header], &besides.concat(), &png[header..]].concat();
    fs::write(&still, whole).unwrap();

    let mut child = Command::new(env!("CARGO_BIN_EXE_framegram-send"))
        .args([&still, NOBODY, "--loop"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let told: Vec<_> = stderr
        .lines()
        .map_while(Result::ok)
        .take_while(|line| !line.contains("frames"))
        .collect();
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    child.kill().unwrap();
    let ended = child.wait().unwrap();
    assert_eq!(ended.code(), None, "it ended by itself: {told:?}");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak: u64 = peak
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    assert!(peak < 100_000, "{peak} kB");
}

#[test]
fn a_still_larger_than_is_sent_is_refused_before_it_is_decoded() {
    let folder = Folder::new();
    let mut header = [16_000_u32.to_be_bytes(), 16_000_u32.to_be_bytes()].concat();
    header.extend([8, 0, 0, 0, 0]);
    let png = [
        b"\x89PNG\r\n\x1a\n".to_vec(),
        chunk(*b"IHDR", &header),
        chunk(*b"IDAT", &packed_zeros(1 << 20)),
        chunk(*b"IEND", b""),
    ];
    let still = folder.write("large.png", &png.concat());
    fails(&[&still, NOBODY], b"", 1, &["16000x16000", "40000000"]);
}
