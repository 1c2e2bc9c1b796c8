//! The figures themselves, with what each of them means.

use framegram_cli::numbers::{bit_rate, count, percent};
use framegram_common::Statistics;
use framegram_common::stats::{OUTCOMES, Outcome, Percentiles};

use super::super::share;
use super::{escaped, put};

/// The few figures that matter most.
pub(super) fn tiles(statistics: &Statistics) -> String {
    let frames = &statistics.frames;
    let outcomes = &statistics.outcomes;
    let packets = &statistics.packets;
    let delay = statistics.delay();
    let (missed, settled) = (statistics.missed(), statistics.settled());
    let repaired = outcomes[Outcome::IntactParity]
        .zip(outcomes[Outcome::IntactRetransmission])
        .map(|(parity, retransmission)| parity + retransmission);
    let tiles = [
        (
            "frames shown",
            frames.shown.map(count),
            share(frames.shown, settled),
        ),
        ("frames lost", missed.map(count), share(missed, settled)),
        (
            "frames repaired",
            repaired.map(count),
            share(repaired, settled),
        ),
        (
            "packets lost on the way",
            packets.lost.map(count),
            share(packets.lost, packets.sent),
        ),
        (
            "packets dropped here",
            packets.socket_dropped.map(count),
            share(packets.socket_dropped, packets.sent),
        ),
        (
            "delay, 95 of 100 within",
            delay.map(|delay| format!("{:.1} ms", delay.p95)),
            None,
        ),
    ];
    let mut html = "<div class=\"tiles\">\n".to_owned();
    for (name, value, share) in tiles {
        let value = value.unwrap_or_else(|| "?".to_owned());
        let share = share.map(|share| format!("<small>{}</small>", percent(share)));
        put(
            &mut html,
            format_args!(
                "<div><span>{}</span><b>{}</b>{}</div>\n",
                escaped(name),
                escaped(&value),
                share.unwrap_or_default()
            ),
        );
    }
    html + "</div>\n"
}

/// All tables.
pub(super) fn sections(statistics: &Statistics) -> String {
    frames(statistics) + &packets(statistics) + &delays(statistics) + &path(statistics)
}

fn frames(statistics: &Statistics) -> String {
    let captured = (
        "captured",
        statistics.frames.captured,
        "Delivered by the source, by the sender's count.",
    );
    let unaccounted = (
        "unaccounted",
        statistics.frames.unaccounted,
        "Captured, and in none of these rows: 0 where the accounts are whole.",
    );
    let outcomes = OUTCOMES.iter();
    let outcomes = outcomes.map(|it| (it.legend, statistics.outcomes[it.outcome], it.explanation));
    let rows: Vec<_> = [captured]
        .into_iter()
        .chain(outcomes)
        .chain([unaccounted])
        .collect();
    counts(
        "Frames",
        "Each frame that the sender captured is in exactly one row.",
        &rows,
    )
}

fn packets(statistics: &Statistics) -> String {
    let packets = &statistics.packets;
    counts(
        "Packets",
        "Sent = received + lost + dropped, from the first packet received to the last sender report.",
        &[
            (
                "sent",
                packets.sent,
                "by the sender's count, repair and control included",
            ),
            ("received", packets.received, "each number counted once"),
            (
                "lost on the way",
                packets.lost,
                "nothing of it arrived, or only corrupt",
            ),
            (
                "dropped in the socket buffer",
                packets.socket_dropped,
                "by this machine's kernel, which counts them",
            ),
            (
                "corrupt",
                packets.corrupt,
                "datagrams that arrived with a checksum that does not hold",
            ),
            ("duplicate", packets.duplicate, "received again"),
            (
                "reordered",
                packets.reordered,
                "received after a higher number (RFC 4737, section 3)",
            ),
            (
                "malformed",
                packets.malformed,
                "no packet of a known format",
            ),
            (
                "could not be sent",
                packets.send_errors,
                "refused by the sender's own system; not among those sent",
            ),
            (
                "foreign",
                packets.foreign,
                "of another stream, or from an address that is not allowed",
            ),
        ],
    )
}

fn delays(statistics: &Statistics) -> String {
    let delays = &statistics.delays_ms;
    percentiles(
        "Delays",
        &[
            (
                "capture to encoded",
                &delays.capture_to_encoded,
                "measured by the sender",
            ),
            (
                "encoded to sent",
                &delays.encoded_to_sent,
                "to the first datagram; measured by the sender",
            ),
            (
                "sent to complete",
                &delays.sent_to_complete,
                "first datagram sent to the frame being whole",
            ),
            (
                "complete to shown",
                &delays.complete_to_shown,
                "in the viewer",
            ),
            ("capture to shown", &statistics.delay(), "all of it"),
            ("one way", &delays.one_way, "of each datagram (RFC 7679)"),
            (
                "jitter",
                &statistics.jitter_distribution_ms,
                "transit time from packet to packet (RFC 3550)",
            ),
        ],
    )
}

fn path(statistics: &Statistics) -> String {
    let mut rows = Vec::new();
    rows.extend(statistics.jitter_ms.map(|jitter| {
        (
            "jitter, smoothed",
            format!("{jitter:.3} ms"),
            "RFC 3550, section 6.4.1",
        )
    }));
    rows.extend(statistics.reordering_extent.map(|extent| {
        let text = format!("{:.0} packets, at most {:.0}", extent.p50, extent.max);
        ("reordering extent, median", text, "RFC 4737, section 4.2")
    }));
    rows.extend(statistics.clock.map(|clock| {
        if clock.shared {
            return (
                "clock",
                "one".to_owned(),
                "both programs run on one machine",
            );
        }
        let text = format!(
            "{:+.3} ± {:.3} ms, {:+.1} ± {:.1} ppm",
            clock.offset_ms, clock.uncertainty_ms, clock.drift_ppm, clock.drift_uncertainty_ppm
        );
        (
            "clock offset",
            text,
            "added to the sender's time (RFC 5905, least delay)",
        )
    }));
    rows.extend(
        statistics
            .bitrate_bps
            .map(|bits| ("bit rate", bit_rate(bits), "UDP payload received")),
    );
    if rows.is_empty() {
        return String::new();
    }
    let mut html = "<section>\n<h2>Path</h2>\n<table>\n".to_owned();
    for (name, value, meaning) in rows {
        row(&mut html, name, &[value], meaning);
    }
    html + "</table>\n</section>\n"
}

fn counts(title: &str, about: &str, rows: &[(&str, Option<u64>, &str)]) -> String {
    let mut html = format!("<section>\n<h2>{title}</h2>\n<p>{about}</p>\n<table>\n");
    for (name, value, meaning) in rows {
        let value = value.map_or_else(|| "?".to_owned(), count);
        row(&mut html, name, &[value], meaning);
    }
    html + "</table>\n</section>\n"
}

fn percentiles(title: &str, rows: &[(&str, &Option<Percentiles>, &str)]) -> String {
    let known: Vec<_> = rows
        .iter()
        .filter_map(|(name, value, meaning)| Some((*name, value.as_ref()?, *meaning)))
        .collect();
    if known.is_empty() {
        return String::new();
    }
    let mut html = format!(
        "<section>\n<h2>{title}</h2>\n<table class=\"wide\">\n<tr><th></th><th>50 %</th><th>95 %</th>\
         <th>99 %</th><th>most</th><th></th></tr>\n"
    );
    for (name, value, meaning) in known {
        let values = [value.p50, value.p95, value.p99, value.max];
        row(
            &mut html,
            name,
            &values.map(|value| format!("{value:.2}")),
            meaning,
        );
    }
    html + "</table>\n<p class=\"quiet\">Milliseconds.</p>\n</section>\n"
}

fn row(html: &mut String, name: &str, values: &[String], meaning: &str) {
    put(html, format_args!("<tr><th>{}</th>", escaped(name)));
    for value in values {
        put(html, format_args!("<td>{}</td>", escaped(value)));
    }
    put(
        html,
        format_args!("<td class=\"quiet\">{}</td></tr>\n", escaped(meaning)),
    );
}
