//! Replays a traced stream with other settings.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::chunk::datagram_for;
use framegram_common::receiver;
use framegram_common::sender;
use framegram_common::wire::native::{Packet, micros};

use super::drive::{FrameInput, SimulatedNetwork, drive};
use super::path::Path;
use super::{Prediction, Setting, TracedStream};

/// Sends the frames of a trace again. The same seed gives the same result.
pub fn replay(stream: &TracedStream, setting: &Setting, seed: u64) -> Prediction {
    let sender = sender::Config {
        interval: stream.interval,
        pace: setting.pace,
        fec: setting.fec,
        retransmit: setting.rtt.is_some(),
        ..sender::Config::default()
    };
    let viewer = receiver::Config {
        playout_delay: setting.latency,
        nack: setting.rtt.is_some(),
        strict: true,
        clock_id: |_| None,
        // A fixed seed: every replay gets the same one.
        ..receiver::Config::default()
    };
    let longest = stream.frames.iter().map(|frame| frame.len).max();
    // The content of frames does not matter.
    let zeros = Bytes::from(vec![0; longest.unwrap_or(0) as usize]);
    let chosen: Vec<_> = stream.chosen().collect();
    let frames = chosen.iter().map(|at| &stream.frames[*at]);
    let takes = frames.map(|frame| FrameInput {
        start: Duration::from_micros(frame.start),
        captured: Duration::from_micros(frame.captured),
        jpeg: zeros.slice(..frame.len as usize),
        datagram: datagram_for(frame.size.into()),
    });
    let rtt = setting.rtt.or(stream.rtt).unwrap_or(SOME_RTT);
    let mut way = ReplayPath {
        path: Path::new(stream, seed),
        chosen: &chosen,
        one_way: rtt / 2,
        there: BinaryHeap::new(),
        back: BinaryHeap::new(),
        last: Duration::ZERO,
        sequence: 0,
    };
    drive(sender, viewer, takes, &mut way)
}

/// The traced path, with the datagrams in transit.
struct ReplayPath<'a> {
    path: Path<'a>,
    /// Position in the trace of each replayed frame.
    chosen: &'a [usize],
    one_way: Duration,
    there: BinaryHeap<Reverse<ReplayedArrival>>,
    back: BinaryHeap<Reverse<ReplayedArrival>>,
    /// Latest arrival so far.
    last: Duration,
    sequence: u64,
}

/// Arrival time, order of sending, and bytes.
type ReplayedArrival = (Duration, u64, Vec<u8>);

impl SimulatedNetwork for ReplayPath<'_> {
    fn send(&mut self, datagram: &[u8], now: Duration) {
        let chunk = match Packet::decode(datagram) {
            Ok((_, Packet::Chunk(chunk))) => {
                let frame = self.chosen.get(chunk.frame.bits() as usize).copied();
                frame.map(|frame| (frame, chunk.index.into()))
            }
            _ => None,
        };
        if let Some(late) = self.path.send(chunk, micros(now)) {
            self.sequence += 1;
            let arrives = now + self.one_way + late;
            // The jitter of waking threads does not reorder the datagrams of a
            // batch.
            let arrives = if self.last.saturating_sub(arrives) < LEAST_OVERTAKING {
                arrives.max(self.last)
            } else {
                arrives
            };
            self.last = self.last.max(arrives);
            self.there
                .push(Reverse((arrives, self.sequence, datagram.to_vec())));
        }
    }

    fn send_back(&mut self, datagram: &[u8], now: Duration) {
        if let Some(late) = self.path.send_back(micros(now)) {
            self.sequence += 1;
            let arrives = now + self.one_way + late;
            self.back
                .push(Reverse((arrives, self.sequence, datagram.to_vec())));
        }
    }

    fn arrive(&mut self, now: Duration) -> Option<Vec<u8>> {
        arrived(&mut self.there, now)
    }

    fn arrive_back(&mut self, now: Duration) -> Option<Vec<u8>> {
        arrived(&mut self.back, now)
    }

    fn next(&self) -> Option<Duration> {
        let nexts = [self.there.peek(), self.back.peek()];
        nexts
            .into_iter()
            .flatten()
            .map(|Reverse((arrives, ..))| *arrives)
            .min()
    }
}

fn arrived(queue: &mut BinaryHeap<Reverse<ReplayedArrival>>, now: Duration) -> Option<Vec<u8>> {
    let Reverse((arrives, ..)) = queue.peek()?;
    if *arrives > now {
        return None;
    }
    queue.pop().map(|Reverse((.., datagram))| datagram)
}

/// RTT if the trace has none: that of a path across a city.
const SOME_RTT: Duration = Duration::from_millis(20);

/// A datagram that would overtake another one by less arrives right behind it.
const LEAST_OVERTAKING: Duration = Duration::from_micros(500);
