//! The destinations: a socket or a connection for each, and the notices if one cannot be reached.
//! Such an error never ends the stream.

mod open;
mod tcp;
mod throttle;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use framegram_common::rate::{self, is_local};
use framegram_common::seq::FrameNumber;
use framegram_common::wire::{DEFAULT_DATAGRAM, MAX_DATAGRAM, MIN_DATAGRAM};
use framegram_net::{
    ConnectOptions, DatagramRun, Lookup, Pollable, Received, RouteMonitor, Socket, clock,
    is_broadcast, is_refused, is_route_change, is_too_big, largest_datagram,
};

pub(crate) use self::open::{connect_options, open_all};
use self::tcp::TcpLink;
use self::throttle::ErrorThrottle;
use crate::args::{Options, Transport, Wire};

/// If nothing arrives from a viewer for this long, the route to it is checked: reports arrive five
/// times per second.
const SILENCE: Duration = Duration::from_millis(600);

/// Sizes that are tried in turn if datagrams are too big for the system or the path: IP's largest,
/// the limit of some systems, Ethernet's jumbo frames, plain Ethernet, the minimum MTU of IPv6, the
/// smallest of all.
const DATAGRAMS: [usize; 6] = [
    MAX_DATAGRAM,
    9_216,
    8_952,
    DEFAULT_DATAGRAM,
    1_232,
    MIN_DATAGRAM,
];

/// One destination of the stream.
pub(crate) struct Destination {
    carrier: Carrier,
    address: SocketAddr,
    /// The address of each datagram, unless the socket is connected.
    to: Option<SocketAddr>,
    connect_options: ConnectOptions,
    errors: ErrorThrottle,
    /// When the system last reported that there is no route.
    unreachable: Option<Duration>,
    /// When a datagram last arrived from it.
    received: Option<Duration>,
    upkeep: RouteMonitor,
    /// Set for a destination given by name.
    lookup: Option<Lookup>,
    /// The smallest datagram that was too big. It is reported once, however often chunks of that
    /// length are retransmitted.
    too_big: Option<usize>,
    /// Whether the datagram size follows the path.
    searched: bool,
    /// Prints no notices: an RTP receiver need not take RTCP.
    silent: bool,
    /// Its viewer is not served any more.
    left: bool,
    /// The system's error for the first datagram, until one was sent.
    failed: Option<String>,
    /// A datagram was sent.
    sent: bool,
    /// A datagram may be waiting.
    readable: bool,
}

/// Carries the datagrams of a destination.
enum Carrier {
    /// A socket of its own.
    Own(Socket),
    /// The socket shared by all viewers that connected.
    Shared(Arc<Socket>),
    /// A connection.
    Tcp(TcpLink),
}

/// The outcome of sending datagrams.
pub(crate) struct SendOutcome {
    /// How many datagrams the system accepted, from the front. It rejected those after them.
    pub(crate) taken: usize,
    /// A smaller datagram size to continue with.
    pub(crate) smaller: Option<usize>,
    /// A datagram is too large for a path whose MTU is searched.
    pub(crate) too_large: bool,
    /// A notice for the user.
    pub(crate) notice: Option<String>,
}

impl Destination {
    /// What to poll; `None` if viewers share a socket, and if there is no connection.
    pub(crate) fn pollable(&self) -> Option<&dyn Pollable> {
        match &self.carrier {
            Carrier::Own(socket) => Some(socket),
            Carrier::Shared(_) => None,
            Carrier::Tcp(link) => link.connection().map(|connection| connection as _),
        }
    }

    /// Marks the socket as readable.
    pub(crate) fn set_readable(&mut self) {
        self.readable = true;
    }

    /// When [`tend`](Self::tend) is due even if nothing arrives.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        match &self.carrier {
            Carrier::Own(_) | Carrier::Shared(_) => None,
            Carrier::Tcp(link) => link.poll_timeout(),
        }
    }

    /// Whether a frame would be sent at once, as far as this machine decides that.
    pub(crate) fn is_ready(&self) -> bool {
        match &self.carrier {
            Carrier::Own(_) | Carrier::Shared(_) => true,
            Carrier::Tcp(link) => link.is_ready(),
        }
    }

    /// Whether frames must wait for the first connection, so that the viewer gets the stream from
    /// its first frame.
    pub(crate) fn is_unconnected(&self) -> bool {
        matches!(&self.carrier, Carrier::Tcp(link) if !link.is_open() && link.has_failed())
    }

    /// Whether it is a viewer that connected, and may leave.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.carrier, Carrier::Shared(_))
    }

    /// Whether it is the viewer at this address that connected.
    pub(crate) fn serves(&self, address: SocketAddr) -> bool {
        self.is_shared() && !self.left && self.address == address
    }

    /// Stops serving the viewer.
    pub(crate) fn leave(&mut self) {
        self.left = true;
    }

    /// The local address of datagrams, if known.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        match &self.carrier {
            Carrier::Own(socket) => socket.local_addr(),
            Carrier::Shared(socket) => socket.local_addr(),
            Carrier::Tcp(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends datagrams, which belong to `frame` if there is one.
    pub(crate) fn send(
        &mut self,
        runs: &[DatagramRun<'_>],
        frame: Option<FrameNumber>,
        now: Duration,
    ) -> SendOutcome {
        let (taken, sent) = match &mut self.carrier {
            Carrier::Own(socket) => socket.send_runs(self.to, runs),
            Carrier::Shared(socket) => socket.send_runs(self.to, runs),
            Carrier::Tcp(link) => {
                let sent = runs.iter().try_fold(0, |count, run| {
                    let is_sent = link.send(run.datagrams, run.segment, frame, now)?;
                    Ok(count + if is_sent { run.count() } else { 0 })
                });
                return self.sent_over_tcp(&sent, now);
            }
        };
        let Err(error) = sent else {
            self.sent = true;
            return SendOutcome {
                taken,
                smaller: None,
                too_large: false,
                notice: (self.errors.clears(now) && !self.silent).then(|| self.back()),
            };
        };
        // It is no send error that nobody listens yet.
        self.sent |= is_refused(&error);
        let why = self.why(&error);
        self.failed.get_or_insert(why);
        if is_too_big(&error) && self.searched {
            return SendOutcome {
                taken,
                smaller: None,
                too_large: true,
                notice: None,
            };
        }
        let segment = rejected(runs, taken);
        let smaller = is_too_big(&error).then(|| smaller_than(segment)).flatten();
        let notice = match smaller {
            Some(smaller) => self.is_news(segment).then(|| {
                format!(
                    "datagrams of {segment} bytes are too large for the path to {}; going on with {smaller}",
                    self.address
                )
            }),
            None if is_too_big(&error) => self.is_news(segment).then(|| {
                format!(
                    "datagrams of {segment} bytes are too large for the path to {}, and no smaller ones are tried",
                    self.address
                )
            }),
            None => self.failed(&error, now),
        };
        SendOutcome {
            taken,
            smaller,
            too_large: false,
            notice,
        }
    }

    fn sent_over_tcp(&mut self, sent: &io::Result<usize>, now: Duration) -> SendOutcome {
        let taken = *sent.as_ref().unwrap_or(&0);
        let is_sent = taken > 0;
        self.sent |= is_sent;
        SendOutcome {
            taken,
            smaller: None,
            too_large: false,
            notice: match sent {
                Ok(_) => (is_sent && self.errors.clears(now)).then(|| self.back()),
                Err(error) => self.failed(error, now),
            },
        }
    }

    /// The largest datagram that the interface towards a single viewer carries. From now on, the
    /// path's MTU is searched.
    pub(crate) fn search(&mut self) -> Option<usize> {
        let is_single = match &self.carrier {
            Carrier::Own(_) => self.to.is_none(),
            Carrier::Shared(_) => true,
            Carrier::Tcp(_) => false,
        };
        let largest = is_single.then(|| largest_datagram(self.address).ok())?;
        self.searched = largest.is_some();
        largest
    }

    /// Whether an error says that a datagram is too large for a path whose MTU is searched.
    pub(crate) fn is_too_large(&self, error: &io::Error) -> bool {
        self.searched && is_too_big(error)
    }

    /// Whether a datagram of this length is too big for the first time.
    fn is_news(&mut self, bytes: usize) -> bool {
        let news = !self.silent && self.too_big.is_none_or(|smallest| bytes < smallest);
        if news {
            self.too_big = Some(bytes);
        }
        news
    }

    /// The notice about a socket error, if it is new.
    pub(crate) fn failed(&mut self, error: &io::Error, now: Duration) -> Option<String> {
        let address = self.address;
        if is_route_change(error) {
            self.unreachable = Some(now);
        }
        let news = self.errors.is_new(now);
        (news && !self.silent).then(|| {
            if is_refused(error) && self.is_over_tcp() {
                format!("nobody listens at {address} over TCP; connecting again")
            } else if is_refused(error) {
                format!("nobody listens at {address}; sending continues")
            } else {
                format!(
                    "cannot send to {address}: {}; trying again",
                    self.why(error)
                )
            }
        })
    }

    /// Fails if nothing was ever sent to this destination. RTCP and viewers that
    /// came by themselves are exempt.
    ///
    /// # Errors
    /// What the system said.
    pub(crate) fn reached(&self) -> Result<()> {
        match &self.failed {
            Some(error) if !self.sent && !self.silent && !self.is_shared() => {
                bail!("nothing could be sent to {}: {error}", self.address)
            }
            _ => Ok(()),
        }
    }

    fn why(&self, error: &io::Error) -> String {
        if self.address.ip().is_multicast() && error.kind() == io::ErrorKind::NetworkUnreachable {
            format!("{error}: no route selects an interface; add --interface NAME")
        } else {
            error.to_string()
        }
    }

    fn is_over_tcp(&self) -> bool {
        matches!(self.carrier, Carrier::Tcp(_))
    }

    /// Over TCP, ends the connection after what still waits. Returns whether the viewer may still
    /// be reading.
    pub(crate) fn finish(&mut self, now: Duration) -> bool {
        match &mut self.carrier {
            Carrier::Own(_) | Carrier::Shared(_) => false,
            Carrier::Tcp(link) => link.finish(now),
        }
    }

    fn back(&self) -> String {
        format!("{} can be reached again", self.address)
    }

    /// Receives a datagram from the destination's own socket, if there is one.
    ///
    /// # Errors
    /// An error that the network reports for an earlier datagram.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        if !self.readable {
            return Ok(None);
        }
        let received = match &mut self.carrier {
            Carrier::Own(socket) => socket.receive(buffer)?,
            Carrier::Shared(_) => None,
            Carrier::Tcp(link) => link.receive(buffer, clock::now())?,
        };
        match &received {
            Some(received) => self.received = Some(received.arrival),
            None => self.readable = false,
        }
        Ok(received)
    }

    /// Over TCP, connects. Restores the path if this machine's address or interface has changed, or
    /// if the destination's name has a new address. Returns a notice for the user.
    pub(crate) fn tend(&mut self, now: Duration) -> Option<String> {
        if let Carrier::Tcp(link) = &mut self.carrier
            && let Err(error) = link.poll(now)
        {
            self.failed.get_or_insert_with(|| error.to_string());
            return self.failed(&error, now);
        }
        if self.is_shared() {
            return None;
        }
        let lost = |since: Duration| now.saturating_sub(since) >= SILENCE;
        let unreachable = self.unreachable.is_some_and(|last| !lost(last));
        if (unreachable || self.received.is_some_and(lost)) && self.renew(now).unwrap_or(false) {
            self.unreachable = None;
            return self.notice_of("the address of this machine has changed");
        }
        // A viewer that never answered does not count as silent: then only the system's errors do.
        let since = self.received.or(self.errors.since())?;
        let found = self.lookup.as_mut()?.poll(since, now)?;
        if found == self.address || self.go_to(found).is_err() {
            return None;
        }
        self.notice_of("the name resolves to another address")
    }

    fn notice_of(&self, why: &str) -> Option<String> {
        let address = self.address;
        (!self.silent).then(|| format!("{why}: sending to {address}"))
    }

    /// Sends from another local address, or through the present interface, if either has changed.
    fn renew(&mut self, now: Duration) -> io::Result<bool> {
        let Carrier::Own(socket) = &mut self.carrier else {
            return Ok(false);
        };
        if self.to.is_none() {
            return self.upkeep.poll(socket, self.address, now);
        }
        let Some(interface) = &self.connect_options.interface else {
            // The system looks up the route of each datagram.
            return Ok(false);
        };
        if !self.upkeep.is_due(now) {
            return Ok(false);
        }
        let again = interface.refresh()?;
        if again == *interface {
            return Ok(false);
        }
        let connect_options = ConnectOptions {
            interface: Some(again),
            ..self.connect_options.clone()
        };
        *socket = Socket::connect(self.address, &connect_options)?;
        self.connect_options = connect_options;
        Ok(true)
    }

    /// Sends to another address from now on, if it belongs to a single machine.
    ///
    /// # Errors
    /// If it cannot be reached.
    pub(crate) fn go_to(&mut self, address: SocketAddr) -> io::Result<()> {
        let ip = address.ip();
        if self.to.is_some() || ip.is_multicast() || ip.is_unspecified() || is_broadcast(ip) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        match &mut self.carrier {
            Carrier::Own(socket) if self.address.is_ipv4() == address.is_ipv4() => {
                socket.reconnect(address)?;
            }
            Carrier::Own(socket) => *socket = Socket::connect(address, &self.connect_options)?,
            Carrier::Shared(_) => return Err(io::ErrorKind::InvalidInput.into()),
            Carrier::Tcp(link) => link.go_to(address),
        }
        self.address = address;
        Ok(())
    }
}

/// The length of the first datagram that was rejected, but for one that is shorter than its run's.
fn rejected(runs: &[DatagramRun<'_>], taken: usize) -> usize {
    let mut end = 0;
    let mut runs = runs.iter();
    let run = runs.find(|run| {
        end += run.count();
        taken < end
    });
    run.map_or(0, |run| run.segment)
}

fn smaller_than(datagram: usize) -> Option<usize> {
    DATAGRAMS.into_iter().find(|&smaller| smaller < datagram)
}

/// The first rate in bits per second: that of the first destination beyond the local network, if
/// there is one.
pub(crate) fn first_rate(destinations: &[Destination]) -> Option<u64> {
    let mut addresses = destinations.iter().map(Destination::address);
    addresses.find_map(|address| rate::first_rate(address.ip()))
}

/// The notice for destinations beyond the local network whose rate is not adapted
/// (<https://www.rfc-editor.org/rfc/rfc8085#section-3.1>).
pub(crate) fn unadapted(destinations: &[Destination], options: &Options) -> Option<String> {
    let addresses = destinations.iter().map(Destination::address);
    unadapted_at(addresses, options)
}

fn unadapted_at(
    mut addresses: impl Iterator<Item = SocketAddr>,
    options: &Options,
) -> Option<String> {
    if options.adapts() || options.transport == Transport::Tcp {
        return None;
    }
    let public = addresses.find(|address| !is_local(address.ip()))?;
    let why = match options.wire {
        Wire::Native => "--rate fixed",
        Wire::Rtp => "--wire rtp",
        Wire::Raw => "--wire raw",
    };
    Some(format!(
        "{public} is beyond the local network, and {why} does not slow down for others there \
         (RFC 8085)"
    ))
}

#[cfg(test)]
mod tests;
