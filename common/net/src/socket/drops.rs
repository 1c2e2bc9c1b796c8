//! Counts datagrams that the kernel dropped, in order with those received.

/// The kernel's 32-bit counter, extended to 64 bits.
#[derive(Debug, Default)]
pub(super) struct Drops {
    /// Drops of the sockets before this one.
    before: u64,
    total: u64,
}

impl Drops {
    /// Takes the counter that came with a datagram (absent while it is zero), or
    /// that was read while the socket was empty. Returns all drops so far.
    pub(super) fn record(&mut self, counter: Option<u32>) -> u64 {
        let more = counter.unwrap_or(0).wrapping_sub(self.total as u32);
        // A difference of more than half the range means that the value is older
        // than one already read.
        if more <= u32::MAX / 2 {
            self.total += u64::from(more);
        }
        self.before + self.total
    }

    /// Continues from the count of an earlier socket.
    pub(super) fn begin_at(&mut self, before: u64) {
        self.before = before;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drop_counter_is_extended_beyond_32_bits() {
        let mut drops = Drops::default();
        assert_eq!(drops.record(None), 0);
        assert_eq!(drops.record(Some(1 << 30)), 1 << 30);
        assert_eq!(drops.record(Some(2 << 30)), 2 << 30);
        assert_eq!(drops.record(Some(3 << 30)), 3 << 30);
        assert_eq!(drops.record(Some(5)), (1 << 32) + 5);
        assert_eq!(drops.record(Some(3)), (1 << 32) + 5, "told before");
        assert_eq!(drops.record(Some(6)), (1 << 32) + 6);
        let mut next = Drops::default();
        next.begin_at(7);
        assert_eq!(next.record(None), 7);
        assert_eq!(next.record(Some(2)), 9);
    }
}
