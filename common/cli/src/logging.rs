//! The log of `-v`, for support cases. The console's thread writes it, so logging
//! never blocks a stream.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use env_logger::{Builder, Target};
use log::{LevelFilter, info};

use crate::console::Console;
use crate::secrets::redacted;

/// Starts to log to `console`. Each `-v` adds a level: what is opened, bound and
/// chosen; then what changes; then everything. `FRAMEGRAM_LOG` filters by module
/// and level, for example `framegram_view=trace`. Only the first call in a
/// process has an effect.
pub fn start(program: &str, version: &str, verbose: u8, console: &Arc<Console>) {
    let level = match verbose {
        0 => LevelFilter::Off,
        1 => LevelFilter::Info,
        2 => LevelFilter::Debug,
        3.. => LevelFilter::Trace,
    };
    if level == LevelFilter::Off && std::env::var_os(FILTER).is_none() {
        return;
    }
    let lines = ConsoleWriter(Arc::clone(console));
    // If another run in this process already logs, its console is used.
    let _ = Builder::new()
        .filter_module("framegram", level)
        .parse_env(FILTER)
        .target(Target::Pipe(Box::new(lines)))
        .format(|out, record| {
            let time = time_of_day(SystemTime::now());
            let (level, target) = (record.level(), record.target());
            writeln!(out, "{time} {level:<5} {target}: {}", record.args())
        })
        .try_init();
    let arguments = std::env::args().skip(1);
    let command: Vec<_> = arguments.map(|argument| redacted(&argument)).collect();
    info!("{program} {version}, arguments {command:?}");
}

/// Passes each line to the console.
struct ConsoleWriter(Arc<Console>);

impl Write for ConsoleWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.say(String::from_utf8_lossy(bytes).trim_end());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// `12:34:56.789Z`
fn time_of_day(now: SystemTime) -> String {
    let millis = now
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let (seconds, millis) = (millis / 1000 % 86_400, millis % 1000);
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{hours:02}:{minutes:02}:{:02}.{millis:03}Z", seconds % 60)
}

/// The environment variable that filters the log.
const FILTER: &str = "FRAMEGRAM_LOG";

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn log_times_are_times_of_day() {
        let time = UNIX_EPOCH + Duration::from_millis(3 * 86_400_000 + 45_296_007);
        assert_eq!(time_of_day(time), "12:34:56.007Z");
    }
}
