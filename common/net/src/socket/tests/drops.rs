//! Drops of the receive buffer.

use nix::sys::socket::sockopt::UdpGroSegment;
use nix::sys::socket::{getsockopt, setsockopt};

use super::*;

#[test]
fn every_datagram_that_the_buffer_did_not_take_is_counted_once() {
    for batch in [true, false] {
        let (viewer, address) = listening("127.0.0.1:0", 20_000);
        assert_eq!(viewer.dropped(), Some(0));
        let sender = Socket::connect(
            address,
            &ConnectOptions {
                batch,
                ..ConnectOptions::default()
            },
        )
        .unwrap();
        sender.send(None, &numbered(200, 1_200), 1_200).unwrap();
        let mut received = 0;
        let mut buffer = [0; 2_000];
        while viewer.receive(&mut buffer).unwrap().is_some() {
            received += 1;
        }
        assert!((1..200).contains(&received), "{received} received");
        assert_eq!(viewer.dropped(), Some(200 - received));
        assert_eq!(viewer.dropped(), Some(200 - received));
    }
}

#[test]
fn drops_are_reported_between_the_right_datagrams() {
    let (viewer, address) = listening("127.0.0.1:0", 20_000);
    let sender = sending(address);
    let mut buffer = [0; 2_000];
    let (mut sent, mut received, mut told) = (0_u32, 0_u64, 0);
    let mut read = |most: usize| {
        for _ in 0..most {
            let Some(datagram) = viewer.receive(&mut buffer).unwrap() else {
                return true;
            };
            // Its number equals the count of all datagrams before it.
            let number = u32::from_be_bytes(buffer[..4].try_into().unwrap());
            assert_eq!(u64::from(number), received + datagram.dropped);
            received += 1;
            told = datagram.dropped;
        }
        false
    };
    for step in 0..300_usize {
        let batch: Vec<_> = (0..step % 40)
            .flat_map(|_| {
                let mut datagram = vec![0; 1_200];
                datagram[..4].copy_from_slice(&sent.to_be_bytes());
                sent += 1;
                datagram
            })
            .collect();
        sender.send(None, &batch, 1_200).unwrap();
        if !batch.is_empty() {
            assert_eq!(viewer.dropped(), None, "what waits tells by itself");
        }
        read(step % 7 * (step % 11));
    }
    assert!(read(usize::MAX));
    let all = viewer.dropped().unwrap();
    assert_eq!(received + all, u64::from(sent));
    assert!(told > 1_000 && told < all, "{told} of {all}");
}

/// The reason why receive offload stays off.
#[test]
fn receive_offload_would_count_many_dropped_datagrams_as_one() {
    let (viewer, address) = listening("127.0.0.1:0", 20_000);
    assert!(!getsockopt(&viewer.inner, UdpGroSegment).unwrap());
    setsockopt(&viewer.inner, UdpGroSegment, &true).unwrap();
    let sender = sending(address);
    for _ in 0..20 {
        sender.send(None, &numbered(10, 1_200), 1_200).unwrap();
    }
    let mut buffer = vec![0; MAX_DATAGRAM];
    let mut received = 0;
    while let Some(datagram) = viewer.receive(&mut buffer).unwrap() {
        received += datagram.len as u64 / 1_200;
    }
    let dropped = viewer.dropped().unwrap();
    assert_eq!((200 - received) / 10, dropped);
    assert!(dropped > 0);
}

#[test]
fn batches_report_drops_like_single_datagrams() {
    let (viewer, address) = listening("127.0.0.1:0", 40_000);
    let sender = sending(address);
    let mut batch = Batch::new(2_000);
    let (mut received, mut told) = (0_u64, 0);
    for round in 0..20 {
        let all: Vec<u8> = (0..100_u64)
            .flat_map(|at| {
                let mut datagram = vec![0; 1_200];
                datagram[..8].copy_from_slice(&(100 * round + at).to_be_bytes());
                datagram
            })
            .collect();
        sender.send(None, &all, 1_200).unwrap();
        loop {
            viewer.receive_batch(&mut batch).unwrap();
            for (datagram, bytes) in batch.iter() {
                let number = u64::from_be_bytes(bytes[..8].try_into().unwrap());
                assert_eq!(number, received + datagram.dropped);
                (received, told) = (received + 1, datagram.dropped);
            }
            if !batch.is_full() {
                break;
            }
        }
    }
    assert!(told > 0 && received > 32);
    assert_eq!(viewer.dropped(), Some(2_000 - received));
}
