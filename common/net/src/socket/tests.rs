mod drops;

use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;
use crate::clock;
use crate::{DEFAULT_PORT, Interface, is_broadcast, local_addresses, resolve};

/// The largest UDP payload over IPv4: 65,535 bytes minus the headers.
const MAX_DATAGRAM: usize = 65_507;

const SOON: Duration = Duration::from_secs(5);

/// Possible difference between two clocks read one after the other on a busy
/// machine.
const SLACK: Duration = Duration::from_millis(5);

fn listening(address: &str, buffer: usize) -> (Socket, SocketAddr) {
    let socket = Socket::listen(&ListenOptions {
        address: Some(address.parse().unwrap()),
        buffer,
        ..ListenOptions::default()
    })
    .unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

fn sending(destination: SocketAddr) -> Socket {
    Socket::connect(destination, &ConnectOptions::default()).unwrap()
}

/// Waits for the next datagram.
fn next(socket: &Socket) -> (Vec<u8>, Received) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    let waker = Waker::new().unwrap();
    let deadline = clock::now() + SOON;
    loop {
        if let Some(received) = socket.receive(&mut buffer).unwrap() {
            buffer.truncate(received.len);
            return (buffer, received);
        }
        assert!(clock::now() < deadline, "nothing received");
        wait(&[socket], &waker, Some(deadline - clock::now())).unwrap();
    }
}

fn numbered(count: usize, size: usize) -> Vec<u8> {
    (0..count * size).map(|at| (at / size) as u8).collect()
}

#[test]
fn a_dual_stack_socket_receives_both_families_and_reports_ipv4_as_ipv4() {
    let (socket, bound) = listening("[::]:0", 1 << 20);
    sending((Ipv4Addr::LOCALHOST, bound.port()).into())
        .send(None, b"four", 4)
        .unwrap();
    let (datagram, received) = next(&socket);
    assert_eq!(datagram, b"four");
    assert_eq!(received.from.ip(), Ipv4Addr::LOCALHOST);

    // It answers in the family of the peer.
    socket.send(Some(received.from), b"back", 4).unwrap();

    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        sending((Ipv6Addr::LOCALHOST, bound.port()).into())
            .send(None, b"six", 3)
            .unwrap();
        let (datagram, received) = next(&socket);
        assert_eq!(datagram, b"six");
        assert_eq!(received.from.ip(), Ipv6Addr::LOCALHOST);
    }
}

#[test]
fn answers_reach_the_connected_sender() {
    let (viewer, address) = listening("127.0.0.1:0", 1 << 20);
    let sender = sending(address);
    sender.send(None, b"frame", 5).unwrap();
    let (_, received) = next(&viewer);
    viewer.send(Some(received.from), b"request", 7).unwrap();
    assert_eq!(next(&sender).0, b"request");
}

#[test]
fn an_answer_comes_from_the_address_that_received_the_request() {
    for all in ["0.0.0.0:0", "[::]:0"] {
        let (viewer, bound) = listening(all, 1 << 20);
        // All of 127/8 is this machine, and its routes choose 127.0.0.1.
        let senders: Vec<_> = (2..102)
            .map(|host| sending((Ipv4Addr::new(127, 0, 0, host), bound.port()).into()))
            .collect();
        let heard: Vec<_> = senders
            .iter()
            .map(|sender| {
                sender.send(None, b"frame", 5).unwrap();
                let (_, received) = next(&viewer);
                viewer.reply(&received, b"answer").unwrap();
                assert_eq!(next(sender).0, b"answer");
                viewer.remember(&received);
                received.from
            })
            .collect();
        // However many peers are served.
        for (sender, from) in senders.iter().zip(heard) {
            viewer.send(Some(from), b"request", 7).unwrap();
            assert_eq!(next(sender).0, b"request");
        }
    }
}

#[test]
fn a_batch_arrives_as_the_datagrams_it_is_made_of() {
    for batch in [true, false] {
        let (viewer, address) = listening("127.0.0.1:0", 4 << 20);
        let sender = Socket::connect(
            address,
            &ConnectOptions {
                batch,
                ..ConnectOptions::default()
            },
        )
        .unwrap();
        let mut datagrams = numbered(150, 1_200);
        datagrams.truncate(149 * 1_200 + 7);
        sender.send(None, &datagrams, 1_200).unwrap();
        for sent in datagrams.chunks(1_200) {
            assert_eq!(next(&viewer).0, sent);
        }
        assert_eq!(sender.batch.load(Ordering::Relaxed), batch);
    }
}

#[test]
fn runs_of_any_length_arrive_in_order_up_to_one_that_is_rejected() {
    for batch in [true, false] {
        let (viewer, address) = listening("127.0.0.1:0", 4 << 20);
        let options = ConnectOptions {
            batch,
            ..ConnectOptions::default()
        };
        let sender = Socket::connect(address, &options).unwrap();
        // More than one call takes.
        let datagrams: Vec<_> = (0..200).map(|at| numbered(1 + at % 6, 100 + at)).collect();
        let run = |datagrams, segment| DatagramRun { datagrams, segment };
        let runs = datagrams.iter().enumerate();
        let mut runs: Vec<_> = runs.map(|(at, it)| run(&it[..], 100 + at)).collect();
        let too_long = vec![0; MAX_DATAGRAM + 1];
        runs.insert(150, run(&too_long, too_long.len()));
        let (sent, error) = sender.send_runs(None, &runs);
        assert!(is_too_big(&error.unwrap_err()));
        assert_eq!(sent, runs[..150].iter().map(DatagramRun::count).sum());
        for run in &runs[..150] {
            for datagram in run.datagrams.chunks(run.segment) {
                assert_eq!(next(&viewer).0, datagram);
            }
        }
        sender.send(None, b"end", 3).unwrap();
        assert_eq!(next(&viewer).0, b"end");
    }
}

#[test]
fn arrival_is_when_the_kernel_received_the_datagram_not_when_it_is_read() {
    let (viewer, address) = listening("127.0.0.1:0", 1 << 20);
    let sender = sending(address);
    let waker = Waker::new().unwrap();
    let deadline = clock::now() + SOON;
    loop {
        let before = clock::now();
        sender.send(None, b"frame", 5).unwrap();
        let after = clock::now();
        wait(&[], &waker, Some(Duration::from_millis(20))).unwrap();
        let read = clock::now();
        let (_, received) = next(&viewer);
        assert!(received.arrival >= before.saturating_sub(SLACK));
        if received.arrival < after + SLACK {
            break;
        }
        // The kernel starts to timestamp shortly after the first socket asks.
        // Until then, the time of reading is used.
        assert!(received.arrival >= read.saturating_sub(SLACK));
        assert!(clock::now() < deadline, "the kernel does not stamp");
    }
}

#[test]
fn connection_refused_is_returned_and_all_datagrams_are_sent() {
    let (viewer, address) = listening("127.0.0.1:0", 1 << 20);
    drop(viewer);
    let sender = Socket::connect(
        address,
        &ConnectOptions {
            batch: false,
            ..ConnectOptions::default()
        },
    )
    .unwrap();
    sender.send(None, b"nobody", 6).unwrap();
    let refused = sender.send(None, &numbered(5, 10), 10).unwrap_err();
    assert!(is_refused(&refused), "{refused}");

    let (viewer, _) = listening(&address.to_string(), 1 << 20);
    let refused = sender.send(None, &numbered(5, 10), 10).unwrap_err();
    assert!(is_refused(&refused), "{refused}");
    for sent in numbered(5, 10).chunks(10) {
        assert_eq!(next(&viewer).0, sent);
    }
    sender.send(None, b"now", 3).unwrap();
}

#[test]
fn connection_refused_ends_a_wait_and_is_returned_by_receive() {
    let (viewer, address) = listening("127.0.0.1:0", 1 << 20);
    drop(viewer);
    let sender = sending(address);
    sender.send(None, b"nobody", 6).unwrap();
    let waker = Waker::new().unwrap();
    let start = clock::now();
    wait(&[&sender], &waker, Some(SOON)).unwrap();
    assert!(clock::now() - start < SOON);
    assert!(is_refused(&sender.receive(&mut [0; 10]).unwrap_err()));
    assert_eq!(sender.receive(&mut [0; 10]).unwrap(), None);
}

#[test]
fn a_datagram_too_big_for_udp_is_an_error_of_its_own() {
    let (viewer, address) = listening("127.0.0.1:0", 1 << 20);
    let sender = Socket::connect(
        address,
        &ConnectOptions {
            fragment: true,
            ..ConnectOptions::default()
        },
    )
    .unwrap();
    let all = vec![7; MAX_DATAGRAM + 1];
    let error = sender.send(None, &all, all.len()).unwrap_err();
    assert!(is_too_big(&error), "{error}");
    sender.send(None, &all[1..], all.len()).unwrap();
    assert_eq!(next(&viewer).0, &all[1..]);
}

#[test]
fn a_wake_ends_the_wait_even_when_it_comes_first() {
    let waker = Waker::new().unwrap();
    waker.clone().wake();
    waker.wake();
    let start = clock::now();
    wait(&[], &waker, Some(SOON)).unwrap();
    assert!(clock::now() - start < SOON);
    // The wake has been consumed.
    let start = clock::now();
    wait(&[], &waker, Some(Duration::from_millis(5))).unwrap();
    assert!(clock::now() - start >= Duration::from_millis(5));
}

#[test]
fn several_viewers_on_one_machine_receive_a_group() {
    let interface = Some(Interface::find("lo").unwrap());
    let listen = |port: u16| {
        Socket::listen(&ListenOptions {
            address: Some((Ipv4Addr::new(239, 77, 5, 5), port).into()),
            interface: interface.clone(),
            ..ListenOptions::default()
        })
        .unwrap()
    };
    let first = listen(0);
    let group = first.local_addr().unwrap();
    let second = listen(group.port());
    let sender = Socket::connect(
        group,
        &ConnectOptions {
            interface: interface.clone(),
            multicast_hops: 0,
            ..ConnectOptions::default()
        },
    )
    .unwrap();
    sender.send(Some(group), &numbered(3, 100), 100).unwrap();
    for viewer in [&first, &second] {
        for sent in numbered(3, 100).chunks(100) {
            let (datagram, received) = next(viewer);
            assert_eq!(datagram, sent);
            viewer.send(Some(received.from), b"heard", 5).unwrap();
        }
    }
    assert_eq!(next(&sender).0, b"heard");
}

#[test]
fn a_broadcast_address_needs_the_broadcast_flag() {
    let destination = (Ipv4Addr::BROADCAST, 5005).into();
    let error = Socket::connect(destination, &ConnectOptions::default()).unwrap_err();
    assert!(error.to_string().contains("broadcast"), "{error}");
    let meant = ConnectOptions {
        broadcast: true,
        ..ConnectOptions::default()
    };
    Socket::connect(destination, &meant).unwrap();
}

#[test]
fn a_port_in_use_is_reported_with_its_address() {
    let (_viewer, address) = listening("127.0.0.1:0", 1 << 20);
    let listen = ListenOptions {
        address: Some(address),
        ..ListenOptions::default()
    };
    let error = Socket::listen(&listen).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[test]
fn buffer_sizes_are_reported_as_granted_by_the_kernel() {
    let (viewer, address) = listening("127.0.0.1:0", 100_000);
    assert_eq!(viewer.receive_buffer().unwrap(), 100_000);
    let (greedy, _) = listening("127.0.0.1:0", 1 << 30);
    assert!(greedy.receive_buffer().unwrap() < 1 << 30);
    let sender = Socket::connect(
        address,
        &ConnectOptions {
            buffer: 50_000,
            ..ConnectOptions::default()
        },
    )
    .unwrap();
    assert_eq!(sender.send_buffer().unwrap(), 50_000);
}

#[test]
fn addresses_are_taken_in_the_forms_that_people_write() {
    for (text, meant) in [
        ("127.0.0.1:7000", "127.0.0.1:7000"),
        ("[::1]:7000", "[::1]:7000"),
        ("127.0.0.1", "127.0.0.1:5005"),
        ("::1", "[::1]:5005"),
        ("[::1]", "[::1]:5005"),
        ("7000", "[::]:7000"),
        (":7000", "[::]:7000"),
        ("239.1.2.3", "239.1.2.3:5005"),
    ] {
        let resolved = resolve(text, Some(DEFAULT_PORT)).unwrap();
        assert_eq!(resolved, meant.parse().unwrap(), "{text}");
    }
    assert!(resolve("localhost:7000", None).unwrap().ip().is_loopback());
    for text in [
        "",
        ":7000",
        "7000",
        "host",
        "host:0",
        "host:70000",
        "[::1]",
        "[host]:1",
        "::1",
    ] {
        assert!(resolve(text, None).is_err(), "{text}");
    }
    let error = resolve("no-such-host.invalid:7000", None).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("no-such-host.invalid is not a known host"),
        "{error}"
    );
}

#[test]
fn an_interface_is_found_by_name_and_by_address() {
    let named = Interface::find("lo").unwrap();
    assert_eq!(Interface::find("127.0.0.1").unwrap(), named);
    let error = Interface::find("no-such-0").unwrap_err();
    assert!(error.to_string().contains("lo"), "{error}");
    assert!(is_broadcast(Ipv4Addr::BROADCAST.into()));
    assert!(!is_broadcast(Ipv4Addr::LOCALHOST.into()));
    assert!(
        local_addresses()
            .iter()
            .all(|address| !address.is_loopback())
    );
}
