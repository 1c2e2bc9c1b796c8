//! Probation: a new source is admitted only once it is proven
//! (<https://www.rfc-editor.org/rfc/rfc3550#appendix-A.1>). One datagram that looks like the
//! beginning of a stream proves nothing.

use std::net::SocketAddr;
use std::time::Duration;

use super::SILENCE;
use super::session::Session;
use crate::prefix::SourcePrefix;
use crate::reassembly::MAX_HELD_BYTES;
use crate::stats::JoinPoint;
use crate::wire::Format;

/// Upper bounds on sources on probation, and on those from one address. A bare JPEG may be as long
/// as a frame before it is proven, so they are few. An attacker who fills them delays a stream by a
/// packet or a frame.
const MAX_CANDIDATES: usize = 16;
const MAX_CANDIDATES_OF_ONE_ADDRESS: usize = 4;

/// Upper bound on the bytes of frames that all of them hold.
const MAX_HELD: usize = MAX_HELD_BYTES;

/// Upper bound on datagrams of RTP without two in sequence and without a complete frame: no stream
/// arrives like that.
const MAX_UNPROVEN: u64 = 64;

/// The sources on probation. Each has a session, so that nothing of it is lost once it is proven.
#[derive(Debug, Default)]
pub(super) struct Probation {
    all: Vec<Candidate>,
    counts: RefutedCounts,
    /// The address of the source given up last.
    last: Option<SocketAddr>,
}

/// Datagrams of sources that were given up.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RefutedCounts {
    /// RTP and bare JPEG that proved to be neither.
    pub(super) malformed: u64,
    /// Native packets of streams that are not followed.
    pub(super) foreign: u64,
}

/// Identifies a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CandidateKey {
    pub(super) format: Format,
    pub(super) number: u64,
    pub(super) from: SocketAddr,
}

/// One source.
#[derive(Debug)]
pub(super) struct Candidate {
    key: CandidateKey,
    pub(super) session: Session,
    /// Its datagrams.
    pub(super) datagrams: u64,
    /// Those of them that may also continue a bare JPEG from the same address.
    shared: u64,
    /// When its first and its newest datagram arrived.
    pub(super) begun: Duration,
    last_received: Duration,
    /// The native packets that arrived.
    pub(super) passed: JoinPoint,
}

impl Probation {
    /// The source on probation with this key. `begin` makes it if it is new.
    pub(super) fn enter(
        &mut self,
        key: CandidateKey,
        now: Duration,
        begin: impl FnOnce() -> Session,
    ) -> &mut Candidate {
        let index = self.find(key).unwrap_or_else(|| {
            self.make_room(key.from);
            self.all.push(Candidate {
                key,
                session: begin(),
                datagrams: 0,
                shared: 0,
                begun: now,
                last_received: now,
                passed: JoinPoint::default(),
            });
            self.all.len() - 1
        });
        let candidate = &mut self.all[index];
        candidate.last_received = now;
        candidate
    }

    /// Handles a datagram of a possible source of RTP or bare JPEGs. `take` passes it on and
    /// returns whether it fits. Returns the source once it is proven; if it `needs_frames`, only a
    /// frame proves it.
    pub(super) fn offer(
        &mut self,
        key: CandidateKey,
        now: Duration,
        needs_frames: bool,
        begin: impl FnOnce() -> Session,
        take: impl FnOnce(&mut Session) -> bool,
    ) -> Option<Candidate> {
        let is_rtp = key.format == Format::Rtp;
        let shared = is_rtp && self.is_within_jpeg(key.from);
        let candidate = self.enter(key, now, begin);
        if take(&mut candidate.session) {
            candidate.datagrams += 1;
            candidate.shared += u64::from(shared);
        }
        let is_proven = candidate.session.is_proven();
        let is_refuted =
            candidate.datagrams == 0 || is_rtp && !is_proven && candidate.datagrams >= MAX_UNPROVEN;
        if is_proven && (!needs_frames || candidate.session.has_frames()) {
            let proven = self.take(key)?;
            let others = |other: &Candidate| {
                other.key.from == key.from && other.key.format != Format::Native
            };
            while let Some(index) = self.all.iter().position(others) {
                self.refute(index, proven.shared);
            }
            return Some(proven);
        }
        if is_refuted && let Some(index) = self.find(key) {
            self.refute(index, 0);
        }
        None
    }

    /// Takes a source off probation.
    pub(super) fn take(&mut self, key: CandidateKey) -> Option<Candidate> {
        Some(self.all.swap_remove(self.find(key)?))
    }

    /// Takes the native stream with this number off probation. Gives up others with the same number
    /// from other addresses.
    pub(super) fn take_native(&mut self, key: CandidateKey) -> Option<Candidate> {
        let taken = self.take(key);
        let namesake = |other: &Candidate| {
            (other.key.format, other.key.number) == (Format::Native, key.number)
        };
        while let Some(index) = self.all.iter().position(namesake) {
            self.refute(index, 0);
        }
        taken
    }

    /// Whether a bare JPEG from this address has begun and not ended: any bytes may continue it.
    pub(super) fn is_within_jpeg(&self, from: SocketAddr) -> bool {
        let mut all = self.all.iter();
        all.any(|candidate| candidate.key.from == from && candidate.session.is_within_jpeg())
    }

    /// When the first datagram of a source arrived.
    pub(super) fn begun(&self, key: CandidateKey) -> Option<Duration> {
        self.find(key).map(|index| self.all[index].begun)
    }

    /// The sessions of all sources.
    pub(super) fn sessions(&mut self) -> impl Iterator<Item = &mut Session> {
        self.all.iter_mut().map(|candidate| &mut candidate.session)
    }

    /// The native stream with this number, if it is on probation.
    pub(super) fn native(&self, number: u64, from: SocketAddr) -> Option<&Session> {
        let key = CandidateKey {
            format: Format::Native,
            number,
            from,
        };
        self.find(key).map(|index| &self.all[index].session)
    }

    /// The native stream with the newest packet.
    pub(super) fn newest_native(&self) -> Option<&Session> {
        let native = self.all.iter().filter(|it| it.key.format == Format::Native);
        let newest = native.max_by_key(|candidate| candidate.last_received);
        newest.map(|candidate| &candidate.session)
    }

    /// The mutable version of [`newest_native`](Self::newest_native).
    pub(super) fn newest_native_mut(&mut self) -> Option<&mut Session> {
        let native = self.all.iter_mut();
        let native = native.filter(|it| it.key.format == Format::Native);
        let newest = native.max_by_key(|candidate| candidate.last_received);
        newest.map(|candidate| &mut candidate.session)
    }

    /// Gives up sources of RTP and bare JPEG that are silent, and some more while all together hold
    /// too much.
    pub(super) fn handle_timeout(&mut self, now: Duration) {
        let silent = |candidate: &Candidate| {
            candidate.key.format != Format::Native
                && now.saturating_sub(candidate.last_received) >= SILENCE
        };
        while let Some(index) = self.all.iter().position(silent) {
            self.refute(index, 0);
        }
        while self.held_bytes() > MAX_HELD && self.shed() {}
    }

    /// Bytes of frames that all sources hold.
    pub(super) fn held_bytes(&self) -> usize {
        let all = self.all.iter();
        all.map(|candidate| candidate.session.held_bytes()).sum()
    }

    /// Gives up the source that holds the most. Returns whether there is one.
    pub(super) fn shed(&mut self) -> bool {
        let all = self.all.iter().enumerate();
        let largest = all.max_by_key(|(_, candidate)| candidate.session.held_bytes());
        let Some((largest, _)) = largest else {
            return false;
        };
        self.refute(largest, 0);
        true
    }

    /// Gives up all sources of RTP and bare JPEG.
    pub(super) fn finish(&mut self) {
        let plain = |candidate: &Candidate| candidate.key.format != Format::Native;
        while let Some(index) = self.all.iter().position(plain) {
            self.refute(index, 0);
        }
    }

    /// Datagrams of sources that were given up.
    pub(super) fn refuted(&self) -> RefutedCounts {
        self.counts
    }

    /// Packets of native streams on probation.
    pub(super) fn native_packets(&self) -> u64 {
        let all = self.all.iter();
        let native = all.filter(|candidate| candidate.key.format == Format::Native);
        native.map(|candidate| candidate.datagrams).sum()
    }

    /// Datagrams that proved nothing, given up or not, with their address.
    pub(super) fn unproven(&self) -> impl Iterator<Item = (SocketAddr, u64)> {
        let refuted = self.last.map(|from| (from, self.counts.malformed));
        let all = self.all.iter();
        let plain = all.filter(|candidate| candidate.key.format != Format::Native);
        let waiting = plain.map(|candidate| (candidate.key.from, candidate.datagrams));
        refuted.into_iter().chain(waiting)
    }

    fn find(&self, key: CandidateKey) -> Option<usize> {
        self.all.iter().position(|candidate| candidate.key == key)
    }

    /// If there are too many, gives up the one silent for longest, first of those from this
    /// address.
    fn make_room(&mut self, from: SocketAddr) {
        let prefix = |from: SocketAddr| SourcePrefix::of(from.ip());
        let own = |candidate: &Candidate| prefix(candidate.key.from) == prefix(from);
        let is_crowded =
            self.all.iter().filter(|one| own(one)).count() >= MAX_CANDIDATES_OF_ONE_ADDRESS;
        if !is_crowded && self.all.len() < MAX_CANDIDATES {
            return;
        }
        let all = self.all.iter().enumerate();
        let oldest = all
            .filter(|(_, candidate)| !is_crowded || own(candidate))
            .min_by_key(|(_, candidate)| candidate.last_received);
        if let Some((oldest, _)) = oldest {
            self.refute(oldest, 0);
        }
    }

    /// Gives one up. `counted` of its datagrams are counted elsewhere.
    fn refute(&mut self, index: usize, counted: u64) {
        let refuted = self.all.swap_remove(index);
        if refuted.key.format == Format::Native {
            self.counts.foreign += refuted.datagrams;
            return;
        }
        let counted = counted.max(refuted.shared);
        self.counts.malformed += refuted.datagrams.saturating_sub(counted);
        self.last = Some(refuted.key.from);
    }
}
