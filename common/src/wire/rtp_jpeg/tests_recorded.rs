//! Recorded datagrams of other programs (`fixtures/README.md`).

use turbojpeg::{PixelFormat, Subsamp};

use super::*;
use crate::wire::rtp;

/// The datagrams of a file in the `fixtures` folder.
pub(crate) fn datagrams(mut file: &[u8]) -> Vec<&[u8]> {
    let mut datagrams = Vec::new();
    while let Some((len, rest)) = file.split_first_chunk() {
        let (datagram, rest) = rest.split_at(usize::from(u16::from_be_bytes(*len)));
        datagrams.push(datagram);
        file = rest;
    }
    datagrams
}

macro_rules! recorded {
    ($name:literal) => {
        datagrams(include_bytes!(concat!("../../../fixtures/", $name)))
    };
}

/// The frames in them, each with its fragments' headers.
fn frames(datagrams: &[&[u8]], told: Option<(u16, u16)>) -> Vec<(Vec<u8>, JpegKind)> {
    let mut tables = SentTables::default();
    let mut frames = Vec::new();
    let mut assembly = None;
    for datagram in datagrams {
        let packet = rtp::RtpPacket::decode(datagram).unwrap();
        assert_eq!(packet.payload_type, rtp::JPEG);
        let fragment = Fragment::decode(packet.payload).unwrap();
        let open: &mut JpegAssembly =
            assembly.get_or_insert_with(|| JpegAssembly::new(fragment.kind));
        open.set_tables(tables.resolve(fragment.kind.q, fragment.tables));
        open.place(&fragment, packet.marker).unwrap();
        if packet.marker {
            let size = open.size(told).unwrap();
            frames.push((open.jpeg(size).unwrap(), open.kind()));
            assembly = None;
        }
    }
    assert!(assembly.is_none());
    frames
}

/// Decodes, and expects no warning of the decoder.
fn check(jpeg: &[u8], size: (usize, usize), subsamp: Subsamp) {
    let header = turbojpeg::read_header(jpeg).unwrap();
    assert_eq!((header.width, header.height), size);
    assert_eq!(header.subsamp, subsamp);
    let image = turbojpeg::decompress(jpeg, PixelFormat::RGB).unwrap();
    let distinct: std::collections::BTreeSet<_> = image.pixels.chunks_exact(3).collect();
    assert!(
        distinct.len() > 2,
        "a picture of {} colours",
        distinct.len()
    );
}

#[test]
fn takes_what_gstreamer_and_ffmpeg_send() {
    let cases = [
        (
            recorded!("gstreamer-420-640x360.rtp"),
            (640, 360),
            Subsamp::Sub2x2,
            2,
        ),
        (
            recorded!("gstreamer-420-1920x1080.rtp"),
            (1920, 1080),
            Subsamp::Sub2x2,
            1,
        ),
        (
            recorded!("gstreamer-420-odd-333x251.rtp"),
            (336, 256),
            Subsamp::Sub2x2,
            2,
        ),
        (
            recorded!("gstreamer-422-320x176.rtp"),
            (320, 176),
            Subsamp::Sub2x1,
            2,
        ),
        (
            recorded!("ffmpeg-420-640x360.rtp"),
            (640, 360),
            Subsamp::Sub2x2,
            2,
        ),
        (
            recorded!("ffmpeg-420-1920x1080.rtp"),
            (1920, 1080),
            Subsamp::Sub2x2,
            1,
        ),
        (
            recorded!("ffmpeg-420-odd-333x251.rtp"),
            (336, 256),
            Subsamp::Sub2x2,
            2,
        ),
    ];
    for (datagrams, size, subsamp, count) in cases {
        let frames = frames(&datagrams, None);
        assert_eq!(frames.len(), count);
        for (jpeg, _) in frames {
            check(&jpeg, size, subsamp);
        }
    }
}

#[test]
fn takes_the_size_from_elsewhere_above_2040_pixels() {
    let datagrams = recorded!("gstreamer-420-2560x64.rtp");
    let frames = frames(&datagrams, Some((2560, 64)));
    check(&frames[0].0, (2560, 64), Subsamp::Sub2x2);
    let picture = Picture::of(&frames[0].0).unwrap();
    assert_eq!((picture.kind().width, picture.kind().height), (0, 0));
}

#[test]
fn packs_as_they_do() {
    let all = [
        recorded!("gstreamer-420-640x360.rtp"),
        recorded!("gstreamer-420-1920x1080.rtp"),
        recorded!("gstreamer-422-320x176.rtp"),
        recorded!("ffmpeg-420-640x360.rtp"),
    ];
    for theirs in all {
        let payload = theirs.iter().map(|datagram| datagram.len()).max().unwrap() - rtp::HEADER;
        let mut theirs = theirs.iter();
        let count = theirs.len();
        let mut compared = 0;
        for (jpeg, kind) in frames(theirs.as_slice(), None) {
            // The same tables as with Q 255, whereas ours would send a standard Q.
            let mut picture = Picture::of(&jpeg).unwrap();
            picture.send_tables();
            assert_eq!(picture.kind(), kind);
            for cut in picture.cut(payload) {
                let fragment = picture.fragment(&jpeg, &cut);
                let mut ours = Vec::new();
                fragment.encode(&mut ours);
                assert_eq!(ours.len(), picture.len_at(&cut));
                let datagram = theirs.next().unwrap();
                let their = rtp::RtpPacket::decode(datagram).unwrap().payload;
                // FFmpeg omits the end of image.
                let end = their.len().min(ours.len());
                assert_eq!(ours[..end], *their);
                assert!(matches!(ours[end..], [] | [0xff, 0xd9]));
                compared += 1;
            }
        }
        assert_eq!(compared, count);
    }
}

#[test]
fn reads_the_report_that_ffmpeg_sends() {
    let datagrams = recorded!("ffmpeg-sender-report.rtcp");
    let controls = rtp::Control::decode(datagrams[0]).unwrap();
    let rtp::Control::Sender(info, blocks) = &controls[0] else {
        panic!("{controls:?}");
    };
    let video = recorded!("ffmpeg-420-640x360.rtp");
    assert_eq!(
        info.source,
        rtp::RtpPacket::decode(video[0]).unwrap().source
    );
    assert_eq!((info.packets, blocks.len(), controls.len()), (0, 0, 1));
}
