//! A few lines of Python with OpenCV, with bare JPEG as wire format.

use std::path::Path;

use framegram_media::Subsampling;
use framegram_tests::program::{SENDER, Start};
use framegram_tests::relay::Relay;

use super::{FRAMES, LOSS, Peer, address, clip, split, viewer};

const SENDS: &str = "\
import cv2, numpy, socket, sys, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(int(sys.argv[3])):
    picture = numpy.full((240, 320, 3), i * 5, numpy.uint8)
    cv2.circle(picture, (i * 7, 120), 40, (0, 200, 255), -1)
    ok, jpeg = cv2.imencode('.jpg', picture)
    open('sent%03d.jpg' % i, 'wb').write(jpeg.tobytes())
    s.sendto(jpeg.tobytes(), (sys.argv[1], int(sys.argv[2])))
    time.sleep(0.03)
";

const RECEIVES: &str = "\
import cv2, numpy, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
s.settimeout(20)
for i in range(int(sys.argv[3])):
    picture = cv2.imdecode(numpy.frombuffer(s.recv(65536), numpy.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (720, 1280, 3), picture.shape
";

/// Debian's Python, which has Debian's OpenCV.
fn python(folder: &Path, script: &str, address: std::net::SocketAddr, frames: usize) -> Peer {
    std::fs::write(folder.join("script.py"), script).unwrap();
    let (host, port) = (address.ip(), address.port());
    Peer::start(
        folder,
        &format!("/usr/bin/python3 script.py {host} {port} {frames}"),
    )
}

#[test]
fn jpegs_from_a_few_lines_of_python_are_shown_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let address = address();
    let viewer = viewer(address, &format!("--frames {FRAMES}"));
    python(folder.path(), SENDS, address, FRAMES).end();
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("frames.intact"), FRAMES as u64);
    assert_eq!(viewer.value("stream.wire"), "raw");
    assert!(viewer.value("packets.lost").is_null());
    let sent = super::files(folder.path(), "sent");
    assert_eq!(split(&viewer.file("out.mjpeg")).concat(), sent.concat());
}

#[test]
fn a_few_lines_of_python_get_pictures_that_fit_into_a_datagram() {
    let folder = tempfile::tempdir().unwrap();
    let address = address();
    let peer = python(folder.path(), RECEIVES, address, 20).listens_at(address);
    let sender = Start::new(
        SENDER,
        &format!("--wire raw --quality 95 --frames 20 pattern:1280x720@25 {address}"),
    )
    .run()
    .end()
    .well();
    peer.end();
    assert_eq!(sender.count("frames.sent"), 20);
    assert_eq!(sender.count("packets.sent"), 20);
    assert_eq!(sender.count("packets.send_errors"), 0);
    assert!(sender.count("frames.quality_lowered") > 0);
}

#[test]
fn through_a_bad_link_what_arrives_is_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = (address(), address());
    let viewer = viewer(far, "--once --duration 8s");
    let relay = Relay::lossy(near, far, LOSS);
    python(folder.path(), SENDS, near, 100).end();
    let viewer = viewer.end().well();
    assert!(relay.lost() > 0);
    assert_eq!(viewer.count("frames.intact"), 100 - relay.lost());
    assert_eq!(viewer.count("outcomes.undecodable"), 0);
}

#[test]
fn jpegs_in_pieces_are_put_together() {
    let clip = clip((640, 360), Subsampling::Yuv420, true);
    let address = address();
    let viewer = viewer(address, &format!("--frames {FRAMES}"));
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for jpeg in &clip {
        for piece in jpeg.chunks(1_400) {
            socket.send_to(piece, address).unwrap();
        }
        std::thread::sleep(super::INTERVAL);
    }
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("frames.intact"), FRAMES as u64);
    let out = viewer.file("out.mjpeg");
    assert_eq!(split(&out).concat(), clip.concat());
}
