//! Streams for ten minutes, with ten seconds of each without network. The picture is back each
//! time, memory at the end is at most 1.05 times that after one minute, and the delay is the same.
//! `soak MINUTES` takes more or fewer minutes.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use framegram_lab::impair::Impairment;
use framegram_net::clock;
use framegram_tests::measure::print_table;
use framegram_tests::program::{Ended, Program, SENDER, Start, VIEWER, address, until};
use framegram_tests::relay::Relay;
use framegram_tests::screen::Screen;
use nix::sys::signal::Signal;

const MINUTE: Duration = Duration::from_secs(60);

/// The default number of minutes.
const MINUTES: u32 = 10;

/// When in each minute the network fails.
const OUT: Duration = Duration::from_secs(20);
const BACK: Duration = Duration::from_secs(30);

/// How soon after that the picture must be back.
const SOON: Duration = Duration::from_secs(1);

/// How much more memory may be in use at the end.
const MEMORY: f64 = 1.05;

/// How much longer the delay may be at the end, in milliseconds: the resolution with which the
/// viewer prints it.
const DELAY: f64 = 1.0;

/// Memory of the sender and of both viewers in megabytes, and the delay.
type Figures = [f64; 4];

fn main() -> ExitCode {
    let minutes = std::env::args().nth(1).map_or(Ok(MINUTES), |it| it.parse());
    let minutes = minutes.expect("a number of minutes").max(2);
    let screen = Screen::new();
    let [viewed, listened] = [(); 2].map(|()| address());
    let relays = [(); 2].map(|()| address());
    let [to_viewer, to_sender] = [(relays[0], viewed), (relays[1], listened)]
        .map(|(near, far)| Relay::new(near, far, Impairment::default(), Impairment::default()));
    // Without --once, because it would end the stream after a long silence.
    let report = "--report frames.csv";
    let viewer = Start::new(VIEWER, &format!("{viewed} {report}"))
        .environment("DISPLAY", screen.name())
        .run();
    let duration = format!("{}s", (MINUTE * minutes).as_secs() + 5);
    let source = format!("pattern:1280x720@30 {} --listen {listened}", relays[0]);
    let sender = Start::new(
        SENDER,
        &format!("{source} --packet-size 1452 --duration {duration}"),
    )
    .run();
    let asking = format!("--connect {} --headless {report}", relays[1]);
    let asking = Start::new(VIEWER, &asking).run();
    let start = Instant::now();
    let (mut course, mut backs) = (Vec::<Figures>::new(), Vec::new());
    for minute in 0..minutes {
        let begin = start + MINUTE * minute;
        for (at, out) in [(OUT, true), (BACK, false)] {
            wait(begin + at);
            to_viewer.set_out(out);
            to_sender.set_out(out);
        }
        backs.push(clock::now());
        wait(begin + MINUTE);
        let [sent, seen, asked] = [&sender, &viewer, &asking].map(memory);
        let figures = [sent, seen, asked, delay(&viewer)];
        eprintln!("{} min: {figures:.1?} (MB, MB, MB, ms)", minute + 1);
        course.push(figures);
    }
    let well = told(course[0], course[course.len() - 1]);
    let sender = sender.end();
    let viewers = [viewer, asking].map(|mut viewer| {
        viewer.wait_for("The sender ended the stream");
        viewer.signal(Signal::SIGINT);
        viewer.end()
    });
    let tail: Vec<_> = viewers[0].said.lines().rev().take(12).collect();
    println!("{}", tail.join("\n"));
    let back = viewers.iter().all(|viewer| is_back(viewer, &backs));
    let ended = viewers.iter().chain([&sender]);
    if well && back && ended.into_iter().all(|program| program.code == Some(0)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Prints the figures early and late. Returns whether they are as required.
fn told(early: Figures, late: Figures) -> bool {
    let names = ["sender, MB", "viewer, MB", "one that asks, MB", "delay, ms"];
    let most = |at: usize| {
        if at < 3 {
            early[at] * MEMORY
        } else {
            early[at] + DELAY
        }
    };
    let well = |at: usize| late[at] <= most(at);
    let table = [0, 1, 2, 3].map(|at| {
        vec![
            names[at].to_owned(),
            format!("{:.1}", early[at]),
            format!("{:.1}", late[at]),
            format!("{:.3}", late[at] / early[at]),
            if well(at) { "ok" } else { "too much" }.to_owned(),
        ]
    });
    print_table(&["", "after 1 minute", "at the end", "ratio", ""], &table);
    (0..4).all(well)
}

/// Prints how soon the picture was back. Returns whether it was soon enough each time.
fn is_back(viewer: &Ended, backs: &[Duration]) -> bool {
    let without = backs.iter().map(|back| {
        let picture = viewer.first_picture(*back);
        picture.map(|picture| picture.saturating_sub(*back))
    });
    let without: Vec<_> = without.collect();
    println!("without picture after each outage: {without:.3?}");
    let soon = |without: &Option<Duration>| without.is_some_and(|without| without <= SOON);
    without.iter().all(soon)
}

/// Waits until `when`.
fn wait(when: Instant) {
    std::thread::sleep(when.saturating_duration_since(Instant::now()));
}

/// Resident memory of a program in megabytes.
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

/// The 95th percentile of the delay that the viewer prints, in milliseconds.
fn delay(viewer: &Program) -> f64 {
    until("the viewer to tell the delay", || {
        let said = viewer.said();
        let told = said.rsplit_once("delay p95 ")?.1;
        told.split_once(" ms")?.0.parse().ok()
    })
}
