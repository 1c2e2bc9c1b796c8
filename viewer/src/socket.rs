//! The sockets that receive datagrams.

use std::io;
use std::net::SocketAddr;

use anyhow::{Context, anyhow};
use framegram_cli::console::Console;
use framegram_lab::impair::Handed;
use framegram_net::{
    self as net, ConnectOptions, Interface, ListenOptions, Received, Socket, TcpListener,
};

use crate::args::Args;

/// A socket that receives from this sender only.
pub(crate) fn towards(sender: SocketAddr, buffer: usize) -> anyhow::Result<Socket> {
    let towards = ConnectOptions {
        receive_buffer: buffer,
        ..ConnectOptions::default()
    };
    Ok(Socket::connect(sender, &towards)?)
}

/// A socket that listens according to the arguments, and the options that it was opened with.
///
/// # Errors
/// If the address is in use, or does not belong to this machine.
pub(crate) fn listen(args: &Args) -> anyhow::Result<(Socket, ListenOptions)> {
    let address: Option<SocketAddr> = args
        .address
        .as_deref()
        .map(|text| net::resolve(text, Some(net::DEFAULT_PORT)))
        .transpose()?;
    let interface = args.interface.as_deref().map(Interface::find).transpose()?;
    let listen = ListenOptions {
        address,
        interface,
        buffer: args.buffer,
        ..ListenOptions::default()
    };
    let socket = Socket::listen(&listen).map_err(|error| {
        let port = address.map_or(net::DEFAULT_PORT, |address| address.port());
        if error.kind() == io::ErrorKind::AddrInUse {
            let other = port.checked_add(1).unwrap_or(net::DEFAULT_PORT);
            anyhow!(
                "{error}: end the program that listens there, or give another port, as in :{other}"
            )
        } else {
            error.into()
        }
    })?;
    Ok((socket, listen))
}

/// Listens for TCP on the socket's address, unless that is a group. If that fails, datagrams are
/// received all the same.
pub(crate) fn listen_for_tcp(socket: &Socket, console: &Console) -> Option<TcpListener> {
    let address = socket.local_addr().ok()?;
    if address.ip().is_multicast() {
        return None;
    }
    let opened = TcpListener::listen(address);
    if let Err(error) = &opened {
        console.say(&format!(
            "No sender can connect over TCP to port {}: {error}. UDP works.",
            address.port()
        ));
    }
    opened.ok()
}

/// Where RTCP arrives: the port after that of the socket.
pub(crate) fn next_port(
    socket: &Socket,
    listen: ListenOptions,
) -> anyhow::Result<Option<ListenOptions>> {
    let mut address = socket.local_addr()?;
    if let Some(group) = listen.address {
        address.set_ip(group.ip());
    }
    let Some(port) = address.port().checked_add(1) else {
        return Ok(None);
    };
    address.set_port(port);
    Ok(Some(ListenOptions {
        address: Some(address),
        ..listen
    }))
}

/// A datagram from an impaired link. Its arrival time is when the link delivered it, not when this
/// program reads it.
pub(crate) fn delayed(passed: &Handed<Received>) -> Received {
    Received {
        len: passed.datagram.len(),
        arrival: passed.due,
        ..passed.tag
    }
}

/// Counts successive errors of a socket. Some are the network's response to an earlier datagram;
/// many in a row mean a permanent failure.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    in_a_row: u32,
}

impl Troubles {
    /// Records a success.
    pub(crate) fn passed(&mut self) {
        self.in_a_row = 0;
    }

    /// Records an error.
    ///
    /// # Errors
    /// That error, if the socket is given up.
    pub(crate) fn record(&mut self, error: io::Error) -> anyhow::Result<()> {
        if self.in_a_row >= MOST_FAILURES {
            return Err(error).context("the network failed");
        }
        self.in_a_row += u32::from(!net::is_refused(&error) && !net::is_too_big(&error));
        Ok(())
    }
}

/// Feedback that the system rejected. It counts as lost, but causes a notice, since a stream
/// without feedback is not repaired.
#[derive(Debug, Default)]
pub(crate) struct Unsent {
    datagrams: u64,
}

impl Unsent {
    /// The notice, the first time.
    pub(crate) fn record(&mut self, to: SocketAddr, sent: io::Result<()>) -> Option<String> {
        // Connection refused is the network's response to an earlier datagram.
        let error = sent.err().filter(|error| !net::is_refused(error))?;
        self.datagrams += 1;
        (self.datagrams == 1).then(|| {
            format!(
                "Reports cannot be sent to {to}: {error}; nothing that is lost can be asked for. \
                 Is there a firewall that blocks outgoing UDP?"
            )
        })
    }

    /// The number of datagrams, for a report.
    pub(crate) fn datagrams(&self) -> u64 {
        self.datagrams
    }
}

/// Errors in a row after which a socket is given up.
const MOST_FAILURES: u32 = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_that_keeps_failing_is_given_up_and_one_that_works_again_is_not() {
        let down = || io::Error::from(io::ErrorKind::NetworkDown);
        let mut troubles = Troubles::default();
        for _ in 0..10 {
            for _ in 0..MOST_FAILURES {
                troubles.record(down()).unwrap();
            }
            troubles.passed();
        }
        for _ in 0..MOST_FAILURES {
            troubles
                .record(io::ErrorKind::ConnectionRefused.into())
                .unwrap();
            troubles.record(down()).unwrap();
        }
        let error = format!("{:#}", troubles.record(down()).unwrap_err());
        assert!(error.starts_with("the network failed: "), "{error}");
    }

    #[test]
    fn feedback_errors_are_reported_once_and_counted() {
        let to = SocketAddr::from(([192, 0, 2, 1], 5005));
        let mut unsent = Unsent::default();
        assert_eq!(unsent.record(to, Ok(())), None);
        let refused = io::ErrorKind::ConnectionRefused;
        assert_eq!(unsent.record(to, Err(refused.into())), None);
        let forbidden = || Err(io::ErrorKind::PermissionDenied.into());
        let told = unsent.record(to, forbidden()).unwrap();
        assert!(told.starts_with("Reports cannot be sent to 192.0.2.1:5005: "));
        assert!(told.contains("firewall"), "{told}");
        assert_eq!(unsent.record(to, forbidden()), None);
        assert_eq!(unsent.datagrams(), 2);
    }
}
