//! Runs a sender and a receiver in virtual time, which jumps from event to event.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::receiver::{self, Event, Output, Receiver, SinkOutcome, Verdict};
use framegram_common::sender::{self, Sender};
use framegram_common::stats::FrameRecord;

use super::Prediction;

/// A frame to send.
#[derive(Clone, Debug)]
pub(super) struct FrameInput {
    /// When it is handed to the sender, and when it was captured.
    pub(super) start: Duration,
    pub(super) captured: Duration,
    pub(super) jpeg: Bytes,
    /// Largest datagram for it.
    pub(super) datagram: usize,
}

/// The network between the two.
pub(super) trait SimulatedNetwork {
    /// Takes a datagram from the sender.
    fn send(&mut self, datagram: &[u8], now: Duration);
    /// Takes a datagram from the viewer.
    fn send_back(&mut self, datagram: &[u8], now: Duration);
    /// Returns the next datagram that has reached the viewer by `now`.
    fn arrive(&mut self, now: Duration) -> Option<Vec<u8>>;
    /// Returns the next datagram that has reached the sender by `now`.
    fn arrive_back(&mut self, now: Duration) -> Option<Vec<u8>>;
    /// When the next datagram arrives on either side.
    fn next(&self) -> Option<Duration>;
    /// Called for each datagram that the viewer accepted or classified.
    fn record_taken(&mut self, _datagram: &[u8], _verdict: Verdict, _now: Duration) {}
    /// Called when the viewer follows the stream.
    fn record_followed(&mut self, _now: Duration) {}
    /// Called when the outcome of a frame is settled.
    fn record_frame(&mut self, _record: &FrameRecord, _now: Duration) {}
}

/// Sends all frames over `world`. Returns the result.
pub(super) fn drive(
    sender: sender::Config,
    viewer: receiver::Config,
    takes: impl Iterator<Item = FrameInput>,
    world: &mut impl SimulatedNetwork,
) -> Prediction {
    let mut takes = takes.peekable();
    let Some(start) = takes.peek().map(|take| take.start) else {
        return Prediction::default();
    };
    let mut transmitter = Sender::new(sender, STREAM, start);
    let mut receiver = Receiver::new(viewer, VIEWER, (1, 2), start);
    let mut buffer = Vec::new();
    let (mut now, mut frames, mut ended) = (start, 0, false);
    let mut finish = start;
    let mut finished = None;
    let mut at_rest = 0;
    loop {
        while let Some(take) = takes.next_if(|take| take.start <= now) {
            finish = now + sender.interval.unwrap_or_default().max(LEAST_TAIL);
            transmitter.set_datagram(take.datagram);
            // The trace reader has checked the lengths of frames.
            let sent = transmitter.handle_frame(take.jpeg, take.captured, None, now);
            frames += u64::from(sent.is_ok());
        }
        if takes.peek().is_none() && now >= finish {
            transmitter.finish(now);
        }
        while let sender::Output::Transmit(transmit) = transmitter.poll_output(now, &mut buffer) {
            let datagrams = buffer.chunks(transmit.segment.max(1));
            datagrams.for_each(|datagram| world.send(datagram, now));
        }
        while let Some(datagram) = world.arrive(now) {
            let before = receiver.session_of(0);
            let verdict = receiver.handle_datagram(sender_address(), &datagram, now);
            if receiver.session_of(0) != before {
                world.record_followed(now);
            }
            if let Some(verdict) = verdict {
                world.record_taken(&datagram, verdict, now);
            }
        }
        receiver.handle_timeout(now);
        ended |= drain(&mut receiver, world, now);
        while let Some(datagram) = world.arrive_back(now) {
            transmitter.handle_datagram(0, &datagram, now);
        }
        if transmitter.is_finished() {
            let by = *finished.get_or_insert(now);
            let unheard = now > by + UNHEARD;
            if world.next().is_none() && (ended || unheard) || now > by + LONGEST_TAIL {
                break;
            }
        }
        let frame = takes.peek().map(|take| take.start);
        let end = (!transmitter.is_finished() && frame.is_none()).then_some(finish.max(now));
        let end = end.filter(|end| *end > now);
        let next = [
            frame,
            end,
            transmitter.poll_timeout(),
            receiver.poll_timeout(now),
            world.next(),
        ];
        let Some(next) = next.into_iter().flatten().min() else {
            break;
        };
        at_rest = if next > now { 0 } else { at_rest + 1 };
        if at_rest > MOST_AT_REST {
            break;
        }
        now = next.max(now);
    }
    receiver.finish();
    drain(&mut receiver, world, now);
    let volume = transmitter.volume();
    Prediction {
        frames,
        complete: receiver.statistics().frames.intact.unwrap_or(0),
        bytes: volume.sent,
        jpeg: volume.jpeg,
    }
}

/// Takes frames from the receiver and sends its feedback. Returns whether the
/// stream has ended.
fn drain(receiver: &mut Receiver, world: &mut impl SimulatedNetwork, now: Duration) -> bool {
    let mut ended = false;
    loop {
        match receiver.poll_output(now) {
            Output::Frame(frame) => {
                receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
            }
            Output::Record(record) => world.record_frame(&record, now),
            Output::Transmit(transmit) => world.send_back(&transmit.datagram, now),
            Output::Event(event) => ended |= matches!(event, Event::Ended { .. }),
            Output::Timeout(_) => return ended,
        }
    }
}

pub(super) fn sender_address() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

/// Stream number of the replay.
pub(super) const STREAM: u64 = 0x5eed;

const VIEWER: u64 = 0x1e77;

/// Minimum time from the last frame to the end of the stream.
const LEAST_TAIL: Duration = Duration::from_millis(10);

/// Time after which a viewer without a bye stops waiting.
const UNHEARD: Duration = Duration::from_secs(1);

/// Time after which the run ends, whatever is still in transit.
const LONGEST_TAIL: Duration = Duration::from_secs(30);

/// Upper bound on steps without progress of time. More are a bug.
const MOST_AT_REST: u32 = 10_000;
