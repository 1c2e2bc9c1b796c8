//! Each format into a receiver, and what all formats have in common.

mod viewers;

use std::net::SocketAddr;

use bytes::Bytes;
use turbojpeg::Subsamp;

use super::*;
use crate::receiver::{self, Receiver, SinkOutcome};
use crate::slices::encoder::{Settings, encode};
use crate::wire::DEFAULT_DATAGRAM;
use crate::wire::rtp::Control;
use crate::wire::rtp_jpeg::Unsuitable;

const MS: Duration = Duration::from_millis(1);

fn config(format: Format) -> Config {
    Config {
        format,
        interval: Some(40 * MS),
        destinations: 2,
        wall_offset: Duration::from_secs(1_700_000_000),
        ..Config::default()
    }
}

fn jpeg(seed: u64, quality: i32, subsamp: Subsamp) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
        .take(3 * 160 * 96)
        .collect();
    let settings = Settings {
        width: 160,
        height: 96,
        subsamp,
        quality,
        interval: if seed.is_multiple_of(2) { 5 } else { 0 },
        optimize: false,
    };
    encode(&pixels, &settings).into()
}

/// Runs a stream of frames. Returns the receiver, and how many datagrams went
/// to each destination.
fn run(config: Config, frames: u64) -> (Sender, Receiver, Vec<u64>) {
    let mut sender = Sender::new(config, 0x1234_5678_9abc_def0, Duration::ZERO);
    let mut receiver = Receiver::new(receiver::Config::default(), 9, (1, 2), Duration::ZERO);
    let mut sent = vec![0; 4];
    let mut out = Vec::new();
    let mut now = Duration::ZERO;
    let mut shown = 0;
    for frame in 0.. {
        let next = now + 40 * MS;
        if frame < frames {
            let jpeg = jpeg(frame, 60 + frame as i32 % 41, Subsamp::Sub2x2);
            sender.handle_frame(jpeg, now, None, now).unwrap();
        } else {
            sender.finish(now);
        }
        while now < next {
            while let Output::Transmit(transmit) = sender.poll_output(now, &mut out) {
                for datagram in out.chunks(transmit.segment) {
                    assert!(datagram.len() <= sender.datagram());
                    sent[transmit.destination] += 1;
                    if transmit.destination % 2 == 0 {
                        let port = 1000 + transmit.destination as u16;
                        let from = SocketAddr::from(([10, 0, 0, 1], port));
                        receiver.handle_datagram(from, datagram, now);
                    }
                }
            }
            loop {
                match receiver.poll_output(now) {
                    receiver::Output::Frame(frame) => {
                        shown += 1;
                        receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    }
                    receiver::Output::Transmit(transmit) => {
                        let place = usize::from(transmit.to.port() - 1000);
                        sender.handle_datagram(place, &transmit.datagram, now);
                    }
                    receiver::Output::Event(_) | receiver::Output::Record(_) => {}
                    receiver::Output::Timeout(_) => break,
                }
            }
            receiver.handle_timeout(now);
            now = sender.poll_timeout().unwrap_or(next).clamp(now + MS, next);
        }
        if sender.is_finished() {
            break;
        }
    }
    receiver.handle_timeout(now + Duration::from_secs(1));
    assert_eq!(shown, frames);
    (sender, receiver, sent)
}

#[test]
fn rtp_arrives_complete_with_its_reports_and_its_bye() {
    let (sender, receiver, sent) = run(config(Format::Rtp), 300);
    let seen = receiver.statistics();
    assert_eq!(seen.frames.intact, Some(300));
    assert_eq!(
        (seen.frames.lost, seen.packets.malformed),
        (Some(0), Some(0))
    );
    assert!(seen.stream.ended);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(seen.packets.received, Some(sent[0]));
    // 12 seconds: a report at the start, some later, three byes.
    assert!(sent[2] == sent[3] && (5..9).contains(&sent[2]), "{sent:?}");
    let said = sender.statistics(Duration::ZERO);
    assert_eq!(said.packets.sent, Some(sent[0] + sent[1]));
    assert_eq!(
        (said.packets.lost, said.packets.malformed),
        (Some(0), Some(0))
    );
    assert!(said.jitter_ms.is_some());
    assert_eq!(said.stream.number, seen.stream.number);
}

#[test]
fn rtcp_is_multiplexed_on_request() {
    let mut config = config(Format::Rtp);
    config.rtcp_mux = true;
    let (_, receiver, sent) = run(config, 20);
    assert_eq!(sent[2..], [0, 0]);
    assert!(receiver.statistics().stream.ended);
    assert_eq!(receiver.statistics().packets.malformed, Some(0));
}

#[test]
fn bare_jpegs_arrive_as_they_are() {
    let mut config = config(Format::Raw);
    config.datagram = crate::wire::MAX_DATAGRAM;
    let (sender, receiver, sent) = run(config, 10);
    assert_eq!(receiver.statistics().frames.intact, Some(10));
    assert_eq!(sent, [10, 10, 0, 0]);
    assert_eq!(sender.statistics(Duration::ZERO).frames.sent, Some(10));
}

#[test]
fn frames_that_a_format_cannot_carry_are_refused_and_counted() {
    let mut rtp = Sender::new(config(Format::Rtp), 1, Duration::ZERO);
    let full = jpeg(1, 50, Subsamp::None);
    let error = rtp.handle_frame(full, MS, None, MS).unwrap_err();
    assert_eq!(error, FrameError::Unsuitable(Unsuitable::Sampling));
    let mut raw = Sender::new(config(Format::Raw), 1, Duration::ZERO);
    let long = jpeg(1, 90, Subsamp::Sub2x2);
    let got = long.len();
    assert_eq!(
        raw.handle_frame(long, MS, None, MS),
        Err(FrameError::Datagram {
            got,
            datagram: DEFAULT_DATAGRAM
        })
    );
    for sender in [rtp, raw] {
        let frames = sender.statistics(MS).frames;
        assert_eq!((frames.not_sent, frames.sent), (Some(1), Some(0)));
    }
}

#[test]
fn a_report_says_the_time_on_both_clocks() {
    let mut sender = Sender::new(config(Format::Rtp), 1, Duration::ZERO);
    let mut out = Vec::new();
    let second = Duration::from_secs(1);
    sender
        .handle_frame(jpeg(1, 50, Subsamp::Sub2x2), second, None, second)
        .unwrap();
    let mut media = None;
    loop {
        let output = sender.poll_output(second + 500 * MS, &mut out);
        let Output::Transmit(transmit) = output else {
            panic!("no report");
        };
        if transmit.destination >= 2 {
            break;
        }
        media = Some(u32::from_be_bytes([out[4], out[5], out[6], out[7]]));
    }
    let Control::Sender(info, _) = &Control::decode(&out).unwrap()[0] else {
        panic!("no report");
    };
    assert_eq!(info.ntp >> 32, 1_700_000_001 + 2_208_988_800);
    assert_eq!(info.ntp as u32, 1 << 31);
    assert_eq!(info.timestamp.wrapping_sub(media.unwrap()), 45_000);
}

#[test]
fn no_second_holds_more_than_the_bitrate() {
    let mut config = config(Format::Rtp);
    config.bitrate = Some(800_000);
    let mut sender = Sender::new(config, 1, Duration::ZERO);
    let (mut out, mut log, mut now) = (Vec::new(), Vec::new(), Duration::ZERO);
    let mut held_back = 0;
    for frame in 0..200_u64 {
        now = 40 * MS * frame as u32;
        if sender.is_held_back(now) {
            held_back += 1;
        } else {
            let jpeg = jpeg(frame, 60, Subsamp::Sub2x2);
            sender.handle_frame(jpeg, now, None, now).unwrap();
        }
        while let Some(due) = sender.poll_timeout().filter(|due| *due < now + 40 * MS) {
            let at = due.max(now);
            while let Output::Transmit(transmit) = sender.poll_output(at, &mut out) {
                if transmit.destination % 2 == 0 {
                    log.push((at, out.len()));
                }
            }
        }
    }
    assert!(held_back > 20 && now > Duration::from_secs(7));
    let within = |end: Duration| {
        let second = log
            .iter()
            .filter(|(at, _)| *at <= end && *at + 1000 * MS > end);
        second.map(|(_, bytes)| bytes).sum::<usize>()
    };
    let most = log.iter().map(|(at, _)| within(*at)).max().unwrap();
    assert!(most <= 100_000 && most > 90_000, "{most}");
    assert_eq!(
        sender.volume().sent,
        sender.statistics(now).bytes.sent.unwrap() / 2
    );
}

#[test]
fn the_bye_of_rtp_waits_for_what_the_bitrate_holds_back_without_being_due() {
    let mut config = config(Format::Rtp);
    config.bitrate = Some(80_000);
    let mut sender = Sender::new(config, 1, Duration::ZERO);
    let frame = jpeg(1, 90, Subsamp::Sub2x2);
    sender
        .handle_frame(frame, Duration::ZERO, None, Duration::ZERO)
        .unwrap();
    sender.finish(Duration::ZERO);
    let (mut now, mut out, mut sent) = (Duration::ZERO, Vec::new(), Vec::new());
    while !sender.is_finished() {
        let next = loop {
            match sender.poll_output(now, &mut out) {
                Output::Transmit(transmit) => sent.push(transmit),
                Output::Event(_) | Output::Answer(_) => {}
                Output::Timeout(next) => break next,
            }
        };
        assert!(next.is_none_or(|next| next > now), "{next:?} at {now:?}");
        now = next.unwrap_or(now);
    }
    assert!(now > Duration::from_secs(1), "the frame had to wait");
    // RTCP has destinations of its own.
    let byes = sent.iter().position(|transmit| transmit.destination >= 2);
    let byes = sent.split_off(byes.unwrap());
    assert!(byes.iter().all(|bye| bye.destination >= 2));
    assert_eq!(byes.len(), 6, "three to each destination");
}
