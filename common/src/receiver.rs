//! The viewer's state machine: datagrams in; frames, feedback and the next
//! deadline out.
//!
//! Inputs are `handle_*`, outputs `poll_*`. After every input drain all
//! outputs, and call [`Receiver::handle_timeout`] at
//! [`Receiver::poll_timeout`].

mod answers;
mod awaiting;
mod bye;
mod clock;
mod concealment;
mod delivery;
mod following;
mod leaps;
mod peer;
mod probation;
mod requests;
mod stages;
mod stream;
mod succession;
mod transit;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;

use crate::seq::FrameNumber;
use crate::stats::{FrameRecord, Side, Statistics};
use crate::wire::native::Packet;
use following::{Other, Over};
use probation::Probation;
use stages::Stages;
use stream::Stream;

/// A stream is silent when nothing of it arrives for so long: longer than the
/// time between the totals that every stream sends.
pub const SILENCE: Duration = Duration::from_millis(1500);

/// So many reports come sooner in the beginning, each of them answered: repair
/// is as good as the round trip is known, and one measurement may mislead.
pub const EAGER_REPORTS: u32 = 5;

/// The most other streams that are remembered by number.
pub const MAX_OTHERS: usize = 64;

/// What a receiver is told before it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// How long an incomplete frame is waited for, from the arrival of its
    /// first chunk or from when it was due.
    pub budget: Duration,
    /// Whether what is missing is asked for, where the sender answers.
    pub requests: bool,
    /// Whether only whole frames are handed out, and none with holes.
    pub strict: bool,
    /// Identifies the clock that this machine reads, for a stream: a sender with
    /// the same identity reads the same clock. `None` where it is not known.
    pub clock_id: fn(u64) -> Option<u64>,
    /// What addresses prove themselves with. To be drawn at random: whoever knows
    /// it proves addresses that are not its own. The default is for tests.
    pub secret: (u64, u64),
}

impl Default for Config {
    fn default() -> Self {
        Self {
            budget: Duration::from_millis(60),
            requests: true,
            strict: false,
            clock_id: |_| None,
            secret: (0, 0),
        }
    }
}

/// Names a frame among all streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FrameId {
    /// The stream's number.
    pub stream: u64,
    /// The frame's number in it.
    pub number: FrameNumber,
}

/// A frame to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// Which frame.
    pub id: FrameId,
    /// One whole JPEG: byte for byte as it was sent, unless parts are stale.
    pub jpeg: Bytes,
    /// The minimum coded units of the JPEG, in the order of the scan, that did
    /// not arrive and are neutral: ascending, neighbours merged. Empty for a
    /// frame that is intact.
    pub stale: Vec<Range<u32>>,
    /// Whether a checksum of the format says that what arrived is what was sent.
    /// Without one, only a decoder finds what is missing.
    pub checked: bool,
    /// When the picture was taken, on the sender's clock.
    pub captured: Duration,
    /// When its last chunk arrived.
    pub completed: Duration,
}

/// What became of a frame that was handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SinkOutcome {
    /// It was shown (or recorded) at this time.
    Shown {
        /// When.
        at: Duration,
    },
    /// A newer one took its place before it was shown.
    Skipped,
    /// It is not a JPEG that can be decoded.
    Undecodable,
}

/// What a receiver made of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A packet of the stream that is followed, and a new one.
    Received,
    /// One of it whose number had come before.
    Duplicate,
    /// Corrupt, from the address of the stream that is followed.
    Corrupt,
    /// Of another stream, or from an address that has not proved to be the
    /// sender's, or of the handshake, which is no part of the stream.
    Foreign,
    /// Nothing that the stream can have.
    Malformed,
    /// Not known yet: it is one of a stream that comes from there, if that is
    /// followed next.
    Open,
}

/// What a person may want to know at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A stream is followed from now on.
    Followed {
        /// Its number.
        stream: u64,
        /// Where it comes from.
        from: SocketAddr,
        /// Whether another one was followed before.
        again: bool,
    },
    /// Another stream arrives as well, and is not followed.
    Other {
        /// Its number.
        stream: u64,
        /// Where it comes from.
        from: SocketAddr,
    },
    /// The followed stream said farewell, and what was still on the way had
    /// its time.
    Ended {
        /// Its number.
        stream: u64,
    },
}

/// The viewer's state machine for one socket.
#[derive(Debug)]
pub struct Receiver {
    config: Config,
    viewer: u64,
    /// Since when a new stream would be followed at once.
    free_since: Duration,
    stream: Option<Stream>,
    /// The stream followed before.
    previous: Option<Stream>,
    /// What was counted of streams followed before that.
    before: Option<Statistics>,
    /// Where the time of those streams' frames went.
    stages_before: Stages,
    followed: u64,
    others: Vec<Other>,
    probation: Probation,
    /// Streams that said farewell: what still arrives of them begins nothing.
    ended: VecDeque<Over>,
    malformed: u64,
    foreign: u64,
    socket_drops: u64,
    events: VecDeque<Event>,
    /// Of the stream followed before the previous one.
    records: VecDeque<FrameRecord>,
}

impl Receiver {
    /// A receiver with this number, drawn at random, whose socket listens
    /// since `now`.
    #[must_use]
    pub fn new(config: Config, viewer: u64, now: Duration) -> Self {
        Self {
            config,
            viewer,
            free_since: now,
            stream: None,
            previous: None,
            before: None,
            stages_before: Stages::default(),
            followed: 0,
            others: Vec::new(),
            probation: Probation::default(),
            ended: VecDeque::new(),
            malformed: 0,
            foreign: 0,
            socket_drops: 0,
            events: VecDeque::new(),
            records: VecDeque::new(),
        }
    }

    /// Takes a datagram that arrived at `now`. Returns what it was.
    pub fn handle_datagram(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) -> Verdict {
        let verdict = match Packet::decode(datagram) {
            Ok((header, packet)) => {
                let source = (from, datagram.len());
                let verdict = self.handle_packet(&header, &packet, source, now);
                self.foreign += u64::from(verdict == Verdict::Foreign);
                self.malformed += u64::from(verdict == Verdict::Malformed);
                verdict
            }
            Err(error) => self.handle_undecodable(from, &error),
        };
        self.handle_timeout(now);
        verdict
    }

    /// Counts a datagram from an address that is not allowed.
    pub fn handle_foreign(&mut self) {
        self.foreign += 1;
    }

    /// Takes the system's count of datagrams dropped in the socket's buffer
    /// since it was opened.
    pub fn handle_socket_drops(&mut self, total: u64) {
        let new = total.saturating_sub(self.socket_drops);
        self.socket_drops += new;
        // Of a stream that is to be followed the first packets may be among them.
        let followed = self.stream.as_mut();
        if let Some(stream) = followed.or_else(|| self.probation.newest_mut()) {
            stream.handle_socket_drops(new);
        }
    }

    /// Hears that datagrams were dropped in the buffer of a socket that it
    /// shares with others: nobody knows whose.
    pub fn handle_shared_drops(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.handle_shared_drops();
        }
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        if let Some(stream) = &mut self.stream
            && stream.handle_timeout(now)
        {
            let over = Over::of(stream);
            self.free_since = now;
            self.note_end(over);
        }
    }

    /// The next frame to be shown; numbers only grow.
    pub fn poll_frame(&mut self) -> Option<ReceivedFrame> {
        let streams = self.previous.iter_mut().chain(&mut self.stream);
        streams.filter_map(Stream::poll_frame).next()
    }

    /// The record of the next frame whose outcome is settled: in the order of
    /// numbers within a stream, each frame once. Records that nobody polls are
    /// forgotten, oldest first.
    pub fn poll_record(&mut self) -> Option<FrameRecord> {
        let record = self.records.pop_front();
        record.or_else(|| {
            let streams = self.previous.iter_mut().chain(&mut self.stream);
            streams.filter_map(Stream::poll_record).next()
        })
    }

    /// Settles all frames as they stand, so that each has a record: nothing
    /// else is to be handled after that.
    pub fn finish(&mut self) {
        let streams = self.previous.iter_mut().chain(&mut self.stream);
        streams.for_each(|stream| {
            stream.finish();
            stream.settle(true);
        });
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Fills `out` with a datagram for the sender, if one is due, and says
    /// where it goes.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        out.clear();
        self.stream.as_mut()?.poll_transmit(now, out)
    }

    /// When [`Receiver::handle_timeout`] and [`Receiver::poll_transmit`] have
    /// something to do again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.stream.as_ref()?.poll_timeout()
    }

    /// Tells what became of a frame that was polled; each has one outcome.
    pub fn handle_outcome(&mut self, id: FrameId, outcome: SinkOutcome) {
        // A stream that was silent for long comes after itself.
        let mut streams = self.previous.iter_mut().chain(&mut self.stream);
        streams.any(|stream| {
            stream.number() == id.stream && stream.handle_outcome(id.number, outcome)
        });
    }

    /// Whether the stream that is followed comes from there.
    #[must_use]
    pub fn is_followed(&self, from: SocketAddr) -> bool {
        self.stream.as_ref().is_some_and(|it| it.from() == from)
    }

    /// Whether a stream is followed that goes on, as far as one can hear.
    #[must_use]
    pub fn is_living(&self, now: Duration) -> bool {
        self.stream
            .as_ref()
            .is_some_and(|stream| stream.is_living(now))
    }

    /// Whether the stream that is followed keeps its place: it goes on, and has
    /// brought frames or had no time to.
    #[must_use]
    pub fn keeps_place(&self, now: Duration) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.is_living(now) && !stream.is_in_vain(now))
    }

    /// Where the newest packet of the stream came from that is followed.
    #[must_use]
    pub fn from(&self) -> Option<SocketAddr> {
        self.stream.as_ref().map(Stream::from)
    }

    /// Whether a frame of the stream was handed out that is followed.
    #[must_use]
    pub fn has_frames(&self) -> bool {
        self.stream.as_ref().is_some_and(Stream::has_frames)
    }

    /// Bytes of frames and of parity that are held.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        let streams = self.previous.iter().chain(&self.stream);
        streams.map(Stream::held_bytes).sum()
    }

    /// Lets go of something that is held, the least loss first, for want of
    /// memory. Returns whether there was anything.
    pub fn shed(&mut self, now: Duration) -> bool {
        let mut streams = self.previous.iter_mut().chain(&mut self.stream);
        streams.any(|stream| stream.shed(now))
    }

    /// The counts so far, of all streams that were followed.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let mut stages = self.stages_before.clone();
        let previous = self.previous.as_ref().map(|previous| {
            let statistics = previous.statistics(&stages);
            stages.add(&previous.stages());
            statistics
        });
        // Of a sender all of whose frames are lost, its counts tell.
        let unproven = self.probation.newest().filter(|_| self.followed == 0);
        let stream = self.stream.as_ref().or(unproven);
        let stream = stream.map(|stream| stream.statistics(&stages));
        let mut all = [stream, previous, self.before.clone()]
            .into_iter()
            .flatten();
        let mut statistics = all.next().unwrap_or_default();
        all.for_each(|before| statistics.add(&before));
        // Those of the stream that stands for all are counted there.
        let unproven = if self.followed > 0 {
            self.probation.packets()
        } else {
            0
        };
        statistics.stream.side = Side::Viewer;
        statistics.stream.followed = self.followed;
        statistics.stream.others = self.others.len() as u64;
        statistics.packets.malformed = Some(self.malformed);
        statistics.packets.foreign = Some(self.foreign + unproven);
        statistics
    }
}

#[cfg(test)]
mod tests;
