//! The cost of a stream from a file at its own frame rate, and the cost until its first picture.

use std::io::Read;
use std::process::Stdio;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use framegram_tests::peer::Peer;
use framegram_tests::program::{DEADLINE, Start, VIEWER, address};

use crate::clips::{Clip, RATE};
use crate::players::{From, Player, Show};

/// The time at the start that does not count.
const WARM_UP: Duration = Duration::from_millis(1_500);

/// The time that counts.
const SPAN: Duration = Duration::from_secs(5);

/// The share of the frames that a viewer must have shown for its cost to count.
const SHOWN: f64 = 0.97;

/// Processor time in milliseconds per frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    pub(crate) sender: f64,
    pub(crate) viewer: f64,
}

/// The time that a sender needs for its first picture, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct First {
    pub(crate) processor: f64,
    pub(crate) wall: f64,
}

/// The size of a clip's stream.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClipVolume {
    /// Bytes of a frame's JPEG.
    pub(crate) jpeg: f64,
}

/// The cost of each frame of a clip, from its file to planes.
pub(crate) fn cost(player: Player, clip: &Clip) -> Result<Cost> {
    let folder = tempfile::tempdir()?;
    let to = address();
    let line = player.viewer(Show::Decoded, to, folder.path())?;
    let mut viewer = Peer::start(folder.path(), &line).listens_at(to);
    let mut sender = Peer::start(folder.path(), &player.sender(From::File(clip), to));
    thread::sleep(WARM_UP);
    let begun = Instant::now();
    let before = (
        sender.processor_time(),
        viewer.processor_time(),
        viewer.written(),
    );
    thread::sleep(SPAN);
    let frames = begun.elapsed().as_secs_f64() * f64::from(RATE);
    let took = sender.processor_time() - before.0;
    let viewed = viewer.processor_time() - before.1;
    let shown = (viewer.written() - before.2) as f64 / clip.raw_bytes() as f64;
    let name = player.name();
    ensure!(
        sender.is_running() && viewer.is_running(),
        "{name} ended before its time"
    );
    if shown < SHOWN * frames {
        bail!("{name} showed {shown:.0} of {frames:.0} frames");
    }
    Ok(Cost {
        sender: took.as_secs_f64() * 1e3 / frames,
        viewer: viewed.as_secs_f64() * 1e3 / shown,
    })
}

/// Processor time that GStreamer needs for decoding a clip at its frame rate, in milliseconds per
/// frame. Like the other programs, it uses libavcodec.
pub(crate) fn decoding(clip: &Clip) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let line = format!(
        "gst-launch-1.0 -q filesrc location={} ! qtdemux ! avdec_h264 max-threads=1 \
         ! fakesink sync=true",
        clip.path.display()
    );
    let decoder = Peer::start(folder.path(), &line);
    thread::sleep(WARM_UP);
    let (begun, before) = (Instant::now(), decoder.processor_time());
    thread::sleep(SPAN);
    let took = decoder.processor_time() - before;
    let frames = begun.elapsed().as_secs_f64() * f64::from(RATE);
    Ok(took.as_secs_f64() * 1e3 / frames)
}

/// The cost from the sender's start until the viewer has written the beginning of the first JPEG.
pub(crate) fn first(player: Player, clip: &Clip) -> Result<First> {
    let folder = tempfile::tempdir()?;
    let to = address();
    let line = player.viewer(Show::Jpeg, to, folder.path())?;
    let mut viewer =
        Peer::start_with(folder.path(), &line, Stdio::null(), Stdio::piped()).listens_at(to);
    let mut pictures = viewer.take_output().context("piped")?;
    let (tell, told) = channel();
    let reader = thread::spawn(move || {
        let read = pictures.read_exact(&mut [0]);
        // If it took too long, nobody listens any more.
        let _ = tell.send(read.map(|()| Instant::now()));
    });
    let begun = Instant::now();
    let sender = Peer::start(folder.path(), &player.sender(From::File(clip), to));
    let shown = told
        .recv_timeout(DEADLINE)
        .with_context(|| format!("no picture of {} came", player.name()))?
        .context("the viewer ended")?;
    let processor = sender.processor_time();
    drop(viewer);
    reader.join().ok().context("the reader panicked")?;
    Ok(First {
        processor: processor.as_secs_f64() * 1e3,
        wall: (shown - begun).as_secs_f64() * 1e3,
    })
}

/// What a sender makes of a clip, as framegram's viewer counts it.
pub(crate) fn volume(player: Player, clip: &Clip) -> Result<ClipVolume> {
    let folder = tempfile::tempdir()?;
    let to = address();
    let seconds = SPAN.as_secs();
    let line = format!("{to} --headless --duration {seconds}s");
    let mut viewer = Start::new(VIEWER, &line).run();
    viewer.wait_for("Waiting for a stream");
    let sender = Peer::start(folder.path(), &player.sender(From::File(clip), to));
    let viewer = viewer.end().well();
    drop(sender);
    let frames = viewer.count("frames.intact");
    ensure!(frames > 0, "nothing of {} was shown", player.name());
    Ok(ClipVolume {
        jpeg: viewer.count("bytes.jpeg") as f64 / frames as f64,
    })
}
