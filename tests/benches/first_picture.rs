//! The time from starting the sender to the first picture at the receiver, which writes it to a
//! pipe as a complete JPEG, compared with GStreamer.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use framegram_tests::measure::{median, milliseconds, print_table};
use framegram_tests::program::{DEADLINE, SENDER, VIEWER, executable, media, until};

/// Measurements of each program, taken in turn, so that a busy moment affects both.
const RUNS: usize = 15;

const ADDRESS: &str = "127.0.0.1";

fn main() -> Result<()> {
    let clip = media("mjpeg.avi");
    let rows = [
        (
            "test picture, 1280x720",
            "pattern:1280x720@30".to_owned(),
            "videotestsrc is-live=true ! video/x-raw,format=I420,width=1280,height=720,framerate=30/1 \
             ! jpegenc ! rtpjpegpay"
                .to_owned(),
        ),
        (
            "Motion JPEG file, 320x180",
            clip.clone(),
            format!("filesrc location={clip} ! avidemux ! rtpjpegpay"),
        ),
    ]
    .into_iter()
    .map(|(name, source, pipeline)| compare(name, &source, &pipeline))
    .collect::<Result<Vec<_>>>()?;
    println!("## From starting the sender to the first picture\n");
    println!("Medians of {RUNS} runs in turn, in milliseconds; the receiver listens already.\n");
    print_table(&["source", "framegram", "GStreamer", "ratio"], &rows);
    Ok(())
}

fn compare(name: &str, source: &str, pipeline: &str) -> Result<Vec<String>> {
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..RUNS {
        let port = 15_005 + u16::try_from(2 * run)?;
        ours.push(framegram(source, port)?);
        theirs.push(gstreamer(pipeline, port + 1)?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(vec![
        name.to_owned(),
        milliseconds(ours),
        milliseconds(theirs),
        format!("{:.2}", ours.as_secs_f64() / theirs.as_secs_f64()),
    ])
}

fn framegram(source: &str, port: u16) -> Result<Duration> {
    let address = format!("{ADDRESS}:{port}");
    let mut viewer = Command::new(executable(VIEWER));
    viewer.args([
        &address,
        "--headless",
        "--quiet",
        "--output",
        "-",
        "--output-format",
        "mjpeg",
    ]);
    let mut sender = Command::new(executable(SENDER));
    sender.args([source, &address, "--quiet"]);
    first_picture(viewer, sender, port)
}

fn gstreamer(pipeline: &str, port: u16) -> Result<Duration> {
    let mut receiver = Command::new("gst-launch-1.0");
    let receive = format!(
        "udpsrc address={ADDRESS} port={port} buffer-size=4194304 \
         caps=application/x-rtp,media=video,encoding-name=JPEG,payload=26,clock-rate=90000 \
         ! rtpjpegdepay ! fdsink fd=1"
    );
    receiver.arg("-q").args(receive.split_whitespace());
    let mut sender = Command::new("gst-launch-1.0");
    let send = format!("{pipeline} ! udpsink host={ADDRESS} port={port} sync=true");
    sender.arg("-q").args(send.split_whitespace());
    first_picture(receiver, sender, port)
}

/// Starts the receiver and, once it listens, the sender. Returns the time from there until the
/// receiver has written the first complete picture.
fn first_picture(mut receiver: Command, mut sender: Command, port: u16) -> Result<Duration> {
    let mut receiver = Ending(quietly(&mut receiver).stdout(Stdio::piped()).spawn()?);
    let mut pictures = receiver.0.stdout.take().context("piped")?;
    let (tell, told) = channel();
    std::thread::spawn(move || {
        let read = pictures.read_exact(&mut [0]);
        // If it took too long, nobody listens any more.
        let _ = tell.send(read.map(|()| Instant::now()));
    });
    until("the receiver to listen", || listens(port).then_some(()));
    let start = Instant::now();
    let _sender = Ending(quietly(&mut sender).stdout(Stdio::null()).spawn()?);
    let shown = told
        .recv_timeout(DEADLINE)
        .context("no picture came")?
        .context("the receiver ended")?;
    Ok(shown - start)
}

fn quietly(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stderr(Stdio::null())
}

/// Kills the program when the measurement ends.
struct Ending(Child);

impl Drop for Ending {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listens(port: u16) -> bool {
    let table = std::fs::read_to_string("/proc/net/udp").unwrap_or_default();
    table.contains(&format!(":{port:04X} "))
}
