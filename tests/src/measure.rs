//! Measures processor time and wall time, and prints medians and tables.

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};

/// Time that a piece of work took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cost {
    /// Processor time of all threads together.
    pub processor: Duration,
    /// Wall time.
    pub wall: Duration,
}

/// Runs a piece of work. Returns its result and the time it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, Cost) {
    let (wall, processor) = (Instant::now(), processor_time());
    let result = work();
    let cost = Cost {
        processor: processor_time().saturating_sub(processor),
        wall: wall.elapsed(),
    };
    (result, cost)
}

/// The median; zero without values.
pub fn median(mut values: Vec<Duration>) -> Duration {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// Medians of processor and wall time.
pub fn median_cost(costs: &[Cost]) -> Cost {
    Cost {
        processor: median(costs.iter().map(|cost| cost.processor).collect()),
        wall: median(costs.iter().map(|cost| cost.wall).collect()),
    }
}

/// Formats a time in milliseconds for a table.
pub fn milliseconds(time: Duration) -> String {
    format!("{:.3}", time.as_secs_f64() * 1e3)
}

/// Prints a table in Markdown, for the documentation.
pub fn print_table(head: &[&str], rows: &[Vec<String>]) {
    println!("| {} |", head.join(" | "));
    println!("|{}", " --- |".repeat(head.len()));
    for row in rows {
        println!("| {} |", row.join(" | "));
    }
    println!();
}

fn processor_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
