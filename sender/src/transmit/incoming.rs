//! Handles datagrams from viewers, and viewers that connect and leave.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::sender::{Event, LeaveReason};
use framegram_lab::impair::ImpairedLinks;
use framegram_net::clock;
use log::{info, trace};

use super::{MOST_RECEIVED, TransmitLoop};
use crate::console::Console;
use crate::destinations::Destination;
use crate::pipeline::Pipeline;
use crate::seal::{self, Seal};

impl TransmitLoop<'_> {
    /// Receives from the destinations' own sockets.
    pub(super) fn receive(&mut self) {
        for (index, destination) in self.destinations.iter_mut().enumerate() {
            for _ in 0..MOST_RECEIVED {
                match destination.receive(&mut self.buffer) {
                    Ok(Some(received)) => {
                        let length = received.len.min(self.buffer.len());
                        let datagram = &mut self.buffer[..length];
                        let (from, arrival) = (received.from, received.arrival);
                        let packet = opened(&mut self.seal, from, datagram, arrival, self.console);
                        if let Some(packet) = packet {
                            self.sender.handle_datagram(index, packet, arrival);
                        }
                    }
                    Ok(None) => break,
                    Err(error) if destination.is_too_large(&error) => {
                        let (len, now) = (self.sender.datagram(), clock::now());
                        self.sender.handle_too_large(index, len, now);
                    }
                    Err(error) => {
                        trace!("{}: {error}", destination.address());
                        if let Some(notice) = destination.failed(&error, clock::now()) {
                            self.console.say(&notice);
                        }
                    }
                }
            }
        }
    }

    /// Makes connections, and restores the path to destinations that have become unreachable.
    pub(super) fn tend_destinations(&mut self) {
        let now = clock::now();
        let mut fixed = self.destinations[..self.fixed].iter();
        if self.any_sent
            && fixed.any(|to| !to.address().ip().is_multicast())
            && let Some(notice) = self.seal.as_mut().and_then(|seal| seal.silence(now))
        {
            self.console.say(notice);
        }
        for index in 0..self.destinations.len() {
            let destination = &mut self.destinations[index];
            let before = destination.address();
            let notice = destination.tend(now);
            let after = destination.address();
            if let Some(notice) = notice {
                self.console.say(&notice);
                // The new path may use another interface.
                self.search_path(index);
            }
            // If RTCP has a port of its own, it is the next one.
            if after != before
                && index < self.fixed
                && let Some(port) = after.port().checked_add(1)
                && let Some(reports) = self.destinations.get_mut(self.fixed + index)
                && !reports.is_shared()
            {
                // A report that cannot be sent counts as lost.
                let _ = reports.go_to(SocketAddr::new(after.ip(), port));
            }
        }
    }

    /// Receives from the socket that viewers connect to.
    pub(super) fn receive_incoming(&mut self, pipeline: &Pipeline, out: &mut Vec<u8>) {
        for _ in 0..MOST_RECEIVED {
            // A network error for an earlier answer does not matter here.
            let received = self
                .accept
                .as_mut()
                .map(|accept| accept.receive(&mut self.buffer));
            let Some(Ok(Some(received))) = received else {
                return;
            };
            let length = received.len.min(self.buffer.len());
            let datagram = &mut self.buffer[..length];
            let (from, arrival) = (received.from, received.arrival);
            let packet = opened(&mut self.seal, from, datagram, arrival, self.console);
            let Some(packet) = packet else {
                continue;
            };
            self.sender.handle_incoming(from, packet, arrival);
            if let Some(accept) = &self.accept
                && self.destinations.iter().any(|to| to.serves(received.from))
            {
                accept.remember(received.from);
            }
            self.transmit(pipeline, out);
        }
    }

    /// Handles an event about a viewer that connected.
    pub(super) fn handle_event(&mut self, event: Event) {
        let served = self.sender.admitted();
        info!("{event}, {served} served");
        if let Event::PathMtu {
            destination,
            datagram,
            before,
        } = event
        {
            self.tell_path_mtu(destination, datagram, before);
        }
        let Some(accept) = &mut self.accept else {
            return;
        };
        match event {
            Event::Admitted {
                destination,
                address,
            } => {
                forget_link(&mut self.impaired, destination);
                let viewer = Destination::viewer(accept.socket(), address);
                match self.destinations.get_mut(destination) {
                    Some(known) => {
                        // It may have been at another address before.
                        if known.address() != address {
                            accept.socket().forget(known.address());
                        }
                        *known = viewer;
                    }
                    None => self.destinations.push(viewer),
                }
                accept.remember(address);
                accept.notify(address, "is served", served, self.console);
                self.search_path(destination);
            }
            Event::Left {
                destination,
                reason,
            } => {
                forget_link(&mut self.impaired, destination);
                if let Some(seal) = &mut self.seal {
                    seal.forget(destination);
                }
                if let Some(left) = self.destinations.get_mut(destination) {
                    left.leave();
                    accept.socket().forget(left.address());
                    let why = match reason {
                        LeaveReason::Bye => "left",
                        LeaveReason::Silent => "fell silent",
                        LeaveReason::Displaced => "gave its slot to a viewer at another address",
                    };
                    accept.notify(left.address(), why, served, self.console);
                }
            }
            Event::Rejected { address } => {
                accept.notify(address, "was refused", served, self.console);
            }
            _ => {}
        }
    }
}

/// Opens a datagram, or returns it unchanged if there is no key; `None` if it is refused.
fn opened<'a>(
    seal: &mut Option<Seal>,
    from: SocketAddr,
    datagram: &'a mut [u8],
    now: Duration,
    console: &Console,
) -> Option<&'a [u8]> {
    let Some(seal) = seal else {
        return Some(datagram);
    };
    let opened = seal.open(from, datagram, now);
    opened
        .inspect_err(|notice| notice.iter().for_each(|line| console.say(line)))
        .ok()
}

impl TransmitLoop<'_> {
    /// Starts the search for the largest datagram that the path to a destination carries, if the
    /// size follows the path.
    pub(super) fn search_path(&mut self, destination: usize) {
        if let Some(most) = self.most_datagram
            && let Some(to) = self.destinations.get_mut(destination)
            && let Some(ceiling) = to.search()
        {
            // A probe is a padded sender report.
            let sealed = seal::report_overhead(self.seal.as_ref());
            let ceiling = ceiling.min(most).saturating_sub(sealed);
            self.sender
                .search_path_mtu(destination, ceiling, clock::now());
        }
    }

    fn tell_path_mtu(&self, destination: usize, datagram: usize, before: Option<usize>) {
        let Some(to) = self.destinations.get(destination) else {
            return;
        };
        let address = to.address();
        let sealed = seal::overhead(self.seal.as_ref());
        let (datagram, before) = (datagram + sealed, before.map(|bytes| bytes + sealed));
        self.console.say(&match before {
            Some(before) if before > datagram => format!(
                "datagrams of {before} bytes do not arrive at {address} any more; going on with \
                 {datagram}"
            ),
            _ => format!("the path to {address} carries datagrams of {datagram} bytes"),
        });
    }
}

/// Drops what is in flight to a viewer, so that the next one at its destination does not get it.
fn forget_link(impaired: &mut Option<ImpairedLinks<()>>, destination: usize) {
    if let Some(impaired) = impaired {
        impaired.close(destination);
    }
}
