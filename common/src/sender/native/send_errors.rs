//! Packets that were numbered and did not leave.

use std::ops::Range;

use crate::seq::PacketNumber;
use crate::wire::native::Channel;

/// Those of one destination.
#[derive(Debug, Default)]
pub(super) struct SendErrors {
    /// How many, of all channels.
    pub(super) packets: u64,
    /// Their UDP payload in bytes.
    pub(super) bytes: u64,
    /// The newest run of those of the media channel.
    pub(super) run: Range<u64>,
    /// Whether the totals have told of them.
    untold: bool,
    /// Whether they were to, and nothing else has left since.
    pub(super) tried: bool,
}

impl SendErrors {
    pub(super) fn note(&mut self, channel: Channel, number: PacketNumber, bytes: u64) {
        self.packets += 1;
        self.bytes += bytes;
        self.untold = true;
        if channel == Channel::Media {
            if self.run.end != number.0 || self.run.is_empty() {
                self.run.start = number.0;
            }
            self.run.end = number.0 + 1;
        }
    }

    /// Whether totals are to leave now.
    pub(super) fn tell(&mut self) -> bool {
        let tell = self.untold && !self.tried;
        if tell {
            (self.untold, self.tried) = (false, true);
        }
        tell
    }
}
