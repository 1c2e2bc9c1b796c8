//! The values that flags choose from.

use std::net::{IpAddr, SocketAddr};

use clap::ValueEnum;
use framegram_common::wire;
use framegram_net as net;

/// Formats of --stats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stats {
    /// One JSON object per line
    Json,
}

/// The formats of datagrams to accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// Any of these, recognised by the first bytes
    Auto,
    /// framegram's own
    Native,
    /// JPEG in RTP (RFC 2435)
    Rtp,
    /// Bare JPEG, one per datagram or cut into several
    Raw,
}

impl Wire {
    /// The selected format; `None` for any.
    pub fn format(self) -> Option<wire::Format> {
        match self {
            Self::Auto => None,
            Self::Native => Some(wire::Format::Native),
            Self::Rtp => Some(wire::Format::Rtp),
            Self::Raw => Some(wire::Format::Raw),
        }
    }
}

/// A sender to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SenderAddress {
    /// By its address, with a port.
    Address(String),
    /// By its announced name.
    Name(String),
}

pub(super) fn sender(text: &str) -> Result<SenderAddress, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        let with_port = SocketAddr::new(address, net::DEFAULT_PORT);
        return Err(format!("add a port: {with_port}"));
    }
    if !text.contains(':') {
        return Ok(SenderAddress::Name(text.to_owned()));
    }
    net::check_form(text, None).map(SenderAddress::Address)
}
