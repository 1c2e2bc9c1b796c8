//! Explains where most frames were lost, and what to type to lose fewer.

use std::time::Duration;

use framegram_cli::numbers::count;
use framegram_common::Statistics;
use framegram_common::stats::{LossPattern, Outcome};

use super::share;

/// The viewer's settings, as far as advice depends on them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Advice {
    /// Requested size of the socket buffer in bytes.
    pub buffer: usize,
    /// Size that the kernel granted, in bytes.
    pub given: usize,
    /// The playout delay.
    pub latency: Duration,
    /// Whether incomplete frames are not shown.
    pub strict: bool,
}

impl Advice {
    /// Command that raises the kernel's limit, if it is below the requested
    /// buffer.
    pub fn allow(&self) -> Option<String> {
        (self.given < self.buffer)
            .then(|| format!("sudo sysctl -w net.core.rmem_max={}", self.buffer))
    }

    /// What to type if the socket buffer was too small.
    fn buffer(&self) -> String {
        match self.allow() {
            Some(allow) => format!("type {allow}, because the kernel grants no larger buffer"),
            None => {
                let more = (self.buffer * 2).div_ceil(1000).max(1000);
                format!(
                    "type framegram-view --buffer {more}k, or give the viewer more processor time"
                )
            }
        }
    }

    fn latency(&self) -> String {
        let more = (self.latency * 2).as_millis().clamp(20, 10_000);
        format!("framegram-view --latency {more}ms")
    }
}

/// Where most of the losses happened, and what to do about them.
pub fn place(statistics: &Statistics, advice: &Advice) -> Option<String> {
    place_of_frames(statistics, advice).or_else(|| place_of_packets(statistics, advice))
}

/// What to do about loss on the network.
fn against_loss(statistics: &Statistics, advice: &Advice) -> String {
    let packets = &statistics.packets;
    let corrupt = packets.corrupt.unwrap_or(0);
    if corrupt * 2 > packets.lost.unwrap_or(0) {
        return format!(
            "most of it arrived corrupt ({} datagrams), look at cables, drivers and radio links",
            count(corrupt)
        );
    }
    let loss = share(packets.lost, packets.sent).unwrap_or(0.0);
    if let Some(outages) = statistics.loss_pattern.as_ref().and_then(outages) {
        return format!("{outages}; no setting helps against outages");
    }
    if loss > CONGESTED
        && let Some(arrived) = statistics.bitrate_bps
    {
        let less = (arrived * 0.8 / 1e3).max(1.0).round();
        return format!(
            "the path carries less than is sent, type framegram-send --bitrate {less}k"
        );
    }
    let lenient = if advice.strict {
        ", or leave --strict out"
    } else {
        ""
    };
    format!(
        "more parity or more time for repair helps, type framegram-send --fec 30% or {}{lenient}",
        advice.latency()
    )
}

/// Describes the outages, if they caused most of the loss.
fn outages(pattern: &LossPattern) -> Option<String> {
    let longest = count(pattern.longest);
    if pattern.longest >= LEAST_OUTAGE && pattern.longest * 2 > pattern.lost {
        Some(format!(
            "most of it in one outage of {longest} packets in a row"
        ))
    } else if pattern.periods > 0 && pattern.lost / pattern.periods >= LEAST_OUTAGE {
        Some(format!(
            "most of it in {} outages of up to {longest} packets in a row",
            count(pattern.periods)
        ))
    } else {
        None
    }
}

/// Derives the place from the outcomes of frames, if they are known.
fn place_of_frames(statistics: &Statistics, advice: &Advice) -> Option<String> {
    // Only the native format tells why frames are missing.
    statistics.outcomes[Outcome::LostNetwork]?;
    // Frames that never got a number were not missed by the viewer.
    let unnumbered = statistics.frames.not_sent.unwrap_or(0);
    let losses = Outcome::all().filter(|outcome| outcome.info().is_loss);
    let counts = losses.map(|outcome| {
        let count = statistics.outcomes[outcome].unwrap_or(0);
        match outcome {
            Outcome::NotSent => (count.saturating_sub(unnumbered), outcome),
            _ => (count, outcome),
        }
    });
    let all: u64 = counts.clone().map(|(count, _)| count).sum();
    let (most, outcome) = counts.max_by_key(|(count, _)| *count)?;
    let which = match most {
        0 => return None,
        1 if all == 1 => "It was".to_owned(),
        _ if most == all => format!("All {} were", count(most)),
        _ => format!("Most of them ({}) were", count(most)),
    };
    let (buffer, latency) = (advice.buffer(), advice.latency());
    Some(match outcome {
        Outcome::LostNetwork => format!(
            "{which} lost on the way here: {}.",
            against_loss(statistics, advice)
        ),
        Outcome::LostSocket => {
            format!("{which} lost in this machine's own socket buffer: {buffer}.")
        }
        Outcome::LostUnknown => format!(
            "{which} lost on the way, in this machine's own socket buffer, or both; which cannot be \
             told. Start with the buffer: {buffer}."
        ),
        Outcome::Late => format!("{which} completed too late: type {latency}."),
        Outcome::NotSent => {
            format!("{which} rejected by the sender's operating system: see the sender's messages.")
        }
        _ => format!(
            "{which} received complete, but cannot be decoded: look at the sender's source."
        ),
    })
}

/// Derives the place from packet counts, if the outcomes are unknown.
fn place_of_packets(statistics: &Statistics, advice: &Advice) -> Option<String> {
    let packets = &statistics.packets;
    let outcomes = &statistics.outcomes;
    let holes = outcomes[Outcome::Concealed].unwrap_or(0);
    let missed = statistics.missed()? + holes;
    if missed == 0 {
        return None;
    }
    if outcomes[Outcome::Undecodable].unwrap_or(0) * 2 > missed {
        return Some(
            "Most of them arrived complete, but cannot be decoded: look at the sender's source."
                .to_owned(),
        );
    }
    let way = packets.lost.unwrap_or(0);
    let Some(here) = packets.socket_dropped else {
        return (way > 0).then(|| {
            format!(
                "Of these, {} packets were lost on the way or in this machine's own socket \
                 buffer; which cannot be told. Start with the buffer: {}.",
                count(way),
                advice.buffer()
            )
        });
    };
    if way.max(here) == 0 {
        None
    } else if here >= way {
        Some(format!(
            "Most of what was missing was lost in this machine's own socket buffer ({} packets, \
             {} on the way): {}.",
            count(here),
            count(way),
            advice.buffer()
        ))
    } else {
        Some(format!(
            "Most of what was missing was lost on the way here ({} packets, {} in this machine's \
             socket buffer): {}.",
            count(way),
            count(here),
            against_loss(statistics, advice)
        ))
    }
}

/// A loss period of at least this many packets is an outage.
const LEAST_OUTAGE: u64 = 50;

/// A higher share of lost packets means that the path is overloaded.
const CONGESTED: f64 = 0.25;

#[cfg(test)]
mod tests {
    use framegram_common::stats::Outcomes;

    use super::*;

    const ADVICE: Advice = Advice {
        buffer: 4_000_000,
        given: 4_000_000,
        latency: Duration::from_millis(60),
        strict: false,
    };

    #[test]
    fn the_place_of_most_losses_decides_the_advice() {
        let line = |outcomes: Outcomes, advice: &Advice| {
            let statistics = Statistics {
                outcomes,
                ..Statistics::default()
            };
            place(&statistics, advice).unwrap()
        };
        let counts = [(Outcome::LostNetwork, 9), (Outcome::LostSocket, 8)];
        let mut outcomes: Outcomes = counts.into_iter().collect();
        let network = line(outcomes.clone(), &ADVICE);
        assert!(network.starts_with("Most of them (9) were lost on the way here"));
        assert!(network.contains("--latency 120ms"), "{network}");
        outcomes[Outcome::LostSocket] = Some(1200);
        let socket = line(outcomes.clone(), &ADVICE);
        assert!(socket.starts_with("Most of them (1,200)") && socket.contains("--buffer 8000k"));
        let small = Advice {
            given: 212_992,
            ..ADVICE
        };
        let socket = line(outcomes, &small);
        assert!(
            socket.contains("sysctl -w net.core.rmem_max=4000000"),
            "{socket}"
        );
        let late = [(Outcome::Late, 1), (Outcome::LostNetwork, 0)];
        let late = late.into_iter().collect();
        assert_eq!(
            line(late, &ADVICE),
            "It was completed too late: type framegram-view --latency 120ms."
        );
    }

    #[test]
    fn outages_do_not_raise_parity() {
        let mut statistics = Statistics {
            bitrate_bps: Some(2e6),
            ..Statistics::default()
        };
        statistics.outcomes[Outcome::LostNetwork] = Some(50);
        (statistics.packets.lost, statistics.packets.sent) = (Some(600), Some(1000));
        let congested = place(&statistics, &ADVICE).unwrap();
        assert!(congested.contains("--bitrate 1600k"), "{congested}");
        statistics.loss_pattern = Some(LossPattern {
            lost: 600,
            longest: 500,
            ..LossPattern::default()
        });
        let outage = place(&statistics, &ADVICE).unwrap();
        assert!(outage.contains("one outage of 500 packets"), "{outage}");
        statistics.loss_pattern = Some(LossPattern {
            lost: 600,
            longest: 110,
            periods: 6,
            ..LossPattern::default()
        });
        let outages = place(&statistics, &ADVICE).unwrap();
        assert!(
            outages.contains("6 outages of up to 110 packets"),
            "{outages}"
        );
    }

    #[test]
    fn concealed_frames_count_as_losses_in_the_advice() {
        let mut statistics = Statistics::default();
        (
            statistics.frames.lost,
            statistics.outcomes[Outcome::Concealed],
        ) = (Some(0), Some(80));
        statistics.packets.socket_dropped = Some(900);
        let line = place(&statistics, &ADVICE).unwrap();
        assert!(line.contains("--buffer 8000k"), "{line}");
    }
}
