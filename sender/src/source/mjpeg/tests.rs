use bytes::Bytes;

use super::*;
use crate::encode::{Encoder, Settings};
use crate::source::Pattern;

/// The test picture of this number as a small JPEG.
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
