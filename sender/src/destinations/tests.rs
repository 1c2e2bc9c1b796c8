use clap::Parser;

use super::*;

const MS: Duration = Duration::from_millis(1);

fn one(datagram: &[u8]) -> DatagramRun<'_> {
    DatagramRun {
        datagrams: datagram,
        segment: datagram.len(),
    }
}

#[test]
fn goes_down_through_the_datagrams_that_networks_have() {
    assert_eq!(smaller_than(MAX_DATAGRAM), Some(9_216));
    assert_eq!(smaller_than(9_216), Some(8_952));
    assert_eq!(smaller_than(1_500), Some(DEFAULT_DATAGRAM));
    assert_eq!(smaller_than(MIN_DATAGRAM), None);
}

#[test]
fn falls_back_when_a_datagram_is_too_big_for_the_system() {
    let connect_options = ConnectOptions {
        fragment: true,
        ..ConnectOptions::default()
    };
    let mut destination = Destination::open("127.0.0.1:9", &connect_options).unwrap();
    let sent = destination.send(&[one(&[0; MAX_DATAGRAM + 1])], None, MS);
    assert_eq!((sent.taken, sent.smaller), (0, Some(MAX_DATAGRAM)));
    assert!(sent.notice.is_some());
    let error = destination.reached().unwrap_err().to_string();
    assert!(
        error.starts_with("nothing could be sent to 127.0.0.1:9: "),
        "{error}"
    );
    destination.send(&[one(b"small")], None, MS);
    assert!(destination.reached().is_ok());
}

#[test]
fn reports_once_that_a_datagram_is_too_big() {
    let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let mut destination = Destination::open(&address, &ConnectOptions::default()).unwrap();
    let too_big = MAX_DATAGRAM + 2;
    let mut send = |bytes: usize, ms: u32| destination.send(&[one(&vec![0; bytes])], None, ms * MS);
    let first = send(too_big, 1);
    assert!(first.notice.is_some() && first.smaller.is_some());
    for second in 1..10 {
        assert_eq!(send(5, 1_000 * second).notice, None);
        let again = send(too_big, 1_000 * second + 500);
        assert_eq!((again.notice, again.smaller), (None, first.smaller));
    }
    assert!(send(too_big - 1, 20_000).notice.is_some());
}

#[test]
fn fails_for_broadcast_without_the_flag_and_for_addresses_of_no_machine() {
    let one = ConnectOptions::default();
    for text in ["255.255.255.255:5005", "0.0.0.0:5005", "[::]:5005"] {
        assert!(Destination::open(text, &one).is_err(), "{text}");
    }
    let all = ConnectOptions {
        broadcast: true,
        ..ConnectOptions::default()
    };
    assert!(Destination::open("255.255.255.255:5005", &all).is_ok());
    assert!(Destination::open("239.1.2.3:5005", &one).is_ok());
}

#[test]
fn says_who_else_is_there_where_the_rate_does_not_adapt() {
    let told = |flags: &str, addresses: &[&str]| {
        let line = format!("framegram-send pattern:320x180@30 192.0.2.1:5005 {flags}");
        let options = Options::parse_from(line.split_whitespace());
        let addresses = addresses.iter().map(|text| text.parse().unwrap());
        unadapted_at(addresses, &options)
    };
    let near = [
        "127.0.0.1:5005",
        "192.168.1.5:5005",
        "10.0.0.1:5005",
        "169.254.7.7:5005",
        "239.1.1.1:5005",
        "255.255.255.255:5005",
        "[::1]:5005",
        "[fd00::1]:5005",
        "[fe80::1]:5005",
        "[::ffff:172.16.0.1]:5005",
        "[ff02::1]:5005",
    ];
    assert_eq!(told("--rate fixed", &near), None);
    for far in [
        "192.0.2.1:5005",
        "[2001:db8::1]:5005",
        "[::ffff:192.0.2.1]:5005",
    ] {
        for (flags, why) in [
            ("--rate fixed", "--rate fixed"),
            ("--wire rtp", "--wire rtp"),
            ("--wire raw", "--wire raw"),
        ] {
            let notice = told(flags, &[near[0], far]).unwrap();
            let begins = format!("{far} is beyond the local network, and {why} ");
            assert!(
                notice.starts_with(&begins) && notice.ends_with("(RFC 8085)"),
                "{notice}"
            );
        }
        assert_eq!(told("--rate auto", &[far]), None);
        assert_eq!(told("--transport tcp", &[far]), None);
    }
}
