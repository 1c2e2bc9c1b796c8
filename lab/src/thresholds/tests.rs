//! Valid and invalid conditions.

use framegram_common::stats::{Frames, Outcome, Packets, TimecodeCounts};

use super::*;

fn statistics() -> Statistics {
    Statistics {
        frames: Frames {
            shown: Some(985),
            intact: Some(980),
            lost: Some(4),
            incomplete: Some(6),
            ..Frames::default()
        },
        outcomes: [(Outcome::Concealed, 5), (Outcome::Skipped, 5)]
            .into_iter()
            .collect(),
        packets: Packets {
            sent: Some(20_000),
            lost: Some(100),
            socket_dropped: Some(0),
            ..Packets::default()
        },
        latency_ms: Some(Percentiles {
            p50: 8.0,
            p95: 20.0,
            p99: 30.0,
            max: 44.5,
        }),
        jitter_ms: Some(0.5),
        fps: Some(29.97),
        bitrate_bps: Some(8e6),
        ..Statistics::default()
    }
}

fn holds(text: &str) -> bool {
    let condition: Condition = text.parse().unwrap();
    condition.check(&statistics()).is_some()
}

#[test]
fn the_figures_of_a_recording_follow_from_its_timecodes() {
    let statistics = Statistics {
        timecode: Some(TimecodeCounts {
            shown: 98,
            lost: 2,
            delay_ms: Some(Percentiles {
                p95: 50.0,
                ..Percentiles::default()
            }),
            ..TimecodeCounts::default()
        }),
        ..Statistics::default()
    };
    for (text, holds) in [
        ("shown<98%", false),
        ("loss>=2", true),
        ("delay p95>49ms", true),
        ("delay p95>51ms", false),
        ("fps<1", true),
    ] {
        let condition: Condition = text.parse().unwrap();
        assert_eq!(condition.check(&statistics).is_some(), holds, "{text}");
    }
}

#[test]
fn every_figure_can_be_held_against_a_limit() {
    for (text, expected) in [
        ("shown<98.5%", false),
        ("shown<=98.5%", true),
        ("shown < 99 %", true),
        ("shown<985", false),
        ("intact<981", true),
        ("concealed>0", true),
        ("concealed>1%", false),
        ("loss>1%", false),
        ("loss>=1%", true),
        ("packet-loss>0.4%", true),
        ("packet-loss>100", false),
        ("socket-drops>0", false),
        ("delay>20ms", false),
        ("delay>=20", true),
        ("delay p95>=20ms", true),
        ("delay.max>44ms", true),
        ("delay p50>0.009s", false),
        ("delay-p99>29999us", true),
        ("jitter>0.4ms", true),
        ("fps<29.5", false),
        ("bitrate>7.9M", true),
        ("bitrate<8000k", false),
    ] {
        assert_eq!(holds(text), expected, "{text}");
    }
}

#[test]
fn all_crossed_thresholds_are_reported_with_their_values() {
    let conditions: Vec<Condition> = ["shown<99%", "delay p95>10ms", "fps<1"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let failed = Condition::check_all(&conditions, &statistics()).unwrap_err();
    assert_eq!(
        failed.to_string(),
        "--fail-if shown<99%: it is 98.500 %; --fail-if delay p95>10ms: it is 20.00 ms"
    );
    assert_eq!(
        Condition::check_all(&conditions[2..], &statistics()),
        Ok(())
    );
}

#[test]
fn a_threshold_on_an_unknown_figure_fails() {
    for text in ["shown<99%", "loss>1", "delay>1s", "jitter>1ms", "fps<1"] {
        let condition: Condition = text.parse().unwrap();
        let wrong = condition.check(&Statistics::default());
        assert_eq!(wrong, Some(format!("{text} is unknown")));
    }
}

#[test]
fn wrong_usage_is_reported_clearly() {
    for (text, words) in [
        ("", "compares a figure"),
        ("shown", "compares a figure"),
        ("shown=99%", "compares a figure"),
        ("seen<99%", "no figure 'seen'"),
        ("delay p90>1ms", "no figure 'delay p90'"),
        ("shown<", "not a limit"),
        ("shown<1.2.3%", "not a limit"),
        ("shown<-1%", "a number, or one with %"),
        ("shown<99ms", "a number, or one with %"),
        ("delay>5%", "a time"),
        ("jitter>5m", "such as 50ms"),
        ("shown<200%", "0 % to 100 %"),
        ("packet-loss>100.1%", "0 % to 100 %"),
        ("fps<5%", "such as 29.5"),
    ] {
        let error = text.parse::<Condition>().unwrap_err();
        assert!(error.contains(words), "{text}: {error}");
    }
}
