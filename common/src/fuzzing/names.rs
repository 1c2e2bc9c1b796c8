//! Names on the local network, which anybody asks for and announces.

use std::net::IpAddr;
use std::time::Duration;

use super::input::Input;
use crate::mdns::{MAX_SENDERS, Responder, Search, is_name};

/// How many answers a responder is expected to give at most, whatever it hears:
/// four a second to those who want its name, and its news after each change.
const MOST_ANSWERS: u64 = 200;

/// Datagrams, for a sender that announces itself and for a viewer that looks.
pub(super) fn run(bytes: &[u8]) {
    let mut input = Input(bytes);
    let begun = Duration::from_secs(100);
    let mut now = begun;
    let own: IpAddr = [192, 0, 2, 1].into();
    let mut responder = Responder::new("kitchen", 1, 5005, now);
    responder.handle_networks(&[(2, vec![own])], now);
    let mut search = Search::new(None, now);
    let (mut out, mut said) = (Vec::new(), 0);
    while !input.is_empty() {
        now += Duration::from_micros(input.u16().into());
        let len = usize::from(input.u16() % 1_024);
        let datagram = input.bytes(len);
        responder.handle_datagram(2, datagram, now);
        search.handle_datagram(2, datagram);
        while responder.poll_transmit(now, &mut out).is_some() {
            said += 1;
            assert!(out.len() < 512);
            search.handle_datagram(2, &out);
        }
        assert!(said <= MOST_ANSWERS + 5 * (now - begun).as_secs());
        assert!(is_name(&responder.name()));
        assert!(search.senders().len() <= MAX_SENDERS);
        assert!(search.senders().keys().all(|name| is_name(name)));
    }
}
