//! A trace tells for each datagram what the report tells for all.

use std::net::SocketAddr;

use framegram_lab::trace::{DatagramContent, Disposition, Entry, PacketBody, TraceReader, Why};
use framegram_tests::program::{Ended, LAB, Program, SENDER, Start, VIEWER, address};
use framegram_tests::relay::Relay;

use super::{listening, sender};

/// The viewer of a stream that loses one datagram in thirty on its way.
fn view(arguments: &str) -> Ended {
    let (near, far) = (address(), address());
    let viewer = listening(far, &format!("--once --trace stream.trace {arguments}"));
    let _relay = Relay::lossy(near, far, 1.0 / 30.0);
    play(near, viewer)
}

/// The viewer of a stream over a simulated link.
fn view_impaired(impairment: &str) -> Ended {
    let to = address();
    play(
        to,
        listening(to, &format!("--once --trace stream.trace {impairment}")),
    )
}

/// Sends for three seconds to this address. Returns the ended viewer.
fn play(to: SocketAddr, viewer: Program) -> Ended {
    let options = "--frames 90 --packet-size 1452 --quiet";
    let sender = sender("pattern:640x360@30", to, options).run();
    let _ = sender.end().well();
    viewer.end().well()
}

/// The datagrams of a trace with this disposition.
fn with(entries: &[Entry], disposition: Disposition) -> u64 {
    let of = |entry: &&Entry| matches!(entry, Entry::Datagram(datagram) if datagram.disposition == disposition);
    entries.iter().filter(of).count() as u64
}

fn entries(ended: &Ended) -> Vec<Entry> {
    let file = ended.file("stream.trace");
    let mut reader = TraceReader::new(&file[..]).expect("a trace");
    std::iter::from_fn(|| reader.next_entry().expect("a complete trace")).collect()
}

#[test]
fn a_trace_and_the_report_say_the_same() {
    let viewer = view("");
    assert!(viewer.count("packets.lost") > 0);
    let entries = entries(&viewer);
    let datagrams: Vec<_> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Datagram(datagram) => Some(datagram),
            _ => None,
        })
        .collect();
    let of = |disposition| {
        datagrams
            .iter()
            .filter(move |datagram| datagram.disposition == disposition)
    };
    let received = of(Disposition::Received).count() as u64;
    assert_eq!(received, viewer.count("packets.received"));
    assert_eq!(
        of(Disposition::Duplicate).count() as u64,
        viewer.count("packets.duplicate")
    );
    let bytes: u64 = of(Disposition::Received)
        .map(|datagram| u64::from(datagram.len))
        .sum();
    assert_eq!(bytes, viewer.count("bytes.received"));
    let sent = datagrams
        .iter()
        .rev()
        .find_map(|datagram| match datagram.content {
            DatagramContent::Native {
                body: PacketBody::SenderBye(counts),
                ..
            } => Some(counts.packets.iter().sum::<u64>()),
            _ => None,
        });
    assert_eq!(
        sent.expect("a bye") - received,
        viewer.count("packets.lost")
    );

    let outcomes = entries.iter().filter_map(|entry| match entry {
        Entry::Frame { number, outcome } => Some((*number, *outcome)),
        _ => None,
    });
    let (numbers, outcomes): (Vec<_>, Vec<_>) = outcomes.unzip();
    assert_eq!(numbers, (0..90).collect::<Vec<_>>());
    let intact = outcomes
        .iter()
        .filter(|outcome| outcome.is_intact())
        .count() as u64;
    assert_eq!(intact, viewer.count("frames.intact"));
    let complete = matches!(
        entries.last(),
        Some(Entry::End { why: Why::Over, datagrams: count, .. }) if *count == datagrams.len() as u64
    );
    assert!(complete, "{:?}", entries.last());
}

/// What is opened with a key has no CRC, and a trace is read without the key.
#[test]
fn a_trace_of_a_stream_with_a_key_names_every_packet() {
    let to = address();
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("key");
    let _ = Start::new(SENDER, "keygen")
        .with([&key])
        .run_plain()
        .end()
        .well();
    let key = format!("--key-file {}", key.display());
    let viewer = listening(to, &format!("--once --trace stream.trace {key}"));
    let arguments = format!("--frames 20 --quiet {key}");
    let sender = sender("pattern:320x180@30", to, &arguments).run();
    let _ = sender.end().well();
    let viewer = viewer.end().well();
    let entries = entries(&viewer);
    let received = with(&entries, Disposition::Received);
    assert_eq!(received, viewer.count("packets.received"));
    let named = entries.iter().filter(|entry| {
        matches!(entry, Entry::Datagram(it) if matches!(it.content, DatagramContent::Native { .. }))
    });
    assert_eq!(named.count() as u64, received);
}

#[test]
fn a_trace_distinguishes_corrupt_datagrams_from_duplicates() {
    let viewer = view_impaired(
        "--impair loss=3%,corrupt=2%,dup=2%,reorder=1%,seed=3 --impair-log truth.csv",
    );
    let entries = entries(&viewer);
    for (disposition, name) in [
        (Disposition::Received, "packets.received"),
        (Disposition::Duplicate, "packets.duplicate"),
        (Disposition::Foreign, "packets.foreign"),
        (Disposition::Malformed, "packets.malformed"),
    ] {
        assert_eq!(with(&entries, disposition), viewer.count(name), "{name}");
    }
    // A packet of which an intact copy arrived too does not count as corrupt.
    let log = String::from_utf8(viewer.file("truth.csv")).expect("text");
    let damaged = log
        .lines()
        .filter(|row| row.split(',').any(|cell| cell == "corrupt"));
    assert_eq!(with(&entries, Disposition::Corrupt), damaged.count() as u64);
    assert!(viewer.count("packets.corrupt") > 0 && viewer.count("packets.duplicate") > 0);
}

fn what_if(ended: &Ended, arguments: &str) -> Ended {
    let trace = ended.path("stream.trace").display().to_string();
    Start::new(LAB, "what-if")
        .with([&trace])
        .with(arguments.split_whitespace())
        .run_plain()
        .end()
}

/// The rows of the table: the text before the first figure, and the figures.
fn rows(ended: &Ended) -> Vec<Vec<String>> {
    let said = String::from_utf8(ended.output.clone()).expect("text");
    let table = said.lines().skip_while(|line| !line.contains("no NACKs"));
    let cells = |line: &str| line.split("  ").map(str::trim).map(str::to_owned).collect();
    let cells = table.map(cells);
    cells
        .map(|row: Vec<String>| row.into_iter().filter(|cell| !cell.is_empty()).collect())
        .collect()
}

#[test]
fn a_trace_shows_what_other_settings_would_have_saved() {
    let viewer = view("");
    let told = what_if(&viewer, "--rtt 20ms --latency 60ms").well();
    let table = rows(&told);
    assert_eq!(table[0], ["no NACKs", "RTT 20 ms"]);
    assert_eq!(
        (&table[1][0], &table[1][1]),
        (&"no parity".into(), &"0".into())
    );
    let saved = |row: usize, column: usize| -> i64 {
        let cell = table[row][1 + 2 * column].replace(',', "");
        cell.parse().expect(&cell)
    };
    // Of 90 frames with about 25 datagrams each, more than half lack one.
    let broken = saved(1, 1);
    assert!((20..=90).contains(&broken), "{table:?}");
    let parity: Vec<_> = (1..=6).map(|row| saved(row, 0)).collect();
    assert!(parity.is_sorted() && parity[5] >= broken - 1, "{table:?}");

    let report = "--rtt 20ms --latency 60ms --seed 7 --report again.json";
    let [one, other] = [0, 1].map(|_| what_if(&viewer, report).well());
    assert_eq!(one.output, other.output);
    let json: serde_json::Value = serde_json::from_slice(&one.file("again.json")).expect("JSON");
    assert_eq!(json["frames"], 90);
    assert_eq!(json["datagrams_lost"], viewer.count("packets.lost"));
    assert_eq!(json["complete"], viewer.count("frames.intact"));
    assert_eq!(json["settings"].as_array().expect("rows").len(), 16);
}

#[test]
fn a_trace_through_an_outage_agrees_with_the_report() {
    // In bursts between which many frames are complete.
    let viewer = view_impaired("--impair ge=p:0.004,r:0.004,seed=2");
    let told = what_if(&viewer, "--rtt 20ms --report again.json").well();
    let json: serde_json::Value = serde_json::from_slice(&told.file("again.json")).expect("JSON");
    assert!(viewer.count("packets.lost") > 100);
    assert_eq!(json["datagrams"], viewer.count("packets.sent"));
    assert_eq!(json["datagrams_lost"], viewer.count("packets.lost"));
}

#[test]
fn a_trace_without_loss_has_nothing_to_save() {
    let to = address();
    let viewer = listening(to, "--once --trace stream.trace");
    let sender = sender("pattern:320x180@30", to, "--frames 20 --quiet").run();
    let _ = sender.end().well();
    let told = what_if(&viewer.end().well(), "").well();
    let said = String::from_utf8(told.output).expect("text");
    assert!(
        said.ends_with("Nothing was lost: there is nothing to save.\n"),
        "{said}"
    );
}

#[test]
fn a_full_trace_is_reported_and_the_stream_continues() {
    let viewer = view("--trace-limit 4k");
    assert_eq!(viewer.count("frames.sent"), 90);
    assert!(viewer.file("stream.trace").len() <= 4096);
    assert!(viewer.said.contains("--trace-limit"), "{}", viewer.said);
    let told = String::from_utf8(what_if(&viewer, "").well().output).expect("text");
    assert!(
        told.contains("As it was is not known: the trace ends before"),
        "{told}"
    );
    let last = entries(&viewer).pop();
    assert!(
        matches!(
            last,
            Some(Entry::End {
                why: Why::Limit,
                ..
            })
        ),
        "{last:?}"
    );
}

#[test]
fn an_unwritable_trace_is_reported_before_the_stream() {
    let start = format!("{} --headless --trace none/a.trace", address());
    let ended = Start::new(VIEWER, &start).run_plain().end();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    let line = "framegram-view: cannot write trace none/a.trace";
    assert!(ended.said.starts_with(line), "{}", ended.said);
    assert_eq!(ended.said.lines().count(), 1, "{}", ended.said);
}

#[test]
fn a_full_disk_ends_the_trace_and_not_the_stream() {
    let to = address();
    let viewer = listening(to, "--once --trace /dev/full");
    let sender = sender("pattern:320x180@30", to, "--frames 60 --quiet").run();
    let _ = sender.end().well();
    let viewer = viewer.end();
    assert_eq!(viewer.code, Some(1), "{}", viewer.said);
    assert_eq!(viewer.count("frames.shown"), 60);
    let last = viewer.said.lines().last().expect("it said something");
    assert!(
        last.starts_with("framegram-view: cannot write trace /dev/full: "),
        "{}",
        viewer.said
    );
}

#[test]
fn on_a_full_disk_every_incomplete_file_is_reported() {
    let folder = tempfile::tempdir().expect("a folder");
    let full = |name: &str| {
        let path = folder.path().join(name);
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        path.display().to_string()
    };
    let report = full("a.html");
    let to = address();
    let viewer = listening(
        to,
        &format!(
            "--once --output /dev/full --output-format mjpeg --report {report} \
             --trace /dev/full"
        ),
    );
    let sender = sender("pattern:320x180@30", to, "--frames 60 --quiet").run();
    let _ = sender.end().well();
    let viewer = viewer.end();
    assert_eq!(viewer.code, Some(1), "{}", viewer.said);
    let failures = viewer.said.lines();
    let failures = failures.filter(|line| line.starts_with("framegram-view: cannot write "));
    let mut what: Vec<_> = failures.filter_map(|line| line.split(' ').nth(3)).collect();
    what.sort_unstable();
    assert_eq!(what, ["output", "report", "trace"], "{}", viewer.said);
    // The report for which there is room is there.
    assert!(viewer.count("packets.received") > 0);
}
