//! Packets that arrived before the stream was followed.

use crate::wire::native::Header;

/// For each channel, one above the highest number that arrived while another
/// stream was followed. Packets below it were sent before this side joined, even
/// if they arrive later.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct JoinPoint([u64; 3]);

impl JoinPoint {
    /// Records a packet whose content is ignored.
    pub(crate) fn record(&mut self, header: &Header) {
        let end = &mut self.0[header.channel as usize];
        *end = (*end).max(header.number.0.saturating_add(1));
    }

    /// Whether the packet was sent before joining. If a number is far behind the
    /// recorded one, the recorded one was forged and is dropped.
    pub(super) fn covers(&mut self, header: &Header) -> bool {
        let end = &mut self.0[header.channel as usize];
        let behind = end.saturating_sub(header.number.0);
        if behind > MAX_BEHIND {
            *end = 0;
        }
        (1..=MAX_BEHIND).contains(&behind)
    }

    pub(super) fn end(&self, channel: usize) -> u64 {
        self.0[channel]
    }

    /// For each channel, one above the highest number that arrived.
    pub(crate) fn ends(&self) -> [u64; 3] {
        self.0
    }
}

/// Largest distance of a reordered packet: a second of a fast stream.
const MAX_BEHIND: u64 = 1 << 12;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seq::PacketNumber;
    use crate::wire::native::Channel;

    #[test]
    fn overtaken_packets_precede_joining_and_a_far_older_number_reveals_a_forgery() {
        let header = |number| Header {
            stream: 1,
            destination: 0,
            channel: Channel::Repair,
            number: PacketNumber(number),
            sent: 0,
        };
        let mut passed = JoinPoint::default();
        assert!(!passed.covers(&header(0)));
        passed.record(&header(10));
        passed.record(&header(8));
        assert!(passed.covers(&header(10)) && !passed.covers(&header(11)));
        passed.record(&header(u64::MAX));
        assert!(!passed.covers(&header(9)));
        assert_eq!(passed, JoinPoint::default());
    }
}
