//! A panic in any thread ends the program with an error that names the place. The report is
//! written, and the viewers are told.

use std::path::Path;
use std::thread;

use anyhow::Result;
use bytes::Bytes;
use clap::Parser;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_common::wire::native::Packet;
use framegram_send::args::Options;
use framegram_send::source::{Captured, Content, OpenSource, Request, Source, Spec};

use crate::Folder;
use crate::life::{Ear, report};

/// A source of one still, with a defect.
#[derive(Clone, Copy)]
enum Flawed {
    /// Panics instead of returning its fourth frame.
    Source,
    /// Panics in the thread that drops its fourth frame.
    Frame,
}

struct Still {
    flawed: Flawed,
    frames: usize,
}

/// A JPEG that panics when it is dropped.
struct Sticky(Vec<u8>);

impl AsRef<[u8]> for Sticky {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Sticky {
    fn drop(&mut self) {
        if !thread::panicking() {
            panic!("a frame that sticks");
        }
    }
}

impl Source for Still {
    fn next(&mut self) -> Result<Option<Captured>> {
        let still = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../sample-media/stills/scene-1.jpg"
        );
        let jpeg = std::fs::read(still)?;
        self.frames += 1;
        let is_flawed = self.frames == 4;
        let jpeg = match self.flawed {
            Flawed::Source if is_flawed => panic!("a source that breaks"),
            Flawed::Frame if is_flawed => Bytes::from_owner(Sticky(jpeg)),
            _ => Bytes::from(jpeg),
        };
        Ok(Some(Captured {
            content: Content::Jpeg(jpeg),
            media_time: Some(std::time::Duration::from_millis(10) * self.frames as u32),
            taken: None,
        }))
    }
}

fn still(flawed: Flawed) -> Result<Box<dyn Source>> {
    Ok(Box::new(Still { flawed, frames: 0 }))
}

/// Streams from the source that `open` opens. Returns how that ended.
fn streamed(more: &[&str], open: OpenSource) -> String {
    let folder = Folder::new();
    let path = folder.path("report.json");
    let ear = Ear::new();
    let to = ear.address();
    let line = ["framegram-send", "-", &to, "--quiet", "--report", &path];
    let options = Options::parse_from(line.iter().chain(more));
    let threads = Threads::new(&Stop::new());
    // Its socket is read during the stream, because the bye would be lost once it is full.
    let bye = thread::spawn(move || ear.hear(|packet| matches!(packet, Packet::SenderBye(_))));
    let error = framegram_send::run(&options, &threads, open).unwrap_err();
    assert_eq!(
        threads.outcome().unwrap_err().to_string(),
        error.to_string()
    );
    assert!(bye.join().is_ok(), "no bye was heard");
    assert!(Path::new(&path).is_file());
    assert_eq!(report(&path)["stream"]["ended"], true);
    error.to_string()
}

#[test]
fn a_panic_of_the_source_ends_the_stream() {
    let open: OpenSource = |_: &Spec, _: &Request| still(Flawed::Source);
    let told = streamed(&[], open);
    assert!(told.contains("\"source\" panicked at"), "{told}");
    assert!(told.contains("panics.rs:"), "{told}");
    assert!(told.contains(": a source that breaks;"), "{told}");
}

#[test]
fn while_opening_ends_the_stream() {
    let open: OpenSource = |_: &Spec, _: &Request| panic!("no way in");
    let told = streamed(&[], open);
    assert!(told.contains("\"opening\" panicked at"), "{told}");
    assert!(told.contains(": no way in;"), "{told}");
}

#[test]
fn a_panic_of_an_encoder_ends_the_stream() {
    let open: OpenSource = |_: &Spec, _: &Request| still(Flawed::Frame);
    let told = streamed(&["--quality", "50"], open);
    assert!(told.contains("\"encoder\" panicked at"), "{told}");
}

#[test]
fn a_panic_of_the_transmit_loop_ends_the_stream() {
    let open: OpenSource = |_: &Spec, _: &Request| still(Flawed::Frame);
    // Without NACKs and parity, a frame is dropped once it was sent.
    let more = ["--no-retransmit", "--fec", "off"];
    let told = streamed(&more, open);
    assert!(told.contains("program/panics.rs:"), "{told}");
    assert!(told.contains(": a frame that sticks;"), "{told}");
}
