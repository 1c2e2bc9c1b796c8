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
    let rows = html! {
        (number("captured", frames.captured, "Delivered by the source, by the sender's count."))
        @for it in &OUTCOMES {
            (number(it.legend, statistics.outcomes[it.outcome], it.explanation))
        }
        (number("unaccounted", frames.unaccounted,
            "Captured, but in none of these rows; 0 if every frame is accounted for."))
    };
    let about = "Each frame that the sender captured is in exactly one row.";
    section("Frames", about, &rows)
}

fn packets(statistics: &Statistics) -> Markup {
    let packets = &statistics.packets;
    let rows = html! {
        (number("sent", packets.sent, "By the sender's count, repair and control included."))
        (number("received", packets.received, "Each number counted once."))
        (number("lost on the way", packets.lost, "Not received, or received corrupt."))
        (number("dropped in the socket buffer", packets.socket_dropped, "By the kernel's count."))
        (number("corrupt", packets.corrupt, "Datagrams with a wrong checksum."))
        (number("duplicate", packets.duplicate, "Further copies received."))
        (number("reordered", packets.reordered,
            "Received after a higher number (RFC 4737, section 3)."))
        (number("malformed", packets.malformed, "Datagrams in no known format."))
        (number("could not be sent", packets.send_errors,
            "Rejected by the sender's operating system; not among those sent."))
        (number("foreign", packets.foreign,
            "From another stream, or from an address that is not allowed."))
    };
    let about = "Sent = received + lost + dropped, from the first packet received to the last sender report.";
    section("Packets", about, &rows)
}

fn delays(statistics: &Statistics) -> Markup {
    let delays = &statistics.delays_ms;
    let row = |name: &str, delay: Option<Percentiles>, meaning: &str| {
        let values = delay.map(|it| [it.p50, it.p95, it.p99, it.max].map(|it| format!("{it:.2}")));
        html! { @if let Some(values) = values { (row(name, &values, meaning)) } }
    };
    let rows = html! {
        (row("capture to encoded", delays.capture_to_encoded, "Measured by the sender."))
        (row("encoded to sent", delays.encoded_to_sent,
            "Until the first datagram is sent; measured by the sender."))
        (row("sent to complete", delays.sent_to_complete,
            "From the first datagram sent until the frame is complete."))
        (row("complete to shown", delays.complete_to_shown, "In the viewer."))
        (row("capture to shown", statistics.delay(), "The total delay."))
        (row("one way", delays.one_way, "Of each datagram (RFC 7679)."))
        (row("jitter", statistics.jitter_distribution_ms,
            "Difference in transit time between packets (RFC 3550)."))
    };
    html! {
        @if !rows.0.is_empty() {
            section {
                h2 { "Delays" }
                table.wide {
                    tr { th {} th { "50 %" } th { "95 %" } th { "99 %" } th { "max" } th {} }
                    (rows)
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
    let jitter = statistics.jitter_ms.map(|it| format!("{it:.3} ms"));
    let extent = statistics.reordering_extent;
    let extent = extent.map(|it| format!("{:.0} packets, at most {:.0}", it.p50, it.max));
    let row = |name: &str, value: Option<String>, meaning: &str| {
        html! { @if let Some(value) = value { (row(name, &[value], meaning)) } }
    };
    let rows = html! {
        (row("jitter, smoothed", jitter, "RFC 3550, section 6.4.1."))
        (row("reordering extent, median", extent, "RFC 4737, section 4.2."))
        (row("clock offset", clock, "Added to the sender's time (RFC 5905, least delay)."))
        (row("bit rate", statistics.bitrate_bps.map(bit_rate), "UDP payload received."))
    };
    html! {
        @if !rows.0.is_empty() { section { h2 { "Path" } table { (rows) } } }
    }
}

fn section(title: &str, about: &str, rows: &Markup) -> Markup {
    html! { section { h2 { (title) } p { (about) } table { (rows) } } }
}

fn number(name: &str, value: Option<u64>, meaning: &str) -> Markup {
    row(name, &[known(value)], meaning)
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
