//! Drives a native sender by lists of operations. Each operation is a byte and its arguments.

use std::time::Duration;

use bytes::Bytes;

use super::arrivals::arrival_report;
use super::bounds::{BITRATE, MAX_OPERATIONS, MAX_TURNS, START, STATISTICS_EVERY, STREAM, VIEWER};
use super::input::Input;
use super::packets::SLICED;
use crate::fec::Fec;
use crate::sender::{self, Output, Sender};
use crate::seq::{FrameNumber, FrameSeq, PacketNumber};
use crate::wire::native::{
    FrameNack, Header, MAX_GAPS, MAX_NACK_FRAMES, Nack, Packet, ReceiverReport,
};

/// Longer frames reach no other code.
const MAX_FRAME: usize = 8_000;

pub(super) fn sender(bytes: &[u8]) {
    let mut input = Input(bytes);
    let fecs = [
        Fec::Auto,
        Fec::Off,
        Fec::Fixed(0.2),
        Fec::Fixed(1.0),
        Fec::Fixed(1e9),
    ];
    let mut config = sender::Config {
        datagram: input.u16().into(),
        destinations: input.below(3),
        interval: (input.u8() & 1 == 0).then(|| Duration::from_micros(input.number())),
        pace: input.u8() & 1 == 0,
        rate: match input.u8() % 3 {
            0 => sender::Rate::Fixed,
            1 => sender::Rate::Auto { first: None },
            _ => sender::Rate::Auto {
                first: Some(input.number()),
            },
        },
        fec: fecs[input.below(fecs.len())],
        ..sender::Config::default()
    };
    let choice = input.u8();
    config.retransmit = choice & 1 == 0;
    config.bitrate = (choice & 32 != 0).then_some(BITRATE);
    config.first_frame = FrameNumber(input.number() % (1 << 40));
    let mut machine = Sender::new(config, STREAM, START);
    let (mut now, mut number, mut out) = (START, 0, Vec::new());
    for at in 1..=MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 20),
            1 => now = machine.poll_timeout().map_or(now, |at| at.max(now)),
            2 if input.u8() & 1 == 0 => {
                machine.search_path_mtu(input.below(3), input.u16().into(), now);
            }
            2 => machine.set_datagram(input.u16().into()),
            3 => {
                let len = usize::from(input.u16()) % MAX_FRAME;
                let jpeg = if len.is_multiple_of(3) {
                    Bytes::from_static(SLICED)
                } else {
                    Bytes::from(vec![7; len])
                };
                let _ = machine.handle_frame(jpeg, now, Some(80), now);
            }
            4 if input.u8() == 1 => machine.finish(now),
            5 => {
                let len = usize::from(input.u8());
                machine.handle_datagram(input.below(3), input.bytes(len), now);
            }
            _ => {
                let packet = feedback(&mut input);
                let header = Header {
                    stream: STREAM as u32,
                    destination: 0,
                    channel: packet.channel(),
                    number: PacketNumber(number),
                    sent: input.number(),
                };
                number += 1;
                let mut datagram = Vec::new();
                packet.encode(&header, &mut datagram);
                machine.handle_datagram(input.below(3), &datagram, now);
            }
        }
        take_output(&mut machine, now, &mut out, |datagram| {
            assert!(Packet::decode(datagram).is_ok());
        });
        if at.is_multiple_of(STATISTICS_EVERY) {
            let _ = machine.statistics(now);
        }
    }
    let _ = machine.statistics(now);
}

/// Takes all output, until nothing is due `now`.
pub(super) fn take_output(
    sender: &mut Sender,
    now: Duration,
    out: &mut Vec<u8>,
    check: impl Fn(&[u8]),
) {
    for turn in 0.. {
        assert!(turn < MAX_TURNS, "does not come to rest");
        match sender.poll_output(now, out) {
            Output::Transmit(transmit) => {
                assert!(transmit.segment > 0 && !out.is_empty());
                out.chunks(transmit.segment).for_each(&check);
            }
            Output::Event(_) | Output::Answer(_) => {}
            Output::Timeout(at) => {
                assert!(at.is_none_or(|at| at > now), "does not rest");
                return;
            }
        }
    }
}

fn feedback(input: &mut Input<'_>) -> Packet<'static> {
    let kind = input.u8() % 3;
    if kind == 2 {
        return Packet::ArrivalReport(arrival_report(input, VIEWER));
    }
    if kind == 0 {
        return Packet::ReceiverReport(ReceiverReport {
            viewer: input.number(),
            loss_ppm: input.number() as u32,
            burst_milli: input.number() as u32,
            rtt: input.number() as u32,
            queueing: input.number() as u32,
            playout_delay: input.number() as u32,
            ..ReceiverReport::default()
        });
    }
    let mut room = MAX_GAPS;
    let wants = (0..input.below(MAX_NACK_FRAMES + 1)).map(|_| {
        let gaps = input.below(5).min(room);
        room -= gaps;
        FrameNack {
            frame: FrameSeq::new(input.number() as u32),
            extra: input.u8(),
            gaps: (0..gaps)
                .map(|_| (input.number() as u16, input.number() as u16))
                .collect(),
        }
    });
    let wants = wants.collect();
    Packet::Nack(Nack {
        viewer: input.number(),
        number: input.number() as u32,
        frames: wants,
    })
}
