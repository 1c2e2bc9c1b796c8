use framegram_cli::numbers::count;
use framegram_common::stats::{
    Bursts, Frames, LossPattern, OUTCOMES, Outcome, Packets, Percentiles,
};
use serde_json::Value;

use super::*;
use crate::fixture::embedded;
use crate::report::advice::Advice;
use crate::report::timeline::{DelayBins, Spread};

/// A stream of ten seconds with frames of every kind.
fn example() -> (Statistics, Timeline) {
    let mut statistics = Statistics {
        frames: Frames {
            captured: Some(300),
            sent: Some(300),
            shown: Some(291),
            intact: Some(286),
            lost: Some(2),
            incomplete: Some(7),
            ..Frames::default()
        },
        packets: Packets {
            sent: Some(12_345),
            received: Some(12_222),
            lost: Some(103),
            socket_dropped: Some(20),
            corrupt: Some(0),
            ..Packets::default()
        },
        outcomes: [
            (Outcome::IntactUnrepaired, 261),
            (Outcome::IntactParity, 21),
            (Outcome::IntactRetransmission, 4),
            (Outcome::Concealed, 5),
            (Outcome::LostNetwork, 6),
            (Outcome::LostSocket, 3),
        ]
        .into_iter()
        .collect(),
        duration_s: 10.0,
        fps: Some(30.0),
        bitrate_bps: Some(8e6),
        loss_pattern: Some(LossPattern {
            packets: 12_000,
            lost: 103,
            periods: 61,
            period_lengths: vec![40, 15, 3, 0, 2, 0, 0, 0, 1],
            longest: 9,
            distance: None,
            bursts: Bursts::default(),
        }),
        ..Statistics::default()
    };
    statistics.delays_ms.capture_to_shown = Some(Percentiles {
        p50: 21.0,
        p95: 48.5,
        p99: 60.0,
        max: 71.25,
    });
    statistics.stream.addresses = vec!["<script>alert(1)</script>".to_owned()];
    let buckets = (0..10).map(|second| TimelineBucket {
        shown: 29,
        repaired: 2,
        concealed: u64::from(second % 2 == 0),
        lost: second % 3,
        packets_lost: 10,
        socket_dropped: 2,
        bytes: 1_000_000,
        quality: Some(80),
        delay_ms: (second != 4).then_some(Spread {
            min: 18.0,
            mean: 22.0,
            max: 60.0,
        }),
        ..TimelineBucket::default()
    });
    let timeline = Timeline {
        bucket_s: 1,
        buckets: buckets.collect(),
        frames_per_letter: 1,
        outcomes: ".........n.....pp..c......bb..".repeat(10),
        delay_histogram: Some(DelayBins {
            width_ms: 2.0,
            frames: vec![0, 5, 100, 80, 3],
        }),
        ..Timeline::default()
    };
    (statistics, timeline)
}

fn example_page() -> (String, Value) {
    let (statistics, timeline) = example();
    let report = Report {
        timeline: Some(&timeline),
        ..Report::new(&statistics)
    };
    let json = serde_json::to_value(report).unwrap();
    (page(&report, &Advice::default()).unwrap(), json)
}

#[test]
fn the_json_in_the_page_is_the_report() {
    let (page, json) = example_page();
    assert_eq!(embedded(&page), json);
}

#[test]
fn external_text_is_escaped() {
    let (page, _) = example_page();
    assert!(!page.contains("<script>alert"));
    assert!(page.contains("&lt;script&gt;alert(1)"));
}

#[test]
fn opens_without_a_network() {
    let (page, _) = example_page();
    for outside in ["http:", "https:", "src=", "@import", "url(", "<link"] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn every_number_of_the_tables_is_that_of_the_json() {
    let (page, json) = example_page();
    for info in &OUTCOMES {
        let number = json["outcomes"][info.key]
            .as_u64()
            .map_or("?".to_owned(), count);
        let row = format!("<th>{}</th><td>{number}</td>", info.legend);
        assert!(page.contains(&row), "{row}");
    }
    for (name, pointer) in [
        ("captured", "/frames/captured"),
        ("sent", "/packets/sent"),
        ("received", "/packets/received"),
        ("lost on the way", "/packets/lost"),
        ("dropped in the socket buffer", "/packets/socket_dropped"),
    ] {
        let number = json.pointer(pointer).and_then(Value::as_u64).unwrap();
        let row = format!("<th>{name}</th><td>{}</td>", count(number));
        assert!(page.contains(&row), "{row}");
    }
    // An unknown figure is not zero.
    assert!(page.contains("<th>late</th><td>?</td>"));
    assert!(page.contains("<td>21.00</td><td>48.50</td><td>60.00</td><td>71.25</td>"));
}

#[test]
fn the_strip_has_a_mark_for_each_frame() {
    let (page, _) = example_page();
    let strip = page.split("class=\"strip\"").nth(1).unwrap();
    let strip = strip.split("</section>").next().unwrap();
    let widths = strip.split(" width=\"").skip(1);
    let marks: u64 = widths
        .map(|rest| rest.split('"').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert_eq!(marks, 300);
    assert_eq!(strip.matches("lost on the network").count(), 10);
}

#[test]
fn elements_are_closed() {
    let (page, _) = example_page();
    for name in [
        "section", "svg", "table", "tr", "figure", "div", "span", "p", "main", "script",
    ] {
        let opened =
            page.matches(&format!("<{name}>")).count() + page.matches(&format!("<{name} ")).count();
        assert_eq!(
            opened,
            page.matches(&format!("</{name}>")).count(),
            "{name}"
        );
    }
}

#[test]
fn a_report_without_a_stream_is_a_page() {
    let statistics = Statistics::default();
    let timeline = Timeline::default();
    let report = Report {
        timeline: Some(&timeline),
        ..Report::new(&statistics)
    };
    let page = page(&report, &Advice::default()).unwrap();
    assert!(page.contains("<h1>No frame arrived.</h1>"));
    assert!(!page.contains("NaN") && !page.contains("inf"));
}
