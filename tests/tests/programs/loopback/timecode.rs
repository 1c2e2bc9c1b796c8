//! The bar code in the picture, compared with the programs' own figures, and passed through other
//! programs.

use std::io::Write;

use serde_json::Value;

use super::files::ffmpeg;
use super::lossy::{FRAMES, play};
use super::{listening, sender};
use framegram_tests::program::{Ended, LAB, Start, address, media};

/// Sends a source with timecodes. Returns the ended viewer and its recording.
fn record(source: &str, sending: &str, output: &str) -> (Ended, Ended) {
    let to = address();
    let viewing = format!("--once --read-timecode --output {output}");
    let viewer = listening(to, &viewing);
    let sender = sender(source, to, &format!("--timecode {sending}")).run();
    (sender.end().well(), viewer.end().well())
}

fn analyze(file: &str) -> Ended {
    Start::new(LAB, "analyze").with([file]).run().end()
}

fn counts(timecode: &Value) -> [Option<u64>; 4] {
    ["shown", "lost", "repeated", "unread"].map(|name| timecode[name].as_u64())
}

#[test]
fn the_pixels_say_what_the_packets_say() {
    let (_, viewer) = record(
        "pattern:640x360@30",
        "--frames 45 --quality 30",
        "out.mjpeg",
    );
    let timecode = viewer.value("timecode");
    assert_eq!(counts(timecode), [Some(45), Some(0), Some(0), Some(0)]);
    assert_eq!(viewer.count("frames.shown"), 45);
    let shorter_than_a_frame = |name: &str| {
        let pixels = timecode["delay_ms"][name].as_f64();
        let packets = viewer.value("latency_ms")[name].as_f64();
        pixels
            .zip(packets)
            .map(|(a, b)| (a - b).abs() < 1000.0 / 30.0)
    };
    for name in ["p50", "p95", "max"] {
        assert_eq!(
            shorter_than_a_frame(name),
            Some(true),
            "{:#}",
            viewer.report
        );
    }
}

#[test]
fn timecodes_survive_other_programs() {
    let (_, viewer) = record("pattern:640x360@30", "--frames 20", "out.mjpeg");
    let recording = viewer.path("out.mjpeg").display().to_string();
    let own = analyze(&recording).well();
    assert_eq!(
        counts(own.value("timecode")),
        [Some(20), Some(0), Some(0), Some(0)]
    );
    // Nobody knows when a file was captured.
    assert!(own.value("timecode.delay_ms").is_null());
    let said = String::from_utf8(own.output).expect("text");
    assert!(
        said.contains("20 frames seen, 0 lost, 0 repeated"),
        "{said}"
    );
    for through in [
        "-vf scale=426:240 -f yuv4mpegpipe -pix_fmt yuv420p",
        "-vf scale=960:540 -f yuv4mpegpipe -pix_fmt yuv422p",
        "-vf pad=800:600:60:90 -c:v mjpeg -q:v 15 -f mjpeg",
        // Each frame twice, as on a screen with a higher refresh rate.
        "-vf fps=50 -f yuv4mpegpipe -pix_fmt yuv444p",
    ] {
        let bytes = ffmpeg(&recording, through);
        let mut live = Start::new(LAB, "analyze -").piped().run();
        let mut pipe = live.input().expect("piped");
        pipe.write_all(&bytes).expect("it reads all of it");
        drop(pipe);
        let ended = live.end().well();
        let timecode = ended.value("timecode");
        let repeated = if through.contains("fps=50") { 20 } else { 0 };
        let expected = [Some(20), Some(0), Some(repeated), Some(0)];
        assert_eq!(counts(timecode), expected, "{through}");
        assert!(timecode["delay_ms"]["p50"].as_f64() > Some(0.0));
    }
}

#[test]
fn a_frame_that_was_not_shown_is_missing_in_the_pixels() {
    let (viewer, damaged) = play("--timecode", "--strict --read-timecode");
    let [shown, lost, repeated, unread] = counts(viewer.value("timecode"));
    assert_eq!(shown, Some(viewer.count("frames.shown")));
    assert_eq!((repeated, unread), (Some(0), Some(0)));
    let lost = lost.expect("counted");
    // Frames that are lost after the last shown one are not noticed.
    let last = viewer.count("frames.shown") + lost;
    assert!(
        lost > 0 && lost <= damaged && last <= FRAMES,
        "{lost} of {damaged}"
    );
}

#[test]
fn a_files_own_jpegs_are_stamped_and_that_is_said_once() {
    let (sender, viewer) = record(&media("mjpeg.avi"), "", "out.y4m");
    let frames = sender.count("frames.sent");
    assert_eq!(sender.count("frames.passed_through"), 0);
    assert_eq!(sender.said.matches("re-encoded for --timecode").count(), 1);
    assert_eq!(
        counts(viewer.value("timecode"))[..2],
        [Some(frames), Some(0)]
    );
    let recording = viewer.path("out.y4m").display().to_string();
    let own = analyze(&recording).well();
    assert_eq!(counts(own.value("timecode"))[..2], [Some(frames), Some(0)]);
}

#[test]
fn input_without_timecodes_is_refused_in_one_line() {
    for (file, words) in [
        (media("clip.mp4"), "-f yuv4mpegpipe"),
        (
            media("stills/scene-1.jpg"),
            "framegram-send with --timecode",
        ),
        ("nowhere.y4m".to_owned(), "nowhere.y4m"),
    ] {
        let ended = analyze(&file);
        assert_eq!(ended.code, Some(1), "{file}");
        assert_eq!(ended.said.lines().count(), 1, "{}", ended.said);
        assert!(ended.said.contains(words), "{}", ended.said);
    }
    let overwriting = Start::new(LAB, "analyze a.json --report ./a.json");
    assert_eq!(overwriting.run_plain().end().code, Some(2));
    let endless = analyze("/dev/zero");
    assert_eq!(endless.code, Some(1), "{}", endless.said);
}
