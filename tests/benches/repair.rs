//! The table of repair: `cargo bench --bench repair [frames [seeds]]`.

use framegram_tests::repair_table;

fn main() {
    let mut numbers = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok());
    let frames = numbers.next().unwrap_or(3000);
    let seeds = numbers.next().unwrap_or(10);
    println!(
        "frames whole in %, bytes sent per byte of JPEG; {frames} frames of each of seeds 0 to {}",
        seeds - 1
    );
    println!("chunks a frame: {:?}", repair_table::SIZES);
    print!("{}", repair_table::table(frames as usize, 0..seeds));
}
