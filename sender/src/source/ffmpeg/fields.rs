//! Packets of Motion JPEG with the two fields of interlaced video, each a JPEG.

use bytes::Bytes;
use ffmpeg_next::Packet;
use framegram_common::jpeg::{JpegHeader, Splitter, clean};

/// Whether a packet holds a JPEG of all rows: of the `height` that the container
/// says, or, where that is wrong, neither of the two fields nor one of them.
pub(super) fn is_picture(packet: &[u8], height: u32) -> bool {
    // Its height may stand behind the scan.
    let cleaned = clean(&Bytes::copy_from_slice(packet));
    let Ok(header) = cleaned.and_then(|cleaned| JpegHeader::parse(&cleaned)) else {
        return false;
    };
    let is_single = jpegs(packet).len() < 2;
    u32::from(header.height) == height || !header.is_field && is_single
}

/// Whether a packet is one field by itself.
pub(super) fn is_field(packet: &Packet) -> bool {
    let data = packet.data().unwrap_or_default();
    let is_field = JpegHeader::parse(data).is_ok_and(|header| header.is_field);
    is_field && jpegs(data).len() < 2
}

/// A packet of two fields of which the first lacks its end, which FFmpeg asks for;
/// `None` where nothing is missing.
pub(super) fn completed(packet: &Packet) -> Option<Packet> {
    let fields = jpegs(packet.data()?);
    let is_open = |field: &Bytes| !field.ends_with(&END);
    if fields.len() != 2 || !fields.iter().any(is_open) {
        return None;
    }
    let cleaned: Result<Vec<_>, _> = fields.iter().map(clean).collect();
    let mut completed = Packet::copy(&cleaned.ok()?.concat());
    completed.set_pts(packet.pts());
    completed.set_dts(packet.dts());
    Some(completed)
}

/// An end of image.
const END: [u8; 2] = [0xff, 0xd9];

fn jpegs(packet: &[u8]) -> Vec<Bytes> {
    let mut splitter = Splitter::new();
    splitter.push(packet);
    splitter.end();
    std::iter::from_fn(|| splitter.next_jpeg()).collect()
}
