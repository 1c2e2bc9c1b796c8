//! The size of the datagrams: what every path carries, as far as its MTU is searched.

use std::time::Duration;

use super::output::Event;
use super::path_mtu::{BASE_DATAGRAM, PathMtu};
use super::{Protocol, Sender};
use crate::stats::PathMtuFigures;
use crate::wire::MIN_DATAGRAM;

impl Sender {
    /// Searches for the largest datagram that the path to a destination carries, from now on
    /// (<https://www.rfc-editor.org/rfc/rfc8899>). `ceiling` is the largest datagram that the
    /// interface carries, in bytes of UDP payload. The size begins at [`BASE_DATAGRAM`], follows
    /// the reports of the viewer there, and changes only between frames. For native streams to
    /// single viewers. Datagrams must not be fragmented on the way.
    pub fn search_path_mtu(&mut self, destination: usize, ceiling: usize, now: Duration) {
        let is_native = matches!(self.protocol, Protocol::Native(_));
        if let Some(to) = self.destinations.get_mut(destination).filter(|_| is_native) {
            to.search_mtu(ceiling, now);
            self.follow_paths();
        }
    }

    /// Records that the system rejected a datagram of `len` bytes to a destination, or reported
    /// that one is too large for the path there. Returns whether that path's MTU is searched; if
    /// not, lower the size by [`set_datagram`](Self::set_datagram).
    pub fn handle_too_large(&mut self, destination: usize, len: usize, now: Duration) -> bool {
        let Some(to) = self.destinations.get_mut(destination) else {
            return false;
        };
        if to.handle_too_large(len, now) {
            self.follow_paths();
        }
        self.destinations[destination].mtu().is_some()
    }

    /// Adopts the largest datagram that passes on every path.
    pub(super) fn follow_paths(&mut self) {
        let open = || self.destinations.iter().filter(|to| to.is_open());
        let fixed = self.config.datagram;
        let sizes = open().map(|to| to.mtu().map_or(fixed, PathMtu::size));
        let least = sizes.min().unwrap_or(fixed);
        // With several viewers, the report of one must not cause more packets for the others than
        // nearly every path requires.
        let is_shared = open().nth(1).is_some();
        let ceilings = open().filter_map(|to| Some(to.mtu()?.ceiling()));
        let floor = ceilings.chain([fixed, BASE_DATAGRAM]).min();
        self.datagram = least.max(floor.filter(|_| is_shared).unwrap_or(MIN_DATAGRAM));
    }

    /// A newly found path MTU.
    pub(super) fn poll_path_mtu(&mut self) -> Option<Event> {
        let mut destinations = self.destinations.iter_mut().enumerate();
        destinations.find_map(|(destination, to)| {
            let (datagram, before) = to.poll_mtu_found()?;
            Some(Event::PathMtu {
                destination,
                datagram,
                before,
            })
        })
    }

    /// What is known of all searched paths.
    pub fn path_mtu_figures(&self) -> Vec<PathMtuFigures> {
        let searched = self.destinations.iter().filter_map(|to| {
            Some(PathMtuFigures {
                destination: to.index(),
                ..to.mtu()?.figures()
            })
        });
        searched.collect()
    }
}
