//! The cost of a key: seals and opens packets on one processor.

#![allow(clippy::disallowed_methods, clippy::disallowed_types)] // it measures time

use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use framegram_common::seq::PacketNumber;
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_common::wire::native::{HEADER, Header, Packet, SenderReport, TAG, Tables};
use framegram_seal::{Secret, SenderSeal, Suite, ViewerSeal, key_text};

/// Packets of a measurement.
const PACKETS: u64 = 200_000;

/// Packets sealed together, like those of a frame.
const BATCH: u64 = 64;

fn main() -> Result<(), Box<dyn Error>> {
    println!("## A key, on one processor: packets of {DEFAULT_DATAGRAM} bytes\n");
    println!("| cipher | sealed | opened |\n| --- | --- | --- |");
    for suite in Suite::ALL {
        let (sealing, opening) = measure(suite)?;
        println!("| {} | {sealing:.0} ns | {opening:.0} ns |", suite.name());
    }
    println!("\nThis processor uses {}.", Suite::best().name());
    Ok(())
}

/// Nanoseconds to seal and to open a packet.
fn measure(suite: Suite) -> Result<(f64, f64), Box<dyn Error>> {
    let secret = Secret::from_key(&key_text((1, 2)))?;
    let mut sender = SenderSeal::new(secret.clone(), [3; 16], suite);
    let mut viewer = ViewerSeal::new(secret, 4, [5; 16], suite);
    let mut out = Vec::new();
    let from = SocketAddr::from(([192, 0, 2, 1], 5_005));
    let report = encoded(&Packet::SenderReport(SenderReport::default()), 0);
    sender.seal(&report, report.len(), Duration::ZERO, &mut out);
    viewer.open(from, &mut out, Duration::ZERO)?;
    let (mut sealing, mut opening) = (Vec::new(), Vec::new());
    for first in (1..=PACKETS).step_by(BATCH as usize) {
        let packets: Vec<u8> = (first..first + BATCH).flat_map(packet).collect();
        let segment = packets.len() / BATCH as usize;
        out.clear();
        let begun = Instant::now();
        let sealed = sender.seal(&packets, segment, Duration::ZERO, &mut out);
        sealing.push(begun.elapsed());
        assert_eq!(sealed, DEFAULT_DATAGRAM);
        let begun = Instant::now();
        for datagram in out.chunks_mut(sealed) {
            viewer.open(from, datagram, Duration::ZERO)?;
        }
        opening.push(begun.elapsed());
    }
    Ok((each(sealing), each(opening)))
}

/// Nanoseconds per packet in the median batch. Other batches may have waited for the processor.
fn each(mut batches: Vec<Duration>) -> f64 {
    batches.sort_unstable();
    let median = batches.get(batches.len() / 2);
    median.map_or(0.0, |batch| batch.as_nanos() as f64 / BATCH as f64)
}

/// A packet with the length of a packet of a frame once it is sealed.
fn packet(number: u64) -> Vec<u8> {
    let header = &[0x5a; DEFAULT_DATAGRAM][..DEFAULT_DATAGRAM - TAG - HEADER - 4];
    let tables = Tables {
        set: 1,
        quality: None,
        part: 0,
        parts: 1,
        header,
    };
    encoded(&Packet::Tables(tables), number)
}

fn encoded(packet: &Packet<'_>, number: u64) -> Vec<u8> {
    let header = Header {
        stream: 7,
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(number),
        sent: 0,
    };
    let mut out = Vec::new();
    packet.encode(&header, &mut out);
    out
}
