//! Streams that may be none: one datagram that looks like the beginning of one
//! proves nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::stream::Stream;
use crate::receiver::SILENCE;

/// The most of them at once. A bare JPEG may be as long as a frame can be
/// before it proves itself, so they are few; whoever fills them delays a stream
/// by a packet or a frame, and no more.
const MAX_CANDIDATES: usize = 4;

/// The most datagrams of RTP without two in sequence and without a whole frame:
/// what comes so is none.
const MAX_UNPROVEN: u64 = 64;

/// What may become a stream. Each is kept as one, so that nothing of it is lost
/// once it has proved to be one.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    all: Vec<Candidate>,
    refuted: u64,
    /// Where the last that was given up came from.
    last: Option<SocketAddr>,
}

/// One of them.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) stream: Stream,
    /// Datagrams of it.
    pub(super) datagrams: u64,
    /// Those of them that a bare JPEG from the same address may go on with.
    shared: u64,
    from: SocketAddr,
    /// When its first datagram came.
    pub(super) begun: Duration,
    heard: Duration,
}

impl Candidates {
    /// Takes a datagram of what may be the stream with this number, made by
    /// `begin` if it is new: `take` hands it over, and says whether it fits.
    /// Returns the stream once that proves it.
    pub(super) fn offer(
        &mut self,
        number: u64,
        from: SocketAddr,
        now: Duration,
        begin: impl FnOnce() -> Stream,
        take: impl FnOnce(&mut Stream) -> bool,
    ) -> Option<Candidate> {
        self.drop_silent(now);
        let shared = self.has_begun(from);
        let index = self.place(number, from, now, begin);
        let candidate = &mut self.all[index];
        candidate.heard = now;
        if take(&mut candidate.stream) {
            candidate.datagrams += 1;
            candidate.shared += u64::from(shared && candidate.stream.is_rtp());
        }
        if candidate.stream.is_proven() {
            let proven = self.all.swap_remove(index);
            while let Some(index) = self.all.iter().position(|other| other.from == from) {
                self.refute(index, proven.shared);
            }
            return Some(proven);
        }
        let most = if candidate.stream.is_rtp() {
            MAX_UNPROVEN
        } else {
            u64::MAX
        };
        if !(1..most).contains(&candidate.datagrams) {
            self.refute(index, 0);
        }
        None
    }

    /// Whether a bare JPEG from this address has begun and not ended: any bytes
    /// may go on with it.
    pub(super) fn has_begun(&self, from: SocketAddr) -> bool {
        let mut all = self.all.iter();
        all.any(|candidate| candidate.from == from && candidate.stream.is_within_jpeg())
    }

    /// When the first datagram came of the one with this number, if it is one.
    pub(super) fn begun(&self, number: u64, from: SocketAddr) -> Option<Duration> {
        let same = |other: &&Candidate| other.stream.number() == number && other.from == from;
        self.all.iter().find(same).map(|same| same.begun)
    }

    /// All of them.
    pub(super) fn streams(&mut self) -> impl Iterator<Item = &mut Stream> {
        self.all.iter_mut().map(|candidate| &mut candidate.stream)
    }

    /// Bytes of frames that are held.
    pub(super) fn held_bytes(&self) -> usize {
        let all = self.all.iter();
        all.map(|candidate| candidate.stream.held_bytes()).sum()
    }

    /// Gives up the one that holds the most. Returns whether there is one.
    pub(super) fn shed(&mut self) -> bool {
        let all = self.all.iter().enumerate();
        let largest = all.max_by_key(|(_, candidate)| candidate.stream.held_bytes());
        let Some((largest, _)) = largest else {
            return false;
        };
        self.refute(largest, 0);
        true
    }

    /// Gives up those of which nothing comes any more.
    pub(super) fn drop_silent(&mut self, now: Duration) {
        let silent = |candidate: &Candidate| now.saturating_sub(candidate.heard) >= SILENCE;
        while let Some(index) = self.all.iter().position(silent) {
            self.refute(index, 0);
        }
    }

    /// Gives up all.
    pub(super) fn finish(&mut self) {
        while !self.all.is_empty() {
            self.refute(0, 0);
        }
    }

    /// Datagrams of those that were given up.
    pub(super) fn refuted(&self) -> u64 {
        self.refuted
    }

    /// Datagrams of those that were given up, or prove nothing yet, by address.
    pub(super) fn unproven(&self) -> impl Iterator<Item = (SocketAddr, u64)> {
        let all = self.all.iter();
        let waiting = all.map(|candidate| (candidate.from, candidate.datagrams));
        self.last
            .map(|from| (from, self.refuted))
            .into_iter()
            .chain(waiting)
    }

    fn place(
        &mut self,
        number: u64,
        from: SocketAddr,
        now: Duration,
        begin: impl FnOnce() -> Stream,
    ) -> usize {
        let same =
            |candidate: &Candidate| candidate.stream.number() == number && candidate.from == from;
        if let Some(index) = self.all.iter().position(same) {
            return index;
        }
        let all = self.all.iter().enumerate();
        let oldest = all.min_by_key(|(_, candidate)| candidate.heard);
        if let Some((oldest, _)) = oldest.filter(|_| self.all.len() == MAX_CANDIDATES) {
            self.refute(oldest, 0);
        }
        self.all.push(Candidate {
            stream: begin(),
            datagrams: 0,
            shared: 0,
            from,
            begun: now,
            heard: now,
        });
        self.all.len() - 1
    }

    /// Gives one up; `counted` of its datagrams are counted elsewhere.
    fn refute(&mut self, index: usize, counted: u64) {
        let refuted = self.all.swap_remove(index);
        let counted = counted.max(refuted.shared);
        self.refuted += refuted.datagrams.saturating_sub(counted);
        self.last = Some(refuted.from);
    }
}
