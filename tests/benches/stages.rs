//! The processor time of a frame by stage, from a file to a window.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use anyhow::{Context, Result, bail, ensure};
use framegram_common::receiver::{self, Output, Receiver};
use framegram_common::sender::{self, Sender};
use framegram_common::wire::MAX_DATAGRAM;
use framegram_media::{Decoder, Pixels, Reduction, XrgbImage, vet};
use framegram_net::{ConnectOptions, ListenOptions, Socket, clock};
use framegram_send::console::Console;
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{self, Pattern, Request, Source, Spec};
use framegram_send::stop::Stop;
use framegram_tests::measure::{Cost, median_cost, print_table, timed};
use framegram_tests::screen::Screen;
use framegram_view::decoding::DecodingThread;
use framegram_view::report::live::Live;
use framegram_view::sink::snapshot::Series;
use framegram_view::sink::window::StreamWindow;
use framegram_view::sink::{Sink, Status};
use framegram_view::threads::Threads;

/// Frames measured at each size; the first few do not count.
const FRAMES: usize = 90;
const WARM_UP: usize = 10;

const SIZES: [(usize, usize); 2] = [(640, 360), (1920, 1080)];

const STAGES: [&str; 8] = [
    "decode the file (H.264)",
    "encode the JPEG",
    "chunk",
    "send",
    "receive",
    "reassemble",
    "decode the JPEG",
    "show in the window",
];

/// The place of decoding among them.
const DECODE: usize = 6;

/// The additional cost of a frame without a checksum.
const LOOK: &str = "besides, of RTP and bare JPEG: look whether all is there";

/// Set if there is a screen: the width and height to measure. A process opens one window, so each
/// size has its own.
const INNER: &str = "FRAMEGRAM_BENCH_INNER";

fn main() -> Result<()> {
    if let Ok(size) = std::env::var(INNER) {
        let size = source::parse_size(&size).map_err(anyhow::Error::msg)?;
        println!("{}", serde_json::to_string(&medians(size)?)?);
        return Ok(());
    }
    // The window needs a screen, which is the same for everybody.
    let screen = Screen::sized(2_560, 1_440);
    let mut rows: Vec<Vec<String>> = STAGES.map(|stage| vec![stage.to_owned()]).to_vec();
    let mut sums = vec!["all".to_owned()];
    let mut looks = vec![LOOK.to_owned()];
    let mut ratios = Vec::new();
    let mut sizes = Vec::new();
    for (width, height) in SIZES {
        let (stages, look, bytes) = of_process((width, height), screen.name())?;
        for (row, median) in rows.iter_mut().zip(&stages) {
            row.extend(median.map(cell));
        }
        let sum = |of: usize| stages.iter().map(|median| median[of]).sum();
        sums.extend([0, 1].map(sum).map(cell));
        looks.extend(look.map(cell));
        ratios.push(format!(
            "{:.2} at {width}x{height}",
            look[0] / stages[DECODE][0]
        ));
        sizes.push(format!("{width}x{height}: {} KB", bytes / 1_000));
    }
    rows.extend([sums, looks]);
    println!("## A frame, stage by stage\n");
    println!(
        "Medians over {} frames, in milliseconds; the mean JPEG at {}.\n",
        FRAMES - WARM_UP,
        sizes.join(", at ")
    );
    print_table(
        &[
            "stage",
            "360p processor",
            "360p wall",
            "1080p processor",
            "1080p wall",
        ],
        &rows,
    );
    println!(
        "\nProcessor time of that look, in parts of decoding: {}.",
        ratios.join(", ")
    );
    Ok(())
}

/// What a process has measured at one size: processor and wall time of each stage and of the
/// [look](LOOK) in milliseconds, and the mean length of a JPEG.
type Medians = (Vec<[f64; 2]>, [f64; 2], usize);

fn of_process((width, height): (usize, usize), display: &str) -> Result<Medians> {
    let output = Command::new(std::env::current_exe()?)
        .env(INNER, format!("{width}x{height}"))
        .env("DISPLAY", display)
        .stderr(Stdio::inherit())
        .output()?;
    ensure!(output.status.success(), "the measurement failed");
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn medians((width, height): (usize, usize)) -> Result<Medians> {
    let (costs, look, bytes) = measure(width, height)?;
    let median = |costs: &[Cost]| {
        let median = median_cost(costs);
        [median.processor, median.wall].map(|time| 1_000.0 * time.as_secs_f64())
    };
    let stages = costs.iter().map(|costs| median(costs)).collect();
    Ok((stages, median(&look), bytes))
}

fn cell(milliseconds: f64) -> String {
    format!("{milliseconds:.3}")
}

/// The costs of every stage for every frame, those of the [check](LOOK), and the mean length of a
/// JPEG.
fn measure(width: usize, height: usize) -> Result<([Vec<Cost>; 8], Vec<Cost>, usize)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("clip.mp4");
    draw(width, height, &file)?;
    let mut source = open(&file)?;
    let mut encoder = Encoder::new(Settings::default())?;

    let viewer = Socket::listen(&ListenOptions {
        address: Some("127.0.0.1:0".parse()?),
        ..ListenOptions::default()
    })?;
    let address = viewer.local_addr()?;
    let sender = Socket::connect(address, &ConnectOptions::default())?;
    let config = sender::Config {
        pace: false,
        ..sender::Config::default()
    };
    let mut transmitter = Sender::new(config, 1, clock::now());
    let mut receiver = Receiver::new(receiver::Config::default(), 1, (1, 2), clock::now());
    let mut decoder = Decoder::new()?;
    let mut picture = XrgbImage::default();
    let decoding = DecodingThread::start(&Threads::new(&Stop::new()))?;
    let mut window = StreamWindow::open(Vec::new(), Series::new(None), decoding)?;
    let live = Live::default();

    let mut costs: [Vec<Cost>; 8] = Default::default();
    let mut looks = Vec::new();
    let mut bytes = 0;
    for index in 0..FRAMES {
        let mut took = Vec::new();
        let (captured, cost) = timed(|| source.next());
        took.push(cost);
        let captured = captured?.context("the clip is too short")?;

        let (encoded, cost) = timed(|| encoder.encode(&captured.content));
        took.push(cost);
        let encoded = encoded?;
        bytes += encoded.jpeg.len();

        let (batches, cost) = timed(|| -> Result<_> {
            let now = clock::now();
            transmitter.handle_frame(encoded.jpeg.clone(), now, encoded.quality, now)?;
            let mut batches = Vec::new();
            let mut out = Vec::with_capacity(1 << 16);
            while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
                batches.push((
                    std::mem::replace(&mut out, Vec::with_capacity(1 << 16)),
                    transmit,
                ));
            }
            Ok(batches)
        });
        took.push(cost);

        let (sent, cost) = timed(|| {
            batches?
                .iter()
                .try_for_each(|(bytes, transmit)| sender.send(None, bytes, transmit.segment))
                .context("cannot send")
        });
        sent?;
        took.push(cost);

        let (received, cost) = timed(|| -> Result<_> {
            let mut datagrams = Vec::new();
            let mut buffer = vec![0; MAX_DATAGRAM];
            while let Some(received) = viewer.receive(&mut buffer)? {
                datagrams.push((buffer[..received.len].to_vec(), received));
            }
            Ok(datagrams)
        });
        took.push(cost);

        let (frame, cost) = timed(|| -> Result<_> {
            for (datagram, received) in received? {
                receiver.handle_datagram(received.from, &datagram, received.arrival);
            }
            match receiver.poll_output(clock::now()) {
                Output::Frame(frame) => Ok(frame),
                _ => bail!("the frame is incomplete"),
            }
        });
        took.push(cost);
        let frame = frame?;
        ensure!(frame.jpeg == encoded.jpeg, "it is another frame");

        let (looked, look) = timed(|| vet(&frame.jpeg, false));
        looked?;

        let (decoded, decode) =
            timed(|| decoder.decode(&frame.jpeg, Reduction::default(), &mut picture));
        decoded?;
        took.push(decode);

        let status = Status {
            now: clock::now(),
            live: &live,
            ended: None,
            tiles: &[],
        };
        let (shown, show) = timed(|| {
            window.show(&frame, &status)?;
            window.tend(&status)
        });
        shown?;
        // The window decodes what it shows; that is measured separately.
        took.push(Cost {
            processor: show.processor.saturating_sub(decode.processor),
            wall: show.wall.saturating_sub(decode.wall),
        });
        if index >= WARM_UP {
            looks.push(look);
            for (costs, cost) in costs.iter_mut().zip(took) {
                costs.push(cost);
            }
        }
    }
    Ok((costs, looks, bytes / FRAMES))
}

/// Makes a video file of the test picture.
fn draw(width: usize, height: usize, file: &Path) -> Result<()> {
    let mut ffmpeg = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "rawvideo", "-pix_fmt", "yuvj420p"])
        .args(["-s", &format!("{width}x{height}"), "-r", "30", "-i", "-"])
        .args([
            "-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p",
        ])
        .arg(file)
        .stdin(Stdio::piped())
        .spawn()
        .context("ffmpeg is missing")?;
    let mut pipe = ffmpeg.stdin.take().context("piped")?;
    let pattern = Pattern::new(width, height, 30.0)?;
    for number in 0..FRAMES {
        if let Pixels::Yuv(_, planes) = pattern.picture(number as u64)?.pixels() {
            pipe.write_all(planes)?;
        }
    }
    drop(pipe);
    ensure!(ffmpeg.wait()?.success(), "cannot make a clip");
    Ok(())
}

fn open(file: &Path) -> Result<Box<dyn Source>> {
    let request = Request {
        size: None,
        rate: None,
        pass_through: true,
        keep_broken: false,
        stop: Stop::new(),
        console: Arc::new(Console::new(true)),
    };
    source::open(&Spec::Path(file.to_owned()), &request)
}
