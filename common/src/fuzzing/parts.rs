//! Parsers of external input.

use std::ops::Range;

use super::input::Input;
use crate::frame::MAX_FRAME_BYTES;
use crate::jpeg::{self, JpegHeader};
use crate::slices::{self, Fragments, Spliced};
use crate::wire::native::{Packet, sign};
use crate::wire::rtp;
use crate::wire::rtp_jpeg::{Fragment, JpegAssembly, Picture, SentTables};

/// A datagram, as it is and with correct checksums.
pub(super) fn native(bytes: &[u8]) {
    let _ = Packet::decode(bytes);
    let mut datagram = bytes.to_vec();
    if !sign(&mut datagram) {
        return;
    }
    let Ok((header, packet)) = Packet::decode(&datagram) else {
        return;
    };
    // A decoded packet survives encoding.
    let mut again = Vec::new();
    packet.encode(header, &mut again);
    assert_eq!(Packet::decode(&again), Ok((header, packet)));
}

/// A JPEG, or the beginning of one.
pub(super) fn jpeg(bytes: &[u8]) {
    let parsed = JpegHeader::parse(bytes);
    let tables = jpeg::tables(bytes);
    if let Ok(header) = &parsed {
        assert!(header.len <= bytes.len());
        assert!(header.mcu_count() > 0 && header.slice_count() > 0);
        let starts = jpeg::slice_starts(bytes, header.len);
        assert!(starts.is_sorted());
        assert!(
            starts
                .last()
                .is_some_and(|last| *last as usize <= bytes.len())
        );
        if let Ok(Some(tables)) = &tables {
            // The tables describe the same picture.
            let mut short = JpegHeader::parse(tables).expect("tables are a header");
            short.len = header.len;
            assert_eq!(short, *header);
        }
    }
    assert_eq!(parsed.is_ok(), tables.is_ok() && parsed.is_ok());
    if let Ok(picture) = Picture::of(bytes) {
        carry(&picture, bytes);
    }
}

/// Packetises a JPEG for RTP and reassembles it.
fn carry(picture: &Picture, jpeg: &[u8]) {
    let mut assembly = JpegAssembly::new(picture.kind());
    let cuts = picture.cut(500);
    for (at, cut) in cuts.iter().enumerate() {
        let mut payload = Vec::new();
        picture.fragment(jpeg, cut).encode(&mut payload);
        let fragment = Fragment::decode(&payload).expect("a fragment of ours");
        let placed = assembly.place(&fragment, at + 1 == cuts.len());
        assert_eq!(placed, Ok(()));
    }
    assert!(assembly.is_complete());
}

/// A JPEG with holes. The input has their number and positions, slice starts, and then the bytes.
pub(super) fn splice(bytes: &[u8]) {
    let mut input = Input(bytes);
    let holes: Vec<_> = (0..input.below(8))
        .map(|_| (usize::from(input.u16()), usize::from(input.u8())))
        .collect();
    let starts: Vec<_> = (0..input.below(8))
        .map(|_| (input.u16() % 300, usize::from(input.u16())))
        .collect();
    let own_header = input.u8() & 1 == 0;
    let frame = input.0;
    let mut present: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for (gap, len) in holes {
        let end = (at + gap).min(frame.len());
        if at < end {
            present.push(at..end);
        }
        at = (end + len + 1).min(frame.len());
    }
    if at < frame.len() {
        present.push(at..frame.len());
    }
    let tables = jpeg::tables(frame).ok().flatten();
    let header = match &tables {
        Some(tables) if own_header => tables,
        _ => frame,
    };
    let fragments = Fragments {
        header,
        frame,
        present: &present,
        starts: &starts,
    };
    if let Some(spliced) = slices::splice(&fragments) {
        check(&spliced);
        if let Some(filled) = slices::fill(&spliced.jpeg, &spliced.stale, frame) {
            assert!(filled.len() <= MAX_FRAME_BYTES && JpegHeader::parse(&filled).is_ok());
        }
    }
}

/// RTP packets of one or more frames. The input has their lengths, then their bytes.
pub(super) fn rtp_jpeg(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut sent = SentTables::default();
    let mut assembly: Option<JpegAssembly> = None;
    let size = (input.u16(), input.u16());
    while !input.is_empty() {
        let len = usize::from(input.u16() % 1_500);
        let datagram = input.bytes(len);
        if rtp::is_control(datagram) {
            let _ = rtp::Control::decode(datagram);
        }
        // The payload, and the bytes themselves.
        let packet = rtp::RtpPacket::decode(datagram);
        let last = packet.as_ref().is_ok_and(|packet| packet.marker);
        let payload = packet.map_or(datagram, |packet| packet.payload);
        let Ok(fragment) = Fragment::decode(payload) else {
            continue;
        };
        let mut again = Vec::new();
        fragment.encode(&mut again);
        assert_eq!(Fragment::decode(&again).as_ref(), Ok(&fragment));
        let assembly = assembly.get_or_insert_with(|| JpegAssembly::new(fragment.kind));
        if assembly.kind() == fragment.kind {
            assembly.set_tables(sent.resolve(fragment.kind.q, fragment.tables));
            let _ = assembly.place(&fragment, last);
        }
        let Some(size) = assembly.size(Some(size)) else {
            continue;
        };
        if let Some(jpeg) = assembly.jpeg(size) {
            assert!(JpegHeader::parse(&jpeg).is_ok());
        }
        if let Some(spliced) = assembly.splice(size) {
            check(&spliced);
        }
    }
}

fn check(spliced: &Spliced) {
    assert!(spliced.jpeg.len() <= MAX_FRAME_BYTES);
    let header = JpegHeader::parse(&spliced.jpeg).expect("what is spliced is a JPEG");
    assert!(spliced.fresh > 0.0 && spliced.fresh <= 1.0);
    let ends = spliced
        .stale
        .iter()
        .flat_map(|stale| [stale.start, stale.end]);
    let ends: Vec<_> = ends.collect();
    assert!(ends.is_sorted_by(|a, b| a < b));
    assert!(ends.last().is_none_or(|end| *end <= header.mcu_count()));
}
