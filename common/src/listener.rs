//! The viewer's state machine for one port, whatever format its senders
//! speak: tells formats apart, follows one stream at a time, and none before
//! something of it proved to be one.
//!
//! Inputs are `handle_*`, outputs `poll_*`, as for the [`Receiver`], which does
//! the work for the native format.

mod accounts;
mod candidates;
mod formats;
mod others;
mod raw;
mod routing;
mod rtp;
mod stream;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use crate::receiver::{self, Event, FrameId, ReceivedFrame, Receiver, SinkOutcome, Verdict};
use crate::stats::{DiscardReason, Discards, FrameRecord, Side, Statistics};
use crate::wire::Format;
use candidates::Candidates;
use formats::Formats;
use others::Others;
use stream::Stream;

/// What a listener is told before it starts.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// For all formats and the native one.
    pub receiver: receiver::Config,
    /// The one format that is taken; `None`: what the first bytes say, sender
    /// by sender.
    pub format: Option<Format>,
    /// Width and height in pixels, as a session description tells them, for
    /// RTP above 2,040 pixels.
    pub size: Option<(u16, u16)>,
}

/// The viewer's state machine for one port.
#[derive(Debug)]
pub struct Listener {
    config: Config,
    viewer: u64,
    native: Receiver,
    /// The stream of another format that is followed, or was before the native
    /// one.
    stream: Option<Stream>,
    /// The one before, of which frames may still wait to be shown.
    previous: Option<Stream>,
    /// What was counted of those before.
    before: Option<Statistics>,
    followed: u64,
    /// Streams that are not followed while another one is.
    others: Others,
    /// What may become a stream, and has not proved to be one yet.
    candidates: Candidates,
    formats: Formats,
    malformed: u64,
    foreign: u64,
    discards: Discards,
    /// The system's count, and the part of it that was the native stream's.
    socket_drops: (u64, u64),
    events: VecDeque<Event>,
    native_is_newest: bool,
}

impl Listener {
    /// A listener with this number, drawn at random, whose socket listens since
    /// `now`.
    #[must_use]
    pub fn new(config: Config, viewer: u64, now: Duration) -> Self {
        Self {
            native: Receiver::new(config.receiver.clone(), viewer, now),
            formats: Formats::new(config.format),
            config,
            viewer,
            stream: None,
            previous: None,
            before: None,
            followed: 0,
            others: Others::default(),
            candidates: Candidates::default(),
            malformed: 0,
            foreign: 0,
            discards: Discards::default(),
            socket_drops: (0, 0),
            events: VecDeque::new(),
            native_is_newest: false,
        }
    }

    /// Takes a datagram that arrived at `now`, on the port itself or, for RTCP,
    /// on the next one. Returns what it was, where it is not of another format
    /// than the native one.
    pub fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Option<Verdict> {
        let mut verdict = None;
        match self.formats.known(from, datagram, now) {
            Some(Format::Native) => verdict = Some(self.handle_native(from, datagram, now)),
            Some(Format::Rtp) => self.handle_rtp(from, datagram, now),
            Some(Format::Raw) => self.handle_raw(from, datagram, now),
            None => verdict = self.handle_unknown(from, datagram, now),
        }
        self.handle_timeout(now);
        verdict
    }

    /// Counts a datagram from an address that is not allowed.
    pub fn handle_foreign(&mut self, from: SocketAddr) {
        self.foreign += 1;
        self.discards.note(DiscardReason::Address, None, from, 1);
    }

    /// Takes the system's count of datagrams dropped in the socket's buffer
    /// since it was opened.
    pub fn handle_socket_drops(&mut self, total: u64) {
        let (known, native) = &mut self.socket_drops;
        let new = total.saturating_sub(*known);
        *known += new;
        match &mut self.stream {
            Some(stream) if !self.native_is_newest => stream.accounts_mut().note_socket_drops(new),
            _ => {
                *native += new;
                self.native.handle_socket_drops(*native);
            }
        }
    }

    /// Hears that datagrams were dropped in the buffer of a socket that it
    /// shares with others: nobody knows whose.
    pub fn handle_shared_drops(&mut self) {
        self.native.handle_shared_drops();
    }

    /// Does what is due by `now`.
    pub fn handle_timeout(&mut self, now: Duration) {
        self.candidates.drop_silent(now);
        self.native.handle_timeout(now);
        while let Some(event) = self.native.poll_event() {
            if let Event::Followed { .. } = event {
                self.native_is_newest = true;
                self.followed += 1;
                if let Some(stream) = self.stream.take() {
                    self.retire(stream);
                }
            }
            self.events.push_back(match event {
                Event::Followed { stream, from, .. } => Event::Followed {
                    stream,
                    from,
                    again: self.followed > 1,
                },
                other => other,
            });
        }
        if let Some(stream) = &mut self.stream {
            let number = stream.number();
            if stream.handle_timeout(now) {
                self.events.push_back(Event::Ended { stream: number });
            }
        }
    }

    /// The next frame to be shown; numbers only grow within a stream.
    pub fn poll_frame(&mut self) -> Option<ReceivedFrame> {
        let mut streams = self.previous.iter_mut().chain(&mut self.stream);
        let frame = streams.find_map(|stream| stream.accounts_mut().poll_frame());
        frame.or_else(|| self.native.poll_frame())
    }

    /// The record of the next frame whose outcome is settled, as of
    /// [`Receiver::poll_record`]; of a native stream alone.
    pub fn poll_record(&mut self) -> Option<FrameRecord> {
        self.native.poll_record()
    }

    /// Settles all frames as they stand, so that each has a record: nothing
    /// else is to be handled after that.
    pub fn finish(&mut self) {
        self.candidates.finish();
        self.native.finish();
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Fills `out` with a datagram for a sender, if one is due, and says where
    /// it goes: through the socket on which that address was heard last.
    pub fn poll_transmit(&mut self, now: Duration, out: &mut Vec<u8>) -> Option<SocketAddr> {
        out.clear();
        if let Some(Stream::Rtp(stream)) = &mut self.stream
            && let Some(to) = stream.poll_transmit(now, out)
        {
            return Some(to);
        }
        self.native.poll_transmit(now, out)
    }

    /// When [`Listener::handle_timeout`] and [`Listener::poll_transmit`] have
    /// something to do again.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Duration> {
        let stream = self.stream.as_ref().and_then(Stream::poll_timeout);
        self.native.poll_timeout().into_iter().chain(stream).min()
    }

    /// Tells what became of a frame that was polled; each has one outcome.
    pub fn handle_outcome(&mut self, id: FrameId, outcome: SinkOutcome) {
        let mut streams = self.previous.iter_mut().chain(&mut self.stream);
        let of = |stream: &&mut Stream| {
            stream.number() == id.stream && stream.accounts().awaits_outcome(id.number)
        };
        match streams.find(of) {
            Some(stream) => stream.accounts_mut().handle_outcome(id.number, outcome),
            None => self.native.handle_outcome(id, outcome),
        }
    }

    /// Whether a native stream is followed that goes on, as far as one can
    /// hear.
    #[must_use]
    pub fn is_living(&self, now: Duration) -> bool {
        self.native.is_living(now)
    }

    /// Whether the stream that is followed comes from there, or its reports do:
    /// what is answered there has to come from the address that was written to.
    #[must_use]
    pub fn is_followed(&self, from: SocketAddr) -> bool {
        match &self.stream {
            _ if self.native_is_newest => self.native.is_followed(from),
            Some(stream) => stream.from().is_some_and(|media| media.ip() == from.ip()),
            None => false,
        }
    }

    /// The format of the stream that is followed.
    #[must_use]
    pub fn format(&self) -> Option<Format> {
        match &self.stream {
            _ if self.native_is_newest => Some(Format::Native),
            Some(Stream::Rtp(_)) => Some(Format::Rtp),
            Some(Stream::Raw(_)) => Some(Format::Raw),
            None => None,
        }
    }

    /// Where the stream comes from that is followed.
    pub(crate) fn from(&self) -> Option<SocketAddr> {
        match &self.stream {
            Some(stream) if !self.native_is_newest => stream.from(),
            _ => self.native.from(),
        }
    }

    /// Whether a frame of the stream was handed out that is followed.
    pub(crate) fn has_frames(&self) -> bool {
        let stream = self.stream.as_ref();
        stream.is_some_and(|stream| stream.accounts().has_frames()) || self.native.has_frames()
    }

    /// Bytes of frames that are held.
    pub(crate) fn held_bytes(&self) -> usize {
        let streams = self.previous.iter().chain(&self.stream);
        let streams: usize = streams.map(Stream::held_bytes).sum();
        streams + self.candidates.held_bytes() + self.native.held_bytes()
    }

    /// Gives up some of it, for want of memory: what proved nothing first.
    /// Returns whether there was anything.
    pub(crate) fn shed(&mut self, now: Duration) -> bool {
        let mut streams = self.previous.iter_mut().chain(&mut self.stream);
        self.candidates.shed() || streams.any(|stream| stream.shed(now)) || self.native.shed(now)
    }

    /// Whether RTP frames come whose size only a session description tells.
    #[must_use]
    pub fn lacks_size(&self) -> bool {
        matches!(&self.stream, Some(Stream::Rtp(stream)) if stream.lacks_size())
    }

    /// The counts so far, of all streams that were followed.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let native = self.native.statistics();
        let (malformed, foreign) = (native.packets.malformed, native.packets.foreign);
        let others = self.others.count() + native.stream.others;
        // Of a sender all of whose frames are lost, its own counts tell.
        let native = (native.stream.followed > 0 || self.followed == 0).then_some(native);
        let streams = self.stream.iter().chain(&self.previous);
        let streams = streams.map(Stream::statistics).chain(self.before.clone());
        let mut all = if self.native_is_newest {
            native.into_iter().chain(streams).collect::<VecDeque<_>>()
        } else {
            streams.chain(native).collect()
        };
        let mut statistics = all.pop_front().unwrap_or_default();
        for before in &all {
            statistics.add(before);
        }
        statistics.stream.side = Side::Viewer;
        statistics.stream.followed = self.followed;
        statistics.stream.others = others;
        let here = self.malformed + self.candidates.refuted();
        statistics.packets.malformed = malformed.map(|native| native + here);
        statistics.packets.foreign = foreign.map(|native| native + self.foreign);
        statistics.discarded = self.discards().figures();
        statistics
    }

    /// What was not taken so far, which may prove a stream yet.
    pub(crate) fn discards(&self) -> Discards {
        let mut discards = self.discards.clone();
        if self.followed == 0 {
            for (from, datagrams) in self.candidates.unproven() {
                discards.note(DiscardReason::Unknown, None, from, datagrams);
            }
        }
        discards
    }

    fn retire(&mut self, mut stream: Stream) {
        stream.end();
        if let Some(previous) = self.previous.replace(stream) {
            self.close(&previous);
        }
    }

    fn close(&mut self, previous: &Stream) {
        let mut statistics = previous.statistics();
        if let Some(before) = &self.before {
            statistics.add(before);
        }
        self.before = Some(statistics);
    }
}

#[cfg(test)]
mod tests;
