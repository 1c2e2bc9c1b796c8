//! The statistics as lines of JSON, one per second, for scripts.

use std::time::Duration;

use framegram_common::Statistics;
use framegram_common::stats::ReportFile;
use serde::Serialize;

use super::live::Live;

/// Writes one line per second and one at the end.
pub struct Lines {
    started: Duration,
    due: Duration,
}

#[derive(Serialize)]
struct StatsLine<'a> {
    version: u32,
    /// Seconds since the viewer started.
    time_s: f64,
    /// Whether it is the last line.
    last: bool,
    /// Rates over about the last second.
    now: Now,
    /// Statistics since the start.
    total: &'a Statistics,
    /// Statistics of each sender, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    senders: Option<&'a [Statistics]>,
}

#[derive(Serialize)]
struct Now {
    fps: Option<f64>,
    bitrate_bps: Option<f64>,
}

impl Lines {
    /// Starts at `now`.
    pub fn new(now: Duration) -> Self {
        Self {
            started: now,
            due: now + EVERY,
        }
    }

    /// Returns a line if one is due, with the statistics of `each` sender if
    /// there are several.
    pub fn poll(
        &mut self,
        live: &Live,
        each: Option<&[Statistics]>,
        now: Duration,
    ) -> Option<Vec<u8>> {
        let is_due = now >= self.due;
        // Missed seconds are skipped.
        while self.due <= now {
            self.due += EVERY;
        }
        is_due.then(|| self.line(live, each, now, false))
    }

    /// The last line.
    pub fn last(&self, live: &Live, each: Option<&[Statistics]>, now: Duration) -> Vec<u8> {
        self.line(live, each, now, true)
    }

    fn line(
        &self,
        live: &Live,
        senders: Option<&[Statistics]>,
        now: Duration,
        last: bool,
    ) -> Vec<u8> {
        let line = StatsLine {
            version: ReportFile::VERSION,
            time_s: now.saturating_sub(self.started).as_secs_f64(),
            last,
            now: Now {
                fps: live.fps,
                bitrate_bps: live.bitrate_bps,
            },
            total: &live.statistics,
            senders,
        };
        // Serialization fails only for maps with keys that are not strings, and
        // there are none.
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }
}

const EVERY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn one_line_a_second_and_one_at_the_end() {
        let mut out = Vec::new();
        let mut live = Live {
            fps: Some(30.0),
            ..Live::default()
        };
        live.statistics.frames.shown = Some(7);
        let mut lines = Lines::new(Duration::from_secs(100));
        for tenth in 0..45 {
            let now = Duration::from_millis(100_000 + 100 * tenth);
            out.extend(lines.poll(&live, None, now).unwrap_or_default());
        }
        let late = lines.poll(&live, None, Duration::from_secs(200));
        out.extend(late.unwrap_or_default());
        out.extend(lines.last(&live, None, Duration::from_millis(200_500)));
        let lines: Vec<Value> = std::str::from_utf8(&out)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let times: Vec<_> = lines
            .iter()
            .map(|line| line["time_s"].as_f64().unwrap())
            .collect();
        assert_eq!(times, [1.0, 2.0, 3.0, 4.0, 100.0, 100.5]);
        assert_eq!(lines[0]["version"], ReportFile::VERSION);
        assert_eq!(lines[0]["now"]["fps"], 30.0);
        assert_eq!(lines[0]["total"]["frames"]["shown"], 7);
        assert!(lines[0]["total"]["frames"]["lost"].is_null());
        assert!(lines[0].get("senders").is_none());
        let last: Vec<_> = lines.iter().map(|line| line["last"] == true).collect();
        assert_eq!(last, [false, false, false, false, false, true]);
    }
}
