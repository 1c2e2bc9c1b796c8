//! The table of repair: `cargo bench --bench repair [FRAMES [SEEDS]] [WORD...]`,
//! all rows or those whose name has one of the words in it.

use framegram_tests::repair_table;

fn main() {
    let arguments = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'));
    let (numbers, words): (Vec<_>, Vec<_>) =
        arguments.partition(|argument| argument.parse::<u64>().is_ok());
    let mut numbers = numbers.iter().filter_map(|number| number.parse().ok());
    let frames = numbers.next().unwrap_or(3000);
    let seeds = numbers.next().unwrap_or(10);
    println!(
        "frames whole in %, bytes sent per byte of JPEG; {frames} frames of each of seeds 0 to {}",
        seeds - 1
    );
    println!("chunks a frame: {:?}", repair_table::SIZES);
    let chosen = |row: &&repair_table::Row| {
        words.is_empty() || words.iter().any(|word| row.name.contains(word.as_str()))
    };
    for row in repair_table::ROWS.iter().filter(chosen) {
        println!("{}", repair_table::line(row, frames as usize, 0..seeds));
    }
}
