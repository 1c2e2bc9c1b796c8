//! What the network thread tells the user, and the sinks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use framegram_cli::numbers::{bit_rate, seconds};
use framegram_common::Statistics;
use framegram_common::receiver::{Event, Policy};
use framegram_common::stats::{Outcome, PathFigures};
use framegram_common::wire::Format;
use framegram_net as net;
use log::{debug, info};
use serde::Serialize;

use super::Network;
use crate::no_stream;
use crate::report::live::{Live, Meter};
use crate::shared::TileNews;

impl Network {
    pub(super) fn handle_event(&mut self, event: Event, now: Duration) {
        info!("{event}");
        let is_grid = self.policy == Policy::Grid;
        match event {
            Event::Followed {
                tile, from, again, ..
            } => {
                self.console.say(&match again {
                    _ if is_grid => format!("Sender {} is {from}.", tile + 1),
                    true => format!("Following another stream, from {from}."),
                    false => format!("Following the stream from {from}."),
                });
                self.remember(from);
                let is_connected = self.connections.has(from);
                self.transport = Some(if is_connected { TCP } else { "udp" });
                self.to_introduce = Some(from).filter(|_| !is_grid);
                self.is_path_due = false;
                // The rates of another stream, or of silence, do not belong to this one.
                if !is_grid {
                    self.meter = Meter::default();
                }
                self.listen_for_rtcp(tile);
                self.tell_tile(tile, |news| {
                    news.ended = None;
                    news.last_received = Some(now);
                });
            }
            Event::Other { from, .. } => {
                self.others += 1;
                if self.others <= MOST_OTHERS && !is_grid {
                    self.console.say(&format!(
                        "Another stream arrives from {from}; it is counted, but not shown."
                    ));
                }
            }
            Event::Ended { tile, .. } => {
                self.console.say(&if is_grid {
                    format!("Sender {} ended its stream.", tile + 1)
                } else {
                    "The sender ended the stream.".to_owned()
                });
                self.tell_tile(tile, |news| news.ended = Some(now));
                self.shared.frames.wake();
            }
            Event::Rejected { viewers } => self.rejected = Some(viewers),
            _ => {}
        }
    }

    fn tell_tile(&self, tile: usize, change: impl FnOnce(&mut TileNews)) {
        self.shared.tell(|news| {
            let tiles = Arc::make_mut(&mut news.tiles);
            if tiles.len() <= tile {
                tiles.resize_with(tile + 1, TileNews::default);
            }
            change(&mut tiles[tile]);
        });
    }

    /// Describes the stream, once its properties are known.
    pub(super) fn introduce(&mut self, live: &Live) {
        let stream = &live.statistics.stream;
        if let Some(from) = self.to_introduce
            && let (Some(width), Some(height), Some(fps)) = (stream.width, stream.height, live.fps)
            && fps > 0.0
        {
            self.to_introduce = None;
            let format = match self.receiver.format(0) {
                Some(Format::Native) | None => "the native format",
                Some(Format::Rtp) => "JPEG in RTP",
                Some(Format::Raw) => "bare JPEG",
            };
            let over = match self.transport {
                Some(TCP) => " over TCP",
                Some(_) | None => "",
            };
            self.console.say(&format!(
                "It is {format}{over}, {width}x{height} at {fps:.1} frames per second, from {from}."
            ));
            self.is_path_due = true;
        }
        if self.is_path_due
            && let Some(path) = live.statistics.paths.first()
            && let Some(line) = path_line(path, live)
        {
            self.is_path_due = false;
            self.console.say(&line);
        }
        if self.receiver.lacks_size() && !self.size_missed {
            self.size_missed = true;
            self.console.say(
                "RTP cannot express the size of these frames: give the sender's session \
                 description with --sdp FILE.",
            );
        }
        if self.receiver.has_fields() && !std::mem::replace(&mut self.fields_told, true) {
            self.console.say(FIELDS);
        }
        let undecodable = live.statistics.outcomes[Outcome::Undecodable].unwrap_or(0);
        let is_blank = live.statistics.frames.shown == Some(0) && undecodable >= MOST_UNDECODABLE;
        if is_blank && !std::mem::replace(&mut self.undecodable_told, true) {
            self.console.say(UNDECODABLE);
        }
    }

    /// Says, once, that no sender listens at the address to connect to.
    pub(super) fn tell_unheard(&mut self, error: &std::io::Error) {
        if let Some(to) = self.connected
            && net::is_refused(error)
            && !self.unheard_told
        {
            self.unheard_told = true;
            self.console
                .say(&format!("Nobody listens at {to} yet; trying again."));
        }
    }

    /// That the sender to connect to does not answer, while it is so; the first time, the console
    /// says so too.
    fn unanswered(&mut self, now: Duration) -> Option<String> {
        let to = self.connected?;
        let is_silent = now.saturating_sub(self.started) >= ANSWER;
        if !is_silent || self.unheard_told || self.shared.news().followed() {
            return None;
        }
        let advice = no_stream::advice(to, self.seal.is_some());
        let line = format!("{to} does not answer: {advice}.");
        if !std::mem::replace(&mut self.unanswered_told, true) {
            self.console.say(&line);
        }
        Some(line)
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
        let is_introduced = self.to_introduce.is_none() && !self.is_path_due;
        let seldom = self.timeline.due(now, MARGIN);
        let seldom = seldom.filter(|_| is_introduced && !self.is_watched);
        self.next_news = seldom.unwrap_or(now + NEWS);
        let mut statistics = self.receiver.statistics();
        if self.policy == Policy::Follow {
            statistics.stream.addresses.clone_from(&self.addresses);
            statistics.stream.transport = self.transport;
            // Other formats may end by mere silence.
            statistics.stream.silent = self.receiver.format(0) == Some(Format::Native)
                && !statistics.stream.ended
                && !self.receiver.is_living(now);
            statistics.timecode = self.shared.timecode(0);
        }
        if let Some(seal) = &self.seal {
            seal.fill(&mut statistics);
        }
        statistics.packets.feedback_errors = Some(self.unsent.datagrams());
        self.timeline.record_statistics(&statistics, now);
        let each = match self.policy {
            Policy::Follow => vec![statistics.clone()],
            Policy::Grid => {
                let mut each = self.receiver.tile_statistics();
                for (tile, statistics) in each.iter_mut().enumerate() {
                    statistics.timecode = self.shared.timecode(tile);
                }
                each
            }
        };
        let cloned = |of: &Statistics| of.clock.is_some_and(|clock| clock.cloned);
        if each.iter().any(cloned) && !std::mem::replace(&mut self.cloned_told, true) {
            self.console.say(CLONED);
        }
        let mut live = self.meter.take(statistics, now);
        if let Some(line) = self.unusable.poll(now) {
            self.console.say(&line);
        }
        if let Some(line) = self.seal.as_mut().and_then(|seal| seal.poll(now)) {
            self.console.say(&line);
        }
        let refused = self.seal.as_ref().and_then(|seal| seal.line(now));
        let refused = self.unusable.line().or(refused).cloned();
        live.unusable = refused.or_else(|| self.unanswered(now));
        self.introduce(&live);
        self.meters.resize_with(each.len(), Meter::default);
        let meters = self.meters.iter_mut();
        let tiles: Vec<_> = each
            .into_iter()
            .zip(meters)
            .map(|(of, meter)| meter.take(of, now))
            .collect();
        for (tile, live) in tiles.into_iter().enumerate() {
            let last_received = self.receiver.last_received(tile);
            self.tell_tile(tile, |news| {
                news.live = live;
                news.last_received = last_received;
            });
        }
        if now + MARGIN >= self.next_progress && self.shared.news().followed() {
            self.next_progress = now + self.console.progress_interval();
            let time = seconds(now.saturating_sub(self.started).as_secs_f64());
            let line = live.line();
            debug!(
                "{}, {}, {}",
                json(&live.statistics.packets),
                json(&live.statistics.outcomes),
                json(&live.statistics.clock)
            );
            self.console.progress(&match self.policy {
                Policy::Follow => format!("{time}: {line}"),
                Policy::Grid => format!("{time}: {} senders, {line}", self.receiver.tiles()),
            });
        }
        self.shared.tell(|news| news.live = Arc::new(live));
    }
}

/// A sender that listens answers within a round trip.
const ANSWER: Duration = Duration::from_secs(5);

/// Notice about a cloned clock identity.
const CLONED: &str = "The sender's machine has this machine's boot identity and another \
     clock, as clones of a virtual machine have: delays are measured between two clocks.";

/// The transport's name in a report.
const TCP: &str = "tcp";

/// Notice about fields of interlaced video.
const FIELDS: &str = "These frames are fields of interlaced video, each with every other row of \
     a picture; each is shown by itself. Have the sender deinterlace, as ffmpeg does with \
     -vf yadif.";

/// Frames received without one that can be decoded before a person is told.
const MOST_UNDECODABLE: u64 = 3;

/// What there is to say of them.
const UNDECODABLE: &str = "None of these frames can be decoded: parts of each are lost on the \
     way, or their sender leaves out what belongs to a JPEG (in RTP its quantization tables). \
     Look at the sender, or use framegram-send, which repairs what is lost.";

/// How often the figures are told to whoever watches them.
const NEWS: Duration = Duration::from_millis(200);

/// Otherwise they are told this long before each second of the stream ends: longer than they may
/// wait for a datagram.
const MARGIN: Duration = Duration::from_millis(100);

/// Upper bound on notices about other streams; further ones are only counted.
const MOST_OTHERS: usize = 8;

/// Upper bound on sender addresses kept for the report.
const MOST_ADDRESSES: usize = 8;

/// Figures for the log, with the names that they have in a report.
fn json(figures: &impl Serialize) -> String {
    serde_json::to_string(figures).unwrap_or_default()
}

/// What the first second showed about the path, in one line.
fn path_line(path: &PathFigures, live: &Live) -> Option<String> {
    let rtt = format!("RTT {:.1} ms", path.rtt_ms?);
    let mut parts = Vec::new();
    parts.extend(live.bitrate_bps.map(bit_rate));
    let longest = live.statistics.stream.longest_datagram;
    parts.extend(longest.map(|bytes| format!("datagrams of up to {bytes} bytes")));
    parts.push(rtt);
    parts.extend(path.queue_ms.map(|queue| format!("queue {queue:.1} ms")));
    parts.extend(live.statistics.clock.map(|clock| match clock.shared {
        true => "one clock".to_owned(),
        false => format!(
            "clock offset {:+.1} ms (give or take {:.1} ms)",
            clock.offset_ms, clock.uncertainty_ms
        ),
    }));
    let kilobytes = path.socket_buffer.map(|bytes| bytes / 1000);
    parts.extend(kilobytes.map(|kilobytes| format!("socket buffer {kilobytes} kB")));
    Some(format!("Path: {}.", parts.join(", ")))
}

#[cfg(test)]
mod tests {
    use framegram_common::stats::ClockOffset;

    use super::*;

    #[test]
    fn the_path_is_described_by_what_the_first_second_showed() {
        let mut live = Live {
            bitrate_bps: Some(8_250_000.0),
            ..Live::default()
        };
        live.statistics.stream.longest_datagram = Some(1_472);
        live.statistics.clock = Some(ClockOffset {
            offset_ms: -3.25,
            uncertainty_ms: 0.5,
            ..ClockOffset::default()
        });
        let mut path = PathFigures::default();
        assert_eq!(path_line(&path, &live), None, "nothing came back yet");
        path.rtt_ms = Some(20.0);
        path.queue_ms = Some(1.0);
        path.socket_buffer = Some(425_984);
        assert_eq!(
            path_line(&path, &live).as_deref(),
            Some(
                "Path: 8.2 Mbit/s, datagrams of up to 1472 bytes, RTT 20.0 ms, queue 1.0 ms, clock \
                 offset -3.2 ms (give or take 0.5 ms), socket buffer 425 kB."
            )
        );
    }
}
