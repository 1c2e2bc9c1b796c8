//! The sockets that datagrams come to.

use std::io;
use std::net::SocketAddr;

use anyhow::anyhow;
use framegram_common::udp::{self, Interface, Listen, Socket, Towards};

use crate::args::Args;

/// A socket that hears this sender alone.
pub(crate) fn towards(sender: SocketAddr, buffer: usize) -> anyhow::Result<Socket> {
    let towards = Towards {
        receive_buffer: buffer,
        ..Towards::default()
    };
    Ok(Socket::towards(sender, &towards)?)
}

/// A socket that listens as the arguments say, and how.
///
/// # Errors
/// Where the address is taken, or not of this machine.
pub(crate) fn listen(args: &Args) -> anyhow::Result<(Socket, Listen)> {
    let address: Option<SocketAddr> = args
        .address
        .as_deref()
        .map(|text| udp::resolve(text, Some(udp::DEFAULT_PORT)))
        .transpose()?;
    let interface = args.interface.as_deref().map(Interface::find).transpose()?;
    let listen = Listen {
        address,
        interface,
        buffer: args.buffer,
        ..Listen::default()
    };
    let socket = Socket::listen(&listen).map_err(|error| {
        let port = address.map_or(udp::DEFAULT_PORT, |address| address.port());
        if error.kind() == io::ErrorKind::AddrInUse {
            let other = port.checked_add(1).unwrap_or(udp::DEFAULT_PORT);
            anyhow!(
                "{error}: end the program that listens there, or give another port, as in :{other}"
            )
        } else {
            error.into()
        }
    })?;
    Ok((socket, listen))
}

/// Where the reports of RTP senders come: the port behind the one that the
/// socket has.
pub(crate) fn next_port(socket: &Socket, listen: Listen) -> anyhow::Result<Option<Listen>> {
    let mut address = socket.local_addr()?;
    if let Some(group) = listen.address {
        address.set_ip(group.ip());
    }
    let Some(port) = address.port().checked_add(1) else {
        return Ok(None);
    };
    address.set_port(port);
    Ok(Some(Listen {
        address: Some(address),
        ..listen
    }))
}
