//! Figures while the stream runs: current rates and totals.

use std::collections::VecDeque;
use std::time::Duration;

use framegram_cli::numbers::{bit_rate, count, percent, seconds};
use framegram_common::Statistics;
use framegram_common::stats::Outcome;

use super::share;

/// Statistics so far, and rates over about the last second.
#[derive(Clone, Debug, Default)]
pub struct Live {
    /// Statistics since the start.
    pub statistics: Statistics,
    /// Frames shown per second.
    pub fps: Option<f64>,
    /// Bits received per second.
    pub bitrate_bps: Option<f64>,
    /// Describes received datagrams of which no stream can be made.
    pub unusable: Option<String>,
}

/// Computes rates from successive statistics.
#[derive(Debug, Default)]
pub struct Meter {
    samples: VecDeque<Sample>,
}

#[derive(Debug)]
struct Sample {
    at: Duration,
    shown: Option<u64>,
    bytes: Option<u64>,
}

impl Meter {
    /// Takes the current statistics.
    pub fn take(&mut self, statistics: Statistics, now: Duration) -> Live {
        self.samples.push_back(Sample {
            at: now,
            shown: statistics.frames.shown,
            bytes: statistics.bytes.received,
        });
        while self.samples.len() > 2
            && (self.samples.len() > MOST_SAMPLES || now.saturating_sub(self.samples[1].at) >= SPAN)
        {
            self.samples.pop_front();
        }
        let first = self.samples.front();
        let last = self.samples.back();
        let rate = |of: fn(&Sample) -> Option<u64>| {
            let (first, last) = (first?, last?);
            let elapsed = last.at.saturating_sub(first.at).as_secs_f64();
            let more = of(last)?.saturating_sub(of(first)?);
            (elapsed >= LEAST_SPAN).then(|| more as f64 / elapsed)
        };
        Live {
            fps: rate(|sample| sample.shown),
            bitrate_bps: rate(|sample| sample.bytes).map(|bytes| bytes * 8.0),
            statistics,
            unusable: None,
        }
    }
}

impl Live {
    /// Share of the frames with a known outcome that were lost, from 0 to 1.
    pub fn loss(&self) -> Option<f64> {
        share(self.statistics.missed(), self.statistics.settled())
    }

    /// The title of the window.
    pub fn title(&self) -> String {
        let mut parts = vec!["framegram".to_owned()];
        parts.extend(self.size());
        parts.extend(self.fps.map(|fps| format!("{fps:.1} fps")));
        parts.extend(self.lost());
        parts.extend(self.delay());
        parts.join(" | ")
    }

    /// A short summary.
    pub fn brief(&self) -> String {
        let parts = [
            self.size(),
            self.fps.map(|fps| format!("{fps:.0} fps")),
            self.lost(),
            self.delay(),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    /// The text of a progress line, without the time.
    pub fn line(&self) -> String {
        let statistics = &self.statistics;
        let mut parts = Vec::new();
        parts.extend(statistics.frames.shown.map(|n| match n {
            1 => "1 frame".into(),
            n => format!("{} frames", count(n)),
        }));
        parts.extend(self.fps.map(|fps| format!("{fps:.1} fps")));
        parts.extend(self.bitrate_bps.map(bit_rate));
        parts.extend(statistics.stream.quality.map(|q| format!("quality {q}")));
        parts.extend(self.lost());
        parts.extend(self.repaired().map(|n| format!("{} repaired", count(n))));
        let delay = statistics.delay();
        parts.extend(delay.map(|delay| format!("delay p95 {:.0} ms", delay.p95)));
        parts.join(", ")
    }

    /// The figures drawn over the picture, line by line.
    pub fn overlay(&self) -> Vec<String> {
        let Statistics {
            stream,
            frames,
            outcomes,
            packets,
            ..
        } = &self.statistics;
        let known = |number: Option<u64>| number.map_or_else(|| "?".to_owned(), count);
        let mut lines = Vec::new();
        let head = [
            self.size(),
            self.fps.map(|fps| format!("{fps:.1} fps")),
            self.bitrate_bps.map(bit_rate),
            stream.quality.map(|quality| format!("quality {quality}")),
        ];
        lines.push(head.into_iter().flatten().collect::<Vec<_>>().join(", "));
        lines.push(format!(
            "frames   {} shown of {} sent",
            known(frames.shown),
            known(frames.sent)
        ));
        lines.push(format!(
            "         {} lost, {} incomplete, {} late",
            known(frames.lost),
            known(frames.incomplete),
            known(outcomes[Outcome::Late])
        ));
        let stale = self.statistics.stale_share;
        if let (Some(concealed @ 1..), Some(stale)) = (outcomes[Outcome::Concealed], stale) {
            lines.push(format!(
                "         {} with holes, {} of the picture",
                count(concealed),
                percent(stale)
            ));
        }
        lines.push(format!(
            "         {} skipped, {} undecodable",
            known(outcomes[Outcome::Skipped]),
            known(outcomes[Outcome::Undecodable])
        ));
        lines.push(format!(
            "packets  {} received of {} sent",
            known(packets.received),
            known(packets.sent)
        ));
        lines.push(format!(
            "         {} lost, {} dropped here, {} reordered",
            known(packets.lost),
            known(packets.socket_dropped),
            known(packets.reordered)
        ));
        if let Some(latency) = self.statistics.delay() {
            lines.push(format!(
                "delay    {:.1} ms, 95 %: {:.1} ms, at most {:.1} ms",
                latency.p50, latency.p95, latency.max
            ));
        }
        if let Some(jitter) = self.statistics.jitter_ms {
            lines.push(format!("jitter   {jitter:.2} ms"));
        }
        lines.push(format!("time     {}", seconds(self.statistics.duration_s)));
        if !stream.addresses.is_empty() {
            lines.push(format!("from     {}", stream.addresses.join(", ")));
        }
        lines
    }

    /// Frames that were complete after repair.
    fn repaired(&self) -> Option<u64> {
        let outcomes = &self.statistics.outcomes;
        Some(outcomes[Outcome::IntactParity]? + outcomes[Outcome::IntactRetransmission]?)
    }

    fn lost(&self) -> Option<String> {
        let loss = self.loss()?;
        Some(format!("frames lost {}", percent(loss)))
    }

    fn size(&self) -> Option<String> {
        let stream = &self.statistics.stream;
        Some(format!("{}x{}", stream.width?, stream.height?))
    }

    fn delay(&self) -> Option<String> {
        let latency = self.statistics.delay()?;
        Some(format!("delay {:.0} ms", latency.p50))
    }
}

/// Period over which rates are computed.
const SPAN: Duration = Duration::from_secs(1);

/// Minimum period in seconds. Over a shorter one, a single frame would change the
/// rate noticeably.
const LEAST_SPAN: f64 = 0.5;

/// Upper bound on samples. Statistics are taken a few times per second, so this
/// is ample for [`SPAN`].
const MOST_SAMPLES: usize = 64;

#[cfg(test)]
mod tests {
    use framegram_common::stats::{Bytes, Frames, Percentiles, Stream};

    use super::*;

    fn at(shown: u64, bytes: u64) -> Statistics {
        Statistics {
            frames: Frames {
                shown: Some(shown),
                lost: Some(shown / 3),
                ..Frames::default()
            },
            bytes: Bytes {
                received: Some(bytes),
                ..Bytes::default()
            },
            ..Statistics::default()
        }
    }

    #[test]
    fn rates_are_of_the_last_second() {
        let mut meter = Meter::default();
        let mut live = meter.take(at(0, 0), Duration::ZERO);
        assert_eq!(live.fps, None);
        for quarter in 1..=40_u64 {
            // 20 frames per second for 5 s, then 40.
            let shown = 5 * quarter + quarter.saturating_sub(20) * 5;
            live = meter.take(
                at(shown, 1000 * quarter),
                Duration::from_millis(250 * quarter),
            );
        }
        assert_eq!(live.fps, Some(40.0));
        assert_eq!(live.bitrate_bps, Some(32_000.0));
        assert!(meter.samples.len() <= 6);
    }

    #[test]
    fn the_overlay_mentions_holes_if_there_are_any() {
        let mut live = Live {
            statistics: at(75, 0),
            ..Live::default()
        };
        live.statistics.outcomes[Outcome::Concealed] = Some(0);
        let holes = |live: &Live| {
            live.overlay()
                .into_iter()
                .find(|line| line.contains("holes"))
        };
        assert_eq!(holes(&live), None);
        live.statistics.outcomes[Outcome::Concealed] = Some(1200);
        live.statistics.stale_share = Some(0.055);
        let line = "         1,200 with holes, 5.5 % of the picture";
        assert_eq!(holes(&live).as_deref(), Some(line));
    }

    #[test]
    fn the_line_has_rates_frames_lost_repair_and_delay() {
        let mut live = Live {
            statistics: at(75, 0),
            fps: Some(29.97),
            bitrate_bps: Some(8_000_000.0),
            unusable: None,
        };
        assert_eq!(
            live.line(),
            "75 frames, 30.0 fps, 8.0 Mbit/s, frames lost 25 %"
        );
        live.statistics.outcomes[Outcome::IntactParity] = Some(1200);
        live.statistics.outcomes[Outcome::IntactRetransmission] = Some(34);
        live.statistics.latency_ms = Some(Percentiles {
            p50: 11.6,
            p95: 18.2,
            ..Percentiles::default()
        });
        assert_eq!(
            live.line(),
            "75 frames, 30.0 fps, 8.0 Mbit/s, frames lost 25 %, 1,234 repaired, delay p95 18 ms"
        );
    }

    #[test]
    fn the_title_leaves_out_what_is_not_known() {
        assert_eq!(Live::default().title(), "framegram");
        let mut live = Live {
            statistics: at(75, 0),
            fps: Some(29.97),
            ..Live::default()
        };
        live.statistics.stream = Stream {
            width: Some(640),
            height: Some(360),
            ..Stream::default()
        };
        live.statistics.latency_ms = Some(Percentiles {
            p50: 11.6,
            ..Percentiles::default()
        });
        assert_eq!(
            live.title(),
            "framegram | 640x360 | 30.0 fps | frames lost 25 % | delay 12 ms"
        );
    }
}
