//! A small version of the repair table (`make bench` makes the complete one), compared with the
//! numbers in `tests/snapshots/repair.txt`: whoever changes them looks at the difference first. To
//! renew them: `RENEW_SNAPSHOTS=1 cargo test -p framegram-tests --test virtual_time repair_table`

use std::fs;
use std::path::Path;

use framegram_tests::repair_table::{BUSY, ROWS, SIZES, exact, measure};
use framegram_tests::slices_row;

/// Frames of each cell, after the first seconds.
const FRAMES: usize = 120;

/// The one seed of each cell.
const SEED: u64 = 4;

fn table() -> String {
    let sizes = SIZES.map(|(fewest, most)| format!("{fewest} to {most}"));
    let mut lines = vec![format!(
        "frames complete/frames bytes/bytes of JPEG, at chunks a frame: {}",
        sizes.join(" | ")
    )];
    let rows = ROWS.iter().chain([&BUSY]);
    lines.extend(rows.map(|row| exact(row, FRAMES, SEED..SEED + 1)));
    lines.join("\n") + "\n"
}

#[test]
fn the_table_of_repair_is_the_one_that_is_kept() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/repair.txt");
    let table = table();
    if std::env::var_os("RENEW_SNAPSHOTS").is_some() {
        fs::write(&file, table).unwrap();
        return;
    }
    let kept = fs::read_to_string(&file).unwrap();
    assert!(
        table == kept,
        "kept:\n{kept}\nnow:\n{table}\n\
         if that is meant: RENEW_SNAPSHOTS=1 cargo test -p framegram-tests --test virtual_time repair_table"
    );
}

#[test]
fn programs_that_wait_for_their_turn_still_get_nearly_all_frames() {
    let cell = measure(&BUSY, SIZES[0], 800, SEED..SEED + 2);
    assert!(cell.percent() >= 98.5, "{} %", cell.percent());
}

#[test]
fn slices_show_every_frame_of_which_anything_arrived() {
    let bounds = [(90.0, 1.05), (90.0, 1.06), (85.0, 1.06)];
    for (size, (fresh, ratio)) in slices_row::SIZES.into_iter().zip(bounds) {
        let slices = slices_row::measure(size, 300, SEED..SEED + 1).unwrap();
        assert_eq!(slices.shown, slices.frames - slices.nothing, "{slices:?}");
        assert!(slices.percent_fresh() >= fresh, "{slices:?}");
        assert!(slices.ratio() <= ratio, "{size:?}: {}", slices.ratio());
    }
}
