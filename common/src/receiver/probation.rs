//! Streams that are not followed yet: what comes before the first media of one,
//! and whether one brings whole frames while the followed one brings none.

use std::net::SocketAddr;
use std::time::Duration;

use fixedbitset::FixedBitSet;

use super::stream::Stream;
use crate::stats::JoinPoint;
use crate::wire::native::{Channel, Header, Packet};

/// The most streams at once of which no media has come: one is ordinary. Who
/// fills them with others makes the first counts of a stream unknown, no more.
const MAX_QUIET: usize = 4;

/// The most streams that may take the place of one without frames. Who fills
/// them has to send faster than the true one.
const MAX_CONTENDERS: usize = 8;

/// Streams that may be followed.
#[derive(Debug, Default)]
pub(super) struct Probation {
    quiet: Vec<Quiet>,
    contenders: Vec<Contender>,
}

/// A stream of which no media has come. It counts what came, and says nothing.
#[derive(Debug)]
pub(super) struct Quiet {
    pub(super) stream: Stream,
    pub(super) passed: JoinPoint,
    pub(super) packets: u64,
    heard: Duration,
}

/// A stream whose newest frame is watched.
#[derive(Debug)]
struct Contender {
    stream: u64,
    from: SocketAddr,
    frame: u32,
    chunks: FixedBitSet,
    heard: Duration,
}

impl Probation {
    /// The stream with this number that comes from there, made by `new` if it is
    /// not known. With more than there may be, the one silent for longest is
    /// forgotten, and the number of its packets returned.
    pub(super) fn quiet(
        &mut self,
        number: u64,
        from: SocketAddr,
        now: Duration,
        new: impl FnOnce() -> (Stream, JoinPoint),
    ) -> (&mut Quiet, u64) {
        let same = |quiet: &Quiet| quiet.stream.number() == number && quiet.stream.from() == from;
        let known = self.quiet.iter().position(same);
        let mut forgotten = 0;
        let index = known.unwrap_or_else(|| {
            if self.quiet.len() == MAX_QUIET {
                let all = self.quiet.iter().enumerate();
                let oldest = all.min_by_key(|(_, quiet)| quiet.heard);
                let oldest = oldest.map_or(0, |(index, _)| index);
                forgotten = self.quiet.swap_remove(oldest).packets;
            }
            let (stream, passed) = new();
            self.quiet.push(Quiet {
                stream,
                passed,
                packets: 0,
                heard: now,
            });
            self.quiet.len() - 1
        });
        self.quiet[index].heard = now;
        (&mut self.quiet[index], forgotten)
    }

    /// Takes the stream with this number out, if it comes from there; others of
    /// that number are forgotten. Returns how many packets those had, too.
    pub(super) fn take(&mut self, number: u64, from: SocketAddr) -> (Option<Quiet>, u64) {
        let (mut taken, mut forgotten) = (None, 0);
        let mut index = 0;
        while let Some(quiet) = self.quiet.get(index) {
            if quiet.stream.number() != number {
                index += 1;
                continue;
            }
            let quiet = self.quiet.swap_remove(index);
            if quiet.stream.from() == from {
                taken = Some(quiet);
            } else {
                forgotten += quiet.packets;
            }
        }
        (taken, forgotten)
    }

    /// Another stream is followed from now on.
    pub(super) fn forget_contenders(&mut self) {
        self.contenders.clear();
    }

    /// The stream heard last, as far as that is one.
    pub(super) fn newest(&self) -> Option<&Stream> {
        let newest = self.quiet.iter().max_by_key(|quiet| quiet.heard);
        newest.map(|quiet| &quiet.stream)
    }

    /// The one stream whose datagrams may have been dropped.
    pub(super) fn newest_mut(&mut self) -> Option<&mut Stream> {
        let newest = self.quiet.iter_mut().max_by_key(|quiet| quiet.heard);
        newest.map(|quiet| &mut quiet.stream)
    }

    /// Packets of streams that are not followed.
    pub(super) fn packets(&self) -> u64 {
        self.quiet.iter().map(|quiet| quiet.packets).sum()
    }

    /// Takes a packet of a stream that contends with one without frames. Returns
    /// whether a whole frame of it has come.
    pub(super) fn contend(
        &mut self,
        header: &Header,
        packet: &Packet<'_>,
        from: SocketAddr,
        now: Duration,
    ) -> bool {
        let Packet::Chunk(chunk) = packet else {
            return false;
        };
        debug_assert_eq!(header.channel, Channel::Media);
        let mut all = self.contenders.iter();
        let known = all.position(|one| one.stream == header.stream && one.from == from);
        let index = known.unwrap_or_else(|| {
            if self.contenders.len() == MAX_CONTENDERS {
                let all = self.contenders.iter().enumerate();
                let oldest = all.min_by_key(|(_, one)| one.heard);
                self.contenders
                    .swap_remove(oldest.map_or(0, |(index, _)| index));
            }
            self.contenders.push(Contender {
                stream: header.stream,
                from,
                frame: chunk.frame.0,
                chunks: FixedBitSet::new(),
                heard: now,
            });
            self.contenders.len() - 1
        });
        let one = &mut self.contenders[index];
        one.heard = now;
        if one.frame != chunk.frame.0 || one.chunks.len() != chunk.count() {
            one.frame = chunk.frame.0;
            one.chunks = FixedBitSet::with_capacity(chunk.count());
        }
        one.chunks.insert(chunk.index.into());
        one.chunks.is_full()
    }
}
