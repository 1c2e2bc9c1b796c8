//! Which stream is followed, and what is kept of those that were.

use std::net::SocketAddr;
use std::time::Duration;

use super::stream::Stream;
use super::{Event, MAX_OTHERS, Receiver};
use crate::ledger::Passed;
use crate::wire::WireError;
use crate::wire::native::{Header, Packet};

/// The most damaged datagrams that are remembered before a stream is followed.
const MAX_DAMAGED: usize = 64;

/// The most records that are kept of a stream that two others followed: more
/// than are open when one ends.
const MAX_RECORDS: usize = 4096;

/// A stream that is heard and not followed.
#[derive(Debug)]
pub(super) struct Other {
    stream: u64,
    passed: Passed,
}

impl Other {
    fn new(stream: u64) -> Self {
        Self {
            stream,
            passed: Passed::default(),
        }
    }
}

impl Receiver {
    /// Counts a datagram that is no packet: damaged, where it comes from the
    /// sender that is followed, and else none of ours, as far as one can say.
    pub(super) fn handle_undecodable(&mut self, from: SocketAddr, error: &WireError) {
        let claimed = match error {
            WireError::Checksum { claimed, .. } => *claimed,
            WireError::UnknownFormat(_) | WireError::Short { what: "header", .. } => None,
            WireError::Version { .. }
            | WireError::Kind(_)
            | WireError::Encrypted(_)
            | WireError::Short { .. }
            | WireError::Range { .. } => {
                self.malformed += 1;
                return;
            }
        };
        // A number that nobody has may be damaged itself.
        let other =
            claimed.is_some_and(|header| self.others.iter().any(|it| it.stream == header.stream));
        if let Some(stream) = &mut self.stream
            && stream.from() == from
            && !other
        {
            stream.handle_corrupt(claimed);
            return;
        }
        self.malformed += 1;
        self.damaged.push_back((from, claimed));
        if self.damaged.len() > MAX_DAMAGED {
            self.damaged.pop_front();
        }
    }

    /// Whether packets of this stream are to be looked at: those of the one
    /// that is followed, which this one becomes if there is none, or none that
    /// still lives.
    pub(super) fn follows(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        from: SocketAddr,
        now: Duration,
    ) -> bool {
        let number = header.stream;
        let (living, silent_since) = match &self.stream {
            Some(stream) if stream.number() == number => return true,
            Some(stream) => (stream.is_living(now), Some(stream.heard())),
            None => (false, None),
        };
        // Known, its packets were not looked at while another was followed.
        let other = self.others.iter().position(|it| it.stream == number);
        let known = other.is_some() || self.others.len() >= MAX_OTHERS;
        if living || self.ended.contains(&number) || !packet.is_from_sender() {
            self.foreign += 1;
            if let Some(other) = other {
                self.others[other].passed.note(header);
            } else if living && !known {
                let mut other = Other::new(number);
                other.passed.note(header);
                self.others.push(other);
                self.events.push_back(Event::Other {
                    stream: number,
                    from,
                });
            }
            return false;
        }
        if let Some(silent_since) = silent_since {
            self.free_since = self.free_since.max(silent_since);
        }
        if known {
            self.free_since = now;
        }
        let other = other.map(|other| self.others.remove(other));
        self.retire(now);
        self.followed += 1;
        let mut stream = Stream::new(
            number,
            self.viewer,
            from,
            &self.config,
            self.free_since,
            other.map_or_else(Passed::default, |other| other.passed),
            now,
        );
        for (address, claimed) in self.damaged.drain(..) {
            if address == from && claimed.is_none_or(|header| header.stream == number) {
                stream.handle_corrupt(claimed);
                self.malformed -= 1;
            }
        }
        self.stream = Some(stream);
        self.events.push_back(Event::Followed {
            stream: number,
            from,
            again: self.followed > 1,
        });
        true
    }

    pub(super) fn note_end(&mut self, stream: u64) {
        self.ended.push_back(stream);
        if self.ended.len() > MAX_OTHERS {
            self.ended.pop_front();
        }
        self.events.push_back(Event::Ended { stream });
    }

    /// Takes leave of the stream that was followed; another one takes its
    /// place.
    fn retire(&mut self, now: Duration) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        if stream.has_said_farewell() && !stream.has_ended() {
            self.note_end(stream.number());
        }
        stream.end(now);
        stream.close(now);
        // Its last frames are still to be shown, and their fates to be told.
        if let Some(mut older) = self.previous.replace(stream) {
            older.settle(true);
            let records = std::iter::from_fn(|| older.poll_record());
            self.records.extend(records.take(MAX_RECORDS));
            let mut statistics = older.statistics(&self.stages_before);
            self.stages_before.add(&older.stages());
            if let Some(before) = &self.before {
                statistics.add(before);
            }
            self.before = Some(statistics);
        }
    }
}
