//! The rows of the repair table with the real programs, over a relay. `cargo bench --bench
//! processes [WORD...]` runs all rows, or those whose name contains one of the words.

use std::time::Duration;

use anyhow::Result;
use framegram_tests::measure::print_table;
use framegram_tests::processes::Footage;
use framegram_tests::repair_table::{ROWS, Row};

/// Pictures whose frames have about 140, 30 and 2 chunks.
const SIZES: [(usize, usize); 3] = [(1600, 900), (704, 416), (96, 64)];

/// 12.5 seconds.
const FRAMES: usize = 375;

/// Frames of the first seconds do not count.
const WARM_UP: Duration = Duration::from_secs(2);

const SEED: u64 = 1;

fn main() -> Result<()> {
    let words: Vec<_> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let chosen =
        |row: &&Row| words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()));
    let mut footage = Vec::new();
    for (width, height) in SIZES {
        footage.push(Footage::new(width, height, FRAMES)?);
    }
    let mut head = vec!["loss; path".to_owned(), "may miss".to_owned()];
    head.extend(footage.iter().map(|footage| {
        let (fewest, most) = footage.chunks();
        format!("{fewest} to {most} chunks")
    }));
    println!("## The programs over a relay: frames missed, bytes per byte of JPEG\n");
    let mut rows = Vec::new();
    for row in ROWS.iter().filter(chosen) {
        let mut cells = vec![row.name.to_owned(), row.missed_at_most().to_string()];
        for footage in &footage {
            let played = footage.play(row, SEED, WARM_UP, "")?;
            eprintln!("{}: missed {:?}", row.name, played.missed);
            cells.push(format!(
                "{} of {}, {:.2}",
                played.missed.len(),
                played.frames,
                played.ratio
            ));
        }
        rows.push(cells);
    }
    let head: Vec<_> = head.iter().map(String::as_str).collect();
    print_table(&head, &rows);
    Ok(())
}
