//! The vectors for other implementations, in `common/vectors/sealed-v1.txt`.

use std::fmt::Write;

use framegram_common::wire::native::NO_DESTINATION;

use super::*;
use crate::handshake::{self, Asking, Ephemerals, Psk};
use crate::keys::{PacketOrigin, StartKeys};

const VECTORS: &str = "../vectors/sealed-v1.txt";

const HEAD: &str = "\
# Test vectors of sealed packets (docs/wire.md): a key, the salts of a sender and
# a viewer, for each cipher the keys and masks of some channels, and a sealed
# datagram of every kind. They are the datagrams of native-v1.txt, numbered from 0
# in each channel, with the keys of turn 0. Behind them the handshake of a viewer
# that connects: its key, the private keys of both sides, connect and accept, what is
# agreed on, and a packet of each side that is sealed with it. The last line is a
# passphrase and its secret.
";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Makes the vectors with this implementation.
fn made() -> String {
    let mut text = HEAD.to_owned();
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name} {value}");
    };
    let (salt, viewers_salt) = ([7; SALT], [8; SALT]);
    line("key", KEY);
    line("secret", &hex(secret().bytes()));
    line("sender-salt", &hex(&salt));
    line("viewer-salt", &hex(&viewers_salt));
    line("handshake-key", &hex(Psk::new(&secret()).bytes()));
    line("viewer-private-key", &hex(&private(VIEWERS_SEED)[..]));
    line("sender-private-key", &hex(&private(SENDERS_SEED)[..]));
    let asking = Asking::new(&Psk::new(&secret()), VIEWER, private(VIEWERS_SEED)).unwrap();
    let (psk, asked) = (Psk::new(&secret()), asking.message());
    let (_, agreed) = handshake::answer(&psk, VIEWER, &asked, &private(SENDERS_SEED)).unwrap();
    line("handshake-secret", &hex(agreed.secret()));
    line("handshake-hash", &hex(agreed.hash()));
    let keys = StartKeys::new(&secret(), salt);
    let own = StartKeys::new(&secret(), viewers_salt);
    let session = agreed.keys(salt);
    for suite in Suite::ALL {
        line("cipher", suite.name());
        let sender = PacketOrigin::Sender { destination: 2 };
        let (viewer, connecting) = (
            PacketOrigin::Viewer { viewer: VIEWER },
            PacketOrigin::Connecting { viewer: VIEWER },
        );
        for (name, keys, origin, channel) in [
            ("sender-media", &keys, sender, Channel::Media),
            ("sender-control", &keys, sender, Channel::Control),
            ("viewer-control", &keys, viewer, Channel::Control),
            ("connect-control", &own, connecting, Channel::Control),
            ("agreed-sender-media", &session, sender, Channel::Media),
            ("agreed-viewer-control", &session, viewer, Channel::Control),
        ] {
            let number = keys.number(suite, 0);
            let bytes = keys.expand(origin, channel, number).unwrap();
            line(&format!("{name}-key-and-mask"), &hex(&bytes));
        }
        let mut sender = sender_seal(suite);
        let mut viewer = ViewerSeal::new(secret(), VIEWER, viewers_salt, suite);
        let report = sealed(&mut sender, &numbered(Channel::Control, 0), SECOND);
        opened(&mut viewer, &report, SECOND).unwrap();
        line("first-report", &hex(&report));
        let mut numbers = [0, 0, 1];
        let names = include_str!("../../../vectors/native-v1.txt").lines();
        let names = names.filter(|line| !line.starts_with('#'));
        for (clear, name) in vectors().iter().zip(names) {
            let (header, packet) = Packet::decode(clear).unwrap();
            let name = name.split_once(' ').unwrap().0;
            let number = &mut numbers[header.channel as usize];
            let header = Header {
                stream: STREAM,
                destination: 2,
                channel: header.channel,
                number: PacketNumber(*number),
                sent: 0x1_0016_e4f0,
            };
            let (mut clear, mut out) = (Vec::new(), Vec::new());
            if matches!(packet, Packet::Connect(_) | Packet::Accept(_)) {
                continue;
            }
            packet.encode(&header, &mut clear);
            if packet.viewer().is_none() {
                *number += 1;
                out = sealed(&mut sender, &clear, SECOND);
            } else {
                assert!(viewer.seal(&clear, SECOND, &mut out));
            }
            line(name, &hex(&out));
        }
    }
    for suite in Suite::ALL {
        agree(suite, &mut line);
    }
    let passphrase = "correct horse battery staple";
    line("passphrase", passphrase);
    let stretched = Secret::from_passphrase(passphrase).unwrap();
    line("passphrase-secret", &hex(stretched.bytes()));
    text
}

/// A handshake, then a packet of each side.
fn agree(suite: Suite, line: &mut impl FnMut(&str, &str)) {
    let mut sender = sender_seal(suite).accepting(2, SENDERS_SEED);
    let viewer = ViewerSeal::new(secret(), VIEWER, [8; SALT], suite);
    let mut viewer = viewer.connecting(VIEWERS_SEED);
    line("handshake", suite.name());
    for kind in [10, 17, 1, 8] {
        let mut names = include_str!("../../../vectors/native-v1.txt").lines();
        let clear = vectors().into_iter().find(|it| it[1] & 31 == kind).unwrap();
        let of_kind = |name: &&str| name.contains(&hex(&clear));
        let (name, _) = names.find(of_kind).unwrap().split_once(' ').unwrap();
        let (header, packet) = Packet::decode(&clear).unwrap();
        let is_part = matches!(packet, Packet::Connect(_) | Packet::Accept(_));
        let header = Header {
            stream: STREAM,
            destination: if is_part { NO_DESTINATION } else { 2 },
            channel: header.channel,
            number: PacketNumber(0),
            sent: 0x1_0016_e4f0,
        };
        let (mut clear, mut out) = (Vec::new(), Vec::new());
        packet.encode(&header, &mut clear);
        if packet.viewer().is_some() {
            assert!(viewer.seal(&clear, SECOND, &mut out));
            returned(&mut sender, &out, SECOND).unwrap();
        } else {
            sender.seal(&clear, clear.len(), SECOND, &mut out);
            opened(&mut viewer, &out, SECOND).unwrap();
        }
        line(name, &hex(&out));
    }
}

fn private(seed: [u8; SEED]) -> zeroize::Zeroizing<[u8; SEED]> {
    Ephemerals::new(seed).draw().unwrap()
}

const VIEWERS_SEED: [u8; SEED] = [18; SEED];
const SENDERS_SEED: [u8; SEED] = [17; SEED];

fn sender_seal(suite: Suite) -> SenderSeal {
    super::sender(suite)
}

#[test]
fn the_vectors_are_those_of_this_implementation() {
    let made = made();
    if std::env::var_os("RENEW_SNAPSHOTS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(VECTORS);
        std::fs::write(path, &made).unwrap();
        return;
    }
    assert_eq!(made, include_str!("../../../vectors/sealed-v1.txt"));
}
