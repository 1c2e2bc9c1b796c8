//! Migration of a stream to another address, which replaces the present one once that is silent
//! (like <https://www.rfc-editor.org/rfc/rfc9000#section-9>).

use std::net::SocketAddr;
use std::time::Duration;

use super::path::SenderPath;
use crate::receiver::SILENCE;
use crate::wire::native::{Channel, Header, Packet, PathChallenge};

/// The present address counts as silent after this many frame intervals ...
const INTERVALS: u32 = 3;

/// ... but no sooner, since packets come in bursts ...
const MIN_QUIET: Duration = Duration::from_millis(100);

/// ... and no later: a person accepts a frozen frame for this long.
const MAX_QUIET: Duration = Duration::from_millis(200);

/// Upper bound on addresses on probation. A stream seldom comes from more than two. An attacker who
/// knows the stream's number and fills them delays the sender's migration.
const MAX_CANDIDATES: usize = 4;

/// How long a path must be silent before a contradiction of it is believed, at this frame interval.
pub(super) fn quiet_time(interval: Option<Duration>) -> Duration {
    interval.map_or(MAX_QUIET, |interval| {
        interval
            .saturating_mul(INTERVALS)
            .clamp(MIN_QUIET, MAX_QUIET)
    })
}

/// The addresses on probation.
#[derive(Debug, Default)]
pub(super) struct Migration(Vec<PathCandidate>);

#[derive(Debug)]
struct PathCandidate {
    path: SenderPath,
    /// The newest packet from there.
    newest: (Channel, u64),
    /// Whether two arrived in sequence.
    in_sequence: bool,
}

impl Migration {
    /// Handles a packet of `len` bytes from another address than the present one. Returns the path
    /// to that address if the stream migrates to it.
    ///
    /// If the sender `answers`, the response to a challenge proves an address. If it does not, two
    /// packets in sequence do; they also do if no response arrived although the present address has
    /// long been silent.
    pub(super) fn handle_packet(
        &mut self,
        new: impl FnOnce() -> SenderPath,
        (header, packet): (&Header, &Packet<'_>),
        (from, len): (SocketAddr, usize),
        present: &SenderPath,
        (answers, quiet_time): (bool, Duration),
        now: Duration,
    ) -> Option<SenderPath> {
        let index = self.index(from, header, new);
        let candidate = &mut self.0[index];
        candidate.path.record_received(len);
        candidate.path.record_packet(now);
        let number = header.number.0;
        let (channel, newest) = candidate.newest;
        candidate.in_sequence |= channel == header.channel && newest.checked_add(1) == Some(number);
        candidate.newest = (header.channel, number);
        if let Packet::PathResponse(response) = packet {
            candidate.path.handle_response(response);
        }
        let silent = now.saturating_sub(present.last_received());
        let proved = candidate.path.is_proved()
            || (candidate.in_sequence && (!answers || silent >= SILENCE));
        if !proved || silent < quiet_time {
            return None;
        }
        let candidate = self.0.swap_remove(index);
        self.0.clear();
        Some(candidate.path)
    }

    /// The challenge that is due, and its destination.
    pub(super) fn poll_challenge(
        &mut self,
        viewer: u64,
        now: Duration,
    ) -> Option<(SocketAddr, PathChallenge)> {
        self.0.iter_mut().find_map(|candidate| {
            let challenge = candidate.path.challenge(viewer, now)?;
            Some((candidate.path.address(), challenge))
        })
    }

    /// Counts bytes sent to an address on probation.
    pub(super) fn record_sent(&mut self, to: SocketAddr, bytes: usize) {
        let mut all = self.0.iter_mut();
        if let Some(candidate) = all.find(|candidate| candidate.path.address() == to) {
            candidate.path.record_sent(bytes);
        }
    }

    fn index(
        &mut self,
        from: SocketAddr,
        header: &Header,
        new: impl FnOnce() -> SenderPath,
    ) -> usize {
        let mut all = self.0.iter();
        if let Some(index) = all.position(|candidate| candidate.path.address() == from) {
            return index;
        }
        if self.0.len() == MAX_CANDIDATES {
            let all = self.0.iter().enumerate();
            let oldest = all.min_by_key(|(_, candidate)| candidate.path.last_received());
            self.0.swap_remove(oldest.map_or(0, |(index, _)| index));
        }
        self.0.push(PathCandidate {
            path: new(),
            newest: (header.channel, header.number.0),
            in_sequence: false,
        });
        self.0.len() - 1
    }
}
