//! Naming a damaged packet whose header is damaged too.
//!
//! A header that its own check does not confirm names no packet, and so the
//! accounts could not say which one was damaged. Most damage is one flipped
//! bit. Of all headers one bit away at most one fits the CRC-32C of the whole
//! datagram: where there is one, it is the header that was sent.

use super::{CHECK, CRC, HEADER, Header, MAGIC, VERSION, header_check};

/// The header of a datagram of which one bit was flipped, that bit in the
/// header; `None` where more is wrong. The cost is that of two datagrams'
/// checksums: most headers fail their own check.
pub(super) fn repaired_header(datagram: &[u8]) -> Option<Header> {
    let (head, body) = datagram.split_at_checked(HEADER)?;
    let mut head: [u8; HEADER] = head.try_into().ok()?;
    (0..CRC.start * 8).find_map(|bit| {
        let (byte, mask) = (bit / 8, 1 << (bit % 8));
        head[byte] ^= mask;
        let found = repaired(&head, body);
        head[byte] ^= mask;
        found
    })
}

fn repaired(head: &[u8; HEADER], body: &[u8]) -> Option<Header> {
    let plausible = head[0] == MAGIC && head[1] == VERSION;
    if !plausible || head[CHECK] != header_check(head) {
        return None;
    }
    let (header, crc) = Header::decode(head).ok()?;
    let sum = crc32c::crc32c_append(crc32c::crc32c(&head[..CRC.start]), body);
    header.filter(|_| sum == crc)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::PacketNumber;
    use crate::wire::WireError;
    use crate::wire::native::{Channel, Packet, SenderReport};

    #[test]
    fn one_flipped_bit_anywhere_leaves_the_packet_with_its_name() {
        let sent = Header {
            stream: 0x1234_5678_9abc_def0,
            destination: 3,
            channel: Channel::Control,
            number: PacketNumber(77),
            sent: 1_000_000,
        };
        let mut datagram = Vec::new();
        Packet::SenderReport(SenderReport::default()).encode(&sent, &mut datagram);
        for bit in 0..datagram.len() * 8 {
            datagram[bit / 8] ^= 1 << (bit % 8);
            let claimed = match Packet::decode(&datagram) {
                Err(WireError::Checksum { claimed, .. }) => claimed,
                other => panic!("bit {bit}: {other:?}"),
            };
            assert_eq!(claimed, Some(sent), "bit {bit}");
            datagram[bit / 8] ^= 1 << (bit % 8);
        }
    }

    #[test]
    fn two_flipped_bits_of_the_header_name_nothing() {
        let sent = Header {
            stream: 7,
            destination: 0,
            channel: Channel::Control,
            number: PacketNumber(1),
            sent: 5,
        };
        let mut datagram = Vec::new();
        Packet::SenderReport(SenderReport::default()).encode(&sent, &mut datagram);
        datagram[20] ^= 1;
        datagram[30] ^= 1;
        assert_eq!(repaired_header(&datagram), None);
    }
}
