//! Sends JPEG files as a stream of 30 frames per second:
//!
//! ```text
//! cargo run --example send -- 127.0.0.1:5005 *.jpg
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program has a clock and a socket"
)]

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::net::UdpSocket;
use std::time::{Duration, Instant};
use std::{env, fs, io};

use framegram_common::sender::{Config, Output, Sender};

const INTERVAL: Duration = Duration::from_micros(33_333);

/// The end of the stream is repeated for less than this time.
const BYE: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let to = arguments.next().ok_or("usage: send ADDRESS:PORT JPEG...")?;
    let socket = UdpSocket::bind("0.0.0.0:0")?;
    socket.connect(to)?;
    let clock = Instant::now();
    let config = Config {
        interval: Some(INTERVAL),
        ..Config::default()
    };
    let stream = RandomState::new().hash_one("stream");
    let mut sender = Sender::new(config, stream, clock.elapsed());
    for path in arguments {
        let captured = clock.elapsed();
        sender.handle_frame(fs::read(path)?.into(), captured, None, captured)?;
        run(&mut sender, &socket, &clock, captured + INTERVAL)?;
    }
    sender.finish(clock.elapsed());
    run(&mut sender, &socket, &clock, clock.elapsed() + BYE)?;
    println!("{:#?}", sender.statistics(clock.elapsed()).frames);
    Ok(())
}

/// Sends what is due, and takes what the viewer answers, until `end`.
fn run(sender: &mut Sender, socket: &UdpSocket, clock: &Instant, end: Duration) -> io::Result<()> {
    let (mut out, mut buffer) = (Vec::new(), [0; 2_048]);
    loop {
        let now = clock.elapsed();
        let due = loop {
            match sender.poll_output(now, &mut out) {
                Output::Transmit(transmit) => {
                    for datagram in out.chunks(transmit.segment) {
                        if socket.send(datagram).is_err() {
                            sender.handle_send_error(0, datagram, datagram.len());
                        }
                    }
                }
                // These occur only with an acceptor, for viewers that connect.
                Output::Event(_) | Output::Answer(_) => {}
                Output::Timeout(due) => break due.unwrap_or(end).min(end),
            }
        };
        if now >= end || sender.is_finished() {
            return Ok(());
        }
        let wait = due.saturating_sub(now).max(Duration::from_micros(1));
        socket.set_read_timeout(Some(wait))?;
        // An error is a timeout, or says that nobody listens yet.
        if let Ok(len) = socket.recv(&mut buffer) {
            sender.handle_datagram(0, &buffer[..len], clock.elapsed());
        }
    }
}
