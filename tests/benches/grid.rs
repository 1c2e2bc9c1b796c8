//! Sixteen senders of 320x180 at 30 frames per second in one window.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use framegram_tests::measure::print_table;
use framegram_tests::program::{SENDER, Start, VIEWER, address, executable};
use framegram_tests::screen::Screen;
use serde_json::Value;

const SENDERS: usize = 16;

/// Length of the measurement.
const SPAN: Duration = Duration::from_secs(10);

fn main() -> Result<()> {
    println!("## Sixteen senders of 320x180 at 30 frames/s in one window\n");
    let screen = Screen::sized(1_280, 800);
    let address = address().to_string();
    let arguments = format!("{address} --grid --duration {}s", SPAN.as_secs());
    let mut viewer = Start::new(VIEWER, &arguments)
        .environment("DISPLAY", screen.name())
        .run();
    viewer.wait_for("Waiting for a stream");
    let senders: Vec<Sender> = (0..SENDERS)
        .map(|_| Sender::start(&address))
        .collect::<Result<_>>()?;
    // The viewer's time is read while it runs, since it is not available afterwards.
    let mut took = 0.0;
    let pid = viewer.pid();
    let viewer = std::thread::spawn(move || viewer.end());
    while !viewer.is_finished() {
        took = processor_seconds(pid).unwrap_or(took);
        std::thread::sleep(Duration::from_millis(50));
    }
    let viewer = viewer.join().ok().context("the viewer's thread panicked")?;
    drop(senders);
    let report = viewer.well();
    let each = report.value("senders").as_array().context("no senders")?;
    ensure!(each.len() == SENDERS, "{} senders came", each.len());
    let sum = |pointer: &str| {
        let of = |one: &Value| one.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
        each.iter().map(of).sum::<u64>()
    };
    let worst = each
        .iter()
        .filter_map(|one| one["fps"].as_f64())
        .fold(f64::INFINITY, f64::min);
    let missed = sum("/frames/lost") + sum("/frames/incomplete") + sum("/outcomes/late");
    print_table(
        &[
            "frames shown",
            "skipped for a newer one",
            "lost",
            "the slowest sender",
            "processor of the viewer",
        ],
        &[vec![
            sum("/frames/shown").to_string(),
            sum("/outcomes/skipped").to_string(),
            missed.to_string(),
            format!("{worst:.1} frames/s"),
            format!("{:.0} % of one core", took / SPAN.as_secs_f64() * 100.0),
        ]],
    );
    Ok(())
}

/// A sender that is killed when this is dropped.
struct Sender(Child);

impl Sender {
    fn start(address: &str) -> Result<Self> {
        let child = Command::new(executable(SENDER))
            .args(["--quiet", "pattern:320x180@30", address])
            .stdout(Stdio::null())
            .spawn()
            .context("the sender does not start")?;
        Ok(Self(child))
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Seconds of processor time that a process has used.
fn processor_seconds(pid: u32) -> Option<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = std::fs::read_to_string(Path::new(&path)).ok()?;
    // After the name, which may contain anything: user and system time, in ticks of a hundredth of
    // a second.
    let fields: Vec<&str> = stat.rsplit(')').next()?.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((ticks(11)? + ticks(12)?) / 100.0)
}
