//! The programs with an impaired link between them.

use std::time::Duration;

use framegram_tests::processes::Footage;
use framegram_tests::repair_table::{ROWS, Row};

/// A longer budget than the default, so that a busy machine causes no loss.
const PATIENT: &str = "--latency 1s";

/// Plays about two seconds over the path of a row.
fn missed(name: &str, (width, height): (usize, usize)) -> Vec<usize> {
    let row: &Row = ROWS.iter().find(|row| row.name.starts_with(name)).unwrap();
    let footage = Footage::new(width, height, 75).unwrap();
    let played = footage.play(row, 2, Duration::ZERO, PATIENT).unwrap();
    assert_eq!(played.frames, 75);
    played.missed
}

#[test]
fn chunks_lost_at_five_percent_loss_are_requested_until_they_arrive() {
    assert_eq!(missed("5 % random; RTT 20 ms", (704, 416)), [0; 0]);
}

#[test]
fn a_round_trip_of_200_ms_only_takes_longer() {
    assert_eq!(missed("5 % random; RTT 200 ms", (96, 64)), [0; 0]);
}

#[test]
fn jpegs_that_are_passed_through_with_restart_markers_are_shown_with_holes_filled() {
    let footage = Footage::new(704, 416, 75).unwrap();
    let viewer = footage.play_unrepaired(0.05).unwrap();
    let count = |name: &str| viewer.count(&format!("frames.{name}"));
    let concealed = viewer.count("outcomes.concealed");
    // One frame in five arrives completely. The recording contains every frame.
    assert!(concealed > 30, "{:#}", viewer.report);
    assert_eq!(count("incomplete"), 0, "{:#}", viewer.report);
    assert_eq!(count("shown"), concealed + count("intact"));
    assert_eq!(count("shown") + count("lost"), count("sent"));
    let stale = viewer.value("stale_share").as_f64().unwrap();
    assert!((0.01..0.15).contains(&stale), "{stale}");
}
