//! Output for traces and for other files.

use std::time::Duration;

use crate::trace::{Recorder, Why};
use framegram_common::receiver::Config;

use super::*;

fn what(trace: &Path) -> WhatIf {
    WhatIf {
        trace: trace.to_owned(),
        rtt: Vec::new(),
        latency: None,
        seed: 0,
        report: None,
        quiet: true,
    }
}

fn what_if(content: &[u8]) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("a.trace");
    std::fs::write(&path, content)?;
    run(&what(&path))
}

#[test]
fn an_unusable_trace_is_reported_in_one_line() {
    let mut recorder = Recorder::new(&Config::default(), 1 << 20, Duration::ZERO);
    recorder.finish(Why::Over, Duration::ZERO);
    let empty = recorder.poll_block().unwrap();
    let damaged = [&empty[..20], &[!empty[20]], &empty[21..]].concat();
    let newer = [&empty[..8], &[9], &empty[9..]].concat();
    for (content, says) in [
        (&b"RIFF...."[..], "it is not a trace"),
        (&[], "it is not a trace"),
        (&newer, "version 9"),
        (&empty, "no datagram"),
        (&empty[..12], "cut off"),
        (&damaged, "damaged"),
    ] {
        let error = format!("{:#}", what_if(content).unwrap_err());
        assert!(error.contains(says) && error.contains("a.trace"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let missing = run(&what(Path::new("none.trace")));
    let error = format!("{:#}", missing.unwrap_err());
    assert!(error.starts_with("cannot open none.trace: "), "{error}");
}

#[test]
fn times_have_as_many_digits_as_they_need() {
    for (micros, text) in [
        (120, "0.1 ms"),
        (4_500, "4.5 ms"),
        (20_000, "20 ms"),
        (30, "0.03 ms"),
    ] {
        assert_eq!(milliseconds(Duration::from_micros(micros)), text);
    }
}
