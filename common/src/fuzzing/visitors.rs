//! The machines with several others on the far side: viewers at a gate,
//! receivers of RTP, senders of a gallery.

use std::time::Duration;

use bytes::Bytes;

use super::input::Input;
use super::machines::{
    MAX_OPERATIONS, MAX_TURNS, PacketMaker, SLICED, START, STREAM, VIEWER, address,
};
use crate::gallery::{Gallery, MAX_SENDERS};
use crate::listener;
use crate::receiver::SinkOutcome;
use crate::sender::acceptor::{self, Acceptor, Visit};
use crate::sender::{self, Sender};
use crate::seq::PacketNumber;
use crate::wire::Format;
use crate::wire::native::{Connect, Header, Nack, Packet, ReceiverBye, ReceiverReport};

/// Viewers that come and go, and the transmitter that serves them.
pub(super) fn gate(bytes: &[u8]) {
    let mut input = Input(bytes);
    let most = u16::from(input.u8() % 4);
    let mut gate = Acceptor::new(acceptor::Config {
        stream: STREAM,
        secret: (1, 2),
        most,
    });
    let mut transmitter = Sender::new(sender::Config::default(), STREAM, START);
    let (mut now, mut answer, mut out) = (START, Vec::new(), Vec::new());
    // By address, the cookie that was sent there last.
    let mut cookies = [0; 4];
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => now += Duration::from_millis(input.u16().into()),
            1 => {
                let _ = transmitter.handle_frame(Bytes::from_static(SLICED), now, Some(80), now);
            }
            2 => transmitter.close_destination(input.below(6)),
            _ => {
                let host = input.below(cookies.len());
                let datagram = knock(&mut input, cookies[host]);
                let from = address(host as u8);
                let visit = gate.handle_datagram(from, &datagram, now, &mut answer);
                assert!(answer.len() <= datagram.len());
                match visit {
                    Visit::Served(place) => {
                        transmitter.handle_datagram(1 + place, &datagram, now);
                    }
                    Visit::Admitted(place) | Visit::Succeeded(place) => {
                        assert!(place < usize::from(most) && cookies[host] != 0);
                        transmitter.open_destination(1 + place, now);
                    }
                    Visit::Moved(place) => {
                        assert!(place < usize::from(most) && cookies[host] != 0);
                        transmitter.move_to_destination(1 + place, now);
                    }
                    Visit::Left(place) => transmitter.close_destination(1 + place),
                    Visit::Challenged => {
                        if let Ok((_, Packet::Challenge(challenge))) = Packet::decode(&answer) {
                            cookies[host] = challenge.cookie;
                        }
                    }
                    Visit::Refused | Visit::Foreign => {}
                }
            }
        }
        while let Some(place) = gate.poll_gone(now) {
            transmitter.close_destination(1 + place);
        }
        assert!(gate.served() <= usize::from(most));
        assert!(gate.poll_timeout().is_none_or(|at| at > now));
        for turn in 0.. {
            assert!(turn < MAX_TURNS, "does not come to rest");
            if transmitter.poll_transmit(now, &mut out).is_none() {
                break;
            }
        }
    }
}

/// What somebody says at a gate, who may know a cookie.
fn knock(input: &mut Input<'_>, cookie: u64) -> Vec<u8> {
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
        stream: STREAM + u64::from(input.u8() == 1),
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(0),
        sent: 0,
    };
    let mut datagram = Vec::new();
    packet.encode(&header, &mut datagram);
    datagram
}

/// A sender of RTP or bare JPEG, and what comes back to it.
pub(super) fn speaker(bytes: &[u8]) {
    let mut input = Input(bytes);
    let formats = [Format::Rtp, Format::Raw];
    let mut speaker = Sender::new(
        sender::Config {
            format: formats[input.below(2)],
            datagram: input.u16().into(),
            destinations: input.below(3),
            interval: (input.u8() & 1 == 0).then(|| Duration::from_micros(input.number())),
            rtcp_mux: input.u8() & 1 == 0,
            wall_offset: Duration::from_millis(input.number()),
            ..sender::Config::default()
        },
        STREAM,
        START,
    );
    let (mut now, mut out) = (START, Vec::new());
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 20),
            1 => now = speaker.poll_timeout().map_or(now, |at| at.max(now)),
            2 => speaker.set_datagram(input.u16().into()),
            3 => {
                let jpeg = Bytes::from_static(SLICED);
                let _ = speaker.handle_frame(jpeg, now, None, now);
            }
            4 => {
                let len = usize::from(input.u16() % 2_000);
                let jpeg = Bytes::copy_from_slice(input.bytes(len));
                let _ = speaker.handle_frame(jpeg, now, None, now);
            }
            5 if input.u8() == 1 => speaker.finish(now),
            _ => {
                let len = usize::from(input.u8());
                speaker.handle_datagram(input.below(3), input.bytes(len), now);
            }
        }
        for turn in 0.. {
            assert!(turn < MAX_TURNS, "does not come to rest");
            let Some(transmit) = speaker.poll_transmit(now, &mut out) else {
                break;
            };
            assert!(transmit.segment > 0 && !out.is_empty());
            let longest = out.chunks(transmit.segment).map(<[u8]>::len).max();
            assert!(longest.is_some_and(|len| len <= crate::wire::MAX_DATAGRAM));
        }
        let _ = speaker.statistics(now);
    }
}

/// Several senders at one port.
pub(super) fn gallery(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut gallery = Gallery::new(listener::Config::default(), VIEWER, START);
    let mut senders: [PacketMaker; 3] = Default::default();
    let (mut now, mut out) = (START, Vec::new());
    for _ in 0..MAX_OPERATIONS {
        if input.is_empty() {
            break;
        }
        let from = address(input.u8());
        match input.u8() % 8 {
            0 => now += Duration::from_micros(u64::from(input.u16()) * 2_000),
            1 => now = gallery.poll_timeout().map_or(now, |at| at.max(now)),
            2..=4 => {
                let sender = input.below(senders.len());
                let datagram = senders[sender].datagram(&mut input, now);
                gallery.handle_datagram(from, &datagram, now);
            }
            _ => {
                let len = usize::from(input.u16() % 1_500);
                gallery.handle_datagram(from, input.bytes(len), now);
            }
        }
        gallery.handle_timeout(now);
        while gallery.poll_event().is_some() {}
        while let Some((place, frame)) = gallery.poll_frame() {
            gallery.handle_outcome(place, frame.id, SinkOutcome::Shown { at: now });
        }
        for turn in 0.. {
            assert!(turn < MAX_TURNS, "does not come to rest");
            if gallery.poll_transmit(now, &mut out).is_none() {
                break;
            }
        }
        assert!(gallery.len() <= MAX_SENDERS);
    }
    assert_eq!(gallery.each().len(), gallery.len());
    let _ = gallery.all();
}
