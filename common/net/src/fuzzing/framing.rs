//! Fuzz target for the splitter of a connection's bytes into packets.

use crate::tcp::incoming::{CAPACITY, MAX_PACKET, ReadBuffer};

/// Splits a stream of bytes that arrives in pieces, and compares the packets with
/// those of the stream in one piece.
///
/// The first byte says how often the stream repeats, so that few bytes of input
/// fill the buffer; the second how many bytes follow that are the lengths of the
/// pieces, in turn. The rest is the stream.
///
/// # Panics
/// If the bytes reveal a bug.
pub fn framing(bytes: &[u8]) {
    let [repeats, lengths, rest @ ..] = bytes else {
        return;
    };
    let (lengths, once) = rest.split_at(usize::from(lengths % 16).min(rest.len()));
    let stream = once.repeat(1 + usize::from(repeats % 64));
    let (packets, is_valid) = split(&stream);
    let mut expected = packets.into_iter();
    let mut incoming = ReadBuffer::default();
    let mut lengths = lengths
        .iter()
        .map(|length| 1 + usize::from(*length))
        .cycle();
    let mut left = &stream[..];
    while !left.is_empty() {
        let room = incoming.room();
        assert!(!room.is_empty(), "it cannot go on");
        let length = lengths.next().unwrap_or(usize::MAX);
        let (piece, after) = left.split_at(length.min(room.len()).min(left.len()));
        room[..piece.len()].copy_from_slice(piece);
        incoming.fill(piece.len());
        left = after;
        loop {
            assert!(incoming.bytes().len() <= CAPACITY);
            match incoming.has_packet() {
                Ok(true) => assert_eq!(incoming.take().map(|packet| &*packet), expected.next()),
                Ok(false) => break,
                Err(_) => {
                    assert!(!is_valid && expected.next().is_none());
                    return;
                }
            }
        }
    }
    assert!(is_valid && expected.next().is_none());
}

/// The complete packets at the front of a stream, and whether all lengths up to
/// there are valid.
fn split(mut stream: &[u8]) -> (Vec<&[u8]>, bool) {
    let mut packets = Vec::new();
    while let [high, low, rest @ ..] = stream {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        if len == 0 || len > MAX_PACKET {
            return (packets, false);
        }
        let Some((packet, rest)) = rest.split_at_checked(len) else {
            break;
        };
        packets.push(packet);
        stream = rest;
    }
    (packets, true)
}
