//! Every kind of source arrives completely.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;

use super::{assert_complete, listening, sender};
use framegram_tests::odd_jpeg::in_recording;
use framegram_tests::program::{Ended, address, footage, media};

/// Sends a source to a viewer that records. Returns both ended programs.
fn play(source: &str, sending: &str, viewing: &str) -> (Ended, Ended) {
    let address = address();
    let viewer = listening(address, &format!("--once --output out.mjpeg {viewing}"));
    let sender = sender(source, address, sending).run().end().well();
    (sender, viewer.end().well())
}

fn play_media(name: &str, sending: &str) -> (Ended, Ended) {
    let source = media(name);
    play(&source, sending, "--snapshot out.png")
}

/// The output of ffmpeg for a file with these arguments.
pub(super) fn ffmpeg(input: &str, arguments: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i", input])
        .args(arguments.split_whitespace())
        .arg("-")
        .output()
        .expect("ffmpeg is installed");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// The difference of two pictures, as the mean over all bytes.
pub(super) fn difference(one: &[u8], other: &[u8]) -> f64 {
    assert_eq!(one.len(), other.len());
    let sum: u64 = one
        .iter()
        .zip(other)
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / one.len() as f64
}

#[test]
fn a_video_file_arrives_complete_at_its_own_pace() {
    let (sender, viewer) = play_media("clip.mp4", "");
    assert_complete(&sender, &viewer, 150);
    assert_eq!(viewer.value("stream.width"), 640);
    assert_eq!(viewer.value("stream.height"), 360);
    let duration = viewer.value("duration_s").as_f64().unwrap();
    assert!((4.9..5.5).contains(&duration), "{duration} s");
}

#[test]
fn a_file_of_a_web_server_arrives_complete() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/clip.mp4", server.local_addr().unwrap());
    std::thread::spawn(move || {
        let file = std::fs::read(media("clip.mp4")).unwrap();
        for connection in server.incoming().flatten() {
            serve(&connection, &file);
        }
    });
    let (sender, viewer) = play(&url, "", "");
    assert_complete(&sender, &viewer, 150);
}

/// Answers any HTTP request with a file.
fn serve(mut connection: &TcpStream, file: &[u8]) {
    let mut request = BufReader::new(connection).lines();
    while request
        .next()
        .is_some_and(|line| line.is_ok_and(|line| !line.is_empty()))
    {}
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", file.len());
    // A client may close the connection before the end, and connect again.
    let _ = connection
        .write_all(head.as_bytes())
        .and_then(|()| connection.write_all(file));
}

#[test]
fn the_last_picture_has_the_colours_of_the_file() {
    let (_, viewer) = play_media("clip.mp4", "--quality 95");
    let last = ffmpeg(
        &media("clip.mp4"),
        "-vf select=eq(n\\,149) -frames:v 1 -f rawvideo -pix_fmt rgb24",
    );
    let snapshot = image::load_from_memory(&viewer.file("out.png"))
        .unwrap()
        .to_rgb8();
    assert_eq!(snapshot.dimensions(), (640, 360));
    let difference = difference(&snapshot, &last);
    assert!(difference < 3.0, "{difference} of 255");
}

#[test]
fn a_video_marked_as_rotated_arrives_upright() {
    let (sender, viewer) = play_media("rotated.mp4", "");
    assert_complete(&sender, &viewer, 30);
    assert_eq!(viewer.value("stream.width"), 180);
    assert_eq!(viewer.value("stream.height"), 320);
    let snapshot = image::load_from_memory(&viewer.file("out.png"))
        .unwrap()
        .to_rgb8();
    let [sky, grass] = [snapshot.get_pixel(90, 10).0, snapshot.get_pixel(90, 310).0];
    assert!(sky[2] > 200 && sky[2] > sky[1], "{sky:?} above");
    assert!(
        grass[1] > grass[0] && grass[1] > grass[2],
        "{grass:?} below"
    );
}

#[test]
fn a_variable_frame_rate_is_kept() {
    let (sender, viewer) = play_media("variable-rate.mp4", "");
    assert_complete(&sender, &viewer, 50);
    let duration = viewer.value("duration_s").as_f64().unwrap();
    assert!((2.2..2.9).contains(&duration), "{duration} s");
}

#[test]
fn motion_jpeg_travels_and_is_recorded_byte_for_byte() {
    let (sender, viewer) = play_media("mjpeg.avi", "");
    assert_complete(&sender, &viewer, 50);
    assert_eq!(sender.count("frames.passed_through"), 50);
    let source = ffmpeg(&media("mjpeg.avi"), "-c copy -f mjpeg");
    assert_eq!(in_recording(&viewer.file("out.mjpeg")).concat(), source);
}

#[test]
fn motion_jpeg_is_re_encoded_at_another_requested_size() {
    let (sender, viewer) = play_media("mjpeg.avi", "--size 160x90");
    assert_complete(&sender, &viewer, 50);
    assert_eq!(sender.count("frames.passed_through"), 0);
    assert_eq!(viewer.value("stream.width"), 160);
}

#[test]
fn stills_are_shown_in_the_order_of_their_names() {
    let (sender, viewer) = play_media("stills", "--fps 10");
    assert_complete(&sender, &viewer, 3);
    let snapshot = image::load_from_memory(&viewer.file("out.png")).unwrap();
    assert_eq!(
        (snapshot.width(), snapshot.height()),
        (320, 180),
        "the last one"
    );
}

#[test]
fn a_broken_still_is_skipped_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let still = std::fs::read(media("stills/scene-1.jpg")).unwrap();
    for (name, bytes) in [
        ("1.jpg", &*still),
        ("2.jpg", b"not a picture"),
        ("3.jpg", &still),
    ] {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let (sender, viewer) = play(folder.path().to_str().unwrap(), "--fps 10", "");
    assert_eq!(sender.count("frames.unreadable"), 1);
    assert_eq!(viewer.count("frames.shown"), 2);
    assert!(sender.said.contains("2.jpg"), "{}", sender.said);
}

#[test]
fn jpegs_from_a_pipe_travel_byte_for_byte() {
    let jpegs = ffmpeg(&media("mjpeg.avi"), "-c copy -f mjpeg");
    let address = address();
    let viewer = listening(address, "--once --output out.mjpeg");
    let mut sender = sender("-", address, "--fps 50").piped().run();
    sender.input().unwrap().write_all(&jpegs).unwrap();
    assert_complete(&sender.end().well(), &viewer.end().well(), 50);
}

#[test]
fn y4m_passes_through_pipes() {
    let y4m = ffmpeg(
        &media("clip.mp4"),
        "-frames:v 20 -f yuv4mpegpipe -pix_fmt yuv420p",
    );
    let address = address();
    let viewer = listening(address, "--once --output - --output-format y4m");
    let mut sender = sender("-", address, "--quality 95").piped().run();
    sender.input().unwrap().write_all(&y4m).unwrap();
    let (sender, viewer) = (sender.end().well(), viewer.end().well());
    assert_complete(&sender, &viewer, 20);

    let out = tempfile::Builder::new().suffix(".y4m").tempfile().unwrap();
    std::fs::write(out.path(), &viewer.output).unwrap();
    let arguments = "-f rawvideo -pix_fmt rgb24";
    let got = ffmpeg(out.path().to_str().unwrap(), arguments);
    std::fs::write(out.path(), &y4m).unwrap();
    let sent = ffmpeg(out.path().to_str().unwrap(), arguments);
    assert_eq!(got.len(), 20 * 640 * 360 * 3);
    let difference = difference(&got, &sent);
    assert!(difference < 3.0, "{difference} of 255");
}

#[test]
fn external_footage_arrives_complete() {
    for file in footage() {
        let (sender, viewer) = play(&file, "--duration 4s", "");
        let sent = sender.count("frames.sent");
        assert!(sent > 20, "{sent} frames of {file}");
        assert_complete(&sender, &viewer, sent);
    }
}

#[test]
fn max_fps_sends_without_waiting_and_loses_nothing() {
    let (sender, viewer) = play_media("clip.mp4", "--fps max");
    assert_complete(&sender, &viewer, 150);
    let duration = viewer.value("duration_s").as_f64().unwrap();
    assert!(duration < 4.0, "{duration} s");
}

#[test]
fn a_frame_never_exceeds_the_bytes_it_may_have() {
    let (sender, viewer) = play_media("clip.mp4", "--frames 20 --max-frame-bytes 9000");
    assert_complete(&sender, &viewer, 20);
    let lowered = sender.count("frames.quality_lowered") + sender.count("frames.scaled_down");
    assert!(lowered > 0, "{:#}", sender.report);
    assert!(viewer.count("bytes.jpeg") <= 20 * 9_000);
}
