//! What a viewer is accountable for, stream by stream.

use serde::{Deserialize, Serialize};

use super::Statistics;

/// The packets and frames of one stream that was followed, as its viewer
/// counts them: exact from the first packet received to the last sender report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The stream's number in 16 hexadecimal digits.
    pub stream: String,
    /// Which of the sender's destinations this viewer is.
    pub destination: u16,
    /// When its first packet arrived, in nanoseconds of the viewer's monotonic
    /// clock.
    pub since_ns: u64,
    /// When another stream took its place; null if none did.
    pub until_ns: Option<u64>,
    /// The packet that arrived first.
    pub opened: Option<Arrived>,
    /// The packet that arrived last.
    pub closed: Option<Arrived>,
    /// Packets lost on the way, corrupt ones included.
    pub lost: u64,
    /// Corrupt datagrams that arrived.
    pub corrupt: u64,
    /// Packets dropped in the viewer's socket buffer.
    pub socket_dropped: u64,
    /// Packets that the sender's own system refused, as it tells.
    pub send_errors: u64,
    /// The first frame that it is accountable for; what was sent before was
    /// before joining.
    pub first_frame: u64,
    /// One above the newest frame known to have been sent.
    pub end_frame: u64,
    /// The packets of each channel.
    pub channels: Vec<ChannelAccount>,
}

/// A packet that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// `media`, `repair` or `control`.
    pub channel: String,
    /// Its number.
    pub number: u64,
    /// Whether it had arrived before.
    pub again: bool,
}

/// The packets of one channel: end - first = received + missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelAccount {
    /// `media`, `repair` or `control`.
    pub channel: String,
    /// The first number that the viewer is accountable for.
    pub first: u64,
    /// One above the newest known to have been sent: what comes after it
    /// cannot be told.
    pub end: u64,
    /// Received, each number once.
    pub received: u64,
    /// Not received.
    pub missing: u64,
    /// Received again.
    pub duplicate: u64,
    /// Received after a higher number.
    pub reordered: u64,
}

/// The most accounts in a report: those of the newest streams, and more than
/// are shown at once.
const MAX_ACCOUNTS: usize = 128;

impl Statistics {
    /// Puts the accounts of streams followed before in front of the others.
    pub(crate) fn add_accounts(&mut self, before: &[Account]) {
        let room = MAX_ACCOUNTS.saturating_sub(self.accounts.len());
        let newest = &before[before.len().saturating_sub(room)..];
        self.accounts.splice(..0, newest.iter().cloned());
    }
}
