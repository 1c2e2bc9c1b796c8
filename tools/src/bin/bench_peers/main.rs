//! framegram compared with GStreamer and FFmpeg: the cost of senders and viewers, the time to the
//! first picture, the delay of a frame, and what remains on a path that loses datagrams. All
//! programs take turns in the same run.
//!
//! `bench_peers [WORD...] [--pairs N]` prints tables as Markdown and writes all figures to
//! `target/bench-peers.json`. With words, it only measures the rows whose name contains one of
//! them. It fails if a target is missed or the machine was too busy to judge. A peer without
//! targets that cannot do a piece of work has no figures for it. The clips are made once, in
//! `target/bench-peers/`.

mod clips;
mod feed;
mod figures;
mod players;
mod qualities;
mod stream;

use std::fs;
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use framegram_tests::measure::print_table;
use framegram_tests::program::root;
use serde_json::json;

use self::clips::{Clip, Coding, Equal, clips};
use self::feed::{Jpegs, Passed, Raw};
use self::figures::{FigureRow, HEAD, NONE, RowVerdict, quartile};
use self::players::Player;

/// Runs of each program, in turn.
const PAIRS: usize = 9;

/// How often a row is measured if its ratios differ too much.
const ATTEMPTS: usize = 2;

/// The targets for sender and viewer, relative to GStreamer.
fn targets(clip: &Clip) -> (f64, f64) {
    let is_large = clip.name == "1080p";
    match clip.coding {
        Coding::H264 if is_large => (0.93, 0.92),
        Coding::H264 => (0.85, 0.75),
        Coding::MotionJpeg if is_large => (0.40, 0.92),
        Coding::MotionJpeg => (0.40, 0.75),
    }
}

/// The targets for processor time until the first picture and for wall time, relative to GStreamer.
const FIRST: (f64, f64) = (0.65, 1.0);

/// The target for the delay of a frame, relative to GStreamer.
fn delay_target(clip: &Clip) -> f64 {
    if clip.name == "1080p" { 0.5 } else { 0.9 }
}

/// Shares of datagrams that a path loses.
const LOSSES: [f64; 4] = [0.0, 0.01, 0.05, 0.10];

/// What was asked for.
struct Options {
    pairs: usize,
    words: Vec<String>,
}

impl Options {
    fn read() -> Result<Self> {
        let mut asked = Self {
            pairs: PAIRS,
            words: Vec::new(),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            if argument == "--pairs" {
                let pairs = arguments.next().context("--pairs takes a number")?;
                asked.pairs = pairs.parse().context("--pairs takes a number")?;
                ensure!(asked.pairs > 0, "--pairs takes a number above 0");
            } else {
                asked.words.push(argument);
            }
        }
        Ok(asked)
    }

    fn wants(&self, work: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| work.contains(word.as_str()))
    }
}

fn main() -> Result<ExitCode> {
    let asked = Options::read()?;
    let folder = root().join("target/bench-peers");
    let clips = qualities::compared(clips(&folder)?)?;
    let mut rows = Vec::new();
    for clip in &clips {
        rows.extend(costs(&asked, clip)?);
    }
    let is_first = |clip: &&Clip| clip.equal == Equal::Similarity;
    let first = clips
        .iter()
        .find(is_first)
        .context("there is such a clip")?;
    rows.extend(firsts(&asked, first)?);
    for clip in clips.iter().filter(|clip| clip.coding == Coding::H264) {
        rows.extend(delays(&asked, clip)?);
    }

    println!("## Beside GStreamer and FFmpeg\n");
    println!(
        "{}. Medians of {} runs of each program in turn, and of the ratios of each run.\n",
        machine(),
        asked.pairs
    );
    let cells: Vec<_> = rows.iter().map(FigureRow::cells).collect();
    print_table(&HEAD, &cells);
    let losses = losses(&asked, &clips)?;
    let clips = tell_clips(&asked, &clips, &rows)?;

    let path = root().join("target/bench-peers.json");
    let rows_told: Vec<_> = rows.iter().map(FigureRow::to_json).collect();
    let all = json!({ "machine": machine(), "rows": rows_told, "losses": losses, "clips": clips });
    fs::write(&path, serde_json::to_vec_pretty(&all)?)
        .with_context(|| format!("cannot write {}", path.display()))?;
    let is_well = |row: &FigureRow| matches!(row.verdict(), RowVerdict::Told | RowVerdict::Reached);
    Ok(if rows.iter().all(is_well) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The rows of a clip's sender and viewer.
fn costs(asked: &Options, clip: &Clip) -> Result<Vec<FigureRow>> {
    let what = match clip.coding {
        Coding::H264 => "H.264 file",
        Coding::MotionJpeg => "Motion JPEG passed through",
    };
    let (sending, viewing) = targets(clip);
    let rows = [("sender", sending), ("viewer", viewing)].map(|(side, target)| {
        let work = format!("{side}, {what}, {}", clip.title());
        let target = clip.is_judged().then_some(target);
        FigureRow::new(work, "ms of processor a frame", target)
    });
    measure(asked, clip, rows, |player| {
        let cost = stream::cost(player, clip)?;
        Ok([cost.sender, cost.viewer])
    })
}

/// The rows of the start.
fn firsts(asked: &Options, clip: &Clip) -> Result<Vec<FigureRow>> {
    let rows = [
        ("ms of processor of the sender", FIRST.0),
        ("ms of time", FIRST.1),
    ]
    .map(|(unit, target)| {
        let work = format!("start to first picture, H.264 file, {}", clip.title());
        FigureRow::new(work, unit, Some(target))
    });
    measure(asked, clip, rows, |player| {
        let first = stream::first(player, clip)?;
        Ok([first.processor, first.wall])
    })
}

/// The row of the delay from raw pictures to raw pictures.
fn delays(asked: &Options, clip: &Clip) -> Result<Vec<FigureRow>> {
    let work = format!("raw frame in to raw frame out, {}", clip.title());
    let target = clip.is_judged().then(|| delay_target(clip));
    let row = FigureRow::new(work, "ms, median", target);
    let raw = Raw::of(clip)?;
    measure(asked, clip, [row], |player| {
        let passed = raw.pass(player)?;
        let median = passed
            .median()
            .with_context(|| format!("nothing came through {}", player.name()))?;
        Ok([median])
    })
}

/// Prints what becomes of JPEGs on paths that lose datagrams.
fn losses(asked: &Options, clips: &[Clip]) -> Result<Vec<serde_json::Value>> {
    if !asked.wants(LOSS) {
        return Ok(Vec::new());
    }
    let clip = clips
        .iter()
        .find(|clip| clip.coding == Coding::MotionJpeg)
        .context("there is such a clip")?;
    let jpegs = Jpegs::of(clip)?;
    let (mut cells, mut told) = (Vec::new(), Vec::new());
    for loss in LOSSES {
        let mut runs: [Vec<Passed>; Player::ALL.len()] = Default::default();
        let mut players = Player::ALL.to_vec();
        for _ in 0..asked.pairs.div_ceil(3) {
            for player in players.clone() {
                match attempt(|player| jpegs.pass(player, loss), player)? {
                    Some(passed) => runs[player as usize].push(passed),
                    None => {
                        players.retain(|other| *other != player);
                        runs[player as usize].clear();
                    }
                }
            }
        }
        for player in Player::ALL {
            let runs = &runs[player as usize];
            let of = |figure: fn(&Passed) -> Option<f64>| {
                let figures: Vec<_> = runs.iter().filter_map(figure).collect();
                quartile(&figures, 2)
            };
            let complete = of(|passed| Some(passed.complete()));
            let (median, p95) = (of(Passed::median), of(Passed::p95));
            let number =
                |figure: Option<f64>| figure.map_or(NONE.to_owned(), |it| format!("{it:.1}"));
            let mut row = vec![format!("{:.0} %", loss * 100.0), player.name().to_owned()];
            row.extend([complete, median, p95].map(number));
            cells.push(row);
            told.push(json!({
                "loss": loss,
                "program": player.name(),
                "complete_percent": complete,
                "delay_median_ms": median,
                "delay_p95_ms": p95,
            }));
        }
    }
    println!(
        "Motion JPEG of {} through a relay that loses datagrams: frames that came byte for \
         byte, and how long those took.\n",
        clip.name
    );
    print_table(
        &["loss", "program", "complete, %", "median, ms", "p95, ms"],
        &cells,
    );
    Ok(told)
}

/// The word that selects the table of loss.
const LOSS: &str = "loss";

/// Measures rows that are measured together, if one of them is selected. A peer without targets has
/// one quality only.
fn measure<const ROWS: usize>(
    asked: &Options,
    clip: &Clip,
    mut rows: [FigureRow; ROWS],
    work: impl Fn(Player) -> Result<[f64; ROWS]>,
) -> Result<Vec<FigureRow>> {
    if !rows.iter().any(|row| asked.wants(&row.work)) {
        return Ok(Vec::new());
    }
    for _ in 0..ATTEMPTS {
        rows.iter_mut().for_each(FigureRow::clear);
        let mut players = Player::ALL.to_vec();
        players.retain(|player| player.is_judged() || clip.is_judged());
        for pair in 1..=asked.pairs {
            for player in players.clone() {
                let Some(figures) = attempt(&work, player)? else {
                    // The median of the runs that went well would flatter it.
                    players.retain(|other| *other != player);
                    rows.iter_mut().for_each(|row| row.discard(player));
                    continue;
                };
                for (row, figure) in rows.iter_mut().zip(figures) {
                    row.push(player, figure);
                }
            }
            let ratios = rows.each_ref().map(|row| row.ratio(Player::Framegram));
            eprintln!("{pair}/{}: {}, {ratios:.3?}", asked.pairs, rows[0].work);
        }
        if !rows.iter().any(|row| row.verdict() == RowVerdict::Unsteady) {
            break;
        }
    }
    Ok(rows.into())
}

/// Does a piece of work, and repeats it once if it fails: half an hour of results should not be
/// lost because the machine was busy for a moment. `None` if a peer without targets fails twice.
fn attempt<T>(work: impl Fn(Player) -> Result<T>, player: Player) -> Result<Option<T>> {
    let done = work(player).or_else(|error| {
        eprintln!("once more, since {error:#}");
        work(player)
    });
    match done {
        Err(error) if !player.is_judged() => {
            eprintln!("no figures of {}, since {error:#}", player.name());
            Ok(None)
        }
        done => done.map(Some),
    }
}

/// Prints what the clips are like, and the ratios above the decoder's share.
fn tell_clips(
    asked: &Options,
    clips: &[Clip],
    rows: &[FigureRow],
) -> Result<Vec<serde_json::Value>> {
    let (mut cells, mut told) = (Vec::new(), Vec::new());
    for clip in clips {
        let sender = rows.iter().find(|row| {
            let is_of = row.work.starts_with("sender") && row.work.ends_with(&clip.title());
            is_of && row.work.contains("H.264") == (clip.coding == Coding::H264)
        });
        let Some(sender) = sender else { continue };
        let mut jpeg = Vec::new();
        for player in Player::ALL {
            jpeg.push(attempt(|player| stream::volume(player, clip), player)?.map(|it| it.jpeg));
        }
        let decoding = match clip.coding {
            Coding::MotionJpeg => None,
            Coding::H264 => {
                let runs = (0..asked.pairs.div_ceil(3)).map(|_| stream::decoding(clip));
                quartile(&runs.collect::<Result<Vec<_>>>()?, 2)
            }
        };
        let medians = [Player::Framegram, Player::GStreamer].map(|player| sender.median(player));
        let [ours, theirs] = medians.map(Option::unwrap_or_default);
        let share = decoding.map(|decoding| decoding / theirs);
        let above = decoding.map(|decoding| (ours - decoding) / (theirs - decoding));
        let file = clip.path.file_name().unwrap_or_default();
        let file = file.to_string_lossy().into_owned();
        let number = |figure: Option<f64>| figure.map_or(NONE.to_owned(), |it| format!("{it:.2}"));
        let size = |bytes: &Option<f64>| {
            bytes.map_or(NONE.to_owned(), |bytes| format!("{:.1} KB", bytes / 1e3))
        };
        let quality = match clip.equal {
            Equal::Jpegs => NONE.to_owned(),
            Equal::Similarity => format!("{} (equal SSIMULACRA2)", clip.quality),
            Equal::Bytes => format!("{} (equal bytes)", clip.quality),
        };
        let mut row = vec![
            file.clone(),
            quality,
            format!("{:.1} MB", clip.bytes()? as f64 / 1e6),
        ];
        row.extend(jpeg.iter().map(size));
        row.extend([decoding, share, above].map(number));
        cells.push(row);
        told.push(json!({
            "clip": file,
            "quality": clip.quality,
            "bytes": clip.bytes()?,
            "jpeg_bytes": { "framegram": jpeg[0], "GStreamer": jpeg[1], "FFmpeg": jpeg[2] },
            "decoding_ms": decoding,
            "decoding_share": share,
            "ratio_above_decoding": above,
        }));
    }
    let head = [
        "clip",
        "framegram's quality",
        "file",
        "framegram's JPEG",
        "GStreamer's",
        "FFmpeg's",
        "H.264 decoding, ms",
        "share of GStreamer's sender",
        "framegram / GStreamer above it",
    ];
    if !cells.is_empty() {
        print_table(&head, &cells);
    }
    Ok(told)
}

/// The properties of the machine that influence the figures.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let information = read("/proc/cpuinfo");
    let model = information
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown", |(_, model)| model);
    let load = read("/proc/loadavg");
    let load = load.split(' ').next().unwrap_or("unknown");
    format!("{processors} processors ({model}), load {load} at the end")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_failure_of_a_judged_program_ends_the_run() {
        let fails = |_| Err::<(), _>(anyhow::anyhow!("it showed 132 of 150 frames"));
        assert!(matches!(attempt(fails, Player::Ffmpeg), Ok(None)));
        assert!(attempt(fails, Player::GStreamer).is_err());
        assert!(attempt(fails, Player::Framegram).is_err());
        let once = std::cell::Cell::new(false);
        let second = |_| {
            ensure!(once.replace(true), "the machine was busy");
            Ok(7)
        };
        assert!(matches!(attempt(second, Player::Framegram), Ok(Some(7))));
    }
}
