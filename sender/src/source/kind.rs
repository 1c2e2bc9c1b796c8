//! Identifies the content of a file or a pipe by its first bytes.

use std::io::{self, Read};

/// The kind of content, which determines the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileKind {
    /// JPEGs, with anything before the first one.
    Jpeg,
    /// JPEGs with a server's headers between them.
    Multipart,
    Png,
    Y4m,
    /// Anything else, which FFmpeg may know.
    Other,
}

/// Number of first bytes that distinguish the kinds.
const SNIFF: usize = 10;

/// Upper bound on the bytes before the first JPEG: lines that a script prints, or the rest of a
/// truncated JPEG.
const MAX_JUNK: usize = 256 << 10;

/// How a camera's answer begins, with its header or without.
const MULTIPART: [&[u8]; 5] = [b"--", b"\r\n--", b"\n--", b"HTTP/1.", b"Content-"];

/// First bytes of containers and streams that may contain JPEGs and that FFmpeg demultiplexes: AVI,
/// Matroska, Ogg, FLV, ASF, MPEG, H.264, and images.
const CONTAINERS: [&[u8]; 10] = [
    JPEG_LS,
    b"RIFF",
    &[0x1a, 0x45, 0xdf, 0xa3],
    b"OggS",
    b"FLV",
    &[0x30, 0x26, 0xb2, 0x75],
    &[0, 0, 1],
    &[0, 0, 0, 1],
    b"GIF8",
    b"#EXTM3U",
];

/// The atoms that QuickTime and MP4 begin with, after their length.
const ATOMS: [&[u8]; 7] = [
    b"ftyp", b"moov", b"mdat", b"free", b"skip", b"wide", b"pnot",
];

/// A start of image and the first byte of the next marker.
const START: [u8; 3] = [0xff, 0xd8, 0xff];

/// JPEG-LS is another format with the same start.
const JPEG_LS: &[u8] = &[0xff, 0xd8, 0xff, 0xf7];

/// Possible second markers of a JPEG.
const SECOND: [u8; 22] = [
    0xc0, 0xc1, 0xc2, 0xc4, 0xdb, 0xdd, 0xfe, 0xe0, 0xe1, 0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8,
    0xe9, 0xea, 0xeb, 0xec, 0xed, 0xee,
];

/// Identifies `input` by its first bytes, which are returned too.
///
/// # Errors
/// If reading fails.
pub(super) fn of(input: &mut impl Read) -> io::Result<(FileKind, Vec<u8>)> {
    let mut start = Vec::new();
    read_up_to(input, SNIFF, &mut start)?;
    let kind = by_start(&start);
    if kind != FileKind::Other || is_container(&start) {
        return Ok((kind, start));
    }
    // If nothing else is known, the first JPEG decides.
    let mut searched = 0;
    loop {
        if holds_jpeg(start.get(searched..).unwrap_or_default()) {
            return Ok((FileKind::Jpeg, start));
        }
        let len = start.len();
        searched = len.saturating_sub(START.len());
        if len >= MAX_JUNK || read_up_to(input, len + 1, &mut start)? == 0 {
            return Ok((FileKind::Other, start));
        }
    }
}

fn by_start(start: &[u8]) -> FileKind {
    if start.starts_with(JPEG_LS) {
        FileKind::Other
    } else if start.starts_with(&START) {
        FileKind::Jpeg
    } else if start.starts_with(b"\x89PNG\r\n\x1a\n") {
        FileKind::Png
    } else if start.starts_with(b"YUV4MPEG2 ") {
        FileKind::Y4m
    } else if MULTIPART.iter().any(|begin| start.starts_with(begin)) {
        FileKind::Multipart
    } else {
        FileKind::Other
    }
}

/// Whether it begins like a container that FFmpeg demultiplexes.
pub(super) fn is_container(start: &[u8]) -> bool {
    let atom = start.get(4..).unwrap_or_default();
    // A line of text may begin like an MPEG-TS packet.
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    let is_ts = start.starts_with(b"\x47") && !start.iter().take(SNIFF).all(is_text);
    is_ts
        || CONTAINERS.iter().any(|begin| start.starts_with(begin))
        || ATOMS.iter().any(|name| atom.starts_with(name))
}

/// Whether what begins like this is a file that FFmpeg has to read back in: a GIF,
/// or a QuickTime or MP4 file whose frames stand before its index.
pub(super) fn reads_back(start: &[u8]) -> bool {
    if start.starts_with(b"GIF8") {
        return true;
    }
    let mut rest = start;
    loop {
        match rest.get(4..8) {
            Some(b"mdat") => return true,
            Some(b"ftyp" | b"free" | b"skip" | b"wide" | b"pnot") => {}
            _ => return false,
        }
        let len = rest.first_chunk().map_or(0, |len| u32::from_be_bytes(*len));
        rest = match rest.get(len as usize..) {
            Some(behind) if len >= 8 => behind,
            _ => return false,
        };
    }
}

/// Whether a PNG is one of several frames
/// (<https://www.w3.org/TR/png-3/#acTL-chunk>).
pub(super) fn is_animated(start: &[u8]) -> bool {
    let until = memchr::memmem::find(start, b"IDAT").unwrap_or(start.len());
    memchr::memmem::find(&start[..until], b"acTL").is_some()
}

/// Whether a JPEG begins within it.
pub(super) fn holds_jpeg(bytes: &[u8]) -> bool {
    memchr::memmem::find_iter(bytes, &START).any(|at| {
        bytes
            .get(at + START.len())
            .is_some_and(|code| SECOND.contains(code))
    })
}

/// Reads until at least `len` bytes are there, or until the end. Returns how many bytes were added.
fn read_up_to(input: &mut impl Read, len: usize, bytes: &mut Vec<u8>) -> io::Result<usize> {
    let before = bytes.len();
    let mut piece = [0; 4 << 10];
    while bytes.len() < len {
        match input.read(&mut piece) {
            Ok(0) => break,
            Ok(more) => bytes.extend_from_slice(&piece[..more]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes.len() - before)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads in pieces of this many bytes.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let len = self.1.min(self.0.len()).min(out.len());
            let (piece, rest) = self.0.split_at(len);
            out[..len].copy_from_slice(piece);
            self.0 = rest;
            Ok(len)
        }
    }

    #[test]
    fn files_whose_index_is_at_the_end_are_read_back() {
        let atom = |len: u32, name: &[u8; 4]| {
            let mut atom = [&len.to_be_bytes(), &name[..]].concat();
            atom.resize(len as usize, 0);
            atom
        };
        let [kind, wide, index] = [atom(20, b"ftyp"), atom(8, b"wide"), atom(64, b"moov")];
        let frames = atom(900, b"mdat");
        for (file, is_read_back) in [
            ([&kind[..], &wide, &frames, &index].concat(), true),
            ([&kind[..], &frames[..9]].concat(), true),
            ([&kind[..], &index, &frames].concat(), false),
            (b"GIF89a....".to_vec(), true),
            (atom(0, b"ftyp"), false),
            (vec![], false),
        ] {
            assert_eq!(reads_back(&file), is_read_back, "{:02x?}", file.get(..9));
        }
    }

    #[test]
    fn the_first_jpeg_tells_where_nothing_else_is_known() {
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 0, 16];
        let log = b"Got a camera\nstreaming\n".repeat(40);
        let cut = vec![0x55; 100_000];
        let mp4 = b"\0\0\0\x18ftypisom".to_vec();
        let ts = b"\x47\x40\x11\x10".repeat(9);
        for (before, kind) in [
            (vec![], FileKind::Jpeg),
            (log, FileKind::Jpeg),
            (cut, FileKind::Jpeg),
            (vec![0; MAX_JUNK + (8 << 10)], FileKind::Other),
            (b"--frame\r\n".to_vec(), FileKind::Multipart),
            (b"RIFF....AVI ".to_vec(), FileKind::Other),
            (mp4, FileKind::Other),
            (ts, FileKind::Other),
        ] {
            let bytes = [&before[..], &jpeg].concat();
            for piece in [7, 1_000, 1 << 20] {
                let (found, start) = of(&mut Pieces(&bytes, piece)).unwrap();
                assert_eq!(found, kind, "{:02x?}", &bytes[..6]);
                assert!(bytes.starts_with(&start));
            }
        }
        assert_eq!(of(&mut io::empty()).unwrap(), (FileKind::Other, vec![]));
    }
}
