//! Which stream is followed, and what is kept of those that were.

use std::net::SocketAddr;
use std::time::Duration;

use super::stream::Stream;
use super::{Event, MAX_OTHERS, Receiver, Verdict};
use crate::stats::JoinPoint;
use crate::wire::WireError;
use crate::wire::native::{Channel, Header, Packet};

/// The most records that are kept of a stream that two others followed: more
/// than are open when one ends.
const MAX_RECORDS: usize = 4096;

/// A stream that is heard and not followed.
#[derive(Debug)]
pub(super) struct Other {
    stream: u64,
    passed: JoinPoint,
}

/// A stream that said farewell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Over {
    stream: u64,
    /// Media packets that it consists of.
    media: u64,
}

impl Over {
    pub(super) fn of(stream: &Stream) -> Self {
        Self {
            stream: stream.number(),
            media: stream.last_media(),
        }
    }

    /// Whether a packet of it shows that it goes on: somebody else said that
    /// farewell.
    fn is_outlived_by(&self, header: &Header, packet: &Packet<'_>) -> bool {
        matches!(packet, Packet::Chunk(_)) && header.number.0 >= self.media
    }
}

impl Receiver {
    /// Counts a datagram that is no packet: corrupt, if it comes from the address
    /// of the stream that is followed.
    pub(super) fn handle_undecodable(&mut self, from: SocketAddr, error: &WireError) -> Verdict {
        let corrupt = match error {
            WireError::Checksum { .. }
            | WireError::UnknownFormat(_)
            | WireError::Short { what: "header", .. } => true,
            WireError::Version { .. }
            | WireError::Kind(_)
            | WireError::Encrypted(_)
            | WireError::Short { .. }
            | WireError::Range { .. } => false,
        };
        let stream = self.stream.as_mut().filter(|it| it.from() == from);
        if let Some(stream) = stream.filter(|_| corrupt) {
            stream.handle_corrupt();
            return Verdict::Corrupt;
        }
        self.malformed += 1;
        Verdict::Malformed
    }

    /// Takes a packet of `len` bytes.
    pub(super) fn handle_packet(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        (from, len): (SocketAddr, usize),
        now: Duration,
    ) -> Verdict {
        if let Err(verdict) = self.follows(header, packet, (from, len), now) {
            return verdict;
        }
        let Some(stream) = &mut self.stream else {
            return Verdict::Foreign;
        };
        if stream.is_before_joining(header) {
            return Verdict::Foreign;
        }
        stream.handle_packet(header, packet, from, len, now)
    }

    /// Looks whether a packet is one of the stream that is followed, which its
    /// own becomes if it brings media and there is none, or none that keeps its
    /// place. Where it is not, the error says what it is.
    fn follows(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        (from, len): (SocketAddr, usize),
        now: Duration,
    ) -> Result<(), Verdict> {
        let number = header.stream;
        let followed = self.stream.as_ref();
        let same = followed.filter(|stream| stream.number() == number);
        let revived = same.is_some_and(|stream| {
            let over = stream.has_ended() && stream.from() == from;
            over && Over::of(stream).is_outlived_by(header, packet)
        });
        if same.is_some() && !revived {
            return Ok(());
        }
        let handshake = matches!(packet, Packet::Challenge(_) | Packet::Reject(_));
        if handshake || !packet.is_from_sender() {
            return Err(Verdict::Foreign);
        }
        let other = self.others.iter().position(|it| it.stream == number);
        let mut ended = self.ended.iter();
        if ended.any(|over| over.stream == number && !over.is_outlived_by(header, packet)) {
            if let Some(other) = other {
                self.others[other].passed.note(header);
            }
            return Err(Verdict::Foreign);
        }
        let (living, in_vain) = self.stream.as_ref().map_or((false, false), |stream| {
            (stream.is_living(now), stream.is_in_vain(now))
        });
        let displaces = in_vain && living && self.probation.contend(header, packet, from, now);
        if living && !displaces {
            self.note_other(header, from);
            return Err(Verdict::Foreign);
        }
        // Known, its packets were not looked at while another was followed.
        let known = displaces || revived || other.is_some() || self.others.len() >= MAX_OTHERS;
        let passed = other.map_or_else(JoinPoint::default, |other| self.others[other].passed);
        let free_since = if known { now } else { self.free_since() };
        let (viewer, config) = (self.viewer, &self.config);
        let new = || {
            let stream = Stream::new(number, viewer, from, config, free_since, passed, now);
            (stream, passed)
        };
        if header.channel == Channel::Control {
            let (quiet, forgotten) = self.probation.quiet(number, from, now, new);
            self.foreign += forgotten;
            quiet.passed.note(header);
            if quiet.stream.is_before_joining(header) {
                return Err(Verdict::Foreign);
            }
            return Err(
                match quiet.stream.handle_packet(header, packet, from, len, now) {
                    Verdict::Received | Verdict::Duplicate => {
                        quiet.packets += 1;
                        Verdict::Open
                    }
                    verdict => verdict,
                },
            );
        }
        let (quiet, forgotten) = self.probation.take(number, from);
        self.foreign += forgotten;
        let stream = quiet.map_or_else(|| new().0, |quiet| quiet.stream);
        self.free_since = free_since;
        self.ended.retain(|over| over.stream != number);
        self.others.retain(|other| other.stream != number);
        self.follow(stream, now);
        Ok(())
    }

    fn follow(&mut self, mut stream: Stream, now: Duration) {
        let (number, from) = (stream.number(), stream.from());
        self.probation.forget_contenders();
        self.retire(now);
        self.followed += 1;
        stream.follow(now);
        self.stream = Some(stream);
        self.events.push_back(Event::Followed {
            stream: number,
            from,
            again: self.followed > 1,
        });
    }

    /// Since when a stream that nobody heard of would be followed.
    fn free_since(&self) -> Duration {
        let silent_since = self.stream.as_ref().map(Stream::heard);
        self.free_since.max(silent_since.unwrap_or_default())
    }

    /// Counts a packet of a stream that is not followed while another one is.
    fn note_other(&mut self, header: &Header, from: SocketAddr) {
        let number = header.stream;
        let quiet = self.probation.take(number, from);
        self.foreign += quiet.1 + quiet.0.as_ref().map_or(0, |quiet| quiet.packets);
        let known = self.others.iter().position(|it| it.stream == number);
        let index = known.unwrap_or_else(|| {
            let passed = quiet
                .0
                .map_or_else(JoinPoint::default, |quiet| quiet.passed);
            if self.others.len() < MAX_OTHERS {
                let stream = number;
                self.others.push(Other { stream, passed });
                self.events.push_back(Event::Other { stream, from });
            }
            self.others.len() - 1
        });
        if let Some(other) = self.others.get_mut(index).filter(|it| it.stream == number) {
            other.passed.note(header);
        }
    }

    pub(super) fn note_end(&mut self, over: Over) {
        self.ended.push_back(over);
        if self.ended.len() > MAX_OTHERS {
            self.ended.pop_front();
        }
        let stream = over.stream;
        self.events.push_back(Event::Ended { stream });
    }

    /// Takes leave of the stream that was followed; another one takes its
    /// place.
    fn retire(&mut self, now: Duration) {
        let Some(mut stream) = self.stream.take() else {
            return;
        };
        if stream.has_said_farewell() && !stream.has_ended() {
            self.note_end(Over::of(&stream));
        }
        stream.end(now);
        stream.close(now);
        // Its last frames are still to be shown, and their outcomes to be told.
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
