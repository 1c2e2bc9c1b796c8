//! What the network's thread says to a person, and to the sinks' side.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_cli::numbers::seconds;
use framegram_common::receiver::Event;
use framegram_common::wire::Format;
use framegram_net as net;

use super::Network;
use crate::report::live::{Live, Meter};

impl Network {
    pub(super) fn hear(&mut self, event: Event, now: Duration) {
        match event {
            Event::Followed {
                stream,
                from,
                again,
            } => {
                if let Some(tracer) = &mut self.tracer {
                    tracer.note_followed(stream, self.receiver.format(), from, now);
                }
                self.console.say(&if again {
                    format!("Following another stream, from {from}.")
                } else {
                    format!("Following the stream from {from}.")
                });
                self.remember(from);
                self.to_introduce = Some(from);
                // Rates of another stream, or of silence, are none of this one.
                self.meter = Meter::default();
                self.listen_for_reports();
                self.exchange
                    .tell(|news| (news.followed, news.ended) = (true, None));
            }
            Event::Other { from, .. } => {
                self.others += 1;
                if self.others <= MOST_OTHERS {
                    self.console.say(&format!(
                        "Another stream arrives from {from}; it is counted, but not shown."
                    ));
                }
            }
            Event::Ended { .. } => {
                self.console.say("The sender ended the stream.");
                self.exchange.tell(|news| news.ended = Some(now));
                self.exchange.pending.wake();
            }
        }
    }

    /// Says what the stream is, once that is known.
    pub(super) fn introduce(&mut self, live: &Live) {
        let stream = &live.statistics.stream;
        if let Some(from) = self.to_introduce
            && let (Some(width), Some(height), Some(fps)) = (stream.width, stream.height, live.fps)
            && fps > 0.0
        {
            self.to_introduce = None;
            let format = match self.receiver.format() {
                Some(Format::Native) | None => "the native format",
                Some(Format::Rtp) => "JPEG in RTP",
                Some(Format::Raw) => "bare JPEG",
            };
            self.console.say(&format!(
                "It is {format}, {width}x{height} at {fps:.1} frames per second, from {from}."
            ));
        }
        if self.receiver.lacks_size() && !self.size_missed {
            self.size_missed = true;
            self.console.say(
                "These pictures are larger than RTP can tell: give the sender's session \
                 description with --sdp FILE.",
            );
        }
    }

    /// Says, once, that nobody is there to be asked.
    pub(super) fn tell_unheard(&mut self, error: &std::io::Error) {
        if let Some(caller) = &self.caller
            && net::is_refused(error)
            && !self.unheard_told
        {
            self.unheard_told = true;
            let to = caller.to();
            self.console
                .say(&format!("Nobody listens at {to} yet; trying again."));
        }
    }

    pub(super) fn remember(&mut self, from: SocketAddr) {
        let from = from.to_string();
        self.addresses.retain(|known| *known != from);
        if self.addresses.len() == MOST_ADDRESSES {
            self.addresses.remove(0);
        }
        self.addresses.push(from);
    }

    pub(super) fn tell(&mut self, now: Duration) {
        self.next_news = now + NEWS;
        let mut statistics = self.receiver.statistics();
        statistics.stream.addresses.clone_from(&self.addresses);
        // Of the other formats, silence may be all that they end with.
        statistics.stream.silent = self.receiver.format() == Some(Format::Native)
            && !statistics.stream.ended
            && !self.receiver.is_living(now);
        statistics.packets.feedback_errors = Some(self.unsent.datagrams());
        statistics.timecode = self.exchange.stamps();
        self.timeline.record_statistics(&statistics, now);
        let cloned = statistics.clock.is_some_and(|clock| clock.cloned);
        if cloned && !std::mem::replace(&mut self.cloned_told, true) {
            self.console.say(CLONED);
        }
        let mut live = self.meter.take(statistics, now);
        if let Some(line) = self.unusable.poll(now) {
            self.console.say(&line);
        }
        live.unusable = self.unusable.line().cloned();
        self.introduce(&live);
        if now >= self.next_progress && self.exchange.news().followed {
            self.next_progress = now + self.console.progress_interval();
            let time = seconds(now.saturating_sub(self.started).as_secs_f64());
            self.console.progress(&format!("{time}: {}", live.line()));
        }
        self.exchange.tell(|news| news.live = live);
    }
}

/// What there is to say of a clock that is not the one it seems to be.
pub(crate) const CLONED: &str = "The sender's machine has this machine's boot identity and another \
     clock, as clones of a virtual machine have: delays are measured between two clocks.";

/// How often the figures are told to the window.
const NEWS: Duration = Duration::from_millis(200);

/// Other streams that are told of; more are a nuisance, and counted.
const MOST_OTHERS: usize = 8;

/// Senders that are remembered by address, for the report.
const MOST_ADDRESSES: usize = 8;
