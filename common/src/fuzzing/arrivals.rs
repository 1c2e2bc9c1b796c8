//! Arrival reports, genuine or forged.

use super::input::Input;
use crate::wire::native::{ArrivalReport, Arrived};

/// A report of packets with numbers near these, or with any numbers.
pub(super) fn arrival_report(input: &mut Input<'_>, viewer: u64) -> ArrivalReport {
    let (mut number, mut at) = (input.number() as u32, input.number() >> 8);
    let packets = (0..input.below(40)).map(|_| {
        number = number.wrapping_add(u32::from(input.u8() % 4));
        at += u64::from(input.u8()) * 16;
        Arrived {
            is_repair: input.u8() & 1 == 1,
            number,
            at,
        }
    });
    let packets = packets.collect();
    ArrivalReport {
        viewer: viewer + u64::from(input.u8() == 1),
        buffer: input.u32(),
        dropped: input.u32(),
        marked: 0,
        packets,
    }
}
