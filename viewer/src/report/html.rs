//! The report as one page that opens without a network: plots are SVG drawn
//! here, and the whole JSON is in it, so that its numbers can be had again.

mod plot;
mod strip;
mod table;

use std::fmt::Write;

use framegram_cli::numbers;
use framegram_common::Statistics;

use self::plot::{Bars, Plot};
use super::advice::Advice;
use super::timeline::{Bucket, Timeline};
use super::{Report, text};

/// The page.
///
/// # Errors
/// Never: the figures can be written as JSON.
pub fn page(report: &Report, advice: &Advice) -> serde_json::Result<String> {
    let statistics = report.statistics();
    let lines = text::verdict_and_place(statistics, advice);
    let (verdict, places) = lines.split_first().map_or(("", &[][..]), |(a, b)| (a, b));
    let mut page = String::with_capacity(ROOM);
    page += "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
    page += "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n";
    page += "<meta name=\"color-scheme\" content=\"light dark\">\n";
    page += "<title>framegram: loss report</title>\n<style>\n";
    page += STYLE;
    page += "</style>\n</head>\n<body>\n<main>\n<header>\n";
    put(&mut page, format_args!("<h1>{}</h1>\n", escaped(verdict)));
    for place in places {
        put(&mut page, format_args!("<p>{}</p>\n", escaped(place)));
    }
    put(
        &mut page,
        format_args!("<p class=\"quiet\">{}</p>\n", escaped(&about(statistics))),
    );
    page += "</header>\n";
    page += &table::tiles(statistics);
    if let Some(timeline) = report.timeline {
        page += &strip::section(timeline, statistics);
        page += &over_time(timeline);
        page += &delays(timeline, statistics);
    }
    page += &pattern(statistics);
    page += &table::sections(statistics);
    page += "<footer><p class=\"quiet\">Made by framegram-view. All numbers of this page as JSON: ";
    page += "<code>document.getElementById('report').textContent</code></p></footer>\n</main>\n";
    // The one thing that could end the element early is "</".
    let json = serde_json::to_string(report)?.replace('<', "\\u003c");
    put(
        &mut page,
        format_args!("<script type=\"application/json\" id=\"report\">{json}</script>\n"),
    );
    page += "</body>\n</html>\n";
    Ok(page)
}

fn about(statistics: &Statistics) -> String {
    let stream = &statistics.stream;
    let mut parts = Vec::new();
    if let (Some(width), Some(height)) = (stream.width, stream.height) {
        parts.push(format!("{width}x{height}"));
    }
    parts.extend(
        statistics
            .fps
            .map(|fps| format!("{fps:.2} frames a second")),
    );
    parts.extend(statistics.bitrate_bps.map(numbers::bit_rate));
    parts.push(numbers::seconds(statistics.duration_s));
    if !stream.addresses.is_empty() {
        parts.push(format!("from {}", stream.addresses.join(", ")));
    }
    parts.extend(
        stream
            .number
            .as_ref()
            .map(|number| format!("stream {number}")),
    );
    parts.join(" · ")
}

fn over_time(timeline: &Timeline) -> String {
    let buckets = &timeline.buckets;
    if buckets.is_empty() {
        return String::new();
    }
    let each = |of: fn(&Bucket) -> f64| buckets.iter().map(of).collect::<Vec<_>>();
    let seconds = u64::from(timeline.bucket_s) * buckets.len() as u64;
    let unit = if timeline.bucket_s == 1 {
        "in each second".to_owned()
    } else {
        format!("in each {} seconds", timeline.bucket_s)
    };
    let loss = Bars {
        series: vec![
            ("lost", each(|bucket| bucket.lost as f64)),
            ("concealed", each(|bucket| bucket.concealed as f64)),
            ("repaired", each(|bucket| bucket.repaired as f64)),
        ],
        least: 4.0,
    };
    let packets = Bars {
        series: vec![
            ("dropped", each(|bucket| bucket.socket_dropped as f64)),
            ("lost", each(|bucket| bucket.packets_lost as f64)),
        ],
        least: 4.0,
    };
    let megabits = |bucket: &Bucket| bucket.bytes as f64 * 8.0 / 1e6 / f64::from(timeline.bucket_s);
    let rate = buckets.iter().map(megabits).collect();
    let mean: Vec<_> = buckets
        .iter()
        .map(|bucket| bucket.delay_ms.map(|spread| spread.mean))
        .collect();
    let band: Vec<_> = buckets
        .iter()
        .map(|bucket| bucket.delay_ms.map(|spread| (spread.min, spread.max)))
        .collect();
    let quality: Vec<_> = buckets
        .iter()
        .map(|bucket| bucket.quality.map(f64::from))
        .collect();
    let mut plots = vec![
        Plot::bars(
            &format!("Frames lost, concealed and repaired, {unit}"),
            &loss,
            &[
                ("lost", "lost"),
                ("concealed", "shown with holes"),
                ("repaired", "repaired"),
            ],
        ),
        Plot::bars(
            &format!("Packets lost, {unit}"),
            &packets,
            &[("lost", "on the way"), ("dropped", "in the socket buffer")],
        ),
    ];
    if buckets.iter().any(|bucket| bucket.delay_ms.is_some()) {
        plots.push(Plot::band(
            "Delay from capture to shown",
            "ms",
            &mean,
            &band,
        ));
    }
    plots.push(
        Plot::bars(
            "Bit rate",
            &Bars {
                series: vec![("rate", rate)],
                least: 0.001,
            },
            &[],
        )
        .with_unit("Mbit/s"),
    );
    if quality.iter().any(Option::is_some) {
        plots.push(Plot::line("JPEG quality", &quality, 100.0));
    }
    let mut section = "<section>\n<h2>Over time</h2>\n".to_owned();
    for plot in plots {
        section += &plot.over(seconds);
    }
    section + "</section>\n"
}

fn delays(timeline: &Timeline, statistics: &Statistics) -> String {
    let Some(bins) = &timeline.delay_histogram else {
        return String::new();
    };
    let bars = Bars {
        series: vec![(
            "rate",
            bins.frames.iter().map(|&frames| frames as f64).collect(),
        )],
        least: 1.0,
    };
    let end = bins.width_ms * bins.frames.len() as f64;
    let middle = bins.width_ms * (bins.frames.len() / 2) as f64;
    let ticks = [
        "0 ms".to_owned(),
        format!("{middle:.1}"),
        format!("{end:.1} ms and more"),
    ];
    let mut section = "<section>\n<h2>How long frames took</h2>\n".to_owned();
    if let Some(delay) = statistics.delay() {
        put(
            &mut section,
            format_args!(
                "<p>Half of the frames were shown within {:.1} ms of their capture, 95 of 100 within {:.1}, \
             99 of 100 within {:.1}, all within {:.1}.</p>\n",
                delay.p50, delay.p95, delay.p99, delay.max,
            ),
        );
    }
    section += &Plot::bars("Frames by delay from capture to shown", &bars, &[]).between(&ticks);
    section + "</section>\n"
}

/// How losses lie among the packets.
fn pattern(statistics: &Statistics) -> String {
    let Some(pattern) = &statistics.loss_pattern else {
        return String::new();
    };
    let mut section = "<section>\n<h2>Bursts of loss</h2>\n".to_owned();
    if pattern.lost == 0 {
        section += "<p>No packet that carries a frame was lost.</p>\n</section>\n";
        return section;
    }
    let bursts = &pattern.bursts;
    put(
        &mut section,
        format_args!(
            "<p>{} packets were lost, in {} runs; the longest was {} in a row. {} of them fell into {} \
         bursts of up to {} packets, the rest into the gaps between.</p>\n",
            numbers::count(pattern.lost),
            numbers::count(pattern.periods),
            numbers::count(pattern.longest),
            numbers::count(bursts.burst_lost),
            numbers::count(bursts.bursts),
            numbers::count(bursts.longest_burst),
        ),
    );
    let longest = pattern
        .period_lengths
        .iter()
        .rposition(|&count| count > 0)
        .unwrap_or(0);
    let shown = pattern
        .period_lengths
        .iter()
        .take(longest.max(LEAST_LENGTHS) + 1);
    let mut counts: Vec<f64> = shown.map(|&count| count as f64).collect();
    counts.resize(counts.len().max(LEAST_LENGTHS), 0.0);
    let last = counts.len();
    let and_more = if last == framegram_common::stats::LossPattern::LENGTHS {
        " and more"
    } else {
        ""
    };
    let ticks = [
        "1".to_owned(),
        String::new(),
        format!("{last}{and_more} packets in a row"),
    ];
    let bars = Bars {
        series: vec![("lost", counts)],
        least: 1.0,
    };
    section += &Plot::bars("Runs of lost packets by their length", &bars, &[]).between(&ticks);
    section + "</section>\n"
}

/// The JSON in a page.
#[cfg(test)]
pub(crate) fn embedded(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("id=\"report\">").unwrap();
    let (json, _) = rest.split_once("</script>").unwrap();
    serde_json::from_str(json).unwrap()
}

/// Text as it may stand in an element or an attribute.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// Writing into a string cannot fail.
fn put(page: &mut String, text: std::fmt::Arguments) {
    let _ = page.write_fmt(text);
}

const STYLE: &str = include_str!("html/style.css");

/// Most pages are no larger.
const ROOM: usize = 128 << 10;

/// Run lengths that a plot has at least.
const LEAST_LENGTHS: usize = 8;

#[cfg(test)]
mod tests;
