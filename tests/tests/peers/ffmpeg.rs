//! FFmpeg, as sender and as receiver.

use std::net::SocketAddr;
use std::path::Path;

use framegram_media::Subsampling;
use framegram_tests::program::until;
use framegram_tests::relay::Relay;

use super::{FRAMES, LOSS, Peer, address, assert_scans, clip, send, split, viewer};

/// FFmpeg sends a clip to `address`, unchanged.
fn sends(folder: &Path, clip: &[Vec<u8>], address: SocketAddr) -> Peer {
    std::fs::write(folder.join("clip.mjpeg"), clip.concat()).unwrap();
    Peer::start(
        folder,
        &format!(
            "ffmpeg -loglevel error -nostdin -re -f mjpeg -framerate 30 -i clip.mjpeg -c copy -f rtp rtp://{address}"
        ),
    )
}

fn from_ffmpeg(size: (usize, usize), shown: (u64, u64)) {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(size, Subsampling::Yuv420, false);
    let address = address();
    let viewer = viewer(address, &format!("--frames {FRAMES}"));
    sends(folder.path(), &clip, address).end();
    let viewer = viewer.end().well();
    assert_eq!(
        viewer.count("frames.intact"),
        FRAMES as u64,
        "{:#}",
        viewer.report
    );
    assert_eq!(viewer.count("packets.lost"), 0);
    assert_eq!(
        (viewer.count("stream.width"), viewer.count("stream.height")),
        shown
    );
    let out = viewer.file("out.mjpeg");
    let received = split(&out);
    assert_eq!(received.len(), FRAMES);
    assert_eq!(assert_scans(&clip, &received), 0);
}

#[test]
fn what_ffmpeg_sends_is_shown_byte_for_byte() {
    from_ffmpeg((640, 360), (640, 360));
    from_ffmpeg((333, 251), (336, 256));
}

#[test]
fn what_ffmpeg_sends_is_shown_in_full_hd() {
    from_ffmpeg((1920, 1080), (1920, 1080));
}

#[test]
fn what_ffmpeg_encodes_itself_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let address = address();
    let viewer = viewer(address, &format!("--frames {FRAMES}"));
    Peer::start(
        folder.path(),
        &format!(
            "ffmpeg -loglevel error -nostdin -re -f lavfi -i testsrc=s=640x360:r=30 -frames:v {FRAMES} \
             -pix_fmt yuvj420p -c:v mjpeg -huffman default -f rtp rtp://{address}"
        ),
    )
    .end();
    let viewer = viewer.end().well();
    assert_eq!(
        viewer.count("frames.intact"),
        FRAMES as u64,
        "{:#}",
        viewer.report
    );
}

fn to_ffmpeg(size: (usize, usize), sliced: bool) {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(size, Subsampling::Yuv420, sliced);
    let address = address();
    // The description is written with the first frame of a stream.
    let first = send(&clip[..1], address, "--wire rtp --sdp x.sdp");
    std::fs::write(folder.path().join("x.sdp"), first.file("x.sdp")).unwrap();
    // It may use frames for probing that it does not show.
    let enough = FRAMES / 2;
    let peer = Peer::start(
        folder.path(),
        &format!(
            "ffmpeg -loglevel error -nostdin -protocol_whitelist file,udp,rtp -i x.sdp \
             -c copy -frames:v {enough} -f mjpeg got.mjpeg"
        ),
    )
    .listens_at(address);
    send(&clip, address, "--wire rtp");
    peer.end();
    let got = std::fs::read(folder.path().join("got.mjpeg")).unwrap();
    let received = split(&got);
    assert_eq!(received.len(), enough);
    assert_eq!(assert_scans(&clip, &received), 0);
}

#[test]
fn ffmpeg_gets_every_frame_byte_for_byte() {
    to_ffmpeg((640, 360), true);
    to_ffmpeg((333, 251), false);
}

#[test]
fn ffmpeg_gets_full_hd() {
    to_ffmpeg((1920, 1080), true);
}

#[test]
fn loss_of_what_ffmpeg_sends_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip((640, 360), Subsampling::Yuv420, false);
    let (near, far) = (address(), address());
    let viewer = viewer(far, "--once --duration 6s");
    let relay = Relay::lossy(near, far, LOSS);
    sends(folder.path(), &clip, near).end();
    until("the relay to lose something", || {
        (relay.lost() > 0).then_some(())
    });
    let viewer = viewer.end().well();
    let lost = viewer.count("packets.lost");
    assert!(
        lost > 0 && lost <= relay.lost(),
        "{lost} of {}",
        relay.lost()
    );
    assert!(viewer.count("frames.incomplete") > 0);
    assert_eq!(viewer.count("outcomes.undecodable"), 0);
    let out = viewer.file("out.mjpeg");
    assert_scans(&clip, &split(&out));
}
