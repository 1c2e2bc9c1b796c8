//! What `framegram-lab check` reports about inputs that it cannot compare.

use std::fs;
use std::path::Path;

use framegram_tests::program::{SENDER, Start, VIEWER, address};

use super::{listening, sender};
use framegram_tests::measuring::{LOG, check, recorded};

fn refusal(report: &Path, logs: &[&Path]) -> String {
    let checked = check(report, logs);
    assert_eq!(checked.code, Some(1), "{}", checked.said);
    assert_eq!(checked.said.lines().count(), 1, "{}", checked.said);
    assert!(checked.output.is_empty());
    checked.said
}

#[test]
fn uncomparable_input_is_reported_in_one_line() {
    let address = address();
    let arguments = format!("--report rows.csv {}", recorded(Some("loss=5%")));
    let viewer = listening(address, &arguments);
    let sent = recorded(Some("seed=1"));
    let sender = sender("pattern:160x96@60", address, &format!("--frames 20 {sent}")).run();
    let sender = sender.end().well();
    let viewer = viewer.end().well();
    let (report, log) = (viewer.path("report.json"), viewer.path(LOG));
    let rows = viewer.path("rows.csv");
    let other = viewer.path("other.csv");
    let stream = viewer.value("stream.number").as_str().expect("a number");
    let text = fs::read_to_string(&log).expect("a log");
    let last = text.rfind("# end").expect("an end");
    let row = text.rfind("delivered").expect("a row");
    for (what, report, log, words) in [
        (text.clone(), &rows, &log, "--report FILE.json"),
        (text.clone(), &sender.path("report.json"), &log, "sender's"),
        (text.clone(), &report, &rows, "not an impairment log"),
        (text[..last].to_owned(), &report, &other, "no end"),
        (text[..row + 3].to_owned(), &report, &other, "cut off"),
        (
            text.replace(stream, "0000000000000001"),
            &report,
            &other,
            "another run",
        ),
        (text.clone(), &report, &viewer.path("none"), "No such file"),
    ] {
        fs::write(&other, what).expect("a place for a log");
        let said = refusal(report, &[log]);
        assert!(said.contains(words), "{words}: {said}");
    }
    fs::write(&other, &text).expect("a place for a log");
    let said = refusal(&report, &[&log, &other]);
    assert!(said.contains("give one of them"), "{said}");
}

#[test]
fn for_other_formats_the_log_names_no_packet_and_the_check_says_so() {
    for (wire, size) in [("rtp", "320x176"), ("raw", "160x96")] {
        // RTP's reports arrive at the next port. The viewer has a host of its own.
        let mut address = address();
        address.set_ip([127, 200, 5, 5].into());
        let viewer = listening(address, &recorded(Some("loss=3%,seed=1")));
        let arguments = format!("--wire {wire} --frames 30");
        let source = format!("pattern:{size}@60");
        let _ = sender(&source, address, &arguments).run().end().well();
        let viewer = viewer.end().well();
        let log = String::from_utf8(viewer.file(LOG)).expect("text");
        let rows: Vec<_> = log.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(rows.len() > 20, "{wire}: {log}");
        assert!(
            rows[1..].iter().all(|row| row.contains(",,,,,,,,")),
            "{wire}: {log}"
        );
        let said = refusal(&viewer.path("report.json"), &[&viewer.path(LOG)]);
        assert!(said.contains("the native format"), "{wire}: {said}");
    }
}

#[test]
fn a_bad_link_that_cannot_be_is_wrong_usage_and_a_log_that_cannot_be_written_a_failure() {
    for (program, arguments) in [
        (VIEWER, "--headless --wait 1s"),
        (SENDER, "pattern 127.0.0.1:9 --frames 1"),
    ] {
        for (option, code, words) in [
            ("--impair loss=200%", 2, "loss=200%"),
            ("--impair delay=1h", 2, "such as 20ms±5ms"),
            ("--impair=", 2, "an example: loss=5%"),
            (
                "--impair seed=1 --impair-log /nonexistent/x",
                1,
                "/nonexistent/x",
            ),
        ] {
            let line = format!("{arguments} {option}");
            let ended = Start::new(program, &line).run_plain().end();
            assert_eq!(ended.code, Some(code), "{program} {line}: {}", ended.said);
            assert!(ended.said.contains(words), "{}", ended.said);
            assert_eq!(ended.said.lines().count(), 1, "{}", ended.said);
        }
    }
}
