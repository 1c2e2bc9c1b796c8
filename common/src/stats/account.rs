//! The packets and frames that a viewer counts of one stream.

use serde::{Deserialize, Serialize};

use super::Statistics;

/// Packets and frames of one stream that a viewer followed. The counts are exact
/// from the first packet received to the last sender report.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The stream number in 16 hexadecimal digits.
    pub stream: String,
    /// The sender's destination that this viewer is, counted from 0.
    pub destination: u16,
    /// When the first packet arrived, in nanoseconds of the viewer's monotonic
    /// clock.
    pub since_ns: u64,
    /// When another stream replaced it; null if none did.
    pub until_ns: Option<u64>,
    /// The first packet that arrived.
    pub opened: Option<AccountPacket>,
    /// The last packet that arrived.
    pub closed: Option<AccountPacket>,
    /// Packets lost on the network, corrupt ones included.
    pub lost: u64,
    /// Corrupt datagrams that arrived.
    pub corrupt: u64,
    /// Packets dropped in the viewer's socket buffer.
    pub socket_dropped: u64,
    /// Packets that the sender's operating system rejected, by the sender's
    /// count.
    pub send_errors: u64,
    /// First frame in the counts. Earlier frames were sent before the viewer
    /// joined.
    pub first_frame: u64,
    /// One above the newest frame known to have been sent.
    pub end_frame: u64,
    /// Packet counts of each channel.
    pub channels: Vec<ChannelAccount>,
}

/// A packet that arrived.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountPacket {
    /// `media`, `repair` or `control`.
    pub channel: String,
    /// Its packet number.
    pub number: u64,
    /// Whether it is a duplicate.
    pub again: bool,
}

/// Packets of one channel: end - first = received + missing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChannelAccount {
    /// `media`, `repair` or `control`.
    pub channel: String,
    /// First packet number in the counts.
    pub first: u64,
    /// One above the newest packet number known to have been sent. Later packets
    /// are unknown.
    pub end: u64,
    /// Numbers received, each counted once.
    pub received: u64,
    /// Numbers not received.
    pub missing: u64,
    /// Duplicates received.
    pub duplicate: u64,
    /// Packets received after a higher number.
    pub reordered: u64,
}

/// Upper bound on accounts in a report: more than the streams shown at once. The
/// newest are kept.
const MAX_ACCOUNTS: usize = 128;

impl Statistics {
    /// Inserts the accounts of earlier streams before the others.
    pub(crate) fn add_accounts(&mut self, before: &[Account]) {
        let room = MAX_ACCOUNTS.saturating_sub(self.accounts.len());
        let newest = &before[before.len().saturating_sub(room)..];
        self.accounts.splice(..0, newest.iter().cloned());
    }
}
