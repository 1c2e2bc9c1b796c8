//! Sequence numbers: wrapping on the wire, 64 bits elsewhere.
//!
//! A wire number is extended once, on reception, to the closest `u64` with the
//! same low bits. All other code compares numbers that never wrap.

use std::fmt;

/// Number of a frame in its stream, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameNumber(pub u64);

/// Number of a packet in its stream, destination and channel, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PacketNumber(pub u64);

/// The low 32 bits of a [`PacketNumber`], as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PacketSeq(pub u32);

/// The low [`FrameSeq::BITS`] bits of a [`FrameNumber`], as on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameSeq(u32);

impl FrameNumber {
    /// The next frame number.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The low bits, for the wire.
    pub fn seq(self) -> FrameSeq {
        FrameSeq::new(self.0 as u32)
    }
}

impl PacketNumber {
    /// The low 32 bits, for the wire.
    pub fn seq(self) -> PacketSeq {
        PacketSeq(self.0 as u32)
    }
}

impl PacketSeq {
    /// The packet number with these low bits that is closest to `near`.
    pub fn extend(self, near: PacketNumber) -> PacketNumber {
        PacketNumber(extend(self.0.into(), u32::BITS, near.0))
    }
}

impl FrameSeq {
    /// Frame numbers within half of this range are unambiguous: nine hours at 60 frames per second.
    pub const BITS: u32 = 22;

    /// The low bits of a number.
    pub fn new(number: u32) -> Self {
        Self(number & ((1 << Self::BITS) - 1))
    }

    /// The bits as a number.
    pub fn bits(self) -> u32 {
        self.0
    }

    /// The frame number with these low bits that is closest to `near`.
    pub fn extend(self, near: FrameNumber) -> FrameNumber {
        FrameNumber(extend(self.0.into(), Self::BITS, near.0))
    }
}

impl fmt::Display for FrameNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PacketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The number with the low `bits` bits `low` that is closest to `near`. There are
/// no negative numbers, so near zero it is the smallest such number.
pub(crate) fn extend(low: u64, bits: u32, near: u64) -> u64 {
    let window = 1_u64 << bits;
    let candidate = (near & !(window - 1)) | low;
    let half = window / 2;
    if candidate.saturating_add(half) < near {
        candidate.checked_add(window).unwrap_or(candidate)
    } else if candidate > near.saturating_add(half) {
        candidate.checked_sub(window).unwrap_or(candidate)
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn crosses_the_wrap_both_ways() {
        let last = FrameNumber((1 << FrameSeq::BITS) - 1);
        assert_eq!(FrameSeq::new(0).extend(last), last.next());
        assert_eq!(FrameSeq::new(u32::MAX).extend(last.next()), last);
    }

    #[test]
    fn does_not_go_below_zero() {
        let last = (1 << FrameSeq::BITS) - 1;
        assert_eq!(FrameSeq::new(u32::MAX).extend(FrameNumber(0)).0, last);
    }

    #[test]
    fn exactly_half_a_window_away_it_stays_among_those_of_the_same_window() {
        let (window, half) = (1_u64 << 32, 1_u64 << 31);
        assert_eq!(extend(half, 32, window), window + half);
        assert_eq!(extend(0, 32, window + half), window);
        assert_eq!(extend(half + 1, 32, window), half + 1);
        assert_eq!(extend(0, 32, window + half + 1), 2 * window);
        assert_eq!(extend(0, 32, u64::MAX), u64::MAX - (window - 1));
        assert_eq!(extend(window - 1, 32, u64::MAX), u64::MAX);
    }

    #[test]
    fn the_wire_carries_22_bits_of_a_frame_number_and_32_of_a_packet_number() {
        assert_eq!(FrameNumber((6 << FrameSeq::BITS) + 5).seq().bits(), 5);
        assert_eq!(FrameSeq::new(u32::MAX).bits(), (1 << 22) - 1);
        let number = PacketNumber((5 << 32) + 7);
        assert_eq!(number.seq(), PacketSeq(7));
        assert_eq!(PacketSeq(9).extend(number), PacketNumber((5 << 32) + 9));
    }

    #[test]
    fn numbers_are_shown_as_numbers() {
        assert_eq!(format!("{} {}", FrameNumber(7), PacketNumber(8)), "7 8");
    }

    proptest! {
        #[test]
        fn finds_a_number_again_within_half_a_window(
            number in 0_u64..1 << 40,
            distance in -(1_i64 << (FrameSeq::BITS - 1)) + 1..1_i64 << (FrameSeq::BITS - 1),
        ) {
            let near = number.saturating_add_signed(distance);
            prop_assert_eq!(FrameNumber(number).seq().extend(FrameNumber(near)), FrameNumber(number));
        }
    }
}
