//! Datagrams on their way out: straight to the sockets, or over impaired links.

use std::time::Duration;

use anyhow::{Context, Result};
use framegram_lab::impair::ImpairedLinks;
use framegram_net::{Waker, clock, wait};

use super::Stream;
use crate::console::Console;
use crate::outputs::Sent;
use crate::pipeline::Pipeline;

impl Stream<'_> {
    /// Hands everything that is due to the sockets.
    pub(super) fn transmit(&mut self, pipeline: &Pipeline, out: &mut Vec<u8>) {
        let mut came = Came::default();
        loop {
            let now = clock::now();
            let Some(transmit) = self.transmitter.poll_transmit(now, out) else {
                break;
            };
            let Some(output) = self.outputs.get_mut(transmit.destination) else {
                continue;
            };
            match &mut self.impaired {
                None => {
                    let sent = output.send(out, transmit.segment, now);
                    let refused = &out[sent.taken..];
                    self.transmitter.handle_send_error(
                        transmit.destination,
                        refused,
                        transmit.segment,
                    );
                    came.note(sent, self.console);
                }
                Some(impaired) => {
                    for datagram in out.chunks(transmit.segment.max(1)) {
                        impaired.push(transmit.destination, datagram, (), now);
                    }
                    self.pass_on(now, &mut came);
                }
            }
        }
        self.pass_on(clock::now(), &mut came);
        self.learn(pipeline, &came);
    }

    /// Waits for what is still on impaired links, and hands it on.
    pub(super) fn pass_on_rest(&mut self, pipeline: &Pipeline, waker: &Waker) -> Result<()> {
        while let Some(due) = self.impaired.as_ref().and_then(ImpairedLinks::poll_timeout) {
            let timeout = due.saturating_sub(clock::now());
            wait(&[], waker, Some(timeout)).context("cannot wait for the network")?;
            let mut came = Came::default();
            self.pass_on(clock::now(), &mut came);
            self.learn(pipeline, &came);
        }
        Ok(())
    }

    /// Hands on what has come through impaired links.
    fn pass_on(&mut self, now: Duration, came: &mut Came) {
        let Some(impaired) = &mut self.impaired else {
            return;
        };
        while let Some((destination, passed)) = impaired.poll(now) {
            let Some(output) = self.outputs.get_mut(destination) else {
                continue;
            };
            let (datagram, len) = (&passed.datagram, passed.datagram.len());
            let sent = output.send(datagram, len, now);
            if sent.taken < len {
                impaired.record_send_error(destination);
                self.transmitter
                    .handle_send_error(destination, datagram, len);
            }
            came.note(sent, self.console);
        }
    }

    fn learn(&mut self, pipeline: &Pipeline, came: &Came) {
        if let Some(smaller) = came.smaller
            && smaller < self.transmitter.datagram()
        {
            self.transmitter.set_datagram(smaller);
            pipeline.set_datagram(smaller);
        }
    }
}

/// What came of handing datagrams to the sockets.
#[derive(Default)]
struct Came {
    smaller: Option<usize>,
}

impl Came {
    fn note(&mut self, sent: Sent, console: &Console) {
        let news = sent
            .smaller
            .is_none_or(|new| self.smaller.is_none_or(|old| new < old));
        if let Some(notice) = sent.notice.filter(|_| news) {
            console.say(&notice);
        }
        self.smaller = self.smaller.into_iter().chain(sent.smaller).min();
    }
}
