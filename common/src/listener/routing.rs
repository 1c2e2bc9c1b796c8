//! Which stream a datagram is of, and when that is followed.

use std::net::SocketAddr;
use std::time::Duration;

use super::raw::RawStream;
use super::rtp::{self, RtpStream};
use super::stream::Stream;
use super::{Listener, formats};
use crate::receiver::{Event, Verdict};
use crate::stats::DiscardReason;
use crate::wire::{Format, native, rtp as packets};

impl Listener {
    /// Takes a datagram of somebody whose format is not proved. Where a bare
    /// JPEG has begun, anything may go on with it, and yet be what it looks
    /// like: then the first that proves itself is right.
    pub(super) fn handle_unknown(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Option<Verdict> {
        let claimed = Format::of(datagram);
        let begun = self.candidates.has_begun(from);
        if native::Packet::decode(datagram).is_ok() {
            self.formats.hold(from, Format::Native, now);
            return Some(self.handle_native(from, datagram, now));
        } else if claimed == Some(Format::Raw) {
            self.handle_raw(from, datagram, now);
        } else if !begun && claimed == Some(Format::Rtp) {
            self.handle_rtp(from, datagram, now);
        } else if begun {
            if rtp::decode(datagram).is_some() {
                self.handle_rtp(from, datagram, now);
            }
            // Unless that proved what it is.
            if self.candidates.has_begun(from) {
                self.handle_raw(from, datagram, now);
            }
        } else {
            // Native and damaged, or nothing that is known.
            let verdict = self.handle_native(from, datagram, now);
            self.note_refused(from, datagram);
            return Some(verdict);
        }
        None
    }

    pub(super) fn handle_native(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> Verdict {
        if self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.is_living(now))
        {
            // Damaged datagrams of the stream that is followed are no others.
            return match native::Packet::decode(datagram) {
                Ok((header, _)) => {
                    self.note_other(header.stream, from, now, 1, now);
                    Verdict::Foreign
                }
                Err(_) => {
                    self.malformed += 1;
                    Verdict::Malformed
                }
            };
        }
        if self.config.format.is_some() && native::Packet::decode(datagram).is_err() {
            self.note_refused(from, datagram);
        }
        self.native.handle_datagram(from, datagram, now)
    }

    pub(super) fn handle_rtp(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        if packets::is_control(datagram) {
            let mut understood = packets::Control::decode(datagram).is_ok();
            let streams = self.stream.iter_mut().chain(self.candidates.streams());
            for stream in streams {
                if let Stream::Rtp(stream) = stream {
                    understood = stream.handle_control(from, datagram, now);
                }
            }
            if !understood {
                self.refuse(from, datagram);
            }
            return;
        }
        let Some((packet, fragment)) = rtp::decode(datagram) else {
            self.refuse(from, datagram);
            return;
        };
        let (viewer, config) = (self.viewer, self.config.clone());
        let begin = || {
            let stream = RtpStream::new(packet.source, viewer, &config, now);
            Stream::Rtp(Box::new(stream))
        };
        let take = |stream: &mut Stream| match stream {
            Stream::Rtp(stream) => {
                stream.handle_packet(&packet, &fragment, from, datagram.len(), now)
            }
            Stream::Raw(_) => false,
        };
        self.hand_over(packet.source.into(), Format::Rtp, from, now, begin, take);
    }

    pub(super) fn handle_raw(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        let number = formats::number(from, self.viewer);
        let budget = self.config.receiver.budget;
        let begins = Format::of(datagram) == Some(Format::Raw);
        let known = self
            .stream
            .as_ref()
            .is_some_and(|stream| stream.number() == number);
        if !known && !begins && !self.candidates.has_begun(from) {
            self.refuse(from, datagram);
            return;
        }
        let begin = || Stream::Raw(Box::new(RawStream::new(number, budget)));
        let take = |stream: &mut Stream| match stream {
            Stream::Raw(stream) => stream.handle_datagram(from, datagram, now) == 0,
            Stream::Rtp(_) => false,
        };
        self.hand_over(number, Format::Raw, from, now, begin, take);
    }

    /// Hands a datagram to the stream that it is of, by `take`, which says
    /// whether it fits: to the one that is followed, or to what may become it.
    fn hand_over(
        &mut self,
        number: u64,
        format: Format,
        from: SocketAddr,
        now: Duration,
        begin: impl FnOnce() -> Stream,
        take: impl Fn(&mut Stream) -> bool,
    ) {
        let followed = self.stream.as_mut();
        // Who knows its number is not yet its sender.
        let same = |stream: &&mut Stream| {
            stream.number() == number && stream.from() == Some(from) && !stream.is_over(now)
        };
        if let Some(stream) = followed.filter(same) {
            self.malformed += u64::from(!take(stream));
            return;
        }
        let known = self.others.since(number, from);
        let since = known.or_else(|| self.candidates.begun(number, from));
        let since = since.unwrap_or(now);
        let living = self.native.keeps_place(now)
            || (self.stream.as_ref())
                .is_some_and(|stream| stream.is_living(now) && !succeeds(stream, since, now));
        if living && known.is_some() {
            self.note_other(number, from, since, 1, now);
            return;
        }
        let mut fits = false;
        let proven = self.candidates.offer(number, from, now, begin, |stream| {
            fits = take(stream);
            fits
        });
        self.malformed += u64::from(!fits);
        let Some(proven) = proven else {
            return;
        };
        self.formats.hold(from, format, now);
        if living {
            self.note_other(number, from, since, proven.datagrams, now);
        } else {
            self.follow(proven.stream, from);
        }
    }

    fn follow(&mut self, mut stream: Stream, from: SocketAddr) {
        let number = stream.number();
        if let Some(before) = self.stream.take() {
            if before.number() == number {
                stream.accounts_mut().go_on_from(before.accounts());
            }
            if let Some(address) = before.from() {
                self.others
                    .note_followed(before.number(), address, before.span());
            }
            self.retire(before);
        }
        self.others.remove(number, from);
        self.stream = Some(stream);
        self.native_is_newest = false;
        self.followed += 1;
        self.events.push_back(Event::Followed {
            stream: number,
            from,
            again: self.followed > 1,
        });
    }

    /// Counts what is none of the format that it should be.
    fn refuse(&mut self, from: SocketAddr, datagram: &[u8]) {
        self.malformed += 1;
        self.note_refused(from, datagram);
    }

    /// Remembers why a datagram is not taken: it is of another format than the
    /// one that is, or of none. Once a stream is followed it may be damaged.
    pub(super) fn note_refused(&mut self, from: SocketAddr, datagram: &[u8]) {
        let other = self.config.format.zip(Format::of(datagram));
        match other.filter(|(only, claimed)| only != claimed) {
            Some((_, claimed)) => self
                .discards
                .note(DiscardReason::Format, Some(claimed), from, 1),
            None if self.followed == 0 => self.discards.note(DiscardReason::Unknown, None, from, 1),
            None => {}
        }
    }

    fn note_other(
        &mut self,
        stream: u64,
        from: SocketAddr,
        since: Duration,
        datagrams: u64,
        now: Duration,
    ) {
        self.foreign += datagrams;
        if self.others.note(stream, from, since, now) {
            self.events.push_back(Event::Other { stream, from });
        }
    }
}

/// Whether what is there `since` may take the place of a stream that is not yet
/// given up: a sender that began anew is there only once that is silent. What
/// was there before is another one.
fn succeeds(stream: &Stream, since: Duration, now: Duration) -> bool {
    let (_, heard) = stream.span();
    since > heard && stream.is_quiet(now)
}
