//! What a key costs the programs: processor time of sender and viewer from a file of
//! 1920x1080 to a headless viewer, without a key and with each cipher, in turn.
//!
//! `cargo bench -p framegram-tests --bench key [-- ROUNDS]`. Needs ffmpeg, which makes
//! the files.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use framegram_tests::measure::{median, milliseconds, print_table};
use framegram_tests::program::{PATIENT, Program, SENDER, Start, VIEWER, address};
use nix::sys::signal::Signal;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Frames of each file, at 30 a second: for longer than is measured.
const FRAMES: u32 = 330;

/// How long the programs run, starting included.
const MEASURED: Duration = Duration::from_secs(8);

/// The fewest frames that are worth a figure.
const LEAST: u64 = 60;

/// Rounds of each row: a run without a key, and one with each cipher.
const ROUNDS: usize = 7;

/// The environment variable of both programs that names the cipher.
const CIPHER: &str = "FRAMEGRAM_CIPHER";

/// The ciphers.
const CIPHERS: [&str; 2] = ["AES-128-GCM", "ChaCha20-Poly1305"];

/// The files: how they are called, and how ffmpeg makes them.
const FILES: [(&str, &str, &[&str]); 2] = [
    (
        "H.264, encoded as JPEG",
        "coded.mp4",
        &["-c:v", "libx264", "-crf", "20"],
    ),
    (
        "Motion JPEG, passed through",
        "passed.avi",
        &["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p"],
    ),
];

/// Processor time of a sender and a viewer.
type Pair = [Duration; 2];

fn main() -> Result<()> {
    let arguments = std::env::args().skip(1);
    let rounds = arguments.filter_map(|word| word.parse().ok()).next();
    let rounds: usize = rounds.unwrap_or(ROUNDS);
    let folder = tempfile::tempdir()?;
    let key = folder.path().join("key");
    let made = Start::new(SENDER, "keygen").with([&key]).run_plain().end();
    ensure!(made.code == Some(0), "no key: {}", made.said);
    let key = format!("--key-file {}", key.display());
    println!("## A key, from a file of 1920x1080 to a viewer\n");
    println!(
        "Processor time of a frame in milliseconds, medians of {rounds} rounds of runs in turn. A \
         ratio is the median of those of the rounds, its quartiles behind it.\n"
    );
    let mut rows = Vec::new();
    for (name, file, options) in FILES {
        let file = folder.path().join(file);
        make(&file, options)?;
        let mut runs: Vec<[Pair; 1 + CIPHERS.len()]> = Vec::new();
        for _ in 0..rounds {
            let [aes, chacha] = CIPHERS.map(|cipher| play(&file, &key, cipher));
            runs.push([play(&file, "", CIPHERS[0])?, aes?, chacha?]);
        }
        for (side, name_of_side) in ["sender", "viewer", "both"].into_iter().enumerate() {
            let of = |pair: Pair| pair.get(side).copied().unwrap_or(pair[0] + pair[1]);
            let each = |at: usize| median(runs.iter().map(|run| of(run[at])).collect());
            let mut row = vec![name.to_owned(), name_of_side.to_owned()];
            row.push(milliseconds(each(0)));
            for cipher in 1..=CIPHERS.len() {
                let ratio = |run: &[Pair; 1 + CIPHERS.len()]| {
                    of(run[cipher]).as_secs_f64() / of(run[0]).as_secs_f64()
                };
                let mut ratios: Vec<_> = runs.iter().map(ratio).collect();
                ratios.sort_unstable_by(f64::total_cmp);
                let quartile = |part: usize| ratios[(ratios.len() - 1) * part / 4];
                row.push(milliseconds(each(cipher)));
                row.push(format!(
                    "{:.3} ({:.3} to {:.3})",
                    quartile(2),
                    quartile(1),
                    quartile(3)
                ));
            }
            rows.push(row);
        }
    }
    let [aes, chacha] = CIPHERS;
    print_table(
        &["file", "side", "without", aes, "ratio", chacha, "ratio"],
        &rows,
    );
    Ok(())
}

/// Makes a file of a moving test picture.
fn make(file: &Path, options: &[&str]) -> Result<()> {
    let source = "testsrc2=size=1920x1080:rate=30";
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", source])
        .args(["-frames:v", &FRAMES.to_string()])
        .args(options)
        .arg(file)
        .status()
        .context("cannot run ffmpeg")?;
    ensure!(made.success(), "ffmpeg makes no {}", file.display());
    Ok(())
}

/// Plays a file. Returns what both programs take for a frame.
fn play(file: &Path, key: &str, cipher: &str) -> Result<Pair> {
    let to = address();
    let arguments = format!("--headless {PATIENT} {to} {key}");
    let viewer = Start::new(VIEWER, &arguments);
    let mut viewer = viewer.environment(CIPHER, cipher).run();
    viewer.wait_for("Waiting for a stream");
    let sender = Start::new(SENDER, &format!("--quiet {key}"));
    let sender = sender.with([file.as_os_str(), to.to_string().as_ref()]);
    let sender = sender.environment(CIPHER, cipher).run();
    std::thread::sleep(MEASURED);
    let taken = [processor_time(&sender)?, processor_time(&viewer)?];
    for program in [&sender, &viewer] {
        program.signal(Signal::SIGINT);
    }
    let (sender, viewer) = (sender.end(), viewer.end());
    ensure!(sender.code == Some(0), "{}", sender.said);
    ensure!(viewer.code == Some(0), "{}", viewer.said);
    // A busy machine does not keep the pace of the file.
    let frames = [sender.count("frames.sent"), viewer.count("frames.intact")];
    ensure!(frames[1] >= LEAST, "{} frames: {}", frames[1], viewer.said);
    let of = |at: usize| taken[at].div_f64(frames[at] as f64);
    Ok([of(0), of(1)])
}

/// Processor time of all threads of a program so far.
fn processor_time(program: &Program) -> Result<Duration> {
    let pid = Pid::from_raw(i32::try_from(program.pid())?);
    Ok(clock_gettime(ClockId::pid_cpu_clock_id(pid)?)?.into())
}
