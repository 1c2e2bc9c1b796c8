//! Names on the local network: the part of DNS-SD over multicast DNS
//! (<https://www.rfc-editor.org/rfc/rfc6762>,
//! <https://www.rfc-editor.org/rfc/rfc6763>) that announcing senders and
//! searching viewers need.
//!
//! [`Responder`] and [`Search`] use no socket and no clock, and have no cache: a
//! responder keeps nothing of what it receives, a search only the senders that it
//! found. [`LocalNetworks`] has the sockets. All messages are sent to the group,
//! never to a single host, so answers cannot be used against a third party.

mod message;
mod networks;
mod responder;
mod search;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use networks::{LocalNetworks, probe_local_network};
pub use responder::Responder;
pub use search::{MAX_SENDERS, Search};

/// The multicast groups (<https://www.rfc-editor.org/rfc/rfc6762#section-3>).
pub const GROUPS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(224, 0, 0, 251)),
    IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb)),
];

/// The port of the groups.
pub const PORT: u16 = 5353;

/// Longest name of a sender in bytes: the limit of a label
/// (<https://www.rfc-editor.org/rfc/rfc6763#section-4.1.1>).
pub const MAX_NAME: usize = 63;

/// Service type of senders: the labels of `_framegram._udp.local`
/// (<https://www.rfc-editor.org/rfc/rfc6763#section-7>).
const SERVICE: [&str; 3] = ["_framegram", "_udp", "local"];

/// Text entry of senders whose viewers need a key
/// (<https://www.rfc-editor.org/rfc/rfc6763#section-6>).
const KEY_NEEDED: &str = "key=needed";

/// Name that lists all service types of a network
/// (<https://www.rfc-editor.org/rfc/rfc6763#section-9>).
const SERVICES: [&str; 4] = ["_services", "_dns-sd", "_udp", "local"];

/// Whether a sender may have this name. A user must be able to read it in a list
/// and type it in place of an address. A terminal, a table or a page must only
/// display it: it has no control characters (such as tabs and line ends), no
/// characters that change the direction of text, and no invisible ones.
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
