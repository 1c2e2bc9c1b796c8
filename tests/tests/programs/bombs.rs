//! Small files that claim to be large. Each is refused with one line, and takes
//! little memory.

use std::fs;
use std::path::Path;

use framegram_tests::program::{LAB, SENDER, Start, VIEWER, address, media};
use turbojpeg::{Compressor, Image, PixelFormat, Subsamp};

/// The limit of a program's memory in bytes (`RLIMIT_DATA`), which includes the
/// stacks of its threads. A program that needs more is aborted.
const MEMORY: u64 = 512 << 20;

/// Runs a program with a file and more arguments. Returns its last line.
fn refused(program: &str, arguments: &str, file: &Path, more: &str) -> String {
    let limit = format!("--data={MEMORY}");
    let start = Start::by(&["prlimit", &limit], program, arguments);
    let start = start.with([file]).with(more.split_whitespace());
    let ended = start.run_plain().end();
    assert_eq!(ended.code, Some(1), "{}: {}", file.display(), ended.said);
    ended.said.lines().last().unwrap_or_default().to_owned()
}

fn jpeg() -> Vec<u8> {
    let mut compressor = Compressor::new().unwrap();
    compressor.set_subsamp(Subsamp::Gray).unwrap();
    let image = Image {
        pixels: &vec![90_u8; 64 * 64][..],
        width: 64,
        pitch: 64,
        height: 64,
        format: PixelFormat::GRAY,
    };
    compressor.compress_to_vec(image).unwrap()
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    let found = bytes.windows(what.len()).rposition(|at| at == what);
    found.unwrap()
}

/// A JPEG that claims to have the largest possible size.
fn large_jpeg() -> Vec<u8> {
    let mut jpeg = jpeg();
    let frame = find(&jpeg, &[0xff, 0xc0]);
    jpeg[frame + 5..frame + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
    jpeg
}

/// A PNG that claims this size and has no pixels.
fn png(side: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [&kind[..], data].concat();
        let crc = crc32(&body).to_be_bytes();
        [&(data.len() as u32).to_be_bytes()[..], &body, &crc].concat()
    };
    let size = [side.to_be_bytes(), side.to_be_bytes()].concat();
    let head = [&size[..], &[8, 6, 0, 0, 0]].concat();
    // An empty stream of zlib.
    let data = [0x78, 0x9c, 3, 0, 0, 0, 0, 1];
    let chunks = [
        chunk(b"IHDR", &head),
        chunk(b"IDAT", &data),
        chunk(b"IEND", &[]),
    ];
    [&b"\x89PNG\r\n\x1a\n"[..], &chunks.concat()].concat()
}

/// CRC-32 (<https://www.w3.org/TR/png/#D-CRCAppendix>).
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    };
    !bytes.iter().fold(u32::MAX, step)
}

/// A Motion JPEG file whose header, and whose JPEGs, claim the largest possible
/// size.
fn avi() -> Vec<u8> {
    let mut avi = fs::read(media("mjpeg.avi")).unwrap();
    let format = find(&avi, b"strf");
    let side = 65_500_u32.to_le_bytes();
    avi[format + 12..format + 20].copy_from_slice(&[side, side].concat());
    for at in 0..avi.len() - 9 {
        if avi[at..].starts_with(&[0xff, 0xc0, 0, 17, 8]) {
            avi[at + 5..at + 9].copy_from_slice(&[0xff, 0xdc, 0xff, 0xdc]);
        }
    }
    avi
}

#[test]
fn a_sender_refuses_files_that_claim_too_much() {
    let folder = tempfile::tempdir().unwrap();
    let bombs: [(&str, Vec<u8>, &str); 6] = [
        ("large.jpg", large_jpeg(), "65500x65500"),
        ("large.mjpeg", large_jpeg().repeat(3), "65500x65500"),
        ("large.png", png(65_500), "65500x65500"),
        ("gigabyte.png", png(16_384), "16384"),
        ("large.avi", avi(), "65500x65500"),
        (
            "large.y4m",
            b"YUV4MPEG2 W65500 H65500 F25:1 C420\nFRAME\n".repeat(2),
            "65500x65500",
        ),
    ];
    for (name, bytes, told) in bombs {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        let line = refused(SENDER, "", &path, &address().to_string());
        assert!(line.contains(told), "{name}: {line}");
    }
}

#[test]
fn an_endless_file_is_read_up_to_a_limit() {
    let zero = Path::new("/dev/zero");
    let line = refused(VIEWER, "--headless --sdp", zero, "");
    assert!(line.contains("larger than 65536 bytes"), "{line}");
    for (arguments, more) in [
        ("check", "--log /dev/null"),
        ("what-if", ""),
        ("analyze", ""),
    ] {
        let line = refused(LAB, arguments, zero, more);
        assert!(line.contains("/dev/zero"), "{arguments}: {line}");
    }
}
