//! Makes a report of a stream over a bad link, reads its page in Chromium, compares the numbers
//! with those of the report, and takes pictures of it: light, dark, and as wide as a phone. `look
//! FOLDER`

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use framegram_common::stats::OUTCOMES;
use framegram_lab::impair::{GilbertElliott, Impairment};
use framegram_tests::program::{SENDER, Start, VIEWER, address};
use framegram_tests::relay::Relay;
use serde_json::Value;

fn main() -> Result<()> {
    let folder = std::env::args().nth(1).context("usage: look FOLDER")?;
    let folder = PathBuf::from(folder);
    fs::create_dir_all(&folder)?;
    let folder = folder.canonicalize()?;
    report(&folder);
    compare(&folder)?;
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

/// Half a minute of the test picture over a link with bursts of loss.
fn report(folder: &Path) {
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
    let mut viewer = Start::new(VIEWER, &format!("{far} --headless --once --latency 50ms"))
        .with(
            ["report.html", "report.json"]
                .map(|file| folder.join(file))
                .iter()
                .flat_map(|file| [Path::new("--report"), file]),
        )
        .run_plain();
    viewer.wait_for("Waiting for a stream");
    let sender = Start::new(
        SENDER,
        "--duration 30s --quality 60 --fec 6 --packet-size 1452 pattern:640x360@30",
    )
    .with([near.to_string()])
    .run_plain();
    let _ = sender.end().well();
    let _ = viewer.end().well();
}

/// Reads the page as a browser shows it. Each of its counts must be the report's.
fn compare(folder: &Path) -> Result<()> {
    let json = fs::read_to_string(folder.join("report.json"))?;
    let json: Value = serde_json::from_str(&json)?;
    let dom = chromium(&["--dump-dom"], &folder.join("report.html"))?;
    let mut compared = 0;
    let outcomes = OUTCOMES
        .iter()
        .map(|it| ("Frames", it.legend, "outcomes", it.key));
    let packets = PACKETS
        .iter()
        .map(|(row, field)| ("Packets", *row, "packets", *field));
    for (heading, row, object, field) in outcomes.chain(packets) {
        let table = dom.split(&format!("<h2>{heading}</h2>")).nth(1);
        let table = table.with_context(|| format!("no table {heading}"))?;
        let table = table.split("</section>").next().unwrap_or(table);
        let cell = table.split(&format!("<th>{row}</th><td>")).nth(1);
        let cell = cell.with_context(|| format!("no row {row} under {heading}"))?;
        let shown: String = cell.split('<').next().unwrap_or(cell).replace(',', "");
        let number = json.pointer(&format!("/{object}/{field}"));
        let number = number.with_context(|| format!("no {object}.{field}"))?;
        let number = number.as_u64().map_or("?".to_owned(), |n| n.to_string());
        ensure!(
            shown == number,
            "{heading}, {row}: {shown}, in the report {number}"
        );
        compared += 1;
    }
    println!("{compared} numbers of the page are the report's");
    Ok(())
}

fn picture(
    folder: &Path,
    page: &str,
    file: &str,
    (width, height): (u32, u32),
    more: &[&str],
) -> Result<()> {
    let picture = folder.join(file);
    let size = format!("--window-size={width},{height}");
    let shot = format!("--screenshot={}", picture.display());
    chromium(&[more, &[&size, &shot]].concat(), &folder.join(page))?;
    ensure!(picture.exists(), "chromium took no picture of {page}");
    println!("{}", picture.display());
    Ok(())
}

/// Chromium's output for a page.
fn chromium(args: &[&str], page: &Path) -> Result<String> {
    let output = Command::new("chromium")
        .args(QUIET)
        .args(args)
        .arg(page)
        .stderr(Stdio::null())
        .output()
        .context("there is no chromium: apt-get install chromium")?;
    ensure!(
        output.status.success(),
        "chromium ends with {}",
        output.status
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Chromium without window and network.
const QUIET: [&str; 7] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
];

/// The rows of the table of packets, and their fields in the report.
const PACKETS: [(&str, &str); 9] = [
    ("sent", "sent"),
    ("received", "received"),
    ("lost on the way", "lost"),
    ("dropped in the socket buffer", "socket_dropped"),
    ("corrupt", "corrupt"),
    ("duplicate", "duplicate"),
    ("reordered", "reordered"),
    ("malformed", "malformed"),
    ("foreign", "foreign"),
];

/// Flags that make a page dark.
const DARK: [&str; 2] = [
    "--force-dark-mode",
    "--blink-settings=preferredColorScheme=0",
];

/// The size of the page, and of the part in the README, in pixels.
const TALL: (u32, u32) = (1100, 3400);
const README: (u32, u32) = (1000, 1000);

/// Width of a phone in pixels. Chromium has no window that is so narrow.
const PHONE: u32 = 390;
