//! Names on the local network, where anybody may answer and ask. What is listed is no more than a
//! name, what is heard is not kept, and nobody is answered by unicast.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use framegram_tests::networks::Segment;
use framegram_tests::program::{Program, SENDER, VIEWER, until};
use nix::sys::signal::Signal;

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;

const SOURCE: &str = "pattern:160x120 --fps 30";

/// A name on the wire.
fn name(labels: &[&str]) -> Vec<u8> {
    let labels = labels.iter().flat_map(|label| {
        let len = [u8::try_from(label.len()).unwrap()];
        [&len[..], label.as_bytes()].concat()
    });
    labels.chain([0]).collect()
}

fn record(name: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    let len = u16::try_from(data.len()).unwrap().to_be_bytes();
    let kind = kind.to_be_bytes();
    [name, &kind, &[0, 1], &[0, 0, 17, 148], &len, data].concat()
}

/// The answer for a sender with this name at this address.
fn answer(instance: &str, address: Ipv4Addr) -> Vec<u8> {
    let service = name(&["_framegram", "_udp", "local"]);
    let full = name(&[instance, "_framegram", "_udp", "local"]);
    message(&[record(&service, 12, &full), told(instance, address)])
}

/// The records of the answer without the one by which services are listed.
fn told(instance: &str, address: Ipv4Addr) -> Vec<u8> {
    let full = name(&[instance, "_framegram", "_udp", "local"]);
    let host = name(&[instance, "local"]);
    let port = 5005_u16.to_be_bytes();
    [
        record(&full, 33, &[&[0; 4], &port[..], &host[..]].concat()),
        record(&full, 16, b"\x09txtvers=1"),
        record(&host, 1, &address.octets()),
    ]
    .concat()
}

/// A message of these answers. The last one has three records, and each one before it has one.
fn message(records: &[Vec<u8>]) -> Vec<u8> {
    let count = u8::try_from(2 + records.len()).unwrap();
    let header = [0, 0, 0x84, 0, 0, 0, 0, count, 0, 0, 0, 0];
    [&header[..], &records.concat()].concat()
}

/// A question for all senders.
fn question() -> Vec<u8> {
    let header = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    let service = name(&["_framegram", "_udp", "local"]);
    [&header[..], &service, &[0, 12, 0, 1]].concat()
}

fn neighbour(network: &Segment, host: u8, port: u16) -> UdpSocket {
    network.on(host, || {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
        let own: Ipv4Addr = Segment::v4(host).parse().unwrap();
        socket.join_multicast_v4(&GROUP, &own).unwrap();
        socket.set_multicast_loop_v4(false).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .unwrap();
        socket
    })
}

/// The datagrams that arrive at a socket from that host within this many tenths of a second.
fn heard(socket: &UdpSocket, host: u8, tenths: u32) -> Vec<Vec<u8>> {
    let from: Ipv4Addr = Segment::v4(host).parse().unwrap();
    let mut heard = Vec::new();
    let mut silent = 0;
    let mut buffer = [0; 9_000];
    while silent < tenths {
        match socket.recv_from(&mut buffer) {
            Ok((len, sender)) if sender.ip() == from => heard.push(buffer[..len].to_vec()),
            Ok(_) => {}
            Err(_) => silent += 1,
        }
    }
    heard
}

/// How often a sender announces its name
/// (<https://www.rfc-editor.org/rfc/rfc6762#section-8.3>).
const ANNOUNCEMENTS: usize = 2;

/// A sender that has made its last announcement.
fn announced(network: &Segment) -> Program {
    let neighbour = neighbour(network, 1, PORT);
    let arguments = format!("{SOURCE} --listen :5005 --announce kitchen");
    let mut sender = network.start(0, SENDER, &arguments).run();
    sender.wait_for("To connect, type");
    let mut announcements = 0;
    until("the last announcement", || {
        let heard = heard(&neighbour, 0, 1);
        let is_response = |message: &&Vec<u8>| message[2] & 0x80 != 0;
        announcements += heard.iter().filter(is_response).count();
        (announcements >= ANNOUNCEMENTS).then_some(())
    });
    sender
}

pub(crate) fn names_that_would_do_more_than_be_read_are_not_listed() {
    let network = Segment::new(2);
    let forger = neighbour(&network, 0, PORT);
    let own = Segment::v4(0).parse().unwrap();
    let strange = [
        "\u{1b}]0;owned\u{7}\u{1b}[2J",
        "kitchen\t192.0.2.9:5005",
        "kitchen\nhall",
        "\u{9b}31m",
        "abc\u{202e}cba",
        "192.0.2.9:5005",
    ];
    let mut answers = strange.map(|name| answer(name, own)).to_vec();
    let nowhere = [
        ("everyone", Ipv4Addr::BROADCAST),
        ("group", GROUP),
        ("itself", Ipv4Addr::LOCALHOST),
    ];
    answers.extend(nowhere.map(|(name, address)| answer(name, address)));
    answers.push(answer("kitchen", own));
    let done = AtomicBool::new(false);
    let list = thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for answer in &answers {
                    forger.send_to(answer, (GROUP, PORT)).unwrap();
                }
                thread::sleep(Duration::from_millis(100));
            }
        });
        let list = network.start(1, VIEWER, "discover").run_plain().end();
        done.store(true, Ordering::Relaxed);
        list
    });
    let list = String::from_utf8_lossy(&list.well().output).into_owned();
    assert_eq!(list, format!("kitchen\t{own}:5005\n"));
}

pub(crate) fn forged_answers_leave_an_announced_sender_as_small_as_it_was() {
    const BYTES: usize = 23_000_000;
    let network = Segment::new(2);
    let sender = announced(&network);
    let resident = || {
        let status = fs::read_to_string(format!("/proc/{}/status", sender.pid())).unwrap();
        let line = status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .unwrap();
        let digits: String = line.chars().filter(char::is_ascii_digit).collect();
        digits.parse::<u64>().unwrap()
    };
    let before = resident();
    let forger = neighbour(&network, 1, PORT);
    let own = Segment::v4(1).parse().unwrap();
    let alone = Segment::v4(0).parse().unwrap();
    for to in [alone, GROUP] {
        let mut sent = 0;
        for number in 0.. {
            let forged = message(&[told(&format!("forged {number:0>50}"), own)]);
            forger.send_to(&forged, (to, PORT)).unwrap();
            sent += forged.len();
            if sent >= BYTES {
                break;
            }
            if number % 64 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    let grown = resident().saturating_sub(before);
    println!("{BYTES} bytes to each: {grown} kB more");
    assert!(grown < 4_096, "{grown} kB more");
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
}

pub(crate) fn questions_are_answered_to_the_group_alone() {
    let network = Segment::new(2);
    let sender = announced(&network);
    let socket = neighbour(&network, 1, PORT);
    let elsewhere = neighbour(&network, 1, 0);
    let alone: Ipv4Addr = Segment::v4(0).parse().unwrap();
    for asking in [&socket, &elsewhere] {
        asking.send_to(&question(), (alone, PORT)).unwrap();
    }
    elsewhere.send_to(&question(), (GROUP, PORT)).unwrap();
    for asking in [&socket, &elsewhere] {
        let heard = heard(asking, 0, 15);
        assert!(heard.is_empty(), "{} bytes", heard.concat().len());
    }
    for _ in 0..50 {
        socket.send_to(&question(), (GROUP, PORT)).unwrap();
    }
    let answers = heard(&socket, 0, 8);
    assert_eq!(answers.len(), 1, "one on IPv4");
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
}

pub(crate) fn an_announced_sender_does_not_tell_its_streams_number() {
    let network = Segment::new(2);
    let sender = announced(&network);
    let socket = neighbour(&network, 1, PORT);
    socket.send_to(&question(), (GROUP, PORT)).unwrap();
    let answers = heard(&socket, 0, 15).concat();
    let text = String::from_utf8_lossy(&answers);
    assert!(text.contains("kitchen"), "{text}");
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    let number = sender.value("stream.number").as_str().unwrap();
    assert_eq!(text.find(number), None, "{number} in {text}");
}
