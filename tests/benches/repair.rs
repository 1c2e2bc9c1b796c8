//! The repair table. `cargo bench --bench repair [FRAMES [SEEDS]] [WORD...]` prints all rows, or
//! those whose name contains one of the words.

use anyhow::Result;
use framegram_tests::repair_table::{BUSY, ROWS};
use framegram_tests::{repair_table, slices_row};

/// Name of the last row.
const SLICES: &str = "5 % random; slices alone";

fn main() -> Result<()> {
    let arguments = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    let (numbers, words): (Vec<_>, Vec<_>) =
        arguments.partition(|argument| argument.parse::<u64>().is_ok());
    let mut numbers = numbers.iter().filter_map(|number| number.parse().ok());
    let frames = numbers.next().unwrap_or(3000);
    let seeds = numbers.next().unwrap_or(10);
    println!(
        "frames complete in %, bytes sent per byte of JPEG, the bound, the ratio to it; seeds 0 to {}",
        seeds - 1
    );
    println!("chunks a frame: {:?}", repair_table::SIZES);
    let each = repair_table::SIZES.map(|size| repair_table::frames_of(size, frames as usize));
    println!("frames of each seed: {each:?}");
    let chosen =
        |name: &str| words.is_empty() || words.iter().any(|word| name.contains(word.as_str()));
    for row in ROWS.iter().chain([&BUSY]).filter(|row| chosen(row.name)) {
        println!("{}", repair_table::line(row, frames as usize, 0..seeds));
    }
    if chosen(SLICES) {
        println!(
            "\nframes shown of those of which anything arrived, fresh share of the picture, bytes"
        );
        print!("{SLICES:<28}");
        for size in slices_row::SIZES {
            let slices = slices_row::measure(size, frames as usize, 0..seeds)?;
            let (shown, fresh) = (slices.percent(), slices.percent_fresh());
            print!(" | {shown:.3} % {fresh:.1} % {:.3}", slices.ratio());
        }
        println!();
    }
    Ok(())
}
