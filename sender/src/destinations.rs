//! The destinations: a socket for each, and what to say when one of them
//! cannot be reached. No such error ends the stream.

mod throttle;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use framegram_cli::numbers::or_none;
use framegram_common::wire::{DEFAULT_DATAGRAM, MAX_DATAGRAM, MIN_DATAGRAM};
use framegram_net::{
    ConnectOptions, Interface, Lookup, Received, RouteMonitor, Socket, is_broadcast, is_refused,
    is_route_change, is_too_big, resolve,
};
use log::info;

use self::throttle::ErrorThrottle;
use crate::args::Options;

/// If nothing comes from a viewer for so long, the route to it is checked: reports
/// come five times a second.
const SILENCE: Duration = Duration::from_millis(600);

/// What is tried, from large to small, when datagrams are too big for the
/// system or the path: IP's largest, the most that some systems take,
/// Ethernet's jumbo frames, plain Ethernet, the least that IPv6 carries, the
/// least of all.
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
    socket: Arc<Socket>,
    address: SocketAddr,
    /// Named with every datagram, where the socket is not connected.
    to: Option<SocketAddr>,
    connect_options: ConnectOptions,
    errors: ErrorThrottle,
    /// When the system said last that there is no route.
    unreachable: Option<Duration>,
    /// When something came back last.
    received: Option<Duration>,
    upkeep: RouteMonitor,
    /// Of a destination that has a name.
    lookup: Option<Lookup>,
    /// The smallest datagram that was too big: reported once, however often chunks
    /// of that length are sent again.
    too_big: Option<usize>,
    /// Nothing is said of it: who takes RTP may well take no reports.
    silent: bool,
    /// The socket is that of other viewers too.
    shared: bool,
    /// Nobody is served here any more.
    left: bool,
    /// What the system said of the first datagram, while it took none.
    failed: Option<String>,
    /// The system took one.
    sent: bool,
}

/// The outcome of sending a batch of datagrams.
pub(crate) struct SendOutcome {
    /// Bytes at their front that the system took: all of them, or it refused
    /// the datagrams behind.
    pub(crate) taken: usize,
    /// A smaller datagram to go on with.
    pub(crate) smaller: Option<usize>,
    /// What a person should hear.
    pub(crate) notice: Option<String>,
}

impl Destination {
    /// Looks `text` up and opens a socket towards it.
    ///
    /// # Errors
    /// Where the host is unknown, or a broadcast address not meant as such.
    pub(crate) fn open(text: &str, connect_options: &ConnectOptions) -> Result<Self> {
        Self::connect(text, resolve(text, None)?, connect_options)
    }

    /// A viewer that came to this socket.
    pub(crate) fn viewer(socket: &Arc<Socket>, address: SocketAddr) -> Self {
        Self {
            socket: Arc::clone(socket),
            address,
            to: Some(address),
            connect_options: ConnectOptions::default(),
            errors: ErrorThrottle::default(),
            unreachable: None,
            received: None,
            upkeep: RouteMonitor::default(),
            lookup: None,
            too_big: None,
            silent: false,
            shared: true,
            left: false,
            failed: None,
            sent: false,
        }
    }

    /// Another one on the next port, for RTP's reports.
    ///
    /// # Errors
    /// Where there is no next port, or it cannot be opened.
    pub(crate) fn for_reports(&self, connect_options: &ConnectOptions) -> Result<Self> {
        let mut address = self.address;
        let port = address.port().checked_add(1);
        address.set_port(
            port.context("there is no next port for RTCP: use a lower port, or --rtcp-mux")?,
        );
        let text = address.to_string();
        let connect_options = ConnectOptions {
            fragment: false,
            ..connect_options.clone()
        };
        let destination = Self::connect(&text, address, &connect_options)?;
        Ok(Self {
            silent: true,
            ..destination
        })
    }

    fn connect(text: &str, address: SocketAddr, connect_options: &ConnectOptions) -> Result<Self> {
        if address.ip().is_unspecified() {
            bail!("{text} is not a destination: name the machine where the viewer runs");
        }
        let is_broadcast = is_broadcast(address.ip());
        if is_broadcast && !connect_options.broadcast {
            bail!("{text} is a broadcast address: allow it with --broadcast");
        }
        let socket = Socket::connect(address, connect_options)?;
        let from = or_none(socket.local_addr().ok());
        info!("sending to {address} from {from}");
        let connected = !address.ip().is_multicast() && !is_broadcast;
        Ok(Self {
            socket: Arc::new(socket),
            address,
            to: (!connected).then_some(address),
            connect_options: connect_options.clone(),
            errors: ErrorThrottle::default(),
            unreachable: None,
            received: None,
            upkeep: RouteMonitor::default(),
            lookup: Lookup::of(text, None).filter(|_| connected),
            too_big: None,
            silent: false,
            shared: false,
            left: false,
            failed: None,
            sent: false,
        })
    }

    /// Its own socket; `None` where viewers share one.
    pub(crate) fn own_socket(&self) -> Option<&Socket> {
        (!self.shared).then_some(&*self.socket)
    }

    /// Whether it is a viewer that came by itself, and may have left.
    pub(crate) fn is_shared(&self) -> bool {
        self.shared
    }

    /// Whether it is a viewer at this address that came by itself.
    pub(crate) fn serves(&self, address: SocketAddr) -> bool {
        self.shared && !self.left && self.address == address
    }

    /// The viewer is served no more.
    pub(crate) fn leave(&mut self) {
        self.left = true;
    }

    /// The address that datagrams leave from, as far as that is known.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends `datagrams`, of `segment` bytes each but the last.
    pub(crate) fn send(&mut self, datagrams: &[u8], segment: usize, now: Duration) -> SendOutcome {
        let (left, sent) = self.socket.send_some(self.to, datagrams, segment);
        let Err(error) = sent else {
            self.sent = true;
            return SendOutcome {
                taken: datagrams.len(),
                smaller: None,
                notice: (self.errors.clears(now) && !self.silent).then(|| self.back()),
            };
        };
        let taken = left.saturating_mul(segment).min(datagrams.len());
        // Nobody listening yet is no failure of sending.
        self.sent |= is_refused(&error);
        let why = self.why(&error);
        self.failed.get_or_insert(why);
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
            notice,
        }
    }

    /// Whether it is news that so long a datagram is too big.
    fn is_news(&mut self, bytes: usize) -> bool {
        let news = !self.silent && self.too_big.is_none_or(|smallest| bytes < smallest);
        if news {
            self.too_big = Some(bytes);
        }
        news
    }

    /// The notice of an error of the socket, if it is new.
    pub(crate) fn failed(&mut self, error: &io::Error, now: Duration) -> Option<String> {
        let address = self.address;
        if is_route_change(error) {
            self.unreachable = Some(now);
        }
        let news = self.errors.is_new(now);
        (news && !self.silent).then(|| {
            if is_refused(error) {
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
            Some(error) if !self.sent && !self.silent && !self.shared => {
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

    fn back(&self) -> String {
        format!("{} can be reached again", self.address)
    }

    /// Takes a datagram that came back to its own socket, if there is one.
    ///
    /// # Errors
    /// What the network said of an earlier datagram.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let Some(socket) = self.own_socket() else {
            return Ok(None);
        };
        let received = socket.receive(buffer)?;
        if let Some(received) = &received {
            self.received = Some(received.arrival);
        }
        Ok(received)
    }

    /// Finds the way again, where this machine's address or interface has
    /// changed, or the destination's name has moved. Returns what a person
    /// should hear of it.
    pub(crate) fn check_route(&mut self, now: Duration) -> Option<String> {
        if self.shared {
            return None;
        }
        let lost = |since: Duration| now.saturating_sub(since) >= SILENCE;
        let unreachable = self.unreachable.is_some_and(|last| !lost(last));
        if (unreachable || self.received.is_some_and(lost)) && self.renew(now).unwrap_or(false) {
            self.unreachable = None;
            return self.notice_of("the address of this machine has changed");
        }
        // Who never answered is not silent: only what the system says counts.
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

    /// Sends from another address of this machine, or by the interface as it is
    /// now, where that differs.
    fn renew(&mut self, now: Duration) -> io::Result<bool> {
        if self.to.is_none() {
            return self.upkeep.poll(&self.socket, self.address, now);
        }
        let Some(interface) = &self.connect_options.interface else {
            // The routes are asked for every datagram.
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
        self.socket = Arc::new(Socket::connect(self.address, &connect_options)?);
        self.connect_options = connect_options;
        Ok(true)
    }

    /// Sends to another address from now on, if it is that of one machine.
    ///
    /// # Errors
    /// Where it cannot be reached.
    pub(crate) fn go_to(&mut self, address: SocketAddr) -> io::Result<()> {
        let ip = address.ip();
        if self.to.is_some() || ip.is_multicast() || ip.is_unspecified() || is_broadcast(ip) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        if self.address.is_ipv4() == address.is_ipv4() {
            self.socket.reconnect(address)?;
        } else {
            self.socket = Arc::new(Socket::connect(address, &self.connect_options)?);
        }
        self.address = address;
        Ok(())
    }
}

/// Opens all destinations.
///
/// # Errors
/// The first that cannot be opened, by its name.
pub(crate) fn open_all(
    texts: &[String],
    connect_options: &ConnectOptions,
) -> Result<Vec<Destination>> {
    let open = |text: &String| {
        Destination::open(text, connect_options).with_context(|| format!("cannot send to {text}"))
    };
    texts.iter().map(open).collect()
}

/// How to send, as the options say.
///
/// # Errors
/// Where there is no such interface.
pub(crate) fn connect_options(options: &Options) -> Result<ConnectOptions> {
    let interface = options.interface.as_deref();
    Ok(ConnectOptions {
        broadcast: options.broadcast,
        interface: interface.map(Interface::find).transpose()?,
        multicast_hops: options.hops(),
        multicast_loop: !options.no_multicast_loop,
        fragment: options.packet_size() > DEFAULT_DATAGRAM,
        ..ConnectOptions::default()
    })
}

fn smaller_than(datagram: usize) -> Option<usize> {
    DATAGRAMS.into_iter().find(|&smaller| smaller < datagram)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn goes_down_through_the_datagrams_that_networks_have() {
        assert_eq!(smaller_than(MAX_DATAGRAM), Some(9_216));
        assert_eq!(smaller_than(9_216), Some(8_952));
        assert_eq!(smaller_than(1_500), Some(DEFAULT_DATAGRAM));
        assert_eq!(smaller_than(MIN_DATAGRAM), None);
    }

    #[test]
    fn falls_back_when_a_datagram_is_too_big_for_the_system() {
        let connect_options = ConnectOptions {
            fragment: true,
            ..ConnectOptions::default()
        };
        let mut destination = Destination::open("127.0.0.1:9", &connect_options).unwrap();
        let sent = destination.send(&vec![0; MAX_DATAGRAM + 1], MAX_DATAGRAM + 1, MS);
        assert_eq!((sent.taken, sent.smaller), (0, Some(MAX_DATAGRAM)));
        assert!(sent.notice.is_some());
        let error = destination.reached().unwrap_err().to_string();
        assert!(
            error.starts_with("nothing could be sent to 127.0.0.1:9: "),
            "{error}"
        );
        destination.send(b"small", 5, MS);
        assert!(destination.reached().is_ok());
    }

    #[test]
    fn tells_once_that_a_datagram_is_too_big() {
        let listener = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let mut destination = Destination::open(&address, &ConnectOptions::default()).unwrap();
        let too_big = MAX_DATAGRAM + 2;
        let mut send = |bytes: usize, ms: u32| destination.send(&vec![0; bytes], bytes, ms * MS);
        let first = send(too_big, 1);
        assert!(first.notice.is_some() && first.smaller.is_some());
        for second in 1..10 {
            assert_eq!(send(5, 1_000 * second).notice, None);
            let again = send(too_big, 1_000 * second + 500);
            assert_eq!((again.notice, again.smaller), (None, first.smaller));
        }
        assert!(send(too_big - 1, 20_000).notice.is_some());
    }

    #[test]
    fn fails_for_broadcast_that_is_not_meant_and_for_no_machine() {
        let one = ConnectOptions::default();
        for text in ["255.255.255.255:5005", "0.0.0.0:5005", "[::]:5005"] {
            assert!(Destination::open(text, &one).is_err(), "{text}");
        }
        let all = ConnectOptions {
            broadcast: true,
            ..ConnectOptions::default()
        };
        assert!(Destination::open("255.255.255.255:5005", &all).is_ok());
        assert!(Destination::open("239.1.2.3:5005", &one).is_ok());
    }
}
