//! Opens the destinations named on the command line.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use framegram_cli::numbers::or_none;
use framegram_common::wire::DEFAULT_DATAGRAM;
use framegram_net::{
    ConnectOptions, Interface, Lookup, RouteMonitor, Socket, is_broadcast, resolve,
};
use log::info;

use super::tcp::TcpLink;
use super::throttle::ErrorThrottle;
use super::{Carrier, Destination};
use crate::args::{Options, Transport};

impl Destination {
    /// Resolves `text` and opens a socket to it.
    ///
    /// # Errors
    /// If the host is unknown, or is a broadcast address without `--broadcast`.
    pub(crate) fn open(text: &str, connect_options: &ConnectOptions) -> Result<Self> {
        Self::connect(text, resolve(text, None)?, connect_options)
    }

    /// Resolves `text` to connect to it over TCP.
    ///
    /// # Errors
    /// If the host is unknown, or does not belong to a single machine.
    fn open_tcp(text: &str) -> Result<Self> {
        let address = resolve(text, None)?;
        if address.ip().is_multicast() || is_broadcast(address.ip()) {
            bail!("{text} is not a single machine, which TCP needs: remove --transport tcp");
        }
        let carrier = Carrier::Tcp(TcpLink::new(machine(text, address)?));
        Ok(Self {
            lookup: Lookup::of(text, None),
            ..Self::new(carrier, address)
        })
    }

    /// A viewer that connected to this socket.
    pub(crate) fn viewer(socket: &Arc<Socket>, address: SocketAddr) -> Self {
        Self {
            to: Some(address),
            ..Self::new(Carrier::Shared(Arc::clone(socket)), address)
        }
    }

    fn new(carrier: Carrier, address: SocketAddr) -> Self {
        Self {
            carrier,
            address,
            to: None,
            connect_options: ConnectOptions::default(),
            errors: ErrorThrottle::default(),
            unreachable: None,
            received: None,
            upkeep: RouteMonitor::default(),
            lookup: None,
            too_big: None,
            searched: false,
            silent: false,
            left: false,
            failed: None,
            sent: false,
            readable: true,
        }
    }

    /// The same destination on the next port, for RTCP.
    ///
    /// # Errors
    /// If there is no next port, or it cannot be opened.
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
        let address = machine(text, address)?;
        let is_broadcast = is_broadcast(address.ip());
        if is_broadcast && !connect_options.broadcast {
            bail!("{text} is a broadcast address: allow it with --broadcast");
        }
        let socket = Socket::connect(address, connect_options)?;
        let from = or_none(socket.local_addr().ok());
        info!("sending to {address} from {from}");
        let connected = !address.ip().is_multicast() && !is_broadcast;
        Ok(Self {
            to: (!connected).then_some(address),
            connect_options: connect_options.clone(),
            lookup: Lookup::of(text, None).filter(|_| connected),
            ..Self::new(Carrier::Own(socket), address)
        })
    }
}

/// Opens all destinations.
///
/// # Errors
/// The first that cannot be opened, with its name.
pub(crate) fn open_all(
    texts: &[String],
    connect_options: &ConnectOptions,
    transport: Transport,
) -> Result<Vec<Destination>> {
    let open = |text: &String| {
        let opened = match transport {
            Transport::Udp => Destination::open(text, connect_options),
            Transport::Tcp => Destination::open_tcp(text),
        };
        opened.with_context(|| format!("cannot send to {text}"))
    };
    texts.iter().map(open).collect()
}

/// The socket options that the flags select.
///
/// # Errors
/// If there is no such interface.
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

/// The address, if it can belong to a single machine.
fn machine(text: &str, address: SocketAddr) -> Result<SocketAddr> {
    if address.ip().is_unspecified() {
        bail!("{text} is not a destination: name the machine where the viewer runs");
    }
    Ok(address)
}
