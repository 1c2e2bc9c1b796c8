//! State machines with several peers: viewers that connect, receivers of RTP.

use std::time::Duration;

use bytes::Bytes;

use super::bounds::{BITRATE, MAX_OPERATIONS, MAX_TURNS, START, STATISTICS_EVERY, STREAM, address};
use super::input::Input;
use super::packets::SLICED;
use super::senders::take_output;
use crate::fec::Fec;
use crate::sender::{self, AcceptorConfig, Event, Output, Sender};
use crate::seq::PacketNumber;
use crate::wire::Format;
use crate::wire::native::{Connect, Header, Nack, Packet, ReceiverBye, ReceiverReport};

/// Viewers that connect and leave.
pub(super) fn acceptor(bytes: &[u8]) {
    let mut input = Input(bytes);
    let choice = input.u8();
    let max_peers = u16::from(choice % 4);
    let config = sender::Config {
        acceptor: Some(AcceptorConfig {
            secret: (1, 2),
            max_peers,
            accepts: choice & 4 != 0,
        }),
        // The plan of `auto` takes longer than all operations; the target `sender` has it.
        fec: Fec::Fixed(0.5),
        ..sender::Config::default()
    };
    let mut sender = Sender::new(config, STREAM, START);
    let (mut now, mut out) = (START, Vec::new());
    // By address: the newest cookie sent there.
    let mut cookies = [0; 4];
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let mut question = 0;
        match input.u8() % 8 {
            0 => now += Duration::from_millis(input.u16().into()),
            1 => {
                let _ = sender.handle_frame(Bytes::from_static(SLICED), now, Some(80), now);
            }
            2 if input.u8() == 0 => sender.finish(now),
            2 => {}
            _ => {
                let host = input.below(cookies.len());
                let datagram = viewers_packet(&mut input, cookies[host]);
                question = datagram.len();
                sender.handle_incoming(address(host as u8), &datagram, now);
            }
        }
        for turn in 0.. {
            assert!(turn < MAX_TURNS, "does not come to rest");
            match sender.poll_output(now, &mut out) {
                Output::Answer(to) => {
                    assert!(out.len() <= question);
                    if let Ok((_, Packet::Challenge(challenge))) = Packet::decode(&out) {
                        let mut hosts = 0..cookies.len();
                        let host = hosts.find(|host| address(*host as u8) == to);
                        cookies[host.expect("it asked")] = challenge.cookie;
                    }
                }
                Output::Event(Event::Admitted {
                    destination,
                    address: to,
                }) => {
                    assert!((1..=usize::from(max_peers)).contains(&destination));
                    assert!(
                        (0..4).any(|host| address(host) == to && cookies[usize::from(host)] != 0)
                    );
                }
                Output::Event(_) | Output::Transmit(_) => {}
                Output::Timeout(at) => {
                    assert!(at.is_none_or(|at| at > now), "does not rest");
                    break;
                }
            }
        }
        assert!(sender.admitted() <= usize::from(max_peers));
    }
}

/// A packet of a peer that may know a cookie.
fn viewers_packet(input: &mut Input<'_>, cookie: u64) -> Vec<u8> {
    let viewer = u64::from(input.u8() % 4);
    let packet = match input.u8() % 6 {
        0 | 1 => Packet::Connect(Connect { viewer, cookie }),
        2 => Packet::Connect(Connect {
            viewer,
            cookie: input.number(),
        }),
        3 => Packet::ReceiverBye(ReceiverBye { viewer }),
        4 => Packet::ReceiverReport(ReceiverReport {
            viewer,
            ..ReceiverReport::default()
        }),
        _ if input.u8() & 1 == 0 => Packet::Nack(Nack {
            viewer,
            ..Nack::default()
        }),
        _ => {
            let len = usize::from(input.u8());
            return input.bytes(len).to_vec();
        }
    };
    let header = Header {
        stream: STREAM as u32 + u32::from(input.u8() == 1),
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(0),
        sent: 0,
    };
    let mut datagram = Vec::new();
    packet.encode(&header, &mut datagram);
    datagram
}

/// A sender of RTP or bare JPEG, and the feedback to it.
pub(super) fn plain_sender(bytes: &[u8]) {
    let mut input = Input(bytes);
    let formats = [Format::Rtp, Format::Raw];
    let (format, datagram) = (formats[input.below(2)], input.u16().into());
    let destinations = input.below(3);
    let interval = (input.u8() & 1 == 0).then(|| Duration::from_micros(input.number()));
    let choice = input.u8();
    let mut sender = Sender::new(
        sender::Config {
            format,
            datagram,
            destinations,
            interval,
            rtcp_mux: choice & 1 == 0,
            bitrate: (choice & 2 != 0).then_some(BITRATE),
            wall_offset: Duration::from_millis(input.number()),
            ..sender::Config::default()
        },
        STREAM,
        START,
    );
    let (mut now, mut out) = (START, Vec::new());
    for at in 1..=MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 20),
            1 => now = sender.poll_timeout().map_or(now, |at| at.max(now)),
            2 => sender.set_datagram(input.u16().into()),
            3 => {
                let jpeg = Bytes::from_static(SLICED);
                let _ = sender.handle_frame(jpeg, now, None, now);
            }
            4 => {
                let len = usize::from(input.u16() % 2_000);
                let jpeg = Bytes::copy_from_slice(input.bytes(len));
                let _ = sender.handle_frame(jpeg, now, None, now);
            }
            5 if input.u8() == 1 => sender.finish(now),
            _ => {
                let len = usize::from(input.u8());
                sender.handle_datagram(input.below(3), input.bytes(len), now);
            }
        }
        take_output(&mut sender, now, &mut out, |datagram| {
            assert!(datagram.len() <= crate::wire::MAX_DATAGRAM);
        });
        if at.is_multiple_of(STATISTICS_EVERY) {
            let _ = sender.statistics(now);
        }
    }
    let _ = sender.statistics(now);
}
