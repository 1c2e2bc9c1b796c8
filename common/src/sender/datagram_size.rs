//! The size of the datagrams: what every path carries, as far as it is searched.

use std::time::Duration;

use super::output::Event;
use super::path_mtu::{BASE_DATAGRAM, PathMtu};
use super::{Protocol, Sender};
use crate::stats::PathMtuFigures;
use crate::wire::MIN_DATAGRAM;

impl Sender {
    /// Searches for the largest datagram that the path to a destination carries, from
    /// now on (<https://www.rfc-editor.org/rfc/rfc8899>). `ceiling` is what the
    /// interface carries, in bytes of UDP payload. The size begins at
    /// [`BASE_DATAGRAM`], follows what the viewer there reports, and changes between
    /// frames. For native streams to single viewers; datagrams must not be fragmented on
    /// the way.
    pub fn search_path_mtu(&mut self, destination: usize, ceiling: usize, now: Duration) {
        let is_native = matches!(self.protocol, Protocol::Native(_));
        if let Some(to) = self.destinations.get_mut(destination).filter(|_| is_native) {
            to.search_mtu(ceiling, now);
            self.follow_paths();
        }
    }

    /// Takes that the system refused a datagram of `len` bytes to a destination, or told
    /// that one is too large for the path there. Returns whether its path is searched;
    /// if not, [`set_datagram`](Self::set_datagram) lowers the size.
    pub fn handle_too_large(&mut self, destination: usize, len: usize, now: Duration) -> bool {
        let Some(to) = self.destinations.get_mut(destination) else {
            return false;
        };
        if to.handle_too_large(len, now) {
            self.follow_paths();
        }
        self.destinations[destination].mtu().is_some()
    }

    /// Sends datagrams that pass on every path.
    pub(super) fn follow_paths(&mut self) {
        let open = || self.destinations.iter().filter(|to| to.is_open());
        let fixed = self.config.datagram;
        let sizes = open().map(|to| to.mtu().map_or(fixed, PathMtu::size));
        let least = sizes.min().unwrap_or(fixed);
        // What one of several viewers reports does not get the others more packets than
        // nearly every path asks for.
        let is_shared = open().nth(1).is_some();
        let ceilings = open().filter_map(|to| Some(to.mtu()?.ceiling()));
        let floor = ceilings.chain([fixed, BASE_DATAGRAM]).min();
        self.datagram = least.max(floor.filter(|_| is_shared).unwrap_or(MIN_DATAGRAM));
    }

    /// What was found of a path.
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

    /// What is known of all paths that are searched.
    pub(super) fn path_mtu_figures(&self) -> Vec<PathMtuFigures> {
        let searched = self.destinations.iter().filter_map(|to| {
            Some(PathMtuFigures {
                destination: to.index(),
                ..to.mtu()?.figures()
            })
        });
        searched.collect()
    }
}
