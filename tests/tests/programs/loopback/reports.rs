//! Reports of one stream in every form, and what scripts can read from them.

use serde_json::Value;

use super::lossy::{FRAMES, play};
use super::{listening, sender};
use framegram_tests::program::{Ended, Start, VIEWER, address};

/// The JSON that an HTML report contains.
fn embedded(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"report\">").expect("the report");
    let (json, _) = rest.split_once("</script>").expect("its end");
    serde_json::from_str(json).expect("JSON")
}

fn text(ended: &Ended, name: &str) -> String {
    String::from_utf8(ended.file(name)).expect("text")
}

#[test]
fn all_forms_of_a_report_say_the_same() {
    let (viewer, damaged) = play("", "--strict --report more.html --report more.csv");
    assert!(damaged > 0);
    let report = &viewer.report;
    assert_eq!(report["version"], 1);
    let page = text(&viewer, "more.html");
    assert_eq!(&embedded(&page), report);

    let rows = text(&viewer, "more.csv");
    let rows: Vec<Vec<&str>> = rows.lines().map(|row| row.split(',').collect()).collect();
    let (header, rows) = rows.split_first().expect("a header");
    let column = |name: &str| {
        header
            .iter()
            .position(|column| *column == name)
            .expect(name)
    };
    let [number, outcome, shown] = ["number", "outcome", "shown_s"].map(column);
    assert_eq!(rows.len() as u64, FRAMES);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row[number], at.to_string());
    }
    let seen = rows.iter().filter(|row| !row[shown].is_empty()).count() as u64;
    assert_eq!(seen, viewer.count("frames.shown"));
    for name in ["intact_unrepaired", "lost_network", "skipped", "late"] {
        let count = rows.iter().filter(|row| row[outcome] == name).count() as u64;
        assert_eq!(count, viewer.count(&format!("outcomes.{name}")), "{name}");
    }

    let letters = viewer.value("timeline.outcomes").as_str().expect("letters");
    assert_eq!(letters.len() as u64, FRAMES);
    let lost = letters.matches('n').count() as u64;
    assert_eq!(lost, viewer.count("outcomes.lost_network"));
    let buckets = viewer
        .value("timeline.buckets")
        .as_array()
        .expect("buckets");
    let shown = buckets.iter().filter_map(|bucket| bucket["shown"].as_u64());
    assert_eq!(shown.sum::<u64>(), viewer.count("frames.shown"));
}

#[test]
fn scripts_get_a_line_a_second_and_a_gate() {
    let to = address();
    let viewing = "--once --stats json --fail-if shown<100% --fail-if fps>1";
    let viewer = listening(to, viewing);
    let sender = sender("pattern:320x180@30", to, "--frames 75").run();
    let _ = sender.end().well();
    let viewer = viewer.end();
    assert_eq!(viewer.code, Some(3), "{}", viewer.said);
    let last = viewer.said.lines().last().expect("it said something");
    assert!(
        last.contains("--fail-if fps>1: it is ") && !last.contains("shown"),
        "{last}"
    );
    let lines: Vec<Value> = std::str::from_utf8(&viewer.output)
        .expect("text")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert!(lines.len() >= 3, "{} lines", lines.len());
    let last = lines.last().expect("several");
    assert_eq!((&last["last"], &last["version"]), (&true.into(), &1.into()));
    assert_eq!(last["total"]["frames"], viewer.report["frames"]);
    assert_eq!(last["total"]["packets"], viewer.report["packets"]);
}

#[test]
fn unwritable_files_are_reported_before_the_stream() {
    let to = address();
    let start = format!("{to} --headless --report none/a.html");
    let ended = Start::new(VIEWER, &start).run_plain().end();
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(
        ended.said.contains("cannot write report none/a.html"),
        "{}",
        ended.said
    );
    let start = format!("{to} --headless --report a.xml");
    let ended = Start::new(VIEWER, &start).run_plain().end();
    assert_eq!(ended.code, Some(2), "{}", ended.said);
}
