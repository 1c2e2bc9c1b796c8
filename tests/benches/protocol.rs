//! The protocol without a network: frames into datagrams and back.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use framegram_common::receiver::{self, Output, Receiver, SinkOutcome};
use framegram_common::sender::{self, Sender};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Content, Pattern};
use framegram_tests::measure::{Cost, print_table, timed};

/// Bytes of JPEG processed at each size: a few seconds of work.
const VOLUME: usize = 1 << 30;

const SIZES: [(usize, usize); 3] = [(320, 180), (640, 360), (1920, 1080)];

fn main() -> Result<()> {
    let mut rows = Vec::new();
    for (width, height) in SIZES {
        rows.push(measure(width, height)?);
    }
    println!("## The protocol alone, on one processor\n");
    print_table(
        &[
            "picture",
            "JPEG",
            "into datagrams",
            "back into frames",
            "both",
        ],
        &rows,
    );
    Ok(())
}

fn measure(width: usize, height: usize) -> Result<Vec<String>> {
    let picture = Pattern::new(width, height, 30.0)?.picture(1)?;
    let jpeg = Encoder::new(Settings::default())?
        .encode(&Content::Image(picture))?
        .jpeg;
    let frames = VOLUME / jpeg.len();
    let (sending, receiving) = run(&jpeg, frames)?;
    let rate = |time: Duration| {
        let each = frames as f64 / time.as_secs_f64();
        format!(
            "{:.0} frames/s, {:.2} GB/s",
            each,
            each * jpeg.len() as f64 / 1e9
        )
    };
    Ok(vec![
        format!("{width}x{height}"),
        format!("{} KB", jpeg.len() / 1_000),
        rate(sending),
        rate(receiving),
        rate(sending + receiving),
    ])
}

/// Processor time of each side for this many frames.
fn run(jpeg: &Bytes, frames: usize) -> Result<(Duration, Duration)> {
    let from = SocketAddr::from((Ipv4Addr::LOCALHOST, 5_005));
    let interval = Duration::from_millis(33);
    let config = sender::Config {
        pace: false,
        ..sender::Config::default()
    };
    let mut now = Duration::from_secs(1);
    let mut transmitter = Sender::new(config, 1, now);
    let mut receiver = Receiver::new(receiver::Config::default(), 1, (1, 2), now);
    let (mut sending, mut receiving) = (Duration::ZERO, Duration::ZERO);
    let mut batches: Vec<(Vec<u8>, usize)> = Vec::new();
    let mut spare: Vec<Vec<u8>> = Vec::new();
    for _ in 0..frames {
        now += interval;
        let (sent, Cost { processor, .. }) = timed(|| -> Result<()> {
            transmitter.handle_frame(jpeg.clone(), now, Some(80), now)?;
            loop {
                let mut out = spare.pop().unwrap_or_default();
                let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out)
                else {
                    spare.push(out);
                    return Ok(());
                };
                batches.push((out, transmit.segment));
            }
        });
        sent?;
        sending += processor;

        let (frame, Cost { processor, .. }) = timed(|| -> Result<Bytes> {
            for (bytes, segment) in &batches {
                for datagram in bytes.chunks(*segment) {
                    receiver.handle_datagram(from, datagram, now);
                }
            }
            let Output::Frame(frame) = receiver.poll_output(now) else {
                bail!("a frame is incomplete");
            };
            receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
            Ok(frame.jpeg)
        });
        receiving += processor;
        ensure!(frame? == *jpeg, "a frame is not as it was sent");
        spare.extend(batches.drain(..).map(|(bytes, _)| bytes));
        while !matches!(receiver.poll_output(now), Output::Timeout(_)) {}
    }
    Ok((sending, receiving))
}
