use bytes::Bytes;

use super::*;
use crate::encode::{Encoder, Settings};
use crate::source::Pattern;

/// The test picture with this number, as a small JPEG.
fn jpeg(number: u64) -> Bytes {
    let picture = Pattern::new(48, 32, 30.0).unwrap().picture(number).unwrap();
    let mut encoder = Encoder::new(Settings::default()).unwrap();
    encoder.encode(&Content::Image(picture)).unwrap().jpeg
}

#[test]
fn plays_a_file_again_and_a_pipe_once() {
    let stream = [jpeg(1), jpeg(2)].concat();
    let mut pipe = Mjpeg::stream(std::io::Cursor::new(stream), "pipe", None);
    assert_eq!(pipe.next().unwrap().unwrap().media_time, None);
    assert!(pipe.next().unwrap().is_some());
    assert!(pipe.next().unwrap().is_none());
    assert!(!pipe.rewind().unwrap());

    let mut empty = Mjpeg::stream(&b"\xFF\xD8\xFF\xE0"[..], "pipe", None);
    assert!(empty.next().is_err());
}

#[test]
fn a_recording_with_times_between_its_jpegs_plays_at_them() {
    let header = |time: &str| format!("\r\n--frame\r\nx-timestamp: {time}\r\n\r\n").into_bytes();
    let play = |parts: &[Vec<u8>]| {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(&file, parts.concat()).unwrap();
        let mut source = Mjpeg::file(file.path(), None).unwrap();
        let mut times = Vec::new();
        while let Some(frame) = source.next().unwrap() {
            times.push(frame.media_time.unwrap().as_millis());
        }
        assert!(source.rewind().unwrap());
        let again = source.next().unwrap().unwrap();
        times.push(again.media_time.unwrap().as_millis());
        (times, source.frame_rate().unwrap())
    };
    let [one, two, three] = [1, 2, 3].map(|number| jpeg(number).to_vec());
    // Recordings of the viewer begin with a JPEG.
    let (times, rate) = play(&[
        one.clone(),
        header("0.100000"),
        two.clone(),
        header("0.225"),
        three.clone(),
    ]);
    assert_eq!(times, [0, 100, 225, 350]);
    assert_eq!(rate, 8.0);
    // A saved answer of a camera begins with a header, and its times count from 1970.
    let (times, rate) = play(&[
        header("1700000000.5"),
        one.clone(),
        header("1700000000.7"),
        two.clone(),
        header("1700000000.95"),
        three.clone(),
    ]);
    assert_eq!(times, [0, 200, 450, 700]);
    assert_eq!(rate, 4.0);
    let (times, rate) = play(&[one, two, three]);
    assert_eq!((times, rate), (vec![0, 40, 80, 120], 25.0));
}
