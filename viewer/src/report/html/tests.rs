use framegram_cli::numbers::count;
use framegram_common::stats::{Bursts, Frames, LossPattern, Outcomes, Packets, Percentiles};
use framegram_common::timeline::{Bins, Spread};
use serde_json::Value;

use super::*;
use crate::report::advice::Advice;

/// A stream of ten seconds with some of everything.
fn example() -> (Statistics, Course) {
    let mut statistics = Statistics {
        frames: Frames {
            captured: Some(300),
            sent: Some(300),
            shown: Some(291),
            intact: Some(286),
            concealed: Some(5),
            lost: Some(2),
            incomplete: Some(7),
            late: Some(0),
            skipped: Some(0),
            undecodable: Some(0),
            repaired_by_parity: Some(21),
            repaired_by_retransmission: Some(4),
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
        outcomes: Outcomes {
            intact_unrepaired: Some(261),
            intact_parity: Some(21),
            intact_retransmission: Some(4),
            concealed: Some(5),
            lost_network: Some(6),
            lost_socket: Some(3),
            ..Outcomes::default()
        },
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
    let moments = (0..10).map(|second| Moment {
        shown: 29,
        repaired: 2,
        concealed: u64::from(second % 2 == 0),
        lost: second % 3,
        packets_lost: 10,
        packets_dropped: 2,
        bytes: 1_000_000,
        quality: Some(80),
        delay_ms: (second != 4).then_some(Spread {
            min: 18.0,
            mean: 22.0,
            max: 60.0,
        }),
    });
    let course = Course {
        moment_s: 1,
        moments: moments.collect(),
        frames_per_mark: 1,
        marks: ".........n.....pp..c......bb..".repeat(10),
        delays: Some(Bins {
            width_ms: 2.0,
            frames: vec![0, 5, 100, 80, 3],
        }),
        ..Course::default()
    };
    (statistics, course)
}

fn example_page() -> (String, Value) {
    let (statistics, course) = example();
    let file = ReportFile::new(&statistics, Some(&course));
    let json = serde_json::to_value(file).unwrap();
    (page(&file, &Advice::default()).unwrap(), json)
}

#[test]
fn the_json_in_the_page_is_the_report() {
    let (page, json) = example_page();
    assert_eq!(embedded(&page), json);
}

#[test]
fn what_comes_from_outside_is_no_markup() {
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
    for (name, pointer) in [
        ("captured", "/frames/captured"),
        ("whole", "/outcomes/intact_unrepaired"),
        ("whole by parity", "/outcomes/intact_parity"),
        ("with holes", "/outcomes/concealed"),
        ("lost on the network", "/outcomes/lost_network"),
        ("lost in the socket buffer", "/outcomes/lost_socket"),
        ("sent", "/packets/sent"),
        ("received", "/packets/received"),
        ("lost on the way", "/packets/lost"),
        ("dropped in the socket buffer", "/packets/socket_dropped"),
    ] {
        let number = json.pointer(pointer).and_then(Value::as_u64).unwrap();
        let row = format!("<th>{name}</th><td>{}</td>", count(number));
        assert!(page.contains(&row), "{row}");
    }
    // What is not known is no zero.
    assert!(page.contains("<th>too late</th><td>?</td>"));
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
fn a_report_of_nothing_is_a_page_too() {
    let statistics = Statistics::default();
    let course = Course::default();
    let file = ReportFile::new(&statistics, Some(&course));
    let page = page(&file, &Advice::default()).unwrap();
    assert!(page.contains("<h1>No frame arrived.</h1>"));
    assert!(!page.contains("NaN") && !page.contains("inf"));
}
