//! Sends datagrams, directly or over impaired links.

use std::time::Duration;

use anyhow::{Context, Result};
use framegram_common::sender::Output;
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{Waker, clock, wait};
use log::info;

use super::TransmitLoop;
use crate::console::Console;
use crate::destinations::{Destination, SendOutcome};
use crate::pipeline::Pipeline;
use crate::seal::{self, Seal};

/// How long viewers may take to read the last frame over TCP.
const LINGER: Duration = Duration::from_secs(1);

impl TransmitLoop<'_> {
    /// Sends everything that is due.
    pub(super) fn transmit(&mut self, pipeline: &Pipeline, out: &mut Vec<u8>) {
        let mut smaller = None;
        loop {
            let now = clock::now();
            let transmit = match self.sender.poll_output(now, out) {
                Output::Transmit(transmit) => transmit,
                Output::Answer(to) => {
                    if let Some(accept) = &self.accept {
                        let len = out.len();
                        let (answer, _) = sealed(&mut self.seal, out, len, now);
                        if !answer.is_empty() {
                            accept.answer(to, answer);
                        }
                    }
                    continue;
                }
                Output::Event(event) => {
                    self.handle_event(event);
                    continue;
                }
                Output::Timeout(_) => break,
            };
            let index = transmit.destination;
            let Some(destination) = self.destinations.get_mut(index) else {
                continue;
            };
            let (datagrams, segment) = sealed(&mut self.seal, out, transmit.segment, now);
            if datagrams.is_empty() {
                // No keys are agreed on with the viewer there.
                self.sender.handle_send_error(index, out, transmit.segment);
                continue;
            }
            match &mut self.impaired {
                None => {
                    let sent = destination.send(datagrams, segment, transmit.frame, now);
                    // The same number of packets in the clear.
                    let taken = sent.taken.div_ceil(segment.max(1)) * transmit.segment;
                    let refused = &out[taken.min(out.len())..];
                    self.sender
                        .handle_send_error(index, refused, transmit.segment);
                    if sent.too_large {
                        self.sender.handle_too_large(index, transmit.segment, now);
                    }
                    notify(sent, &mut smaller, self.console);
                }
                Some(impaired) => {
                    for datagram in datagrams.chunks(segment.max(1)) {
                        impaired.push(index, datagram, (), now);
                    }
                    self.pass_on(now, &mut smaller);
                }
            }
        }
        self.pass_on(clock::now(), &mut smaller);
        self.follow_datagram(pipeline, smaller);
    }

    /// Waits for the datagrams that are still on impaired links, and sends them.
    pub(super) fn pass_on_rest(&mut self, pipeline: &Pipeline, waker: &Waker) -> Result<()> {
        while let Some(due) = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout) {
            let timeout = due.saturating_sub(clock::now());
            wait(&[], waker, Some(timeout)).context("cannot wait for the network")?;
            let mut smaller = None;
            self.pass_on(clock::now(), &mut smaller);
            self.follow_datagram(pipeline, smaller);
        }
        self.finish_connections(waker)
    }

    /// Sends what is queued for connections, and waits until the viewers have read it: closing a
    /// connection with unread data resets it.
    fn finish_connections(&mut self, waker: &Waker) -> Result<()> {
        let until = clock::now() + LINGER;
        loop {
            let now = clock::now();
            self.receive();
            let destinations = self.destinations.iter_mut();
            let reading = destinations.fold(false, |any, to| to.finish(now) | any);
            if !reading || now >= until {
                return Ok(());
            }
            let sockets = self.destinations.iter().filter_map(Destination::pollable);
            let sockets: Vec<_> = sockets.collect();
            let ready = wait(&sockets, waker, Some(until - now));
            self.set_readable(&ready.context("cannot wait for the network")?);
        }
    }

    /// Sends what has passed the impaired links.
    fn pass_on(&mut self, now: Duration, smaller: &mut Option<usize>) {
        let Some(impaired) = &mut self.impaired else {
            return;
        };
        while let Some((index, passed)) = impaired.poll(now) {
            let Some(destination) = self.destinations.get_mut(index) else {
                continue;
            };
            let (datagram, len) = (&passed.datagram, passed.datagram.len());
            let sent = destination.send(datagram, len, None, now);
            if sent.taken < len {
                impaired.record_send_error(index);
                self.sender.handle_send_error(index, datagram, len);
            }
            if sent.too_large {
                let sealed = seal::overhead(self.seal.as_ref());
                self.sender
                    .handle_too_large(index, len - sealed.min(len), now);
            }
            notify(sent, smaller, self.console);
        }
    }

    /// Continues with smaller datagrams if some were too big, and tells the encoder the new size.
    fn follow_datagram(&mut self, pipeline: &Pipeline, smaller: Option<usize>) {
        let overhead = seal::overhead(self.seal.as_ref());
        if let Some(smaller) = smaller
            && smaller < self.sender.datagram() + overhead
        {
            self.sender.set_datagram(smaller - overhead);
        }
        let datagram = self.sender.datagram();
        if datagram != self.datagram {
            info!("datagrams of {datagram} bytes from now on");
            self.datagram = datagram;
            pipeline.set_datagram(datagram);
        }
    }
}

/// Packets as sent, and the segment length: unchanged if there is no key.
fn sealed<'a>(
    seal: &'a mut Option<Seal>,
    packets: &'a [u8],
    segment: usize,
    now: Duration,
) -> (&'a [u8], usize) {
    match seal {
        None => (packets, segment),
        Some(seal) => seal.seal(packets, segment, now),
    }
}

/// Prints the notice of an outcome, unless it is about datagrams that are too big and a smaller
/// size was already requested.
fn notify(sent: SendOutcome, smaller: &mut Option<usize>, console: &Console) {
    let news = sent
        .smaller
        .is_none_or(|new| smaller.is_none_or(|old| new < old));
    if let Some(notice) = sent.notice.filter(|_| news) {
        console.say(&notice);
    }
    *smaller = [*smaller, sent.smaller].into_iter().flatten().min();
}
