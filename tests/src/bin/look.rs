//! Makes a report of a stream over a bad link and takes pictures of its page
//! with Chromium: in light, in dark, and as wide as a phone. `look FOLDER`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use framegram_common::link::{GilbertElliott, Impairment};
use framegram_tests::program::{SENDER, Start, VIEWER, address};
use framegram_tests::relay::Relay;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: look FOLDER")?;
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    report(&folder.join("report.html"));
    let phone = format!(
        "<!doctype html><body style=\"margin:0\"><iframe src=\"report.html\" style=\"border:0\" \
         width=\"{PHONE}\" height=\"{}\"></iframe>",
        TALL.1
    );
    fs::write(folder.join("phone.html"), phone)?;
    picture(&folder, "report.html", "report.png", README, &[])?;
    picture(&folder, "report.html", "light.png", TALL, &[])?;
    picture(&folder, "report.html", "dark.png", TALL, &DARK)?;
    picture(&folder, "phone.html", "phone.png", (500, TALL.1), &[])
}

/// Half a minute of the test picture over a link that loses in bursts.
fn report(file: &Path) {
    let (near, far) = (address(), address());
    let forward = Impairment {
        bursts: Some(GilbertElliott {
            p: 0.0012,
            r: 0.08,
            step: None,
        }),
        delay: Duration::from_millis(12),
        jitter: Duration::from_millis(1),
        seed: 5,
        ..Impairment::default()
    };
    let backward = Impairment {
        delay: Duration::from_millis(12),
        seed: 6,
        ..Impairment::default()
    };
    let _relay = Relay::new(near, far, forward, backward);
    let mut viewer = Start::new(
        VIEWER,
        &format!("{far} --headless --once --latency 50ms --report"),
    )
    .with([file])
    .run_plain();
    viewer.wait_for("Waiting for a stream");
    let sender = Start::new(
        SENDER,
        "--duration 30s --quality 60 --fec 6 pattern:640x360@30",
    )
    .with([near.to_string()])
    .run_plain();
    let _ = sender.end().well();
    let _ = viewer.end().well();
}

fn picture(
    folder: &Path,
    page: &str,
    file: &str,
    (width, height): (u32, u32),
    more: &[&str],
) -> Result<()> {
    let picture = folder.join(file);
    let status = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
        ])
        .args(more)
        .arg(format!("--window-size={width},{height}"))
        .arg(format!("--screenshot={}", picture.display()))
        .arg(folder.join(page))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .context("there is no chromium: apt-get install chromium")?;
    ensure!(
        status.success() && picture.exists(),
        "chromium took no picture of {page}"
    );
    println!("{}", picture.display());
    Ok(())
}

/// What makes a page dark.
const DARK: [&str; 2] = [
    "--force-dark-mode",
    "--blink-settings=preferredColorScheme=0",
];

/// The whole page, and what of it is in the README, in pixels.
const TALL: (u32, u32) = (1100, 3400);
const README: (u32, u32) = (1000, 1000);

/// Width of a phone in pixels; Chromium has no window as narrow.
const PHONE: u32 = 390;
