//! What a flag lets one choose from.

use std::net::{IpAddr, SocketAddr};

use clap::ValueEnum;
use framegram_common::wire;
use framegram_net as net;

/// How figures are written while the stream runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stats {
    /// One JSON object a line.
    Json,
}

/// What is shown of several senders.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// One stream at a time.
    Follow,
    /// All in tiles.
    Grid,
}

/// The formats of datagrams that are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Wire {
    /// Whatever comes.
    Auto,
    /// framegram's own.
    Native,
    /// JPEG in RTP.
    Rtp,
    /// JPEGs, whole or one after another in pieces.
    Raw,
}

impl Wire {
    /// The one format, if it is one.
    #[must_use]
    pub fn format(self) -> Option<wire::Format> {
        match self {
            Self::Auto => None,
            Self::Native => Some(wire::Format::Native),
            Self::Rtp => Some(wire::Format::Rtp),
            Self::Raw => Some(wire::Format::Raw),
        }
    }
}

/// A sender to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sender {
    /// By its address, with a port.
    Address(String),
    /// By the name that it announces.
    Name(String),
}

pub(super) fn sender(text: &str) -> Result<Sender, String> {
    let bare = text.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        let with_port = SocketAddr::new(address, net::DEFAULT_PORT);
        return Err(format!("add a port: {with_port}"));
    }
    if !text.contains(':') {
        return Ok(Sender::Name(text.to_owned()));
    }
    match net::resolve(text, None) {
        Err(error) if error.kind() == std::io::ErrorKind::InvalidInput => Err(error.to_string()),
        _ => Ok(Sender::Address(text.to_owned())),
    }
}
