//! A stream that is larger than its path, between two hosts. `cargo bench --bench congestion
//! [WORD...]` runs all cases, or those whose name contains one of the words; as root, with `ping`
//! and `iperf3`.

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_net::clock;
use framegram_tests::frame_table::{Row, rows};
use framegram_tests::hosts::{Hosts, INTERFACE, VIEWER_IPS};
use framegram_tests::measure::print_table;
use framegram_tests::networks::Segment;
use framegram_tests::path_meter::{Measured, PathMeter};
use framegram_tests::program::{Ended, SENDER, VIEWER};
use serde_json::Value;

/// About 60 Mbit/s at quality 80.
const SOURCE: &str = "pattern:1920x1080@30";

/// The time in which the sender learns what a path carries does not count.
const WARM_UP: Duration = Duration::from_secs(2);

/// How long a path keeps its properties.
const PHASE: Duration = Duration::from_secs(12);

const MBIT: f64 = 1e6;

type Case = (&'static str, fn() -> Result<Vec<Vec<String>>>);

const CASES: [Case; 6] = [
    ("20 Mbit/s", || steps(&[20])),
    ("beside TCP", beside_tcp),
    ("20, 5, 50 Mbit/s", || steps(&[20, 5, 50])),
    ("MTU 1,300", lowered_mtu),
    ("MTU 9,000", large_mtu),
    ("two viewers", two_viewers),
];

fn main() -> Result<()> {
    let words = std::env::args().skip(1);
    let words: Vec<_> = words.filter(|word| !word.starts_with('-')).collect();
    if !nix::unistd::geteuid().is_root() {
        println!("Congestion is not measured: hosts need root.\n");
        return Ok(());
    }
    let mut rows = Vec::new();
    for (name, play) in CASES {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            for row in play()? {
                rows.push([&[name.to_owned()], &row[..]].concat());
            }
        }
    }
    println!("## A stream larger than its path\n");
    println!(
        "{SOURCE} over a path with 100 ms of queue, without the first {} s after each change.\n",
        WARM_UP.as_secs()
    );
    let head = [
        "case",
        "path",
        "of the path used",
        "queue p50 ms",
        "queue p95 ms",
        "packets lost",
        "frames complete",
        "delay p95 ms",
    ];
    print_table(&head, &rows);
    Ok(())
}

/// A stream and the meter beside it.
struct Played {
    viewer: Ended,
    measured: Measured,
    /// The start of each phase, and the end of the last one.
    times: Vec<Duration>,
}

/// Plays a stream with one phase per command. Each command starts its phase on the sender's host.
fn play(hosts: &Hosts, commands: &[String]) -> Result<Played> {
    if let Some(command) = commands.first() {
        let _ = hosts.run_by_sender(command);
    }
    let viewer = hosts.viewer("--headless --once --report frames.csv").run();
    let mut viewer = viewer;
    viewer.wait_for("Waiting for a stream");
    let meter = PathMeter::start(hosts, viewer.pid());
    let seconds = PHASE.as_secs() * commands.len().max(1) as u64;
    let to = VIEWER_IPS[0];
    let sender = hosts
        .sender(&format!("{SOURCE} -t {seconds} {to}:5005"))
        .run();
    let mut times = vec![clock::now()];
    for command in commands.iter().skip(1) {
        thread::sleep(PHASE);
        let _ = hosts.run_by_sender(command);
        times.push(clock::now());
    }
    let _ = sender.end().well();
    times.push(clock::now());
    let measured = meter.finish();
    let viewer = viewer.end().well();
    Ok(Played {
        viewer,
        measured,
        times,
    })
}

fn steps(rates: &[u32]) -> Result<Vec<Vec<String>>> {
    let hosts = Hosts::new(1_500);
    let shape = |(at, rate): (usize, &u32)| {
        let verb = if at == 0 { "add" } else { "change" };
        format!("tc qdisc {verb} dev {INTERFACE} root tbf rate {rate}mbit burst 16kb latency 100ms")
    };
    let commands: Vec<_> = rates.iter().enumerate().map(shape).collect();
    let played = play(&hosts, &commands)?;
    let phases = played.times.windows(2).zip(rates);
    phases
        .map(|(phase, rate)| {
            let mut row = vec![format!("{rate} Mbit/s")];
            row.extend(figures(&played, phase[0] + WARM_UP, phase[1], Some(*rate))?);
            Ok(row)
        })
        .collect()
}

fn beside_tcp() -> Result<Vec<Vec<String>>> {
    let hosts = Hosts::new(1_500);
    let mut server = hosts.command_of_viewer("iperf3");
    let mut server = server.arg("-s").stdout(Stdio::null()).spawn()?;
    let mut client = hosts.command_of_sender("iperf3");
    let seconds = PHASE.as_secs().to_string();
    client.args([
        "-c",
        VIEWER_IPS[0],
        "-t",
        &seconds,
        "-J",
        "--connect-timeout",
        "3000",
    ]);
    thread::sleep(Duration::from_millis(300));
    let client = client.stdout(Stdio::piped()).spawn()?;
    let shape =
        format!("tc qdisc add dev {INTERFACE} root tbf rate 20mbit burst 16kb latency 100ms");
    let played = play(&hosts, &[shape])?;
    let said: Value = serde_json::from_slice(&client.wait_with_output()?.stdout)?;
    let _ = server.kill();
    let _ = server.wait();
    let tcp = said.pointer("/end/sum_received/bits_per_second");
    let tcp = tcp.and_then(Value::as_f64).context("iperf3 says nothing")?;
    let (from, to) = (played.times[0] + WARM_UP, played.times[1]);
    let mut row = vec![format!("20 Mbit/s, of which TCP {:.1}", tcp / MBIT)];
    row.extend(figures(&played, from, to, Some(20))?);
    Ok(vec![row])
}

/// In the middle of the stream, packets of more than 1,300 bytes are dropped silently.
fn lowered_mtu() -> Result<Vec<Vec<String>>> {
    let hosts = Hosts::new(1_500);
    for rule in [
        "nft add table ip narrow",
        "nft add chain ip narrow in { type filter hook prerouting priority 0 ; }",
    ] {
        let _ = hosts.run_by_viewer(rule);
    }
    let drop = "nft add table ip none".to_owned();
    let narrow = thread::scope(|scope| {
        let narrowing = scope.spawn(|| {
            thread::sleep(PHASE / 2);
            let _ = hosts.run_by_viewer("nft add rule ip narrow in meta length > 1300 drop");
            clock::now()
        });
        let played = play(&hosts, &[drop]);
        (played, narrowing.join())
    });
    let (played, Ok(at)) = narrow else {
        anyhow::bail!("the path could not be narrowed");
    };
    let played = played?;
    let back = played.viewer.first_picture(at);
    let back = back.map_or("never".to_owned(), |back| {
        format!("{:.2} s", back.saturating_sub(at).as_secs_f64())
    });
    let mut row = vec![format!("picture again after {back}")];
    row.extend(figures(&played, at + WARM_UP, played.times[1], None)?);
    Ok(vec![row])
}

fn large_mtu() -> Result<Vec<Vec<String>>> {
    let hosts = Hosts::new(9_000);
    let played = play(&hosts, &["tc qdisc show".to_owned()])?;
    let viewer = &played.viewer;
    let mean = viewer.count("bytes.received") / viewer.count("packets.received").max(1);
    let mut row = vec![format!("datagrams of {mean} bytes in the mean")];
    let (from, to) = (played.times[0] + WARM_UP, played.times[1]);
    row.extend(figures(&played, from, to, None)?);
    Ok(vec![row])
}

/// One viewer has a clean path. The other one, if there is one, has a slow path with loss.
fn two_viewers() -> Result<Vec<Vec<String>>> {
    [false, true]
        .into_iter()
        .map(|is_shared| {
            let segment = Segment::new(3);
            segment.narrow(2, 10, 5);
            let hosts = if is_shared { 1..3 } else { 1..2 };
            let to: Vec<_> = hosts
                .clone()
                .map(|host| format!("{}:5005", Segment::v4(host)))
                .collect();
            let viewers = hosts.map(|host| {
                let mut viewer = segment.start(host, VIEWER, "--headless --once").run();
                viewer.wait_for("Waiting for a stream");
                viewer
            });
            let viewers: Vec<_> = viewers.collect();
            let arguments = format!("{SOURCE} -t {} {}", PHASE.as_secs(), to.join(" "));
            let _ = segment.start(0, SENDER, &arguments).run().end().well();
            let mut viewers = viewers.into_iter().map(|viewer| viewer.end().well());
            let clean = viewers.next().context("nobody watches")?;
            let slow = viewers.next();
            let delay = |share| clean.value("delays_ms.capture_to_shown")[share].as_f64();
            let slow = slow.map(|slow| slow.count("frames.shown"));
            let beside = slow.map_or("alone".to_owned(), |shown| {
                format!("beside one that shows {shown}")
            });
            Ok(vec![
                format!("the clean one {beside}"),
                format!("{:.1} MB", clean.count("bytes.received") as f64 / 1e6),
                String::new(),
                String::new(),
                format!("{}", clean.count("packets.lost")),
                format!("{}", clean.count("frames.intact")),
                format!("{:.1}", delay("p95").unwrap_or(f64::NAN)),
            ])
        })
        .collect()
}

/// The table row of a period: frames are those captured in it.
fn figures(
    played: &Played,
    from: Duration,
    to: Duration,
    mbit: Option<u32>,
) -> Result<Vec<String>> {
    let measured = &played.measured;
    let rate = measured.rate(from, to) / MBIT;
    let rows = rows(&played.viewer, from, to);
    let sum = |of: fn(&Row) -> u64| rows.iter().map(of).sum::<u64>() as f64;
    let complete = rows.iter().filter(|row| row.is_intact);
    let mut delays: Vec<_> = rows.iter().map(|row| row.delay_ms).collect();
    delays.sort_by(f64::total_cmp);
    let p95 = delays.len().saturating_sub(1) * 95 / 100;
    let used = mbit.map(|mbit| format!("{:.0} %", 100.0 * rate / f64::from(mbit)));
    Ok(vec![
        used.unwrap_or_else(|| format!("{rate:.1} Mbit/s")),
        format!("{:.1}", measured.queue(0.50, from, to)),
        format!("{:.1}", measured.queue(0.95, from, to)),
        format!(
            "{:.2} %",
            100.0 * sum(|row| row.lost) / sum(|row| row.chunks).max(1.0)
        ),
        format!("{} of {}", complete.count(), rows.len()),
        format!("{:.0}", delays.get(p95).copied().unwrap_or(f64::NAN)),
    ])
}
