//! Receives streams and writes each frame as a JPEG file:
//!
//! ```text
//! cargo run --example view -- 127.0.0.1:5005 FOLDER
//! ```
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "a program has a clock and a socket"
)]

use std::error::Error;
use std::hash::{BuildHasher, RandomState};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs};

use framegram_common::receiver::{Config, Event, Output, Receiver, SinkOutcome};
use framegram_common::wire::MAX_DATAGRAM;

/// The longest wait for a datagram.
const LONGEST: Duration = Duration::from_secs(1);

fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: view ADDRESS:PORT FOLDER";
    let mut arguments = env::args().skip(1);
    let socket = UdpSocket::bind(arguments.next().ok_or(usage)?)?;
    let folder = PathBuf::from(arguments.next().ok_or(usage)?);
    let clock = Instant::now();
    let random = RandomState::new();
    let viewer = random.hash_one("viewer");
    let secret = (random.hash_one("first"), random.hash_one("second"));
    let mut receiver = Receiver::new(Config::default(), viewer, secret, clock.elapsed());
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let now = clock.elapsed();
        receiver.handle_timeout(now);
        let due = loop {
            match receiver.poll_output(now) {
                Output::Frame(frame) => {
                    let name = format!("{:06}.jpg", frame.id.number.0);
                    fs::write(folder.join(name), &frame.jpeg)?;
                    receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                }
                Output::Transmit(transmit) => {
                    // Reports are repeated, so a lost one is no error.
                    let _ = socket.send_to(&transmit.datagram, transmit.to);
                }
                Output::Event(Event::Ended { .. }) => {
                    println!("{:#?}", receiver.statistics().frames);
                    return Ok(());
                }
                Output::Event(event) => println!("{event:?}"),
                Output::Record(_) => {}
                Output::Timeout(due) => break due,
            }
        };
        let wait = due.unwrap_or(now + LONGEST).saturating_sub(now);
        socket.set_read_timeout(Some(wait.clamp(Duration::from_micros(1), LONGEST)))?;
        // An error is a timeout, or says that a sender is gone.
        if let Ok((len, from)) = socket.recv_from(&mut buffer) {
            receiver.handle_datagram(from, &buffer[..len], clock.elapsed());
        }
    }
}
