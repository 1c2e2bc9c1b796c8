//! What the program does with streams, without a window.

use std::io::Read;
use std::time::{Duration, Instant};

use framegram_common::jpeg::Splitter;

use crate::support::{Ended, Folder, Viewer, address, frames, json, send};

fn assert_well(ended: &Ended) {
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
}

#[test]
fn counts_a_stream_to_its_end_and_reports_it() {
    let folder = Folder::new();
    let (report, snapshot) = (folder.path("report.json"), folder.path("last.jpg"));
    let viewer = Viewer::listening(&[
        "--headless",
        "--once",
        "--report",
        &report,
        "--snapshot",
        &snapshot,
    ]);
    let jpegs = frames(50);
    send(viewer.address(), &jpegs, true);
    let ended = viewer.end();
    assert_well(&ended);
    assert_eq!(ended.stdout, b"");
    let report = json(&report);
    assert_eq!(report["stream"]["side"], "viewer");
    assert_eq!(report["stream"]["ended"], true);
    for count in ["captured", "sent", "shown", "intact"] {
        assert_eq!(report["frames"][count], 50, "{count}: {report}");
    }
    for count in ["incomplete", "lost"] {
        assert_eq!(report["frames"][count], 0, "{count}: {report}");
    }
    for outcome in ["late", "skipped", "undecodable"] {
        assert_eq!(report["outcomes"][outcome], 0, "{outcome}: {report}");
    }
    assert!(report["latency_ms"]["p50"].as_f64().unwrap() < 1000.0);
    assert_eq!(&std::fs::read(snapshot).unwrap(), jpegs.last().unwrap());
    for line in [
        "No frame was lost: 50 of 50 shown, all byte for byte as sent.",
        "Following the stream from 127.0.0.1:",
        "The sender ended the stream.",
    ] {
        assert!(ended.stderr.contains(line), "{}", ended.stderr);
    }
}

#[test]
fn quiet_says_nothing() {
    let to = address();
    let mut viewer = crate::support::viewer(&[
        "--headless",
        "--quiet",
        "--frames",
        "1",
        "--wait",
        "30s",
        &to.to_string(),
    ])
    .spawn()
    .unwrap();
    // It does not report when it listens either, so streams are sent until one is received.
    let jpegs = frames(20);
    let begun = Instant::now();
    while viewer.try_wait().unwrap().is_none() && begun.elapsed() < Duration::from_secs(30) {
        send(to, &jpegs, true);
    }
    let output = viewer.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(output.stderr, b"");
    assert_eq!(output.stdout, b"");
}

#[test]
fn a_pipe_gets_the_frames_and_nothing_else() {
    let jpegs = frames(30);
    let mut viewer = Viewer::listening(&[
        "--headless",
        "--once",
        "--output",
        "-",
        "--output-format",
        "mjpeg",
    ]);
    let mut stdout = viewer.stdout();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        stdout.read_to_end(&mut bytes).unwrap();
        bytes
    });
    send(viewer.address(), &jpegs, true);
    assert_well(&viewer.end());
    let mut splitter = Splitter::new();
    splitter.push(&reader.join().unwrap());
    splitter.end();
    let shown: Vec<_> = std::iter::from_fn(|| splitter.next_jpeg()).collect();
    assert!(shown == jpegs, "other bytes");
}

#[test]
fn a_reader_that_closes_standard_output_is_a_success() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let mut viewer = Viewer::listening(&[
        "--headless",
        "--output",
        "-",
        "--output-format",
        "y4m",
        "--report",
        &report,
    ]);
    drop(viewer.stdout());
    send(viewer.address(), &frames(20), true);
    assert_well(&viewer.end());
    assert!(json(&report)["frames"]["sent"].as_u64().unwrap() > 0);
}

#[test]
fn records_decoded_pictures() {
    let folder = Folder::new();
    let output = folder.path("film.y4m");
    let viewer = Viewer::listening(&["--headless", "--once", "--output", &output]);
    send(viewer.address(), &frames(12), true);
    assert_well(&viewer.end());
    let bytes = std::fs::read(output).unwrap();
    let header = bytes.split(|&byte| byte == b'\n').next().unwrap();
    let header = std::str::from_utf8(header).unwrap();
    assert!(header.starts_with("YUV4MPEG2 W160 H120 F"), "{header}");
    assert!(header.ends_with("C420jpeg XCOLORRANGE=FULL"), "{header}");
    let picture = "FRAME\n".len() + 160 * 120 * 3 / 2;
    assert_eq!(bytes.len(), header.len() + 1 + 12 * picture);
}

#[test]
fn ends_after_the_requested_number_of_frames() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let viewer = Viewer::listening(&["--headless", "--frames", "7", "--report", &report]);
    let to = viewer.address();
    let sender = std::thread::spawn(move || send(to, &frames(50), false));
    assert_well(&viewer.end());
    sender.join().unwrap();
    assert_eq!(json(&report)["frames"]["shown"], 7);
}

#[test]
fn ends_after_the_requested_time_from_the_first_frame() {
    let viewer = Viewer::listening(&["--headless", "--duration", "300ms"]);
    send(viewer.address(), &frames(5), false);
    let begun = Instant::now();
    assert_well(&viewer.end());
    assert!(begun.elapsed() < Duration::from_secs(5));
}

#[test]
fn signals_end_it_in_order() {
    for signal in ["INT", "TERM", "HUP"] {
        let folder = Folder::new();
        let report = folder.path("report.json");
        let mut viewer = Viewer::listening(&["--headless", "--report", &report]);
        send(viewer.address(), &frames(5), true);
        viewer.wait_for("The sender ended the stream.");
        // `timeout` sends each signal twice.
        viewer.signal(signal);
        viewer.signal(signal);
        let ended = viewer.end();
        assert_well(&ended);
        assert_eq!(json(&report)["frames"]["shown"], 5);
    }
}

#[test]
fn once_ends_without_a_bye_after_a_silence() {
    let viewer = Viewer::listening(&["--headless", "--once"]);
    send(viewer.address(), &frames(5), false);
    let begun = Instant::now();
    assert_well(&viewer.end());
    let waited = begun.elapsed().as_secs();
    assert!((4..20).contains(&waited), "waited for {waited} s");
}

#[test]
fn follows_a_sender_that_starts_again() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let mut viewer = Viewer::listening(&["--headless", "--frames", "20", "--report", &report]);
    send(viewer.address(), &frames(10), true);
    viewer.wait_for("The sender ended the stream.");
    send(viewer.address(), &frames(10), true);
    let ended = viewer.end();
    assert_well(&ended);
    assert!(
        ended.stderr.contains("Following another stream"),
        "{}",
        ended.stderr
    );
    assert_eq!(json(&report)["stream"]["followed"], 2);
}

#[test]
fn a_second_sender_is_reported_once() {
    let folder = Folder::new();
    let report = folder.path("report.json");
    let mut viewer = Viewer::listening(&["--headless", "--once", "--report", &report]);
    let to = viewer.address();
    let first = std::thread::spawn(move || send(to, &frames(100), true));
    viewer.wait_for("Following the stream");
    send(to, &frames(10), true);
    first.join().unwrap();
    let ended = viewer.end();
    assert_well(&ended);
    let told = ended.stderr.matches("Another stream arrives").count();
    assert_eq!(told, 1, "{}", ended.stderr);
    let report = json(&report);
    assert_eq!(report["stream"]["others"], 1);
    assert_eq!(report["frames"]["shown"], 100);
}
