//! Ten minutes of a stream: memory at the end at most 1.05 times that after one
//! minute, and the delay the same.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use framegram_tests::measure::print_table;
use framegram_tests::program::{Program, SENDER, Start, VIEWER, address, until};
use framegram_tests::screen::Screen;

/// When memory and delay are taken.
const EARLY: Duration = Duration::from_secs(60);
const LATE: Duration = Duration::from_secs(600);

/// How much more memory there may be.
const MEMORY: f64 = 1.05;

/// How many milliseconds more delay there may be: as exact as the viewer tells it.
const DELAY: f64 = 1.0;

fn main() -> ExitCode {
    let screen = Screen::new();
    let address = address().to_string();
    let viewer = Start::new(VIEWER, &format!("{address} --once"))
        .environment("DISPLAY", screen.name())
        .run();
    let duration = format!("{}s", LATE.as_secs() + 5);
    let sender = Start::new(
        SENDER,
        &format!("pattern:1280x720@30 {address} --duration {duration}"),
    )
    .run();
    let start = Instant::now();
    let course: Vec<_> = (1..=LATE.as_secs() / EARLY.as_secs())
        .map(|minute| {
            wait(start + EARLY * minute as u32);
            let now = (memory(&sender), memory(&viewer), delay(&viewer));
            eprintln!(
                "{minute} min: {:.1} MB, {:.1} MB, {:.1} ms",
                now.0, now.1, now.2
            );
            now
        })
        .collect();
    let (early, late) = (course[0], course[course.len() - 1]);
    let rows = [
        ("sender, MB", early.0, late.0, early.0 * MEMORY),
        ("viewer, MB", early.1, late.1, early.1 * MEMORY),
        ("delay, ms", early.2, late.2, early.2 + DELAY),
    ];
    let table = rows.map(|(name, early, late, most)| {
        vec![
            name.to_owned(),
            format!("{early:.1}"),
            format!("{late:.1}"),
            format!("{:.3}", late / early),
            if late <= most { "ok" } else { "too much" }.to_owned(),
        ]
    });
    print_table(&["", "after 1 minute", "after 10", "ratio", ""], &table);
    let (sender, viewer) = (sender.end(), viewer.end());
    println!(
        "{}",
        viewer
            .said
            .lines()
            .rev()
            .take(12)
            .collect::<Vec<_>>()
            .join("\n")
    );
    let well = rows.iter().all(|(_, _, late, most)| late <= most);
    if well && sender.code == Some(0) && viewer.code == Some(0) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Waits until `when`, and sees that both programs still run.
fn wait(when: Instant) {
    std::thread::sleep(when.saturating_duration_since(Instant::now()));
}

/// Megabytes of a program that are in memory.
fn memory(program: &Program) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", program.pid()));
    let status = status.expect("the program runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes: f64 = kilobytes
        .and_then(|number| number.parse().ok())
        .expect("the kernel tells the memory of a program that runs");
    kilobytes / 1_024.0
}

/// The 95th percentile of the delay that the viewer tells, in milliseconds.
fn delay(viewer: &Program) -> f64 {
    until("the viewer to tell the delay", || {
        let said = viewer.said();
        let told = said.rsplit_once("delay p95 ")?.1;
        told.split_once(" ms")?.0.parse().ok()
    })
}
