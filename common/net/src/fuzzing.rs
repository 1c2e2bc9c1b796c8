//! Fuzz targets: names on the local network, which anyone can query and announce,
//! the packets of a connection, and answers over HTTP. Tests run them over the stored corpus and its
//! mutations; `common/fuzz` runs them with libFuzzer.

mod framing;
mod http;

use std::net::IpAddr;
use std::time::Duration;

pub use framing::framing;
pub use http::http;

use crate::mdns::{MAX_SENDERS, Responder, Search, is_name};

/// Upper bound on answers of a responder, whatever it receives: four per second
/// to hosts that claim its name, and announcements after each change.
const MAX_ANSWERS: u64 = 200;

/// Passes datagrams to a responder and to a search. Each datagram is preceded by
/// a time step in microseconds and by its length.
///
/// # Panics
/// If the bytes reveal a bug.
pub fn names(mut bytes: &[u8]) {
    let begun = Duration::from_secs(100);
    let mut now = begun;
    let own: IpAddr = [192, 0, 2, 1].into();
    let mut responder = Responder::new("kitchen", 1, 5005, now);
    responder.handle_networks(&[(2, vec![own])], now);
    let mut search = Search::new(None, now);
    let (mut out, mut answers) = (Vec::new(), 0);
    while let [step_high, step_low, len_high, len_low, rest @ ..] = bytes {
        now += Duration::from_micros(u16::from_be_bytes([*step_high, *step_low]).into());
        let len = usize::from(u16::from_be_bytes([*len_high, *len_low]) % 1_024);
        let (datagram, rest) = rest.split_at(len.min(rest.len()));
        bytes = rest;
        responder.handle_datagram(2, datagram, now);
        search.handle_datagram(2, datagram);
        while responder.poll_transmit(now, &mut out).is_some() {
            answers += 1;
            assert!(out.len() < 512);
            search.handle_datagram(2, &out);
        }
        assert!(answers <= MAX_ANSWERS + 5 * (now - begun).as_secs());
        assert!(is_name(&responder.name()));
        assert!(search.senders().len() <= MAX_SENDERS);
        assert!(search.senders().keys().all(|name| is_name(name)));
    }
}

#[cfg(test)]
mod tests {
    use super::{framing, http, names};

    /// The corpus, relative to this crate's folder.
    const CORPUS: &str = "../fuzz/corpus";

    include!("../../fuzz/corpus.rs");

    #[test]
    fn names_over_the_corpus() {
        try_all("names", names);
    }

    #[test]
    fn framing_over_the_corpus() {
        try_all("framing", framing);
    }

    #[test]
    fn http_over_the_corpus() {
        try_all("http", http);
    }
}
