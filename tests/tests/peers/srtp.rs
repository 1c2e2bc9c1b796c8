//! SRTP with GStreamer's `srtpenc` and `srtpdec`, and with FFmpeg.

use std::fmt::Write as _;
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;

use base64ct::{Base64, Encoding};
use framegram_media::Subsampling;
use framegram_tests::program::{Ended, SENDER, Start, until};

use super::{FRAMES, INTERVAL, Peer, address, assert_scans, clip, files, slices, split, viewer};

/// A master key with its salt.
const KEY: [u8; 30] = *b"0123456789abcdefFEDCBA98765432";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A session description with a key.
fn describe(folder: &Path, suite: &str, key: &[u8]) -> String {
    let path = folder.join("key.sdp");
    let key = Base64::encode_string(key);
    let text = format!("m=video 5004 RTP/SAVP 26\r\na=crypto:1 {suite} inline:{key}\r\n");
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn assert_whole(viewer: Ended, sent: &[Vec<u8>]) {
    let viewer = viewer.well();
    let intact = viewer.count("frames.intact");
    assert_eq!(intact, FRAMES as u64, "{:#}", viewer.report);
    for name in ["lost", "malformed", "unauthentic", "replayed"] {
        let name = format!("packets.{name}");
        assert_eq!(viewer.count(&name), 0, "{name}: {:#}", viewer.report);
    }
    assert_eq!(viewer.value("stream.wire"), "rtp");
    let out = viewer.file("out.mjpeg");
    assert_eq!(assert_scans(sent, &split(&out)), 0);
}

#[test]
fn what_gstreamer_seals_is_shown_byte_for_byte() {
    let (counter, long, short) = ("aes-128-icm", "hmac-sha1-80", "hmac-sha1-32");
    for (suite, length, cipher, auth, control) in [
        ("AES_CM_128_HMAC_SHA1_80", 30, counter, long, long),
        ("AES_CM_128_HMAC_SHA1_32", 30, counter, short, long),
        ("AEAD_AES_128_GCM", 28, "aes-128-gcm", "null", "null"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let key = &KEY[..length];
        let sdp = describe(folder.path(), suite, key);
        let address = address();
        let viewer = viewer(address, &format!("--frames {FRAMES} --sdp {sdp}"));
        let (host, port, key) = (address.ip(), address.port(), hex(key));
        Peer::start(
            folder.path(),
            &format!(
                "gst-launch-1.0 -q videotestsrc num-buffers={FRAMES} is-live=true pattern=ball \
                 ! video/x-raw,format=I420,width=640,height=360,framerate=30/1 ! jpegenc ! tee name=t \
                 ! queue ! rtpjpegpay ! srtpenc key={key} rtp-cipher={cipher} rtp-auth={auth} \
                 rtcp-cipher={cipher} rtcp-auth={control} \
                 ! udpsink host={host} port={port} \
                 t. ! queue ! multifilesink location=sent%03d.jpg"
            ),
        )
        .end();
        assert_whole(viewer.end(), &files(folder.path(), "sent"));
    }
}

#[test]
fn what_ffmpeg_seals_is_shown_byte_for_byte() {
    for suite in ["AES_CM_128_HMAC_SHA1_80", "AES_CM_128_HMAC_SHA1_32"] {
        let folder = tempfile::tempdir().unwrap();
        let clip = clip((640, 360), Subsampling::Yuv420, false);
        fs::write(folder.path().join("clip.mjpeg"), clip.concat()).unwrap();
        let sdp = describe(folder.path(), suite, &KEY);
        let address = address();
        let viewer = viewer(address, &format!("--frames {FRAMES} --sdp {sdp}"));
        let key = Base64::encode_string(&KEY);
        Peer::start(
            folder.path(),
            &format!(
                "ffmpeg -loglevel error -nostdin -re -f mjpeg -framerate 30 -i clip.mjpeg -c copy \
                 -f rtp -srtp_out_suite {suite} -srtp_out_params {key} srtp://{address}"
            ),
        )
        .end();
        assert_whole(viewer.end(), &clip);
    }
}

/// Feeds a clip to a sender that seals it for `address`. The peer starts when the
/// first frame has been sent, since the session description has come with it, and is
/// fed the rest. What it has written then is what `end` says.
fn seal_for(
    folder: &Path,
    clip: &[Vec<u8>],
    address: SocketAddr,
    start: impl FnOnce(&str) -> Peer,
    end: impl FnOnce(Peer),
) {
    // Where nobody listens, the system tells the sender, which then waits a little.
    let listens = UdpSocket::bind(address).unwrap();
    let (key, sdp) = (folder.join("stream.key"), folder.join("video.sdp"));
    let made = Start::new(SENDER, "keygen").with([&key]).run_plain();
    let _ = made.end().well();
    let (key, path) = (key.display(), sdp.display());
    let arguments = format!("- {address} --wire rtp --key-file {key} --sdp {path}");
    let mut sender = Start::new(SENDER, &arguments).piped().run();
    let mut input = sender.input().expect("a pipe");
    input.write_all(&clip[0]).expect("the sender reads");
    // A JPEG is whole when the next one begins.
    input.write_all(&clip[1]).expect("the sender reads");
    sender.wait_for("holds the key of this start");
    drop(listens);
    let peer = start(&fs::read_to_string(&sdp).unwrap());
    for jpeg in &clip[2..] {
        input.write_all(jpeg).expect("the sender reads");
        std::thread::sleep(INTERVAL);
    }
    drop(input);
    let sender = sender.end().well();
    assert_eq!(sender.count("frames.passed_through"), FRAMES as u64);
    end(peer);
}

/// What stands behind a name in a session description, up to a blank or the end.
fn value<'a>(sdp: &'a str, name: &str) -> &'a str {
    let (_, rest) = sdp.split_once(name).unwrap_or_else(|| panic!("{sdp}"));
    rest.split_whitespace().next().unwrap()
}

#[test]
fn gstreamer_opens_every_frame_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip((640, 360), Subsampling::Yuv420, true);
    let address = address();
    let start = |sdp: &str| {
        let key = Base64::decode_vec(value(sdp, "inline:")).unwrap();
        let (key, source) = (hex(&key), value(sdp, "a=ssrc:"));
        let (host, port) = (address.ip(), address.port());
        Peer::start(
            folder.path(),
            &format!(
                "gst-launch-1.0 -q udpsrc address={host} port={port} buffer-size=4000000 \
                 caps=application/x-srtp,media=video,payload=26,clock-rate=90000,encoding-name=JPEG,\
                 ssrc=(uint){source},srtp-key=(buffer){key},srtp-cipher=aes-128-icm,\
                 srtp-auth=hmac-sha1-80,srtcp-cipher=aes-128-icm,srtcp-auth=hmac-sha1-80 \
                 ! srtpdec ! rtpjpegdepay ! multifilesink location=got%03d.jpg"
            ),
        )
        .listens_at(address)
    };
    let end = |peer: Peer| {
        let enough = FRAMES - 2;
        until("GStreamer to write all frames", || {
            (files(folder.path(), "got").len() >= enough).then_some(())
        });
        drop(peer);
    };
    seal_for(folder.path(), &clip, address, start, end);
    let got = files(folder.path(), "got");
    assert_eq!(assert_scans(&clip, &slices(&got)), 0);
}

#[test]
fn ffmpeg_opens_every_frame_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let clip = clip((640, 360), Subsampling::Yuv420, true);
    let address = address();
    // What it needs to begin, it may take from frames that it does not show.
    let enough = FRAMES / 2;
    let start = |_: &str| {
        let receives = format!(
            "ffmpeg -loglevel error -nostdin -protocol_whitelist file,udp,rtp,srtp -i video.sdp \
             -c copy -frames:v {enough} -f mjpeg got.mjpeg"
        );
        Peer::start(folder.path(), &receives).listens_at(address)
    };
    seal_for(folder.path(), &clip, address, start, Peer::end);
    let got = fs::read(folder.path().join("got.mjpeg")).unwrap();
    let received = split(&got);
    assert_eq!(received.len(), enough);
    assert_eq!(assert_scans(&clip, &received), 0);
}
