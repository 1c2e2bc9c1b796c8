//! Attackers that send to a viewer.

use std::net::UdpSocket;
use std::thread;
use std::time::{Duration, Instant};

use framegram_common::seq::{FrameNumber, PacketNumber};
use framegram_common::wire::native::{
    Channel, Chunk, Echo, FrameHeader, Header, Packet, SenderReport,
};
use framegram_tests::program::{DEADLINE, SENDER, Start, address};
use nix::sys::signal::Signal;

use super::listening;

const FRAMES: u64 = 75;

/// The attacker sends once this many frames have arrived. By then, the sender has proved its
/// address.
const FIRST: u64 = 25;

fn datagram(stream: u32, number: u64, sent: u64, packet: &Packet<'_>) -> Vec<u8> {
    let header = Header {
        stream,
        destination: 0,
        channel: packet.channel(),
        number: PacketNumber(number),
        sent,
    };
    let mut out = Vec::new();
    packet.encode(&header, &mut out);
    out
}

fn chunk(frame: u64, data: &[u8]) -> Packet<'_> {
    Packet::Chunk(Chunk {
        frame: FrameNumber(frame).seq(),
        index: 0,
        count: 2,
        restart_cycle: None,
        header: Some(FrameHeader {
            len: 2 * data.len() as u32,
            crc: 7,
            captured: 1,
            size: data.len() as u16,
            tables: 0,
        }),
        data,
    })
}

/// The attacker knows everything that a viewer which is served receives, except the other viewer's
/// address.
#[test]
fn knowing_a_streams_number_allows_neither_freezing_nor_ending_it() {
    let to = address();
    let viewer = listening(to, "--once");
    let spy = UdpSocket::bind(address()).expect("a socket");
    spy.set_read_timeout(Some(DEADLINE)).expect("a timeout");
    let sender = Start::new(SENDER, "--quiet --frames")
        .with([&FRAMES.to_string(), "pattern:320x180@30"])
        .with([to, spy.local_addr().expect("an address")].map(|it| it.to_string()))
        .run();
    let stranger = UdpSocket::bind((to.ip(), 0)).expect("a socket");
    let (mut attacks, mut next, mut frames) = (0_u64, [0_u64; 3], 0);
    let mut forged_bytes = 0;
    let mut buffer = [0; 2_000];
    loop {
        let len = spy.recv(&mut buffer).expect("the stream");
        let (header, packet) = Packet::decode(&buffer[..len]).expect("a packet");
        let channel = header.channel;
        next[channel as usize] = next[channel as usize].max(u64::from(header.number.0) + 1);
        let begins = match packet {
            Packet::Chunk(chunk) if u64::from(chunk.frame.bits()) >= frames => {
                frames = u64::from(chunk.frame.bits()) + 1;
                frames > FIRST
            }
            Packet::SenderBye(_) => break,
            _ => false,
        };
        if !begins {
            continue;
        }
        let truly = SenderReport {
            frames_captured: frames,
            frames_sent: frames,
            media: next[0],
            repair: next[1],
            control: next[2] + 1,
            ..SenderReport::default()
        };
        let ahead = SenderReport {
            frames_sent: frames + (1 << 19),
            media: next[0] + (1 << 23),
            ..truly
        };
        let far = chunk(frames + 1_000, &[7; 100]);
        // Every other number, because two consecutive ones are how a sender begins that cannot
        // answer.
        let of = |channel: Channel, at: u64| next[channel as usize] + 2 * at;
        for (packet, number) in [
            (Packet::SenderReport(truly), of(Channel::Control, 1)),
            (Packet::SenderReport(ahead), of(Channel::Control, 2)),
            (Packet::SenderBye(truly), of(Channel::Control, 3)),
            (Packet::SenderBye(ahead), of(Channel::Control, 4)),
            (far.clone(), of(Channel::Media, 1)),
            (far, of(Channel::Media, 1) + (1 << 23)),
        ] {
            let forged = datagram(header.stream, number, header.sent.into(), &packet);
            stranger.send_to(&forged, to).expect("loopback");
            forged_bytes += forged.len();
            attacks += 1;
        }
    }
    let sender = sender.end().well();
    let viewer = viewer.end().well();
    assert!(attacks >= 6 * (FRAMES - FIRST - 1), "{attacks}");
    assert_eq!(viewer.value("stream.number"), sender.value("stream.number"));
    assert_eq!(viewer.count("frames.sent"), FRAMES);
    assert_eq!(viewer.count("frames.intact"), FRAMES, "{:#}", viewer.report);
    assert_eq!(viewer.count("packets.lost"), 0, "{:#}", viewer.report);
    assert_eq!(viewer.value("stream.ended"), true);
    assert_eq!(viewer.count("packets.foreign"), attacks);
    // It was challenged, and was never sent more than came from it.
    stranger.set_nonblocking(true).expect("a socket");
    let answers = std::iter::from_fn(|| stranger.recv(&mut buffer).ok());
    assert!(answers.sum::<usize>() <= forged_bytes);
}

/// The attackers' datagrams carry the addresses of victims.
#[test]
fn a_forged_source_address_gets_no_more_bytes_than_it_sent() {
    let to = address();
    let viewer = listening(to, "");
    let reply = Packet::Echo(Echo {
        viewer: 1,
        report_sent: 1,
        report_received: 1,
    });
    let packets = [
        Packet::SenderReport(SenderReport::default()),
        Packet::SenderBye(SenderReport::default()),
        reply,
        chunk(0, &[7]),
        chunk(1, &[7; 1_000]),
    ];
    let victims: Vec<_> = (9..)
        .zip(&packets)
        .map(|(stream, packet)| {
            let victim = UdpSocket::bind((to.ip(), 0)).expect("a socket");
            let forged = datagram(stream, 0, 1, packet);
            victim.send_to(&forged, to).expect("loopback");
            victim.set_nonblocking(true).expect("a socket");
            (victim, packet.channel(), forged.len())
        })
        .collect();
    let mut received = vec![0; victims.len()];
    let mut buffer = [0; 2_000];
    // At five reports per second, ten would have arrived.
    let end = Instant::now() + Duration::from_secs(2);
    while Instant::now() < end {
        for ((victim, ..), received) in victims.iter().zip(&mut received) {
            while let Ok(len) = victim.recv(&mut buffer) {
                *received += len;
            }
        }
        thread::sleep(Duration::from_millis(20));
    }
    for ((_, channel, sent), received) in victims.iter().zip(received) {
        assert!(received <= *sent, "{received} bytes for {sent}");
        assert!(received == 0 || *channel != Channel::Control, "{received}");
    }
    viewer.signal(Signal::SIGINT);
    let _ = viewer.end();
}
