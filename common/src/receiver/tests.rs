//! Streams of every format to a receiver, in virtual time.

mod formats;
mod grid;
mod hostile;
mod native;
mod probation;
mod raw;
mod sizes;

use turbojpeg::Subsamp;

use super::*;
use crate::sender::{self, Sender};
use crate::slices::encoder::{Settings, encode};
use crate::stats::{Outcome, Statistics};
use crate::wire::rtp::{self as wire, Control, SenderInfo};
use crate::wire::rtp_jpeg::Picture;

const MS: Duration = Duration::from_millis(1);

fn address(port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, 1], port))
}

fn receiver() -> Receiver {
    Receiver::new(Config::default(), 77, (1, 2), Duration::ZERO)
}

/// A receiver that shows no frames with holes.
fn strict() -> Receiver {
    let config = Config {
        strict: true,
        ..Config::default()
    };
    Receiver::new(config, 77, (1, 2), Duration::ZERO)
}

fn jpeg(seed: u64) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(3 * 160 * 96)
        .collect();
    let settings = Settings {
        width: 160,
        height: 96,
        subsamp: Subsamp::Sub2x2,
        quality: 60,
        interval: 5,
        optimize: false,
    };
    encode(&pixels, &settings)
}

/// The packets of frames, each with the index of its frame.
fn packets(source: u32, sequence: u16, frames: u32) -> Vec<(u32, Vec<u8>)> {
    let mut sequence = sequence;
    let mut datagrams = Vec::new();
    for frame in 0..frames {
        let jpeg = jpeg(frame.into());
        let picture = Picture::of(&jpeg).unwrap();
        let cuts = picture.cut(1000);
        for (index, cut) in cuts.iter().enumerate() {
            let mut payload = Vec::new();
            picture.fragment(&jpeg, cut).encode(&mut payload);
            let packet = wire::RtpPacket {
                sequence,
                timestamp: (u32::MAX - 4000).wrapping_add(frame * 3000),
                source,
                marker: index + 1 == cuts.len(),
                payload_type: wire::JPEG,
                payload: &payload,
            };
            let mut datagram = Vec::new();
            packet.encode(&mut datagram);
            datagrams.push((frame, datagram));
            sequence = sequence.wrapping_add(1);
        }
    }
    datagrams
}

/// Shows every frame at once. Returns how many there were.
fn show(receiver: &mut Receiver, now: Duration) -> u64 {
    let mut shown = 0;
    while let Some(frame) = receiver.poll_frame() {
        assert!(turbojpeg::decompress(&frame.jpeg, turbojpeg::PixelFormat::RGB).is_ok());
        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
        shown += 1;
    }
    shown
}

fn at(frame: u32) -> Duration {
    100 * MS + Duration::from_micros(u64::from(frame) * 33_333)
}
