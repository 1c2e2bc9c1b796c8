//! The liberties that cameras take with RTP/JPEG: the same packets to the viewer, to FFmpeg and to
//! GStreamer. The viewer shows at least the frames that either of them shows.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use framegram_tests::odd_rtp::{Camera, Restarts, SIZE};
use framegram_tests::program::until;

use super::{Peer, address, viewer};

/// Frames of each camera.
const FRAMES: u64 = 40;

/// Frames in the time for which the viewer waits for the old address or number before it follows
/// the new one (`docs/design.md`, "Strangers"), and in its probation.
const WAITED: u64 = 12;

/// FFmpeg decodes what arrives at `address` to gray pixels.
fn ffmpeg(folder: &Path, address: SocketAddr) -> Peer {
    let (host, port) = (address.ip(), address.port());
    fs::write(
        folder.join("x.sdp"),
        format!("v=0\r\nc=IN IP4 {host}\r\nt=0 0\r\nm=video {port} RTP/AVP 26\r\n"),
    )
    .unwrap();
    Peer::start(
        folder,
        "ffmpeg -loglevel error -nostdin -protocol_whitelist file,udp,rtp -i x.sdp -vsync passthrough \
         -pix_fmt gray -f rawvideo -flush_packets 1 ffmpeg.gray",
    )
    .listens_at(address)
}

/// GStreamer does the same.
fn gstreamer(folder: &Path, address: SocketAddr) -> Peer {
    let (host, port) = (address.ip(), address.port());
    Peer::start(
        folder,
        &format!(
            "gst-launch-1.0 -q udpsrc address={host} port={port} \
             caps=application/x-rtp,media=video,payload=26,clock-rate=90000,encoding-name=JPEG \
             ! rtpjpegdepay ! jpegdec ! videoconvert ! video/x-raw,format=GRAY8 \
             ! filesink location=gstreamer.gray buffer-mode=unbuffered sync=false"
        ),
    )
    .listens_at(address)
}

/// Plays a camera to all three. `known`: whether FFmpeg and GStreamer show most of its frames. The
/// viewer may miss `missed` of them.
fn beside(camera: Camera, known: [bool; 2], missed: u64) {
    let folder = tempfile::tempdir().unwrap();
    let addresses = [address(), address(), address()];
    let viewer = viewer(addresses[0], "--once");
    let peers = [
        ffmpeg(folder.path(), addresses[1]),
        gstreamer(folder.path(), addresses[2]),
    ];
    camera.send(FRAMES, &addresses);
    let intact = viewer.end().well().count("frames.intact");
    let pixels = SIZE.0 * SIZE.1 / if camera.has_fields { 2 } else { 1 };
    let shown = |name: &str| {
        let file = fs::metadata(folder.path().join(name));
        file.map_or(0, |file| file.len() / pixels as u64)
    };
    for (name, known) in ["ffmpeg.gray", "gstreamer.gray"].into_iter().zip(known) {
        if known {
            until(&format!("frames in {name}: {camera:?}"), || {
                (shown(name) > FRAMES / 2).then_some(())
            });
        }
        assert!(
            intact + missed >= shown(name),
            "{intact}, and {} in {name}: {camera:?}",
            shown(name)
        );
    }
    drop(peers);
}

#[test]
fn tables_of_any_number_and_width() {
    let usual = Camera::usual();
    beside(usual, [true, true], 0);
    for tables in [1, 3] {
        let camera = Camera {
            tables,
            q: 128,
            ..usual
        };
        beside(camera, [true, true], 0);
    }
    let camera = Camera {
        is_wide: true,
        ..usual
    };
    beside(camera, [false, false], 0);
}

#[test]
fn tables_that_come_once_or_late() {
    let usual = Camera {
        q: 200,
        ..Camera::usual()
    };
    for with_tables in [(0, 1), (5, 6), (5, u64::MAX)] {
        let camera = Camera {
            with_tables,
            ..usual
        };
        beside(camera, [true, false], 0);
    }
}

#[test]
fn restart_headers_with_and_without_markers() {
    for restarts in [Restarts::Stated, Restarts::OnlyStated, Restarts::Zero] {
        let camera = Camera {
            restarts,
            ..Camera::usual()
        };
        beside(camera, [true, true], 0);
    }
}

#[test]
fn fields_of_interlaced_video_and_whole_jpegs() {
    let usual = Camera::usual();
    let fields = Camera {
        has_fields: true,
        ..usual
    };
    beside(fields, [true, true], 0);
    let whole = Camera {
        is_whole: true,
        ..usual
    };
    beside(whole, [true, false], 0);
}

#[test]
fn frames_without_a_marker_or_a_time_of_their_own() {
    let usual = Camera::usual();
    let unmarked = Camera {
        is_unmarked: true,
        ..usual
    };
    beside(unmarked, [false, false], 0);
    let timeless = Camera {
        is_timeless: true,
        ..usual
    };
    beside(timeless, [true, true], 0);
}

#[test]
fn another_port_and_another_source() {
    for (moves, renumbers) in [(true, false), (false, true), (true, true)] {
        let camera = Camera {
            moves,
            renumbers,
            ..Camera::usual()
        };
        beside(camera, [true, true], WAITED);
    }
}
