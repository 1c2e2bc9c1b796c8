//! Sends datagrams, directly or over impaired links.

use std::mem;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_common::sender::Output;
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{DatagramRun, Waker, clock, wait};
use log::info;

use super::TransmitLoop;
use super::burst::ClearBatch;
use crate::args::Transport;
use crate::console::Console;
use crate::destinations::{Destination, SendOutcome};
use crate::pipeline::Pipeline;
use crate::seal::{self, Seal};

/// How long viewers may take to read the last frame over TCP.
const LINGER: Duration = Duration::from_secs(1);

impl TransmitLoop<'_> {
    /// Sends everything that is due.
    pub(super) fn transmit(&mut self, pipeline: &Pipeline, out: &mut Vec<u8>) {
        // Over TCP, frames are accepted one by one, and an impaired link delays each datagram.
        let gathers = self.transport == Transport::Udp && self.impaired.is_none();
        let mut smaller = None;
        loop {
            let now = clock::now();
            match self.sender.poll_output(now, out) {
                Output::Transmit(transmit) => {
                    self.burst.push(transmit, out);
                    if !gathers || self.burst.is_full() {
                        self.send_burst(now, &mut smaller);
                    }
                }
                Output::Answer(to) => self.answer(to, out, now),
                Output::Event(event) => {
                    // It may close a destination.
                    self.send_burst(now, &mut smaller);
                    self.handle_event(event);
                }
                Output::Timeout(_) if self.burst.is_empty() => break,
                // What is refused may have to be reported.
                Output::Timeout(_) => self.send_burst(now, &mut smaller),
            }
        }
        self.pass_on(clock::now(), &mut smaller);
        self.follow_datagram(pipeline, smaller);
    }

    /// Answers a viewer that wants to connect.
    fn answer(&mut self, to: SocketAddr, packet: &[u8], now: Duration) {
        let Some(accept) = &self.accept else {
            return;
        };
        let Some(seal) = &mut self.seal else {
            return accept.answer(to, packet);
        };
        self.sealed.clear();
        seal.seal(packet, packet.len(), now, &mut self.sealed);
        if !self.sealed.is_empty() {
            accept.answer(to, &self.sealed);
        }
    }

    fn send_burst(&mut self, now: Duration, smaller: &mut Option<usize>) {
        let mut burst = mem::take(&mut self.burst);
        for batches in burst.take() {
            self.send_batches(batches, now, smaller);
        }
        self.burst = burst;
    }

    /// Sends batches for one destination.
    fn send_batches(&mut self, batches: &[ClearBatch], now: Duration, smaller: &mut Option<usize>) {
        let index = batches
            .first()
            .map_or(0, |batch| batch.transmit.destination);
        let Some(destination) = self.destinations.get_mut(index) else {
            return;
        };
        self.sealed.clear();
        let seal = |seal: &mut Seal| {
            let spans = batches.iter().map(|batch| {
                let (packets, segment) = (&batch.packets, batch.transmit.segment);
                let start = self.sealed.len();
                let segment = seal.seal(packets, segment, now, &mut self.sealed);
                (start..self.sealed.len(), segment)
            });
            spans.collect::<Vec<_>>()
        };
        let runs = match self.seal.as_mut().map(seal) {
            None => batches.iter().map(ClearBatch::run).collect::<Vec<_>>(),
            // A run is empty if no keys are agreed on with the viewer there.
            Some(spans) => spans
                .into_iter()
                .map(|(span, segment)| DatagramRun {
                    datagrams: &self.sealed[span],
                    segment,
                })
                .collect(),
        };
        let frame = batches.iter().filter_map(|batch| batch.transmit.frame);
        let frame = frame.max();
        let mut done = 0;
        while done < runs.len() {
            let left = &runs[done..];
            let sent = match &mut self.impaired {
                None if left.iter().any(|run| run.count() > 0) => {
                    Some(destination.send(left, frame, now))
                }
                None => None,
                Some(impaired) => {
                    for run in left {
                        for datagram in run.datagrams.chunks(run.segment.max(1)) {
                            impaired.push(index, datagram, (), now);
                        }
                    }
                    None
                }
            };
            let mut taken = sent.as_ref().map_or(usize::MAX, |sent| sent.taken);
            for (batch, run) in batches[done..].iter().zip(left) {
                done += 1;
                // The same number of packets in the clear.
                let count = run.count().min(taken);
                taken -= count;
                let segment = batch.transmit.segment;
                let refused = batch.packets.get(count * segment..).unwrap_or_default();
                self.sender.handle_send_error(index, refused, segment);
                if count < run.count() {
                    if sent.as_ref().is_some_and(|sent| sent.too_large) {
                        self.sender.handle_too_large(index, segment, now);
                    }
                    // The next batch may go: a filter rejects single ones.
                    break;
                }
            }
            if let Some(sent) = sent {
                notify(sent, smaller, self.console);
            }
        }
        self.pass_on(now, smaller);
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
            let run = DatagramRun {
                datagrams: datagram,
                segment: len,
            };
            let sent = destination.send(&[run], None, now);
            if sent.taken == 0 {
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
