//! GStreamer's `rtpjpegpay` and `rtpjpegdepay`.

use std::net::SocketAddr;

use framegram_media::Subsampling;
use framegram_tests::program::until;
use framegram_tests::relay::Relay;

use super::{FRAMES, LOSS, Peer, address, assert_scans, clip, files, send, slices, split, viewer};

/// GStreamer sends its RTP packets to `address`, and writes the JPEGs to files.
fn sends(
    folder: &std::path::Path,
    raw: &str,
    (width, height): (usize, usize),
    address: SocketAddr,
) -> Peer {
    let (host, port) = (address.ip(), address.port());
    Peer::start(
        folder,
        &format!(
            "gst-launch-1.0 -q videotestsrc num-buffers={FRAMES} is-live=true pattern=ball \
             ! video/x-raw,format={raw},width={width},height={height},framerate=30/1 ! jpegenc ! tee name=t \
             ! queue ! rtpjpegpay ! udpsink host={host} port={port} \
             t. ! queue ! multifilesink location=sent%03d.jpg"
        ),
    )
}

/// GStreamer writes what arrives at `address` to files.
fn receives(folder: &std::path::Path, caps: &str, address: SocketAddr) -> Peer {
    let (host, port) = (address.ip(), address.port());
    Peer::start(
        folder,
        &format!(
            "gst-launch-1.0 -q udpsrc address={host} port={port} buffer-size=4000000 \
             caps=application/x-rtp,media=video,payload=26,clock-rate=90000,encoding-name=JPEG{caps} \
             ! rtpjpegdepay ! multifilesink location=got%03d.jpg"
        ),
    )
    .listens_at(address)
}

fn from_gstreamer(raw: &str, size: (usize, usize), shown: (u64, u64), arguments: &str) {
    let folder = tempfile::tempdir().unwrap();
    let sdp = folder.path().join("x.sdp");
    std::fs::write(
        &sdp,
        format!("v=0\r\na=x-dimensions:{},{}\r\n", size.0, size.1),
    )
    .unwrap();
    let arguments = arguments.replace("SDP", &sdp.display().to_string());
    let address = address();
    let viewer = viewer(address, &format!("--frames {FRAMES} {arguments}"));
    sends(folder.path(), raw, size, address).end();
    let viewer = viewer.end().well();
    assert_eq!(
        viewer.count("frames.intact"),
        FRAMES as u64,
        "{:#}",
        viewer.report
    );
    assert_eq!(viewer.count("frames.lost"), 0);
    assert_eq!(viewer.count("packets.lost"), 0);
    assert!(viewer.value("frames.sent").is_null());
    assert_eq!(viewer.value("stream.wire"), "rtp");
    assert_eq!(
        (viewer.count("stream.width"), viewer.count("stream.height")),
        shown
    );
    let sent = files(folder.path(), "sent");
    let out = viewer.file("out.mjpeg");
    assert_eq!(assert_scans(&sent, &split(&out)), 0);
}

#[test]
fn what_gstreamer_sends_is_shown_byte_for_byte() {
    from_gstreamer("I420", (640, 360), (640, 360), "");
    from_gstreamer("I420", (333, 251), (336, 256), "");
    from_gstreamer("Y42B", (320, 240), (320, 240), "");
}

#[test]
fn what_gstreamer_sends_is_shown_in_full_hd() {
    from_gstreamer("I420", (1920, 1080), (1920, 1080), "");
}

#[test]
fn above_2040_pixels_the_size_comes_from_the_session_description() {
    from_gstreamer("I420", (2560, 128), (2560, 128), "--sdp SDP");
}

fn to_gstreamer(
    size: (usize, usize),
    sampling: Subsampling,
    sliced: bool,
    caps: &str,
    arguments: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip(size, sampling, sliced);
    let address = address();
    let peer = receives(folder.path(), caps, address);
    let sender = send(&clip, address, &format!("--wire rtp {arguments}"));
    assert_eq!(sender.count("frames.passed_through"), FRAMES as u64);
    assert_eq!(sender.count("frames.reencoded"), 0);
    until("GStreamer to write all frames", || {
        (files(folder.path(), "got").len() == FRAMES).then_some(())
    });
    drop(peer);
    let got = files(folder.path(), "got");
    assert_eq!(assert_scans(&clip, &slices(&got)), 0);
    for jpeg in &got {
        image::load_from_memory(jpeg).expect("a picture");
    }
}

#[test]
fn gstreamer_gets_every_frame_byte_for_byte() {
    to_gstreamer((640, 360), Subsampling::Yuv420, true, "", "");
    to_gstreamer((640, 360), Subsampling::Yuv422, false, "", "--rtcp-mux");
    to_gstreamer((333, 251), Subsampling::Yuv420, false, "", "");
}

#[test]
fn gstreamer_gets_full_hd_and_more() {
    to_gstreamer((1920, 1080), Subsampling::Yuv420, true, "", "");
    to_gstreamer(
        (2560, 128),
        Subsampling::Yuv420,
        true,
        ",x-dimensions=(string)\"2560,128\"",
        "",
    );
}

#[test]
fn loss_is_counted_and_nothing_damaged_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = (address(), address());
    let viewer = viewer(far, "--once --duration 6s");
    let relay = Relay::lossy(near, far, LOSS);
    sends(folder.path(), "I420", (640, 360), near).end();
    let viewer = viewer.end().well();
    let lost = viewer.count("packets.lost");
    assert!(
        lost > 0 && lost <= relay.lost(),
        "{lost} of {}",
        relay.lost()
    );
    assert!(viewer.value("frames.lost").is_null());
    let (intact, incomplete) = (
        viewer.count("frames.intact"),
        viewer.count("frames.incomplete"),
    );
    assert!(incomplete > 0 && intact > FRAMES as u64 / 3);
    assert!(intact + incomplete <= FRAMES as u64);
    assert_eq!(viewer.count("outcomes.undecodable"), 0);
    let out = viewer.file("out.mjpeg");
    let shown = split(&out);
    assert_eq!(shown.len() as u64, intact);
    assert_scans(&files(folder.path(), "sent"), &shown);
}

#[test]
fn gstreamer_gets_what_a_bad_link_leaves() {
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = (address(), address());
    let peer = receives(folder.path(), "", far);
    let relay = Relay::lossy(near, far, LOSS);
    let clip = clip((640, 360), Subsampling::Yuv420, true);
    let sender = send(&clip, near, "--wire rtp");
    assert_eq!(sender.count("frames.sent"), FRAMES as u64);
    // It passes damaged frames on. This test only checks that it continues.
    until("GStreamer to write what it got", || {
        (files(folder.path(), "got").len() > FRAMES / 3).then_some(())
    });
    drop(peer);
    assert!(relay.lost() > 0);
}
