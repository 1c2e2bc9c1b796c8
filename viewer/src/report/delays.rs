//! The delay of frames and its parts, in two lines.

use framegram_common::Statistics;
use framegram_common::stats::Percentiles;

/// The delay from capture to display, and its parts as far as they are known.
pub(super) fn lines(statistics: &Statistics) -> Vec<String> {
    total(statistics)
        .into_iter()
        .chain(stages(statistics))
        .collect()
}

fn total(statistics: &Statistics) -> Option<String> {
    let mut parts = Vec::new();
    if let Some(delay) = statistics.delay() {
        let two_clocks = statistics.clock.filter(|clock| !clock.shared);
        let uncertainty = two_clocks
            .map(|clock| format!(" ± {:.1}", (clock.uncertainty_ms * 10.0).ceil() / 10.0))
            .unwrap_or_default();
        parts.push(format!(
            "{:.1}{uncertainty} ms from capture to shown (95 %: {:.1}, 99 %: {:.1}, at most {:.1})",
            delay.p50, delay.p95, delay.p99, delay.max
        ));
    }
    parts.extend(
        statistics
            .jitter_ms
            .map(|jitter| format!("jitter {jitter:.2} ms")),
    );
    (!parts.is_empty()).then(|| format!("  delay:   {}", parts.join(", ")))
}

fn stages(statistics: &Statistics) -> Option<String> {
    let delays = &statistics.delays_ms;
    let stage = |name: &str, delay: Option<Percentiles>| {
        delay.map(|delay| format!("{:.1} {name}", delay.p50))
    };
    // Without the network delay, the other parts explain nothing.
    delays.sent_to_complete?;
    let parts = [
        stage("to encode", delays.capture_to_encoded),
        stage("until it left", delays.encoded_to_sent),
        stage("until it was complete", delays.sent_to_complete),
        stage("until it was shown", delays.complete_to_shown),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    Some(format!("  stages:  {} (ms, medians)", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use framegram_common::stats::{ClockOffset, Delays};

    use super::*;

    fn median(p50: f64) -> Option<Percentiles> {
        Some(Percentiles {
            p50,
            p95: 6.0,
            p99: 7.0,
            max: 12.0,
        })
    }

    #[test]
    fn a_delay_between_two_clocks_is_reported_with_its_uncertainty() {
        let mut statistics = Statistics {
            latency_ms: median(4.0),
            ..Statistics::default()
        };
        for (shared, words) in [(true, "4.0 ms"), (false, "4.0 ± 0.2 ms")] {
            statistics.clock = Some(ClockOffset {
                shared,
                uncertainty_ms: 0.11,
                ..ClockOffset::default()
            });
            let lines = lines(&statistics);
            assert!(lines[0].contains(words), "{lines:?}");
            assert_eq!(lines.len(), 1);
        }
    }

    #[test]
    fn stages_are_reported_if_known() {
        let mut statistics = Statistics {
            delays_ms: Delays {
                sent_to_complete: median(9.96),
                complete_to_shown: median(0.5),
                ..Delays::default()
            },
            ..Statistics::default()
        };
        assert_eq!(
            lines(&statistics),
            ["  stages:  10.0 until it was complete, 0.5 until it was shown (ms, medians)"]
        );
        statistics.delays_ms.capture_to_encoded = median(4.2);
        statistics.delays_ms.encoded_to_sent = median(0.04);
        assert_eq!(
            lines(&statistics),
            [
                "  stages:  4.2 to encode, 0.0 until it left, 10.0 until it was complete, \
              0.5 until it was shown (ms, medians)"
            ]
        );
        assert!(lines(&Statistics::default()).is_empty());
    }
}
