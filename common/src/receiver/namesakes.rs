//! Native streams that share a number. Of two streams, the 32 random bits are the same in one of
//! four billion cases. The ids in their sender reports differ even then.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::Receiver;
use super::native::NativeSession;
use super::others::MAX_OTHERS;
use super::session::Session;
use crate::wire::native::{Packet, WireHeader};

/// The streams whose number another stream had first, each with its address and its id. The id
/// serves as their number here.
#[derive(Debug, Default)]
pub(super) struct Namesakes(VecDeque<(SocketAddr, u64)>);

impl Namesakes {
    fn find(&self, from: SocketAddr, stream: u32) -> Option<u64> {
        let mut all = self.0.iter();
        let same = |(address, id): &&(SocketAddr, u64)| *address == from && *id as u32 == stream;
        all.find(same).map(|(_, id)| *id)
    }

    fn insert(&mut self, from: SocketAddr, id: u64) {
        let stream = id as u32;
        self.0
            .retain(|(address, id)| (*address, *id as u32) != (from, stream));
        self.0.push_back((from, id));
        if self.0.len() > MAX_OTHERS {
            self.0.pop_front();
        }
    }
}

impl Receiver {
    /// The number of a packet's stream here: the one that the packet carries, unless a sender at
    /// another address, with another id, had it first.
    pub(super) fn stream_number(
        &mut self,
        from: SocketAddr,
        header: &WireHeader,
        packet: &Packet<'_>,
    ) -> u64 {
        let known = self.namesakes.find(from, header.stream);
        if let Packet::SenderReport(report) | Packet::SenderBye(report) = packet
            && report.id as u32 == header.stream
            && known != Some(report.id)
            && self.has_other(from, report.id)
        {
            self.namesakes.insert(from, report.id);
            return report.id;
        }
        known.unwrap_or(header.stream.into())
    }

    /// Whether a stream from another address, with another id, has this number.
    fn has_other(&self, from: SocketAddr, id: u64) -> bool {
        let stream = u64::from(id as u32);
        let is_other = |session: &Session| {
            let own = session.native().and_then(NativeSession::id);
            session.number() == stream && session.from() != from && own.is_some_and(|own| own != id)
        };
        let mut tiles = self.tiles.iter().filter_map(|tile| tile.session.as_ref());
        tiles.any(is_other) || self.ended.iter().any(|ended| ended.is_other(stream, id))
    }
}
