//! Network and clocks of a Linux machine, for programs that send and receive
//! datagrams: UDP [sockets](Socket) with the kernel's receive times and drop
//! counters, batches, and a [wait](wait()) for several sockets; packets over TCP
//! [connections](Connection); [`http`] of cameras; addresses, interfaces and names; the [`clock`];
//! random numbers; [`mdns`].
//!
//! Knows nothing about packets or frames.

mod address;
pub mod clock;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod http;
mod interface;
mod lookup;
pub mod mdns;
mod socket;
mod tcp;

pub use address::{check_form, is_broadcast, local_addresses, resolve};
pub use interface::Interface;
pub use lookup::Lookup;
pub use socket::{
    Batch, ConnectOptions, DEFAULT_BUFFER, DatagramRun, ListenOptions, Pollable, Received,
    RouteMonitor, Socket, Waker, is_refused, is_route_change, is_too_big, largest_datagram, wait,
};
pub use tcp::{Connection, TcpListener};

/// Default port of viewers.
pub const DEFAULT_PORT: u16 = 5005;

/// An unpredictable 64-bit number, for identifying streams and viewers.
///
/// # Panics
/// If the system has no source of random numbers.
pub fn random_u64() -> u64 {
    getrandom::u64().expect("the system has no random numbers")
}

/// The same, of this many bytes.
///
/// # Panics
/// Where the system has none.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has no random numbers");
    bytes
}
