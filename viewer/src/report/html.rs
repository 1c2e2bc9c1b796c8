//! The report as one page that needs no network. Plots are inline SVG, and the
//! page contains the whole JSON report.

mod plot;
mod strip;
mod table;

use framegram_cli::numbers;
use framegram_common::Statistics;
use framegram_common::stats::LossPattern;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use self::plot::{Bars, Plot};
use super::advice::Advice;
use super::timeline::{Timeline, TimelineBucket};
use super::{Report, text};

/// Renders the page.
pub fn page(report: &Report, advice: &Advice) -> serde_json::Result<String> {
    let statistics = report.statistics();
    let lines = text::verdict_and_place(statistics, advice);
    let (verdict, places) = lines.split_first().map_or(("", &[][..]), |(a, b)| (a, b));
    // Only "</" could end the script element early.
    let json = serde_json::to_string(report)?.replace('<', "\\u003c");
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "framegram: loss report" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    header {
                        h1 { (verdict) }
                        @for place in places { p { (place) } }
                        p.quiet { (about(statistics)) }
                    }
                    (table::tiles(statistics))
                    @if let Some(timeline) = report.timeline {
                        (strip::section(timeline, statistics))
                        (over_time(timeline))
                        (delays(timeline, statistics))
                    }
                    (pattern(statistics))
                    (table::sections(statistics))
                    footer {
                        p.quiet {
                            "Written by framegram-view. All figures as JSON: "
                            code { "document.getElementById('report').textContent" }
                        }
                    }
                }
                script type="application/json" id="report" { (PreEscaped(json)) }
            }
        }
    };
    Ok(page.into_string())
}

fn about(statistics: &Statistics) -> String {
    let stream = &statistics.stream;
    let size = stream.width.zip(stream.height);
    let from = Some(stream.addresses.join(", ")).filter(|from| !from.is_empty());
    let parts = [
        size.map(|(width, height)| format!("{width}x{height}")),
        statistics
            .fps
            .map(|fps| format!("{fps:.2} frames per second")),
        statistics.bitrate_bps.map(numbers::bit_rate),
        Some(numbers::seconds(statistics.duration_s)),
        from.map(|from| format!("from {from}")),
        stream
            .number
            .as_ref()
            .map(|number| format!("stream {number}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(" · ")
}

fn over_time(timeline: &Timeline) -> Markup {
    let buckets = &timeline.buckets;
    if buckets.is_empty() {
        return Markup::default();
    }
    let seconds = u64::from(timeline.bucket_s) * buckets.len() as u64;
    let unit = match timeline.bucket_s {
        1 => "in each second".to_owned(),
        seconds => format!("in each {seconds} seconds"),
    };
    let each = |of: fn(&TimelineBucket) -> u64| buckets.iter().map(|it| of(it) as f64).collect();
    let megabits = |it: &TimelineBucket| it.bytes as f64 * 8.0 / 1e6 / f64::from(timeline.bucket_s);
    let delays = buckets.iter().map(|bucket| bucket.delay_ms);
    let quality = buckets.iter().map(|bucket| bucket.quality.map(f64::from));
    let quality: Vec<_> = quality.collect();
    let loss = Bars {
        series: vec![
            ("lost", each(|bucket| bucket.lost)),
            ("concealed", each(|bucket| bucket.concealed)),
            ("repaired", each(|bucket| bucket.repaired)),
        ],
        least: 4.0,
    };
    let packets = Bars {
        series: vec![
            ("dropped", each(|bucket| bucket.socket_dropped)),
            ("lost", each(|bucket| bucket.packets_lost)),
        ],
        least: 4.0,
    };
    let rate = Bars {
        series: vec![("rate", buckets.iter().map(megabits).collect())],
        least: 0.001,
    };
    let mut plots = vec![
        Plot::bars(
            &format!("Frames lost, concealed and repaired, {unit}"),
            &loss,
        )
        .with_legend(&[
            ("lost", "lost"),
            ("concealed", "concealed"),
            ("repaired", "repaired"),
        ]),
        Plot::bars(&format!("Packets lost, {unit}"), &packets)
            .with_legend(&[("lost", "on the way"), ("dropped", "in the socket buffer")]),
    ];
    if delays.clone().any(|delay| delay.is_some()) {
        let title = "Delay from capture to shown";
        plots.push(Plot::spread(title, &delays.collect::<Vec<_>>()).with_unit("ms"));
    }
    plots.push(Plot::bars("Bit rate", &rate).with_unit("Mbit/s"));
    if quality.iter().any(Option::is_some) {
        plots.push(Plot::line("JPEG quality", &quality, 100.0));
    }
    html! {
        section {
            h2 { "Over time" }
            @for plot in plots { (plot.over(seconds)) }
        }
    }
}

fn delays(timeline: &Timeline, statistics: &Statistics) -> Markup {
    let Some(bins) = &timeline.delay_histogram else {
        return Markup::default();
    };
    let frames = bins.frames.iter().map(|&frames| frames as f64);
    let bars = Bars {
        series: vec![("rate", frames.collect())],
        least: 1.0,
    };
    let end = bins.width_ms * bins.frames.len() as f64;
    let middle = bins.width_ms * (bins.frames.len() / 2) as f64;
    let ticks = [
        "0 ms".to_owned(),
        format!("{middle:.1}"),
        format!("{end:.1} ms and more"),
    ];
    html! {
        section {
            h2 { "Delay" }
            @if let Some(delay) = statistics.delay() {
                p {
                    (format!(
                        "Half of the frames were shown within {:.1} ms of their capture, 95 % \
                         within {:.1}, 99 % within {:.1}, all within {:.1}.",
                        delay.p50, delay.p95, delay.p99, delay.max,
                    ))
                }
            }
            (Plot::bars("Frames by delay from capture to shown", &bars).between(&ticks))
        }
    }
}

/// The loss pattern.
fn pattern(statistics: &Statistics) -> Markup {
    let Some(pattern) = &statistics.loss_pattern else {
        return Markup::default();
    };
    let bursts = &pattern.bursts;
    let lengths = &pattern.period_lengths;
    let longest = lengths.iter().rposition(|&count| count > 0).unwrap_or(0);
    let shown = lengths.iter().take(longest.max(MIN_LENGTHS) + 1);
    let mut counts: Vec<f64> = shown.map(|&count| count as f64).collect();
    counts.resize(counts.len().max(MIN_LENGTHS), 0.0);
    let last = counts.len();
    let and_more = if last == LossPattern::LENGTHS {
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
    html! {
        section {
            h2 { "Bursts of loss" }
            @if pattern.lost == 0 {
                p { "No packet that carries a frame was lost." }
            } @else {
                p {
                    (format!(
                        "{} packets were lost, in {} runs; the longest was {} in a row. {} of them \
                         fell into {} bursts of up to {} packets, the rest into the gaps between.",
                        numbers::count(pattern.lost),
                        numbers::count(pattern.periods),
                        numbers::count(pattern.longest),
                        numbers::count(bursts.burst_lost),
                        numbers::count(bursts.bursts),
                        numbers::count(bursts.longest_burst),
                    ))
                }
                (Plot::bars("Runs of lost packets by length", &bars).between(&ticks))
            }
        }
    }
}

const STYLE: &str = include_str!("html/style.css");

/// Minimum number of run lengths in a plot.
const MIN_LENGTHS: usize = 8;

#[cfg(test)]
mod tests;
