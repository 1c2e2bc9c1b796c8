//! Datagrams on their way out: straight to the sockets, or over impaired links.

use std::time::Duration;

use anyhow::{Context, Result};
use framegram_common::os;
use framegram_common::udp::{Waker, wait};

use super::Stream;
use crate::console::Console;
use crate::impair::Impaired;
use crate::outputs::Sent;
use crate::pipeline::Pipeline;

impl Stream<'_> {
    /// Hands everything that is due to the sockets.
    pub(super) fn transmit(&mut self, pipeline: &Pipeline, out: &mut Vec<u8>) {
        let mut came = Came::default();
        loop {
            let now = os::now();
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
                    impaired.push(transmit.destination, out, transmit.segment, now);
                    self.pass_on(now, &mut came);
                }
            }
        }
        self.pass_on(os::now(), &mut came);
        self.learn(pipeline, &came);
    }

    /// Waits for what is still on impaired links, and hands it on.
    pub(super) fn pass_on_rest(&mut self, pipeline: &Pipeline, waker: &Waker) -> Result<()> {
        while let Some(due) = self.impaired.as_ref().and_then(Impaired::poll_timeout) {
            let timeout = due.saturating_sub(os::now());
            wait(&[], waker, Some(timeout)).context("cannot wait for the network")?;
            let mut came = Came::default();
            self.pass_on(os::now(), &mut came);
            self.learn(pipeline, &came);
        }
        Ok(())
    }

    /// Hands on what has come through impaired links.
    fn pass_on(&mut self, now: Duration, came: &mut Came) {
        let (outputs, console) = (&mut self.outputs, self.console);
        let transmitter = &mut self.transmitter;
        if let Some(impaired) = &mut self.impaired {
            impaired.pass_on(now, |destination, datagram| {
                outputs.get_mut(destination).is_some_and(|output| {
                    let sent = output.send(datagram, datagram.len(), now);
                    let taken = sent.taken == datagram.len();
                    if !taken {
                        transmitter.handle_send_error(destination, datagram, datagram.len());
                    }
                    came.note(sent, console);
                    taken
                })
            });
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
