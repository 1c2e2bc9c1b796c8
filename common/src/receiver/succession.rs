//! Addresses that a followed stream seems to come from as well: one of them
//! takes the place of the present one once that is silent.

use std::net::SocketAddr;
use std::time::Duration;

use super::SILENCE;
use super::peer::Peer;
use crate::wire::native::{Channel, Header, Packet, PathChallenge};

/// The present address counts as silent after so many frame intervals ...
const INTERVALS: u32 = 3;

/// ... but no sooner, since packets come in bursts ...
const LEAST: Duration = Duration::from_millis(100);

/// ... and no later: so long a person may look at one frame.
const MOST: Duration = Duration::from_millis(200);

/// The most addresses on probation. One stream seldom comes from a second one;
/// whoever knows its number and fills them delays its sender's move.
const MAX_NEWCOMERS: usize = 4;

/// How long something is silent before what contradicts it is believed, where
/// frames come `interval` apart.
pub(super) fn patience(interval: Option<Duration>) -> Duration {
    interval.map_or(MOST, |interval| {
        interval.saturating_mul(INTERVALS).clamp(LEAST, MOST)
    })
}

/// The addresses on probation.
#[derive(Debug, Default)]
pub(super) struct Succession(Vec<Newcomer>);

#[derive(Debug)]
struct Newcomer {
    peer: Peer,
    /// The packet that came last from there.
    last: (Channel, u64),
    /// Whether two came in sequence.
    in_sequence: bool,
}

impl Succession {
    /// Takes a packet of `len` bytes from another address than the present one.
    /// Gives that address, as the present one from now on, if it is to be so.
    ///
    /// Where the sender `answers`, an answer to a challenge proves an address,
    /// and where it cannot, two packets in sequence do: also where no answer
    /// came although the present one has been silent for long.
    pub(super) fn handle_packet(
        &mut self,
        new: impl FnOnce() -> Peer,
        (header, packet): (&Header, &Packet<'_>),
        (from, len): (SocketAddr, usize),
        present: &Peer,
        (answers, patience): (bool, Duration),
        now: Duration,
    ) -> Option<Peer> {
        let index = self.place(from, header, new);
        let newcomer = &mut self.0[index];
        newcomer.peer.note_bytes(len);
        newcomer.peer.note_heard(now);
        let number = header.number.0;
        let (channel, last) = newcomer.last;
        newcomer.in_sequence |= channel == header.channel && last.checked_add(1) == Some(number);
        newcomer.last = (header.channel, number);
        if let Packet::PathResponse(response) = packet {
            newcomer.peer.handle_response(response);
        }
        let silent = now.saturating_sub(present.heard());
        let proved =
            newcomer.peer.is_proved() || (newcomer.in_sequence && (!answers || silent >= SILENCE));
        if !proved || silent < patience {
            return None;
        }
        let newcomer = self.0.swap_remove(index);
        self.0.clear();
        Some(newcomer.peer)
    }

    /// The challenge that is due, and where it goes.
    pub(super) fn poll_challenge(
        &mut self,
        viewer: u64,
        now: Duration,
    ) -> Option<(&mut Peer, PathChallenge)> {
        self.0.iter_mut().find_map(|newcomer| {
            let challenge = newcomer.peer.challenge(viewer, now)?;
            Some((&mut newcomer.peer, challenge))
        })
    }

    fn place(&mut self, from: SocketAddr, header: &Header, new: impl FnOnce() -> Peer) -> usize {
        let mut all = self.0.iter();
        if let Some(index) = all.position(|newcomer| newcomer.peer.address() == from) {
            return index;
        }
        if self.0.len() == MAX_NEWCOMERS {
            let all = self.0.iter().enumerate();
            let oldest = all.min_by_key(|(_, newcomer)| newcomer.peer.heard());
            self.0.swap_remove(oldest.map_or(0, |(index, _)| index));
        }
        self.0.push(Newcomer {
            peer: new(),
            last: (header.channel, header.number.0),
            in_sequence: false,
        });
        self.0.len() - 1
    }
}
