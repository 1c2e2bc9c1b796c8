use std::sync::LazyLock;

use proptest::prelude::*;
use turbojpeg::{Compressor, Image, PixelFormat};

use super::*;

/// One of four small JPEGs.
fn jpeg(number: usize) -> Bytes {
    static JPEGS: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
        let mut compressor = Compressor::new().unwrap();
        let mut encode = |number: usize| {
            let pixels: Vec<u8> = (0..48 * 32 * 3)
                .map(|at| (at * number % 251) as u8)
                .collect();
            let image = Image {
                pixels: pixels.as_slice(),
                width: 48,
                pitch: 48 * 3,
                height: 32,
                format: PixelFormat::BGR,
            };
            compressor.compress_to_vec(image).unwrap().into()
        };
        (1..=4).map(&mut encode).collect()
    });
    JPEGS[number - 1].clone()
}

/// `jpeg` with another one in an application segment, like a camera's thumbnail.
fn with_thumbnail(jpeg: &[u8], thumbnail: &[u8]) -> Vec<u8> {
    let len = u16::try_from(thumbnail.len() + 2).unwrap();
    [
        &jpeg[..2],
        &[0xFF, 0xE1],
        &len.to_be_bytes(),
        thumbnail,
        &jpeg[2..],
    ]
    .concat()
}

fn split(bytes: &[u8], piece: usize) -> (Vec<Bytes>, u64) {
    let mut splitter = Splitter::new();
    let mut jpegs = Vec::new();
    for piece in bytes.chunks(piece.max(1)) {
        splitter.push(piece);
        jpegs.extend(std::iter::from_fn(|| splitter.next_jpeg()));
    }
    splitter.end();
    jpegs.extend(std::iter::from_fn(|| splitter.next_jpeg()));
    (jpegs, splitter.broken())
}

#[test]
fn cuts_at_every_piece_size_and_past_thumbnails() {
    let jpegs = [jpeg(1), with_thumbnail(&jpeg(2), &jpeg(3)).into(), jpeg(4)];
    let stream = [
        b"--boundary\r\nContent-Type: image/jpeg\r\n\r\n",
        &jpegs[0][..],
        b"\r\n--boundary\xFF\r\n\r\n",
        &jpegs[1],
        &jpegs[2],
    ]
    .concat();
    for piece in [1, 2, 3, 7, 64, 1000, stream.len()] {
        assert_eq!(
            split(&stream, piece),
            (jpegs.to_vec(), 0),
            "pieces of {piece}"
        );
    }
}

#[test]
fn a_jpeg_without_end_extends_to_the_next_and_a_mere_header_is_broken() {
    let (one, two) = (jpeg(1), jpeg(2));
    let open = one.slice(..one.len() - 2);
    let both = vec![open.clone(), two.clone()];
    assert_eq!(split(&[&open[..], &two].concat(), 100), (both, 0));
    assert_eq!(split(&open, 100), (vec![open.clone()], 0));
    // After the JFIF segment.
    let head = &one[..20];
    assert_eq!(split(&[head, &two].concat(), 100), (vec![two], 1));
    assert_eq!(split(head, 100), (vec![], 1));
}

/// The bytes of a JPEG from its start to after this marker's length.
fn up_to(jpeg: &[u8], code: u8) -> &[u8] {
    let at = jpeg.windows(2).position(|two| two == [0xFF, code]).unwrap();
    &jpeg[..at + 4]
}

#[test]
fn one_that_broke_off_within_a_segment_takes_no_other_with_it() {
    let (one, two) = (jpeg(1), with_thumbnail(&jpeg(2), &jpeg(3)));
    let thumbnail = with_thumbnail(&one, &jpeg(4));
    // The number of broken ones; the last case includes its thumbnail.
    let heads = [
        (up_to(&one, 0xE0), 1),
        (&[up_to(&one, 0xDB), &[0, 9, 9]].concat(), 1),
        (&[up_to(&one, 0xC4), &[0, 9]].concat(), 1),
        (up_to(&one, 0xC0), 1),
        (up_to(&one, 0xDA), 1),
        (&thumbnail[..30], 2),
    ];
    let both = vec![Bytes::from(two.clone()), one.clone()];
    for (head, broken) in heads {
        for piece in [1, 7, 10_000] {
            let stream = [head, &two, &one].concat();
            assert!(
                split(&stream, piece) == (both.clone(), broken),
                "{head:02x?}"
            );
            let stream = [head, &one].concat();
            assert!(
                split(&stream, piece) == (both[1..].to_vec(), broken),
                "{head:02x?}"
            );
        }
    }
}

#[test]
fn tables_without_an_image_are_handed_out_where_they_end() {
    let (one, two) = (jpeg(1), jpeg(2));
    let at = one.windows(2).position(|two| two == [0xFF, 0xDB]).unwrap();
    let tables = [&one[..2], &one[at..at + 69], &[0xFF, 0xD9]].concat();
    let both = vec![Bytes::from(tables.clone()), two.clone()];
    assert_eq!(split(&[&tables[..], &two].concat(), 9), (both, 0));
    let open = &tables[..tables.len() - 2];
    assert_eq!(split(&[open, &two].concat(), 9), (vec![two], 1));
}

#[test]
fn a_doubled_start_is_no_jpeg_of_its_own() {
    let doubled = [&[0xFF, 0xD8], &jpeg(1)[..]].concat();
    let both = vec![Bytes::from(doubled.clone()), jpeg(2)];
    assert_eq!(split(&[&doubled[..], &jpeg(2)].concat(), 50), (both, 0));
}

#[test]
fn gives_up_on_a_jpeg_without_end() {
    let mut splitter = Splitter::new();
    splitter.push(&jpeg(1)[..700]);
    let mut most = 0;
    for _ in 0..3 * MAX_FRAME_BYTES / READ {
        splitter.push(&[0x55; READ]);
        assert_eq!(splitter.next_jpeg(), None);
        most = most.max(splitter.held());
    }
    assert_eq!(splitter.broken(), 1);
    assert!(most <= MAX_FRAME_BYTES + 2 * READ, "{most} bytes were held");
}

proptest! {
    #[test]
    fn takes_any_bytes(
        pieces in proptest::collection::vec(
            prop_oneof![
                proptest::collection::vec(any::<u8>(), 0..50),
                Just(vec![0xFF, 0xD8, 0xFF]),
                Just(vec![0xFF, 0xDA, 0, 3, 1]),
                Just(vec![0xFF, 0xD9]),
                Just(vec![0xFF, 0xE0, 0, 9]),
            ],
            0..60,
        ),
        piece in 1_usize..40,
    ) {
        let bytes = pieces.concat();
        let (complete, broken) = split(&bytes, bytes.len());
        let (jpegs, broken_in_pieces) = split(&bytes, piece);
        prop_assert_eq!(&complete, &jpegs);
        prop_assert_eq!(broken, broken_in_pieces);
        for jpeg in jpegs {
            prop_assert!(jpeg.starts_with(&[0xFF, 0xD8, 0xFF]));
        }
    }

    #[test]
    fn finds_complete_jpegs_between_any_junk(
        junk in proptest::collection::vec(proptest::collection::vec(0_u8..0xFF, 0..30), 4),
        piece in 1_usize..2000,
    ) {
        let jpegs = vec![jpeg(1), jpeg(2), jpeg(3)];
        let mut stream = junk[0].clone();
        for (jpeg, junk) in jpegs.iter().zip(&junk[1..]) {
            stream.extend_from_slice(jpeg);
            stream.extend_from_slice(junk);
        }
        prop_assert_eq!(split(&stream, piece), (jpegs, 0));
    }
}

#[test]
fn bytes_before_a_jpeg_are_returned_however_they_were_read() {
    let one = jpeg(1);
    let stream = [b"one", &one[..], &one, b"two", &one, &[7; 1_000], &one].concat();
    for piece in [1, 5, 4_096] {
        let mut splitter = Splitter::new();
        let mut leads = Vec::new();
        for bytes in stream.chunks(piece) {
            splitter.push(bytes);
            while splitter.next_jpeg().is_some() {
                leads.push(splitter.lead().to_vec());
            }
        }
        assert_eq!(
            leads,
            [b"one".to_vec(), vec![], b"two".to_vec(), vec![7; MAX_LEAD]]
        );
    }
}
