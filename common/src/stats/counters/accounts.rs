//! What this side is accountable for of one stream.

use std::time::Duration;

use super::{Arrival, Counters};
use crate::stats::{Account, Arrived, ChannelAccount};
use crate::wire::native::{Channel, Header};

/// From when until when packets of the stream were counted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Attendance {
    /// The packet that arrived first, and when.
    opened: Option<(Header, Duration)>,
    /// The one that arrived last, and which copy of it.
    closed: Option<(Header, &'static str)>,
    until: Option<Duration>,
}

impl Attendance {
    pub(super) fn note(&mut self, header: &Header, arrival: Arrival, now: Duration) {
        let copy = match arrival {
            Arrival::New => FIRST,
            Arrival::Duplicate => "again",
            Arrival::Implausible => return,
        };
        self.opened.get_or_insert((*header, now));
        self.closed = Some((*header, copy));
    }

    pub(super) fn note_damaged(&mut self, header: &Header) {
        self.closed = Some((*header, "damaged"));
    }
}

impl Counters {
    /// Nothing that arrives after this is counted.
    pub fn close(&mut self, now: Duration) {
        self.attendance.until.get_or_insert(now);
    }

    /// What this side is accountable for, and its counts.
    #[must_use]
    pub fn account(&self) -> Account {
        let packets = self.packets();
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let channels = Channel::ALL.map(|channel| {
            let (range, numbers) = (self.range(channel), self.numbers(channel));
            let claimed = self.claims.iter();
            let corrupt =
                claimed.filter(|(of, number)| *of == channel && range.contains(&number.0));
            ChannelAccount {
                channel: channel.name(),
                first: range.start,
                end: range.end,
                received: numbers.received(),
                missing: (range.end - range.start).saturating_sub(numbers.received()),
                corrupt: corrupt.count() as u64,
                duplicate: numbers.duplicate(),
                reordered: numbers.reordered(),
            }
        });
        let Attendance {
            opened,
            closed,
            until,
        } = self.attendance;
        let arrived = |(header, copy): (Header, &'static str)| Arrived {
            channel: header.channel.name(),
            number: header.number.0,
            copy,
        };
        let stream = opened.map_or(0, |(header, _)| header.stream);
        Account {
            stream: format!("{stream:016x}"),
            destination: opened.map_or(0, |(header, _)| header.destination),
            since_ns: opened.map_or(0, |(_, since)| nanos(since)),
            until_ns: until.map(nanos),
            opened: opened.map(|(header, _)| arrived((header, FIRST))),
            closed: closed.map(arrived),
            lost: packets.lost,
            corrupt: packets.corrupt,
            socket_dropped: packets.socket_dropped,
            not_sent: packets.refused,
            first_frame: self.first_frame(),
            end_frame: self.frames_sent(),
            channels: channels.into(),
        }
    }
}

const FIRST: &str = "first";
