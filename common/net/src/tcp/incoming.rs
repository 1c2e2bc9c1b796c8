//! Splits a stream of bytes into packets.

use std::io::{self, ErrorKind};

/// Bytes of a length field.
const PREFIX: usize = 2;

/// Largest packet: the largest UDP payload, so that one buffer fits both
/// transports.
pub(crate) const MAX_PACKET: usize = 65_507;

/// Size of the buffer: one packet. A connection cannot make this program hold
/// more.
pub(crate) const CAPACITY: usize = PREFIX + MAX_PACKET;

/// Bytes that were read and not taken yet.
#[derive(Debug, Default)]
pub(crate) struct ReadBuffer {
    /// Empty before the first byte, then [`CAPACITY`] bytes.
    buffer: Vec<u8>,
    begin: usize,
    end: usize,
}

impl ReadBuffer {
    /// Whether a complete packet has arrived.
    ///
    /// # Errors
    /// If its length is invalid.
    pub(crate) fn has_packet(&self) -> io::Result<bool> {
        let Some(len) = self.next_len() else {
            return Ok(false);
        };
        if len == 0 || len > MAX_PACKET {
            let what = format!("{len} is not a valid packet length");
            return Err(io::Error::new(ErrorKind::InvalidData, what));
        }
        Ok(self.bytes().len() >= PREFIX + len)
    }

    /// Takes the next packet.
    pub(crate) fn take(&mut self) -> Option<&mut [u8]> {
        let begin = self.begin + PREFIX;
        let end = begin + self.next_len()?;
        let packet = self.buffer.get_mut(begin..end.min(self.end))?;
        self.begin = end.min(self.end);
        Some(packet)
    }

    /// Buffer for the next bytes. It is never empty unless a complete packet has
    /// arrived.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.buffer.resize(CAPACITY, 0);
        self.buffer.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        &mut self.buffer[self.end..]
    }

    /// Records that `read` bytes were read.
    pub(crate) fn fill(&mut self, read: usize) {
        self.end = (self.end + read).min(self.buffer.len());
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.begin..self.end).unwrap_or_default()
    }

    fn next_len(&self) -> Option<usize> {
        let prefix = self.bytes().first_chunk::<PREFIX>()?;
        Some(u16::from_be_bytes(*prefix).into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the bytes in pieces of these lengths, in turn.
    fn feed(
        incoming: &mut ReadBuffer,
        mut bytes: &[u8],
        steps: &[usize],
    ) -> io::Result<Vec<Vec<u8>>> {
        let mut packets = Vec::new();
        let mut steps = steps.iter().cycle();
        while !bytes.is_empty() {
            let room = incoming.room();
            let step = steps.next().copied().unwrap_or(usize::MAX);
            let read = step.min(bytes.len()).min(room.len());
            room[..read].copy_from_slice(&bytes[..read]);
            incoming.fill(read);
            bytes = &bytes[read..];
            while incoming.has_packet()? {
                packets.extend(incoming.take().map(|packet| packet.to_vec()));
            }
        }
        Ok(packets)
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in_however_they_are_cut(
            lens in proptest::collection::vec(prop_oneof![1..300_usize, 1..=MAX_PACKET], 1..5),
            steps in proptest::collection::vec(prop_oneof![1..4_usize, 1..200_000_usize], 1..50),
        ) {
            let lens = lens.into_iter();
            let packets: Vec<_> = lens.map(|len| vec![len as u8; len]).collect();
            let mut stream = Vec::new();
            for packet in &packets {
                stream.extend((packet.len() as u16).to_be_bytes());
                stream.extend(packet);
            }
            let mut incoming = ReadBuffer::default();
            prop_assert_eq!(feed(&mut incoming, &stream, &steps).unwrap(), packets);
        }

        #[test]
        fn no_bytes_make_it_hold_more_than_a_packet(
            bytes in proptest::collection::vec(any::<u8>(), 0..300_000),
            steps in proptest::collection::vec(1..100_000_usize, 1..50),
        ) {
            let mut incoming = ReadBuffer::default();
            let _ = feed(&mut incoming, &bytes, &steps);
            prop_assert!(incoming.buffer.len() <= CAPACITY);
        }
    }

    #[test]
    fn lengths_of_no_packet_are_errors() {
        for len in [0, MAX_PACKET as u16 + 1, u16::MAX] {
            let mut incoming = ReadBuffer::default();
            let error = feed(&mut incoming, &len.to_be_bytes(), &[1]).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
        }
    }
}
