//! Rates, sizes and addresses as people type them.

use framegram_common::fec::Fec;
use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_common::wire::{MAX_DATAGRAM, MIN_DATAGRAM};
use framegram_net as net;

use crate::encode::MIN_FRAME_BYTES;
use crate::source;

/// How fast frames are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FrameRate {
    /// Without waiting.
    Max,
    /// Frames per second.
    Fixed(f64),
}

impl FrameRate {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self::Max);
        }
        source::parse_rate(text).map(Self::Fixed)
    }
}

/// The largest datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketSize {
    /// As large as the path carries.
    Auto,
    /// Bytes of UDP payload.
    Fixed(usize),
}

/// Checks the form only: an unknown host is a failure, not wrong usage.
pub(super) fn destination(text: &str) -> Result<String, String> {
    let port = match text.rsplit_once(':') {
        Some((host, port)) if host.starts_with('[') == host.ends_with(']') => {
            let plain_v6 = host.contains(':') && !host.starts_with('[');
            (!host.is_empty() && !plain_v6).then_some(port)
        }
        _ => None,
    };
    match port.map(str::parse::<u16>) {
        Some(Ok(1..)) => Ok(text.into()),
        _ => Err("a destination is HOST:PORT or [IPv6]:PORT, such as 192.168.1.20:5005".into()),
    }
}

pub(super) fn listen(text: &str) -> Result<String, String> {
    net::check_form(text, Some(net::DEFAULT_PORT))
}

pub(super) fn frame_bytes(text: &str) -> Result<usize, String> {
    let most = MAX_FRAME_BYTES;
    match text.parse() {
        Ok(bytes) if (MIN_FRAME_BYTES..=most).contains(&bytes) => Ok(bytes),
        _ => Err(format!("a frame has {MIN_FRAME_BYTES} to {most} bytes")),
    }
}

pub(super) fn packet_size(text: &str) -> Result<PacketSize, String> {
    match text.parse() {
        _ if text == "auto" => Ok(PacketSize::Auto),
        Ok(bytes) if (MIN_DATAGRAM..=MAX_DATAGRAM).contains(&bytes) => Ok(PacketSize::Fixed(bytes)),
        _ => Err(format!(
            "it is auto, or {MIN_DATAGRAM} to {MAX_DATAGRAM} bytes"
        )),
    }
}

pub(super) fn fec(text: &str) -> Result<Fec, String> {
    match text {
        "off" => Ok(Fec::Off),
        "auto" => Ok(Fec::Auto),
        _ => match text.strip_suffix('%').unwrap_or(text).parse::<f64>() {
            Ok(percent) if (1.0..=MOST_PARITY).contains(&percent) => {
                Ok(Fec::Fixed(percent / 100.0))
            }
            _ => Err("it is off, auto or a percentage from 1 to 200".into()),
        },
    }
}

/// Upper bound on parity, in percent: enough for a path that loses two of three datagrams.
const MOST_PARITY: f64 = 200.0;
