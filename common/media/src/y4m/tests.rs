use proptest::prelude::*;

use super::*;
use crate::compressor::Compressor;
use crate::decoder::Decoder;
use crate::image::Image;

const KINDS: [Subsampling; 5] = [
    Subsampling::Yuv420,
    Subsampling::Yuv422,
    Subsampling::Yuv444,
    Subsampling::Yuv411,
    Subsampling::Gray,
];

/// Reads the planes of every frame, and the error that ended it.
fn read(bytes: &[u8]) -> Result<(Vec<Vec<u8>>, Option<Y4mError>), Y4mError> {
    let mut reader = Y4mReader::new(bytes)?;
    let mut frames = Vec::new();
    loop {
        match reader.next_frame() {
            Ok(true) => {}
            Ok(false) => return Ok((frames, None)),
            Err(error) => return Ok((frames, Some(error))),
        }
        let mut planes = vec![0; reader.header().frame_bytes()];
        match reader.read_planes(&mut planes) {
            Ok(()) => frames.push(planes),
            Err(error) => return Ok((frames, Some(error))),
        }
    }
}

#[test]
fn one_y4m_may_follow_another_and_lines_may_end_as_on_windows() {
    let first = b"YUV4MPEG2 W2 H1 Cmono\r\nFRAME Ip XA=1\r\nab\r\nFRAME\r\ncd\n";
    let second = b"YUV4MPEG2 W3 H1 Cmono\nFRAME\nefg\n\n";
    let (frames, error) = read(&[&first[..], second].concat()).unwrap();
    assert_eq!(frames, [&b"ab"[..], b"cd", b"efg"]);
    assert!(error.is_none());
}

#[test]
fn understands_the_headers_of_ffmpeg() {
    let header = Y4mHeader::parse(
        b"YUV4MPEG2 W641 H361 F30000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED",
    )
    .unwrap();
    assert_eq!((header.width, header.height), (641, 361));
    assert!((header.frame_rate().unwrap() - 29.97).abs() < 0.01);
    assert_eq!(
        (header.subsampling, header.full_range),
        (Subsampling::Yuv420, false)
    );
    let header = Y4mHeader::parse(b"YUV4MPEG2 W2 H2 F0:0 C444 XCOLORRANGE=FULL").unwrap();
    assert_eq!(
        (header.subsampling, header.full_range),
        (Subsampling::Yuv444, true)
    );
    assert_eq!(header.rate, None);
}

#[test]
fn uses_the_colour_space_of_an_extension_if_there_is_no_other() {
    for (line, subsampling, bits) in [
        ("XYSCSS=444", Subsampling::Yuv444, 8),
        ("XYSCSS=422P10", Subsampling::Yuv422, 10),
        ("C422 XYSCSS=444", Subsampling::Yuv422, 8),
        ("XYSCSS=444 C420paldv\r", Subsampling::Yuv420, 8),
    ] {
        let header = Y4mHeader::parse(format!("YUV4MPEG2 W2 H2 {line}").as_bytes()).unwrap();
        assert_eq!(
            (header.subsampling, header.bits),
            (subsampling, bits),
            "{line}"
        );
    }
}

#[test]
fn repeats_chroma_that_several_rows_share() {
    let planes = |kind: &str, chroma: [&[u8]; 2]| {
        let line = format!("YUV4MPEG2 W2 H5 C{kind} XCOLORRANGE=FULL");
        let header = Y4mHeader::parse(line.as_bytes()).unwrap();
        let mut frame = [&[9; 10], chroma[0], chroma[1]].concat();
        assert_eq!(header.frame_bytes(), frame.len(), "{kind}");
        header.to_planes(&mut frame);
        assert_eq!(frame.len(), header.subsampling.bytes(2, 5));
        assert_eq!(frame[..10], [9; 10]);
        (header.subsampling, frame.split_off(10))
    };
    let (kind, chroma) = planes("440", [&[1, 2, 3, 4, 5, 6], &[0; 6]]);
    assert_eq!(kind, Subsampling::Yuv444);
    assert_eq!(chroma[..10], [1, 2, 1, 2, 3, 4, 3, 4, 5, 6]);
    let (kind, chroma) = planes("410", [&[1, 2], &[3, 4]]);
    assert_eq!(kind, Subsampling::Yuv411);
    assert_eq!(chroma, [1, 1, 1, 1, 2, 3, 3, 3, 3, 4]);
}

#[test]
fn fails_for_unsupported_colour_spaces() {
    for kind in ["420p99", "444beta", "430", "4\u{20ac}2", ""] {
        let line = format!("YUV4MPEG2 W2 H2 C{kind}");
        let outcome = Y4mHeader::parse(line.as_bytes());
        assert!(matches!(outcome, Err(Y4mError::Kind(named)) if named == kind));
    }
    // The file's author chose this text: it is escaped.
    let strange = Y4mHeader::parse(b"YUV4MPEG2 W2 H2 C\x1b[2J\x07").unwrap_err();
    assert!(
        !strange.to_string().contains(char::is_control),
        "{strange:?}"
    );
    let no_size = Y4mHeader::parse(b"YUV4MPEG2 W2");
    assert!(matches!(no_size, Err(Y4mError::NoSize)));
    let other = Y4mHeader::parse(b"RIFF");
    assert!(matches!(other, Err(Y4mError::NotY4m)));
    for size in ["W16000 H16000", "W4294967296 H4294967296"] {
        let huge = Y4mHeader::parse(format!("YUV4MPEG2 {size}").as_bytes());
        assert!(matches!(huge, Err(Y4mError::TooLarge(..))));
    }
}

#[test]
fn reads_frames_of_odd_size_and_reports_truncation() {
    let mut bytes = b"YUV4MPEG2 W3 H3 F25:1 C420jpeg\nFRAME\n".to_vec();
    bytes.extend([16; 9]);
    bytes.extend([128; 8]);
    bytes.extend(b"FRAME Ip\n");
    bytes.extend([235; 9]);
    bytes.extend([240; 8]);
    let (frames, error) = read(&bytes).unwrap();
    assert!(error.is_none());
    let of = |luma, chroma| [[luma; 9].as_slice(), &[chroma; 8]].concat();
    assert_eq!(frames, [of(16, 128), of(235, 240)]);
    for cut in [1, 8, 17, 18, 25] {
        let (frames, error) = read(&bytes[..bytes.len() - cut]).unwrap();
        assert_eq!(frames.len(), 1, "{cut}");
        assert!(matches!(error, Some(Y4mError::CutOff(_))), "{cut}");
    }
    for cut in [0, 5, 29] {
        let outcome = read(&bytes[..cut]);
        assert!(matches!(outcome, Err(Y4mError::CutOff(_))), "{cut}");
    }
    let frame = bytes.windows(5).rposition(|word| word == b"FRAME").unwrap();
    bytes[frame] = b'X';
    let (frames, error) = read(&bytes).unwrap();
    assert_eq!(frames.len(), 1);
    assert!(matches!(error, Some(Y4mError::NotAFrame)));
    let endless = [Y4M_START, &[b'x'; 5000]].concat();
    assert!(matches!(read(&endless), Err(Y4mError::EndlessLine)));
}

#[test]
fn reads_the_frames_that_it_wrote() {
    let mut compressor = Compressor::new().unwrap();
    let mut decoder = Decoder::new().unwrap();
    let mut planes = Planes::default();
    for subsampling in KINDS {
        let header = Y4mHeader {
            width: 33,
            height: 19,
            rate: Some((30_000, 1001)),
            subsampling,
            chroma_rows: 1,
            bits: 8,
            has_alpha: false,
            aspect: (1, 1),
            full_range: true,
        };
        let mut samples = vec![90; 33 * 19];
        samples.resize(header.frame_bytes(), 140);
        let image = Image::yuv(33, 19, subsampling, samples.clone().into()).unwrap();
        let jpeg = compressor.compress(&image, 100).unwrap();
        decoder.decode_planes(&jpeg, &mut planes).unwrap();
        let mut bytes = header.to_string().into_bytes();
        for _ in 0..2 {
            write_frame(&planes, &mut bytes).unwrap();
        }
        let reader = Y4mReader::new(bytes.as_slice()).unwrap();
        assert_eq!(reader.header(), &header);
        let (frames, error) = read(&bytes).unwrap();
        assert!(error.is_none());
        assert_eq!(frames, [samples.clone(), samples], "{subsampling:?}");
    }
}

#[test]
fn expands_only_limited_range() {
    let mut header = Y4mHeader::parse(b"YUV4MPEG2 W2 H1 C444").unwrap();
    let mut planes = vec![16, 235, 128, 240, 16, 16];
    header.to_planes(&mut planes);
    assert_eq!(planes, [0, 255, 128, 255, 0, 0]);
    header.full_range = true;
    let mut planes = vec![16, 235, 128, 240, 16, 16];
    header.to_planes(&mut planes);
    assert_eq!(planes, [16, 235, 128, 240, 16, 16]);
}

proptest! {
    #[test]
    fn takes_any_bytes(
        start in prop_oneof![
            Just(&b""[..]),
            Just(Y4M_START),
            Just(&b"YUV4MPEG2 W4 H2\n"[..]),
            Just(&b"YUV4MPEG2 W1 H1 Cmono\nFRAME\nx"[..]),
        ],
        rest in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        // Any result is right; a panic is not.
        let _ = read(&[start, &rest].concat());
    }

    #[test]
    fn takes_any_header_line(line in "YUV4MPEG2( [WHFICAX]{0,2}[0-9a-z:=]{0,20}){0,8}") {
        if let Ok(header) = Y4mHeader::parse(line.as_bytes()) {
            let pixels = header.width * header.height;
            prop_assert!((1..=MAX_PIXELS).contains(&pixels));
            let again = Y4mHeader::parse(header.to_string().trim_end().as_bytes());
            prop_assert_eq!(again.unwrap(), header);
        }
    }
}
