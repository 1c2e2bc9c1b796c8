//! The account of one stream.

use std::time::Duration;

use super::{Counters, Insertion};
use crate::stats::{Account, AccountPacket, ChannelAccount};
use crate::wire::native::{Channel, Header};

/// Period over which packets of the stream were counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attendance {
    /// The first packet that arrived, and when.
    opened: Option<(Header, Duration)>,
    /// The last packet that arrived, and whether it was a duplicate.
    closed: Option<(Header, bool)>,
    until: Option<Duration>,
}

impl Attendance {
    pub(super) fn record(&mut self, header: &Header, arrival: Insertion, now: Duration) {
        if arrival != Insertion::Implausible {
            self.opened.get_or_insert((*header, now));
            self.closed = Some((*header, arrival == Insertion::Duplicate));
        }
    }
}

impl Counters {
    /// Ends the counts of the stream. Packets that arrive later are not counted.
    pub(crate) fn close(&mut self, now: Duration) {
        self.attendance.until.get_or_insert(now);
    }

    /// The counts of this stream for a report.
    pub(crate) fn account(&self) -> Account {
        let packets = self.packets();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let channels = Channel::ALL.map(|channel| {
            let (range, numbers) = (self.range(channel), self.numbers(channel));
            ChannelAccount {
                channel: channel.name().to_owned(),
                first: range.start,
                end: range.end,
                received: numbers.received(),
                missing: (range.end - range.start).saturating_sub(numbers.received()),
                duplicate: numbers.duplicate(),
                reordered: numbers.reordered(),
            }
        });
        let arrived = |(header, again): (Header, bool)| AccountPacket {
            channel: header.channel.name().to_owned(),
            number: header.number.0,
            again,
        };
        let (opened, since) = self.attendance.opened.unzip();
        Account {
            stream: format!("{:016x}", opened.map_or(0, |header| header.stream)),
            destination: opened.map_or(0, |header| header.destination),
            since_ns: since.map_or(0, nanos),
            until_ns: self.attendance.until.map(nanos),
            opened: opened.map(|header| arrived((header, false))),
            closed: self.attendance.closed.map(arrived),
            lost: packets.lost,
            corrupt: self.corrupt,
            socket_dropped: packets.socket_dropped,
            send_errors: packets.send_errors,
            first_frame: self.first_frame(),
            end_frame: self.frames_sent(),
            channels: channels.into(),
        }
    }
}
