//! The tables of figures, each with its explanation.

use framegram_cli::numbers::{bit_rate, count, percent};
use framegram_common::Statistics;
use framegram_common::stats::{OUTCOMES, Outcome, Percentiles};
use maud::{Markup, html};

use crate::report::share;

/// The most important figures.
pub(super) fn tiles(statistics: &Statistics) -> Markup {
    let frames = &statistics.frames;
    let packets = &statistics.packets;
    let (missed, settled) = (statistics.missed(), statistics.settled());
    let outcomes = &statistics.outcomes;
    let repaired = outcomes[Outcome::IntactParity].zip(outcomes[Outcome::IntactRetransmission]);
    let repaired = repaired.map(|(parity, retransmission)| parity + retransmission);
    let tiles = [
        ("frames shown", frames.shown, settled),
        ("frames lost", missed, settled),
        ("frames repaired", repaired, settled),
        ("packets lost on the way", packets.lost, packets.sent),
        ("packets dropped here", packets.socket_dropped, packets.sent),
    ];
    let delay = statistics.delay();
    html! {
        div.tiles {
            @for (name, value, of) in tiles {
                div {
                    span { (name) }
                    b { (known(value)) }
                    @if let Some(share) = share(value, of) { small { (percent(share)) } }
                }
            }
            div {
                span { "delay, 95th percentile" }
                b { (delay.map_or("?".to_owned(), |delay| format!("{:.1} ms", delay.p95))) }
            }
        }
    }
}

/// All tables.
pub(super) fn sections(statistics: &Statistics) -> Markup {
    html! {
        (frames(statistics))
        (packets(statistics))
        (delays(statistics))
        (path(statistics))
    }
}

fn frames(statistics: &Statistics) -> Markup {
    let frames = &statistics.frames;
    let mut rows = vec![(
        "captured",
        frames.captured,
        "Delivered by the source, by the sender's count.",
    )];
    let outcomes = OUTCOMES.iter();
    rows.extend(outcomes.map(|it| (it.legend, statistics.outcomes[it.outcome], it.explanation)));
    rows.push((
        "unaccounted",
        frames.unaccounted,
        "Captured, but in none of these rows; 0 if every frame is accounted for.",
    ));
    let about = "Each frame that the sender captured is in exactly one row.";
    counts("Frames", about, &rows)
}

fn packets(statistics: &Statistics) -> Markup {
    let packets = &statistics.packets;
    counts(
        "Packets",
        "Sent = received + lost + dropped, from the first packet received to the last sender report.",
        &[
            (
                "sent",
                packets.sent,
                "By the sender's count, repair and control included.",
            ),
            ("received", packets.received, "Each number counted once."),
            (
                "lost on the way",
                packets.lost,
                "Not received, or received corrupt.",
            ),
            (
                "dropped in the socket buffer",
                packets.socket_dropped,
                "By the kernel's count.",
            ),
            (
                "corrupt",
                packets.corrupt,
                "Datagrams with a wrong checksum.",
            ),
            ("duplicate", packets.duplicate, "Further copies received."),
            (
                "reordered",
                packets.reordered,
                "Received after a higher number (RFC 4737, section 3).",
            ),
            (
                "malformed",
                packets.malformed,
                "Datagrams in no known format.",
            ),
            (
                "could not be sent",
                packets.send_errors,
                "Rejected by the sender's operating system; not among those sent.",
            ),
            (
                "foreign",
                packets.foreign,
                "From another stream, or from an address that is not allowed.",
            ),
        ],
    )
}

fn delays(statistics: &Statistics) -> Markup {
    let delays = &statistics.delays_ms;
    let rows = [
        (
            "capture to encoded",
            delays.capture_to_encoded,
            "Measured by the sender.",
        ),
        (
            "encoded to sent",
            delays.encoded_to_sent,
            "Until the first datagram is sent; measured by the sender.",
        ),
        (
            "sent to complete",
            delays.sent_to_complete,
            "From the first datagram sent until the frame is complete.",
        ),
        (
            "complete to shown",
            delays.complete_to_shown,
            "In the viewer.",
        ),
        ("capture to shown", statistics.delay(), "The total delay."),
        ("one way", delays.one_way, "Of each datagram (RFC 7679)."),
        (
            "jitter",
            statistics.jitter_distribution_ms,
            "Difference in transit time between packets (RFC 3550).",
        ),
    ];
    let known = rows
        .iter()
        .filter_map(|(name, value, meaning)| Some((name, (*value)?, meaning)));
    let known: Vec<_> = known.collect();
    let values = |it: &Percentiles| [it.p50, it.p95, it.p99, it.max];
    html! {
        @if !known.is_empty() {
            section {
                h2 { "Delays" }
                table.wide {
                    tr { th {} th { "50 %" } th { "95 %" } th { "99 %" } th { "max" } th {} }
                    @for (name, value, meaning) in known {
                        (row(name, &values(&value).map(|value| format!("{value:.2}")), meaning))
                    }
                }
                p.quiet { "Milliseconds." }
            }
        }
    }
}

fn path(statistics: &Statistics) -> Markup {
    let clock = statistics.clock.map(|clock| {
        if clock.shared {
            return "shared: both programs run on one machine".to_owned();
        }
        format!(
            "{:+.3} ± {:.3} ms, {:+.1} ± {:.1} ppm",
            clock.offset_ms, clock.uncertainty_ms, clock.drift_ppm, clock.drift_uncertainty_ppm
        )
    });
    let extent = statistics.reordering_extent;
    let rows = [
        (
            "jitter, smoothed",
            statistics.jitter_ms.map(|jitter| format!("{jitter:.3} ms")),
            "RFC 3550, section 6.4.1.",
        ),
        (
            "reordering extent, median",
            extent.map(|it| format!("{:.0} packets, at most {:.0}", it.p50, it.max)),
            "RFC 4737, section 4.2.",
        ),
        (
            "clock offset",
            clock,
            "Added to the sender's time (RFC 5905, least delay).",
        ),
        (
            "bit rate",
            statistics.bitrate_bps.map(bit_rate),
            "UDP payload received.",
        ),
    ];
    html! {
        @if rows.iter().any(|(_, value, _)| value.is_some()) {
            section {
                h2 { "Path" }
                table {
                    @for (name, value, meaning) in rows {
                        @if let Some(value) = value { (row(name, &[value], meaning)) }
                    }
                }
            }
        }
    }
}

fn counts(title: &str, about: &str, rows: &[(&str, Option<u64>, &str)]) -> Markup {
    html! {
        section {
            h2 { (title) }
            p { (about) }
            table {
                @for (name, value, meaning) in rows { (row(name, &[known(*value)], meaning)) }
            }
        }
    }
}

fn row(name: &str, values: &[String], meaning: &str) -> Markup {
    html! {
        tr {
            th { (name) }
            @for value in values { td { (value) } }
            td.quiet { (meaning) }
        }
    }
}

fn known(value: Option<u64>) -> String {
    value.map_or_else(|| "?".to_owned(), count)
}
