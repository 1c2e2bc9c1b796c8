//! Chunks are lost on the way and not repaired. The viewer shows what arrived of every frame.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fastrand::Rng;
use framegram_common::wire::native::Packet;

use super::files::{difference, ffmpeg};
use super::{listening, sender};
use framegram_tests::program::{Ended, address, media};

pub(super) const FRAMES: u64 = 150;

/// The share of chunks that the path loses. It loses none of the first frame.
const LOSS: f64 = 0.06;

/// A path that loses chunks and all parity, and forwards nothing to the sender.
struct Path {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<BTreeSet<u32>>,
}

impl Path {
    fn new(from: SocketAddr, to: SocketAddr) -> Self {
        let socket = UdpSocket::bind(from).expect("a free address");
        socket
            .set_read_timeout(Some(Duration::from_millis(20)))
            .expect("time to look whether it is to stop");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let mut rng = Rng::with_seed(1);
            let mut buffer = [0; 2048];
            let mut damaged = BTreeSet::new();
            while !stopped.load(Ordering::Acquire) {
                let Ok((len, from)) = socket.recv_from(&mut buffer) else {
                    continue;
                };
                if from == to {
                    continue;
                }
                let datagram = &buffer[..len];
                let lost = match Packet::decode(datagram).expect("a packet").1 {
                    Packet::Chunk(chunk) if chunk.frame.bits() > 0 && rng.f64() < LOSS => {
                        damaged.insert(chunk.frame.bits());
                        true
                    }
                    Packet::Parity(_) => true,
                    _ => false,
                };
                if !lost {
                    socket.send_to(datagram, to).expect("a way");
                }
            }
            damaged
        });
        Self { stop, thread }
    }

    /// How many frames did not arrive completely.
    fn end(self) -> u64 {
        self.stop.store(true, Ordering::Release);
        self.thread.join().expect("a path").len() as u64
    }
}

/// Sends the clip over a lossy path. Returns the ended viewer, and how many frames did not arrive
/// completely.
pub(super) fn play(sending: &str, viewing: &str) -> (Ended, u64) {
    let (near, far) = (address(), address());
    let path = Path::new(near, far);
    let viewer = listening(far, &format!("--once {viewing}"));
    let sending = format!("--fps 60 --quality 90 --packet-size 1452 {sending}");
    let sender = sender(&media("clip.mp4"), near, &sending).run().end();
    assert_eq!(sender.well().count("frames.sent"), FRAMES);
    (viewer.end().well(), path.end())
}

/// The luma of every picture of a file.
fn luma(file: &str) -> Vec<Vec<u8>> {
    let pictures = ffmpeg(file, "-f rawvideo -pix_fmt gray");
    let pictures = pictures.chunks_exact(640 * 360);
    assert!(pictures.remainder().is_empty());
    pictures.map(<[u8]>::to_vec).collect()
}

#[test]
fn the_received_part_of_every_frame_is_shown_with_its_holes_filled() {
    for format in ["y4m", "mjpeg"] {
        let output = format!("out.{format}");
        let (viewer, damaged) = play("", &format!("--output {output}"));
        assert!(damaged > FRAMES / 3, "{damaged}");
        assert_eq!(viewer.count("frames.shown"), FRAMES);
        assert_eq!(viewer.count("outcomes.concealed"), damaged);
        assert_eq!(viewer.count("frames.intact"), FRAMES - damaged);
        let stale = viewer.value("stale_share").as_f64();
        assert!(stale.is_some_and(|stale| (0.03..0.25).contains(&stale)));

        let folder = tempfile::tempdir().expect("a folder for a recording");
        let recorded = folder.path().join(&output);
        std::fs::write(&recorded, viewer.file(&output)).expect("room for a recording");
        let shown = luma(&recorded.display().to_string());
        let sent = luma(&media("clip.mp4"));
        assert_eq!(shown.len(), sent.len());
        let different = shown
            .iter()
            .zip(&sent)
            .map(|(shown, sent)| difference(shown, sent));
        // The difference is 1.4 where all of a frame arrived. A JPEG whose tables have just changed
        // has holes for one frame.
        let holed = different.filter(|difference| *difference > 3.0).count();
        assert!(
            holed <= if format == "y4m" { 0 } else { 3 },
            "{format}: {holed}"
        );
    }
}

#[test]
fn a_strict_viewer_shows_complete_frames_only() {
    let (viewer, damaged) = play("", "--strict");
    assert_eq!(viewer.count("outcomes.concealed"), 0);
    assert_eq!(viewer.count("frames.intact"), FRAMES - damaged);
    assert_eq!(viewer.count("frames.shown"), FRAMES - damaged);
    assert_eq!(viewer.count("frames.incomplete"), damaged);
    assert!(viewer.value("stale_share").is_null());
}

#[test]
fn frames_without_slices_are_shown_complete_or_not_at_all() {
    let (viewer, damaged) = play("--no-slices", "");
    assert_eq!(viewer.count("outcomes.concealed"), 0);
    assert_eq!(viewer.count("frames.shown"), FRAMES - damaged);
    assert_eq!(viewer.count("frames.incomplete"), damaged);
}
