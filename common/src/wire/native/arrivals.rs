//! Arrival reports: which packets arrived when, similar to RFC 8888
//! (<https://www.rfc-editor.org/rfc/rfc8888>).

use super::HEADER;
use super::fields::{Reader, put_u16, put_u32, put_u64};
use crate::wire::WireError;

/// Bytes of the body before its packets.
const BODY: usize = 38;

/// Bytes of each packet.
const ENTRY: usize = 3;

/// The most packets that one report names.
pub const MAX_ARRIVALS: usize = 1_024;

/// The largest distance between a packet's number and the number after the previous packet of its
/// channel. A packet further away goes into the next report.
const MOST_STEPS: i32 = 63;

/// A media or repair packet that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Whether it belongs to the repair channel.
    pub is_repair: bool,
    /// The low 32 bits of its number.
    pub number: u32,
    /// When it arrived, in the viewer's microseconds.
    pub at: u64,
}

/// The packets that arrived since the last such report.
///
/// ```text
///  0        1        2        3        4        5        6        7
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |                                viewer                                 |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |       socket buffer, bytes        |           socket drops            |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |     marked, ECN congestion (0)    |        first arrival ...
/// +--------+--------+--------+--------+--------+--------+--------+--------+
///       ... first arrival             |         next media number         |
/// +--------+--------+--------+--------+--------+--------+--------+--------+
/// |        next repair number         |     packets     |
/// +--------+--------+--------+--------+--------+--------+
///   then for each packet:
/// |r| steps|    time since    |
/// +--------+--------+--------+
/// ```
///
/// The packets are in the order of arrival. `r`: one bit, 1 for the repair
/// channel. `steps`: seven bits, signed: the distance from the number after the
/// previous packet of the channel to this one. `time since`: microseconds since
/// the previous arrival.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ArrivalReport {
    /// The viewer's number.
    pub viewer: u64,
    /// Size of its socket's buffer in bytes; 0 if unknown.
    pub buffer: u32,
    /// The low 32 bits of the number of datagrams that the buffer had no room for.
    pub dropped: u32,
    /// Packets that were marked on the way; 0 if the system does not report marks.
    pub marked: u32,
    /// At most [`MAX_ARRIVALS`], in the order of arrival.
    pub packets: Vec<Arrived>,
}

impl ArrivalReport {
    /// Bytes of a datagram that reports this many packets.
    pub fn datagram_len(packets: usize) -> usize {
        HEADER + BODY + ENTRY * packets
    }

    /// How many of these packets, counted from the first, fit into a report of at most this many
    /// bytes.
    pub(crate) fn fitting<'a>(
        packets: impl IntoIterator<Item = &'a Arrived>,
        datagram: usize,
    ) -> usize {
        let room = datagram.saturating_sub(HEADER + BODY) / ENTRY;
        let (mut next, mut last) = ([None; 2], None);
        let fits = |packet: &&Arrived| {
            let next = &mut next[usize::from(packet.is_repair)];
            let steps = next.map_or(0, |next| steps(next, packet.number));
            let since = last.map_or(0, |last| packet.at.saturating_sub(last));
            (*next, last) = (Some(packet.number.wrapping_add(1)), Some(packet.at));
            steps.abs() <= MOST_STEPS && since <= u64::from(u16::MAX)
        };
        let packets = packets.into_iter().take(room.min(MAX_ARRIVALS));
        packets.take_while(fits).count()
    }

    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        debug_assert!(self.packets.len() <= MAX_ARRIVALS);
        let first = |is_repair| {
            let mut packets = self.packets.iter();
            let first = packets.find(|packet| packet.is_repair == is_repair);
            first.map_or(0, |packet| packet.number)
        };
        let mut next = [first(false), first(true)];
        let mut last = self.packets.first().map_or(0, |packet| packet.at);
        put_u64(out, self.viewer);
        for field in [self.buffer, self.dropped, self.marked] {
            put_u32(out, field);
        }
        put_u64(out, last);
        put_u32(out, next[0]);
        put_u32(out, next[1]);
        put_u16(out, self.packets.len() as u16);
        for packet in &self.packets {
            let next = &mut next[usize::from(packet.is_repair)];
            let steps = steps(*next, packet.number).clamp(-MOST_STEPS - 1, MOST_STEPS);
            out.push(u8::from(packet.is_repair) << 7 | (steps as u8 & 0x7f));
            let since = packet.at.saturating_sub(last).min(u16::MAX.into());
            put_u16(out, since as u16);
            (*next, last) = (packet.number.wrapping_add(1), packet.at);
        }
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new("arrival report", body);
        let mut report = Self {
            viewer: reader.u64()?,
            buffer: reader.u32()?,
            dropped: reader.u32()?,
            marked: reader.u32()?,
            packets: Vec::new(),
        };
        let mut last = reader.u64()?;
        let mut next = [reader.u32()?, reader.u32()?];
        let count = usize::from(reader.u16()?);
        if count > MAX_ARRIVALS {
            return Err(WireError::Range {
                field: "packets of an arrival report",
                got: count as u64,
            });
        }
        for _ in 0..count {
            let head = reader.u8()?;
            let is_repair = head & 0x80 != 0;
            // Sign-extended from seven bits.
            let steps = i32::from((head << 1) as i8 >> 1);
            last = last.saturating_add(reader.u16()?.into());
            let next = &mut next[usize::from(is_repair)];
            let number = next.wrapping_add_signed(steps);
            *next = number.wrapping_add(1);
            report.packets.push(Arrived {
                is_repair,
                number,
                at: last,
            });
        }
        Ok(report)
    }
}

/// The distance between two numbers, in the shorter direction.
fn steps(from: u32, to: u32) -> i32 {
    to.wrapping_sub(from) as i32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn arrived() -> impl Strategy<Value = Vec<Arrived>> {
        let packet = (any::<bool>(), -70_i32..70, 0_u64..70_000);
        prop::collection::vec(packet, 0..2_000).prop_map(|packets| {
            let (mut numbers, mut at) = ([5_u32, u32::MAX - 5], 1_u64 << 40);
            let packets = packets.into_iter().map(|(is_repair, steps, since)| {
                let number = &mut numbers[usize::from(is_repair)];
                *number = number.wrapping_add_signed(if steps > 60 { steps } else { 1 });
                at += if since > 60_000 { since } else { since / 100 };
                Arrived {
                    is_repair,
                    number: *number,
                    at,
                }
            });
            packets.collect()
        })
    }

    proptest! {
        #[test]
        fn everything_is_reported_in_reports_that_fit(mut packets in arrived()) {
            while !packets.is_empty() {
                let fitting = ArrivalReport::fitting(&packets, 1_452);
                prop_assert!(fitting > 0);
                let report = ArrivalReport {
                    packets: packets.drain(..fitting).collect(),
                    ..ArrivalReport::default()
                };
                let mut body = Vec::new();
                report.encode(&mut body);
                let len = HEADER + body.len();
                prop_assert_eq!(len, ArrivalReport::datagram_len(fitting));
                prop_assert!(len <= 1_452);
                prop_assert_eq!(ArrivalReport::decode(&body), Ok(report));
            }
        }
    }

    #[test]
    fn a_report_ends_before_a_packet_that_its_fields_cannot_hold() {
        let second = |steps: i32, since: u64| {
            let first = Arrived {
                is_repair: false,
                number: 9,
                at: 1 << 40,
            };
            let second = Arrived {
                number: 10_u32.wrapping_add_signed(steps),
                at: first.at + since,
                ..first
            };
            ArrivalReport::fitting(&[first, second], 1_452)
        };
        let longest = u64::from(u16::MAX);
        for steps in [MOST_STEPS, -MOST_STEPS] {
            assert_eq!(
                (second(steps, 0), second(steps + steps.signum(), 0)),
                (2, 1)
            );
        }
        assert_eq!((second(0, longest), second(0, longest + 1)), (2, 1));
        let packets = (0..=MAX_ARRIVALS as u32).map(|number| Arrived {
            is_repair: true,
            number,
            at: 0,
        });
        let packets: Vec<_> = packets.collect();
        for count in [0, 1, 7] {
            let datagram = ArrivalReport::datagram_len(count);
            assert_eq!(ArrivalReport::fitting(&packets, datagram), count);
            assert_eq!(
                ArrivalReport::fitting(&packets, datagram + ENTRY - 1),
                count
            );
        }
        assert_eq!(ArrivalReport::fitting(&packets, 65_507), MAX_ARRIVALS);
    }

    #[test]
    fn a_report_of_too_many_packets_is_refused() {
        for (count, is_taken) in [(MAX_ARRIVALS, true), (MAX_ARRIVALS + 1, false)] {
            let mut body = vec![0; BODY + ENTRY * count];
            body[BODY - 2..BODY].copy_from_slice(&(count as u16).to_be_bytes());
            assert_eq!(ArrivalReport::decode(&body).is_ok(), is_taken, "{count}");
        }
    }
}
