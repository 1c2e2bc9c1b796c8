//! What is told of traces, and of files that are none.

use std::time::Duration;

use clap::Parser;
use framegram_common::receiver::Config;
use framegram_lab::trace::{Recorder, Why};

use super::*;
use crate::fixture::Folder;

fn what_if(content: &[u8]) -> anyhow::Result<()> {
    let folder = Folder::new();
    let path = folder.path("a.trace");
    std::fs::write(&path, content)?;
    run(&path, &Args::parse_from(["framegram-view", "--quiet"]))
}

#[test]
fn what_cannot_be_replayed_is_told_in_one_line() {
    let mut recorder = Recorder::new(&Config::default(), 1 << 20, Duration::ZERO);
    recorder.finish(Why::Over, Duration::ZERO);
    let empty = recorder.poll_block().unwrap();
    let damaged = [&empty[..20], &[!empty[20]], &empty[21..]].concat();
    let newer = [&empty[..8], &[9], &empty[9..]].concat();
    for (content, says) in [
        (&b"RIFF...."[..], "it is no trace"),
        (&[], "it is no trace"),
        (&newer, "version 9"),
        (&empty, "no datagram"),
        (&empty[..12], "cut off"),
        (&damaged, "damaged"),
    ] {
        let error = format!("{:#}", what_if(content).unwrap_err());
        assert!(error.contains(says) && error.contains("a.trace"), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
    let missing = run(
        Path::new("none.trace"),
        &Args::parse_from(["framegram-view"]),
    );
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
