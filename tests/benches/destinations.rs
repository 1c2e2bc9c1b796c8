//! The cost of a further destination: frames are encoded and cut once, however many destinations
//! there are.

use std::time::Duration;

use anyhow::Result;
use framegram_common::sender::{self, Sender};
use framegram_net::{ConnectOptions, ListenOptions, Socket, clock};
use framegram_send::encode::{Encoder, Settings};
use framegram_send::source::{Content, Pattern};
use framegram_tests::measure::{Cost, median, milliseconds, print_table, timed};

/// Frames measured per row.
const FRAMES: u64 = 150;

/// Numbers of destinations.
const COUNTS: [usize; 5] = [1, 2, 4, 8, 16];

const SIZES: [(usize, usize); 2] = [(640, 360), (1920, 1080)];

fn main() -> Result<()> {
    println!("## Cost per further destination\n");
    println!(
        "Processor time of a frame in milliseconds, medians over {FRAMES} frames, to sockets on \
         loopback that nobody reads.\n"
    );
    let mut rows = Vec::new();
    for size in SIZES {
        let mut first = None;
        for count in COUNTS {
            let (encode, send) = measure(size, count)?;
            let all = encode + send;
            let first = *first.get_or_insert(all);
            let more = all.saturating_sub(first).as_secs_f64() / (count - 1).max(1) as f64;
            rows.push(vec![
                format!("{}x{}", size.0, size.1),
                count.to_string(),
                milliseconds(encode),
                milliseconds(send),
                format!("{:.2}", all.as_secs_f64() / first.as_secs_f64()),
                if count == 1 {
                    String::new()
                } else {
                    format!("{:.1} %", more / first.as_secs_f64() * 100.0)
                },
            ]);
        }
    }
    print_table(
        &[
            "picture",
            "destinations",
            "encode",
            "cut and send",
            "all, of one destination's",
            "each further one",
        ],
        &rows,
    );
    Ok(())
}

/// Processor time of encoding a frame, and of everything after that.
fn measure((width, height): (usize, usize), count: usize) -> Result<(Duration, Duration)> {
    let viewers: Vec<Socket> = (0..count).map(|_| viewer()).collect::<Result<_>>()?;
    let sockets: Vec<Socket> = viewers
        .iter()
        .map(|viewer| {
            Ok(Socket::connect(
                viewer.local_addr()?,
                &ConnectOptions::default(),
            )?)
        })
        .collect::<Result<_>>()?;
    let config = sender::Config {
        destinations: count,
        pace: false,
        ..sender::Config::default()
    };
    let mut transmitter = Sender::new(config, 1, clock::now());
    let mut encoder = Encoder::new(Settings::default())?;
    let pattern = Pattern::new(width, height, 30.0)?;
    let (mut encoding, mut sending) = (Vec::new(), Vec::new());
    let mut out = Vec::new();
    for number in 0..FRAMES {
        let content = Content::Image(pattern.picture(number)?);
        let (encoded, Cost { processor, .. }) = timed(|| encoder.encode(&content));
        encoding.push(processor);
        let jpeg = encoded?.jpeg;
        let (sent, Cost { processor, .. }) = timed(|| -> Result<()> {
            let now = clock::now();
            transmitter.handle_frame(jpeg, now, Some(80), now)?;
            while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut out) {
                sockets[transmit.destination].send(None, &out, transmit.segment)?;
            }
            Ok(())
        });
        sent?;
        sending.push(processor);
    }
    Ok((median(encoding), median(sending)))
}

fn viewer() -> Result<Socket> {
    let listen = ListenOptions {
        address: Some("127.0.0.1:0".parse()?),
        ..ListenOptions::default()
    };
    Ok(Socket::listen(&listen)?)
}
