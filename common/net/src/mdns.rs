//! Names on the local network: as much of DNS-SD over multicast DNS
//! (<https://www.rfc-editor.org/rfc/rfc6762>,
//! <https://www.rfc-editor.org/rfc/rfc6763>) as senders need that announce
//! themselves and viewers that look for them.
//!
//! [`Responder`] and [`Search`] know no socket and no clock, and no cache: a
//! responder keeps nothing of what it receives, a search only the senders that it
//! found. [`LocalNetworks`] are the sockets. Everything is sent to the group and
//! nothing to a single host, so that no answer can be turned against a third
//! party.

mod message;
mod networks;
mod responder;
mod search;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use networks::{LocalNetworks, probe_local_network};
pub use responder::{Change, Responder};
pub use search::{MAX_SENDERS, Search};

/// The groups (<https://www.rfc-editor.org/rfc/rfc6762#section-3>).
pub const GROUPS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)),
];

/// Their port.
pub const PORT: u16 = 5353;

/// The longest name of a sender: that of a label
/// (<https://www.rfc-editor.org/rfc/rfc6763#section-4.1.1>).
pub const MAX_NAME: usize = 63;

/// What senders are called that announce themselves: the labels of
/// `_framegram._udp.local` (<https://www.rfc-editor.org/rfc/rfc6763#section-7>).
const SERVICE: [&str; 3] = ["_framegram", "_udp", "local"];

/// What lists the services of a network
/// (<https://www.rfc-editor.org/rfc/rfc6763#section-9>).
const SERVICES: [&str; 4] = ["_services", "_dns-sd", "_udp", "local"];

/// Whether a sender can be called that: what a person can read in a list and
/// type where an address could stand. Nothing in it makes a terminal, a table or
/// a page do more than show it: no control characters, tabs and line ends among
/// them, none that turn the direction of what follows, none that are not seen.
#[must_use]
pub fn is_name(text: &str) -> bool {
    let hides = |letter| {
        matches!(letter,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    };
    let strange =
        |letter: char| letter.is_control() || hides(letter) || matches!(letter, '.' | ':' | '\\');
    (1..=MAX_NAME).contains(&text.len()) && !text.contains(strange)
}
