use std::net::TcpStream;

use super::*;
use crate::socket::{Waker, wait};

const SOON: Duration = Duration::from_secs(5);

/// Both ends of a connection.
fn pair() -> (Connection, Connection) {
    let listener = TcpListener::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let to = listener.local_addr().unwrap();
    let mut near = Connection::connect(to).unwrap();
    let far = loop {
        if let Some(far) = listener.accept().unwrap() {
            break far;
        }
        await_any(&listener);
    };
    while !near.is_established() {
        await_any(&near);
        near.flush().unwrap();
    }
    (near, far)
}

fn await_any(one: &dyn Pollable) {
    wait(&[one], &Waker::new().unwrap(), Some(SOON)).unwrap();
}

fn next(connection: &mut Connection) -> io::Result<Vec<u8>> {
    loop {
        if let Some(packet) = connection.receive()? {
            return Ok(packet.to_vec());
        }
        await_any(connection);
    }
}

#[test]
fn packets_go_both_ways_and_the_end_follows_the_last_one() {
    let (mut near, mut far) = pair();
    assert_eq!(near.local_addr().unwrap(), far.peer());
    near.push(b"aabbc", 2);
    near.flush().unwrap();
    far.push(b"back", 4);
    far.flush().unwrap();
    for packet in ["aa", "bb", "c"] {
        assert_eq!(next(&mut far).unwrap(), packet.as_bytes());
    }
    assert_eq!(next(&mut near).unwrap(), b"back");
    near.push(b"last", 4);
    near.flush().unwrap();
    near.finish();
    assert_eq!(next(&mut far).unwrap(), b"last");
    let end = next(&mut far).unwrap_err();
    assert_eq!(end.kind(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_stalled_reader_makes_the_connection_not_ready_and_queued_packets_arrive_later() {
    let (mut near, mut far) = pair();
    assert!(near.is_ready());
    let mut sent = 0_usize;
    while near.waiting() == 0 {
        near.push(&[sent as u8; 60_000], 60_000);
        near.flush().unwrap();
        sent += 1;
    }
    assert!(!near.is_ready());
    for at in 0..sent {
        loop {
            near.flush().unwrap();
            if let Some(packet) = far.receive().unwrap() {
                assert_eq!(packet, [at as u8; 60_000]);
                break;
            }
            await_any(&far);
        }
    }
    near.flush().unwrap();
    assert!(near.is_ready());
}

#[test]
fn a_connection_without_a_listener_is_refused() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let to = free.local_addr().unwrap();
    drop(free);
    let refused: io::Result<()> = Connection::connect(to).and_then(|mut connection| {
        loop {
            await_any(&connection);
            connection.flush()?;
            assert!(!connection.is_established());
        }
    });
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn bytes_that_are_no_packets_break_the_connection() {
    let listener = TcpListener::listen("[::]:0".parse().unwrap()).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut stranger = TcpStream::connect(("127.0.0.1", port)).unwrap();
    await_any(&listener);
    let mut accepted = listener.accept().unwrap().unwrap();
    assert_eq!(accepted.peer(), stranger.local_addr().unwrap());
    stranger.write_all(&[0xff, 0xff, b'G']).unwrap();
    let error = next(&mut accepted).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
}
