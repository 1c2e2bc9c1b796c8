//! Viewers that connect to a sender that listens.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use framegram_common::receiver::{self, Output, Receiver};
use framegram_common::seq::PacketNumber;
use framegram_common::wire::native::{Connect, Header, NO_DESTINATION, Packet};
use framegram_tests::program::{PATIENT, Program, SENDER, Start, VIEWER, address};
use nix::sys::signal::Signal;

const SOURCE: &str = "pattern:320x180@30";

fn sender(address: SocketAddr, arguments: &str) -> Program {
    let arguments = format!("{SOURCE} --listen {address} {arguments}");
    let mut sender = Start::new(SENDER, &arguments).run();
    sender.wait_for("To connect, type");
    sender
}

fn viewer(address: SocketAddr, arguments: &str) -> Program {
    let arguments = format!("--headless {PATIENT} --connect {address} --wait 20s {arguments}");
    Start::new(VIEWER, &arguments).run()
}

#[test]
fn viewers_come_and_go_and_surplus_ones_are_rejected() {
    let address = address();
    let mut sender = sender(address, "--max-viewers 2");
    let staying = [(); 2].map(|()| {
        let mut viewer = viewer(address, "--once");
        viewer.wait_for("Following the stream");
        viewer
    });
    let refused = viewer(address, "--once").end();
    assert_eq!(refused.code, Some(1));
    let said = refused.said;
    assert!(said.contains("already serves 2 viewers"), "{said}");
    sender.wait_for("was refused");

    // One disconnects, and its slot is free at once, without waiting for its silence.
    let [staying, going] = staying;
    going.signal(Signal::SIGINT);
    assert!(going.end().well().count("frames.intact") > 0);
    sender.wait_for("left");
    let late = viewer(address, "--frames 20").end().well();
    assert_eq!(late.count("frames.intact"), 20);
    assert_eq!(late.count("packets.lost"), 0);

    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    let staying = staying.end().well();
    assert_eq!(staying.count("packets.lost"), 0);
    assert_eq!(
        staying.count("frames.sent"),
        sender.count("frames.sent"),
        "it heard the bye"
    );
    assert_eq!(sender.count("admission.admitted"), 3);
    assert!(sender.count("admission.rejected") >= 1);
}

#[test]
fn nothing_is_encoded_while_nobody_watches_and_the_first_viewer_is_served_at_once() {
    let address = address();
    let mut sender = sender(address, "");
    // One second without viewers.
    sender.wait_for("0:01.");
    let viewer = viewer(address, "--frames 30").end().well();
    assert_eq!(viewer.count("frames.intact"), 30);
    assert_eq!(viewer.count("packets.lost"), 0);
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    let [captured, sent, replaced, not_sent] = [
        "frames.captured",
        "frames.sent",
        "outcomes.replaced",
        "frames.not_sent",
    ]
    .map(|count| sender.count(count));
    assert_eq!(captured, sent + replaced + not_sent);
    assert!(replaced >= 25, "of {captured}, {replaced} were replaced");
}

#[test]
fn a_viewer_waits_for_its_sender_and_for_the_next_one() {
    let address = address();
    let mut viewer = viewer(address, "");
    viewer.wait_for("Nobody listens");
    for expected in ["Following the stream", "Following another stream"] {
        let sender = sender(address, "--frames 30");
        viewer.wait_for(expected);
        let sender = sender.end().well();
        assert_eq!(sender.count("frames.captured"), 30);
    }
    viewer.signal(Signal::SIGINT);
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("stream.followed"), 2);
    assert!(viewer.count("frames.intact") > 0);
    assert_eq!(viewer.count("packets.lost"), 0);
}

/// Another address of the sender's machine, from which its routes send nothing.
fn at_second_address(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 2], address.port()))
}

fn everywhere(address: SocketAddr) -> SocketAddr {
    SocketAddr::from(([0, 0, 0, 0], address.port()))
}

#[test]
fn each_of_many_viewers_is_served_from_the_address_it_connected_to() {
    let address = address();
    let sender = sender(everywhere(address), "");
    let viewers = [(); 14].map(|()| viewer(at_second_address(address), "--frames 40"));
    for viewer in viewers {
        let viewer = viewer.end().well();
        assert_eq!(viewer.count("packets.lost"), 0, "{:#}", viewer.report);
    }
    sender.signal(Signal::SIGINT);
    let _ = sender.end().well();
}

#[test]
fn strangers_do_not_turn_away_what_is_sent_to_a_viewer() {
    let address = address();
    let sender = sender(everywhere(address), "");
    let mut viewer = viewer(at_second_address(address), "--once --frames 90");
    viewer.wait_for("Following the stream");
    let strangers = [(); 12].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = SocketAddr::from(([127, 0, 0, 1], address.port()));
    for stranger in strangers.iter().cycle().take(600) {
        stranger.send_to(b"x", to).unwrap();
        std::thread::sleep(Duration::from_micros(3_300));
    }
    let viewer = viewer.end().well();
    assert_eq!(viewer.count("packets.lost"), 0, "{:#}", viewer.report);
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    assert!(sender.count("admission.foreign") >= 500);
}

#[test]
fn forged_addresses_get_no_video() {
    let address = address();
    let sender = sender(address, "");
    let asked = {
        let packet = Packet::Connect(Connect {
            viewer: 7,
            cookie: 99,
        });
        let header = Header {
            stream: 0,
            destination: NO_DESTINATION,
            channel: packet.channel(),
            number: PacketNumber(0),
            sent: 0,
        };
        let mut bytes = Vec::new();
        packet.encode(&header, &mut bytes);
        bytes
    };
    // They receive what is sent to them, but never report it.
    let [a, b, c, _] = match address {
        SocketAddr::V4(v4) => v4.ip().octets(),
        SocketAddr::V6(_) => unreachable!("addresses of tests are IPv4"),
    };
    let forged: Vec<_> = (0..50)
        .map(|host| {
            UdpSocket::bind(SocketAddr::from(([a, b, c, 200 + host], 0))).expect("a socket")
        })
        .collect();
    for socket in &forged {
        socket.send_to(&asked, address).expect("loopback");
    }
    // A real viewer that connects after them is served.
    let viewer = viewer(address, "--frames 20").end().well();
    assert_eq!(viewer.count("frames.intact"), 20);
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    assert_eq!(sender.count("admission.admitted"), 1);
    let unproven = sender.count("admission.challenged") - sender.count("admission.proven");
    // The real viewer may have asked twice.
    assert!(unproven >= forged.len() as u64, "{unproven}");
    for socket in forged {
        socket
            .set_read_timeout(Some(Duration::from_millis(1)))
            .expect("a timeout");
        let mut buffer = [0; 2_000];
        let mut received = 0;
        while let Ok(len) = socket.recv(&mut buffer) {
            received += len;
            let (header, _) = Packet::decode(&buffer[..len]).expect("a packet");
            assert_eq!(header.stream, 0, "the stream is named to nobody outside");
        }
        assert!(received > 0 && received <= asked.len(), "{received} bytes");
    }
}

#[test]
fn a_stranger_that_takes_all_slots_blocks_no_viewer() {
    let address = address();
    let mut sender = sender(address, "--max-viewers 3");
    // An attacker takes the slots. It proves its address, as anyone can, and ignores the stream.
    let stranger = SocketAddr::from(([127, 0, 0, 66], 0));
    let sockets = [(); 3].map(|()| UdpSocket::bind(stranger).expect("a socket"));
    for (number, socket) in sockets.iter().enumerate() {
        let now = Duration::ZERO;
        let mut receiver = Receiver::new(receiver::Config::default(), number as u64, (1, 2), now);
        receiver.connect(address, now);
        let mut answer = [0; 2_000];
        for _ in 0..2 {
            let Output::Transmit(transmit) = receiver.poll_output(now) else {
                panic!("it does not ask");
            };
            socket
                .send_to(&transmit.datagram, address)
                .expect("loopback");
            let (len, from) = socket.recv_from(&mut answer).expect("an answer");
            receiver.handle_datagram(from, &answer[..len], now);
        }
    }
    sender.wait_for("3 of 3");
    let viewer = viewer(address, "--frames 20").end().well();
    assert_eq!(viewer.count("frames.intact"), 20);
    sender.wait_for("gave its slot to a viewer at another address");
    sender.signal(Signal::SIGINT);
    let sender = sender.end().well();
    assert_eq!(sender.count("admission.rejected"), 0);
}
