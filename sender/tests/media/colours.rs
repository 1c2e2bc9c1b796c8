//! The planes that go to the encoder, beside those of FFmpeg's own conversion.

use std::fs;

use framegram_media::{Pixels, Subsampling};
use framegram_send::source::{Content, Spec, open};

use super::{Media, ffmpeg, request};

/// A gradient between colours. FFmpeg converts the matrix by way of RGB and filters chroma, so that
/// only pictures without edges show how samples are converted.
const GRADIENT: &str =
    "gradients=s=162x92:c0=0x402080:c1=0xd0b030:c2=0x20c0a0:nb_colors=3:seed=5:duration=1";

/// The size of the picture, and that to which it is cropped so that both sides are odd.
const EVEN: (usize, usize) = (162, 92);
const ODD: (usize, usize) = (161, 91);

const EXACT: &str = "accurate_rnd+full_chroma_int+bitexact";

/// A file with the picture in this matrix and range, and FFmpeg's conversion of it to what JPEG
/// uses, one plane after the other.
fn gradient(pixels: &str, full: &str, matrix: &str, range: &str) -> (Media, Vec<u8>) {
    let scale = format!("scale=out_color_matrix={matrix}:out_range={range}:flags={EXACT}");
    let marks = format!("-c:v ffv1 -colorspace {matrix} -color_range {range}");
    let media = Media::make(
        "gradient.mkv",
        &format!("-f lavfi -i {GRADIENT} -vf {scale},format={pixels} -frames:v 1 {marks}"),
    );
    let converted = media.folder.path().join("converted.yuv");
    let from = format!("in_color_matrix={matrix}:in_range={range}");
    let to = "out_color_matrix=smpte170m:out_range=pc";
    let input = media.file.display();
    ffmpeg(
        &format!("-i {input} -vf scale={from}:{to}:flags={EXACT},format={full} -f rawvideo"),
        &converted,
    );
    let expected = fs::read(converted).unwrap();
    (media, expected)
}

/// The planes of a file's only picture, as the encoder gets them.
fn planes(media: &Media) -> (Subsampling, (usize, usize), Vec<u8>) {
    let mut source = open(&Spec::Path(media.file.clone()), &request(true)).unwrap();
    let Content::Image(image) = source.next().unwrap().unwrap().content else {
        panic!("the file has no JPEG");
    };
    match image.pixels() {
        Pixels::Yuv(kind, planes) => (*kind, (image.width(), image.height()), planes.to_vec()),
        _ => panic!("the file has planes"),
    }
}

/// The part of an even picture that an odd one keeps.
fn cropped(kind: Subsampling, planes: &[u8]) -> Vec<u8> {
    let chroma = kind.chroma(ODD.0, ODD.1);
    let sizes = [Some(ODD), chroma, chroma];
    let planes = kind.split(EVEN.0, EVEN.1, planes).zip(sizes);
    let rows = planes.flat_map(|((plane, pitch, _), size)| {
        let (width, height) = size.unwrap();
        let rows = plane.chunks_exact(pitch).take(height);
        rows.map(move |row| &row[..width])
    });
    rows.collect::<Vec<_>>().concat()
}

#[track_caller]
fn assert_near(got: &[u8], expected: &[u8], name: &str) {
    assert_eq!(got.len(), expected.len(), "{name}");
    let off = got.iter().zip(expected).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(off <= Some(1), "{name}: {off:?} levels off");
}

#[test]
fn matrix_and_range_are_converted_as_by_ffmpeg_within_one_level() {
    for (pixels, full) in [
        ("yuv420p", "yuvj420p"),
        ("yuv422p", "yuvj422p"),
        ("yuv444p", "yuvj444p"),
        ("yuv420p10le", "yuvj420p"),
        ("yuv444p10le", "yuvj444p"),
    ] {
        for (matrix, range) in [
            ("bt709", "tv"),
            ("bt709", "pc"),
            ("smpte170m", "tv"),
            ("smpte170m", "pc"),
        ] {
            let name = format!("{pixels}, {matrix}, {range}");
            let (media, expected) = gradient(pixels, full, matrix, range);
            let (kind, size, got) = planes(&media);
            assert_eq!(size, EVEN, "{name}");
            assert_near(&got, &expected, &name);

            let odd = media.folder.path().join("odd.mkv");
            let input = media.file.display();
            ffmpeg(
                &format!("-i {input} -vf crop=161:91:0:0:exact=1 -c:v ffv1"),
                &odd,
            );
            let media = Media { file: odd, ..media };
            let (kind_of_odd, size, got) = planes(&media);
            assert_eq!((kind_of_odd, size), (kind, ODD), "{name}");
            assert_near(&got, &cropped(kind, &expected), &format!("{name}, odd"));
        }
    }
}
