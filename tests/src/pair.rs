//! A transmitter and a receiver joined by impaired links in virtual time: time
//! jumps to the next deadline, so hours run in milliseconds and nothing sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::Statistics;
use framegram_common::link::{Deed, Impairment, Link};
use framegram_common::receiver::{self, Event, Outcome, ReceivedFrame, Receiver};
use framegram_common::transmitter::{self, Transmitter};
use framegram_common::wire::WireError;
use framegram_common::wire::native::{Channel, Packet};

/// What a run is made of.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The sender's settings.
    pub transmitter: transmitter::Config,
    /// The viewer's settings.
    pub receiver: receiver::Config,
    /// What happens to datagrams from sender to viewer.
    pub forward: Impairment,
    /// What happens to datagrams from viewer to sender.
    pub backward: Impairment,
    /// Time from frame to frame.
    pub interval: Duration,
    /// When the viewer begins to listen.
    pub join: Duration,
}

impl Default for Scenario {
    fn default() -> Self {
        let interval = Duration::from_micros(33_333);
        let transmitter = transmitter::Config {
            interval: Some(interval),
            boot_mark: Some(BOOT_MARK),
            ..transmitter::Config::default()
        };
        let receiver = receiver::Config {
            boot_mark: |_| Some(BOOT_MARK),
            ..receiver::Config::default()
        };
        Self {
            transmitter,
            receiver,
            forward: Impairment::default(),
            backward: Impairment::default(),
            interval,
            join: Duration::ZERO,
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcomes {
    /// The frames handed out, in order, with when they were whole.
    pub shown: Vec<ReceivedFrame>,
    /// The viewer's events.
    pub events: Vec<Event>,
    /// The viewer's own counts.
    pub viewer: Statistics,
    /// The sender's own counts.
    pub sender: Statistics,
    /// What the link truly did.
    pub truth: Truth,
}

/// What truly became of the packets, from the link's own deeds.
#[derive(Debug, Default)]
pub struct Truth {
    /// Good copies that arrived, in the order of arrival.
    pub arrived: Vec<(Channel, u64)>,
    /// Packets of which a damaged copy was delivered.
    pub damaged: BTreeSet<(Channel, u64)>,
    /// Damaged copies that arrived and whose header does not tell the number.
    pub unnumbered: u64,
    /// Every packet that was sent: its frame and chunk, where it is one.
    pub sent: BTreeMap<(Channel, u64), Option<(u32, u16)>>,
    /// UDP payload sent.
    pub bytes: u64,
    /// Counts of each channel in the first totals that arrived.
    pub first_totals: Option<[u64; 3]>,
    /// Counts of each channel in the newest totals that arrived, and the
    /// frames sent.
    pub totals: Option<(u64, [u64; 3], u64)>,
}

/// Runs the frames through the links until everything has come to rest.
///
/// # Panics
/// Where the state machines do not come to rest, or a frame is refused.
#[must_use]
pub fn run(scenario: &Scenario, frames: &[Bytes]) -> Outcomes {
    let mut now = START;
    let mut pair = Pair {
        transmitter: Transmitter::new(scenario.transmitter, STREAM, now),
        receiver: None,
        forward: Link::new(scenario.forward.clone()),
        backward: Link::new(scenario.backward.clone()),
        outcomes: Outcomes {
            shown: Vec::new(),
            events: Vec::new(),
            viewer: Statistics::default(),
            sender: Statistics::default(),
            truth: Truth::default(),
        },
        buffer: Vec::new(),
    };
    let mut next_frame = 0;
    let mut steps = 0_u64;
    loop {
        if pair.receiver.is_none() && now >= START + scenario.join {
            pair.receiver = Some(Receiver::new(scenario.receiver.clone(), VIEWER, now));
        }
        let frame_due = START + scenario.interval * next_frame as u32;
        if now >= frame_due && next_frame < frames.len() {
            let frame = frames[next_frame].clone();
            pair.transmitter
                .handle_frame(frame, now, None, now)
                .expect("the frame is sendable");
            next_frame += 1;
        } else if now >= frame_due {
            pair.transmitter.finish(now);
        }
        pair.drain(now);
        let join = pair.receiver.is_none().then_some(START + scenario.join);
        let frame_due = START + scenario.interval * next_frame as u32;
        let frame = (next_frame < frames.len() || now < frame_due).then_some(frame_due);
        let next = pair
            .next_deadline()
            .into_iter()
            .chain(frame)
            .chain(join)
            .min();
        let Some(next) = next.filter(|_| !pair.is_over(now)) else {
            break;
        };
        now = next.max(now);
        steps += 1;
        assert!(
            steps < 200 * (frames.len() as u64 + 100) * 100,
            "does not come to rest"
        );
    }
    if let Some(receiver) = &pair.receiver {
        pair.outcomes.viewer = receiver.statistics();
    }
    pair.outcomes.sender = pair.transmitter.statistics(now);
    pair.outcomes
}

struct Pair {
    transmitter: Transmitter,
    receiver: Option<Receiver>,
    forward: Link,
    backward: Link,
    outcomes: Outcomes,
    buffer: Vec<u8>,
}

impl Pair {
    fn drain(&mut self, now: Duration) {
        while let Some(transmit) = self.transmitter.poll_transmit(now, &mut self.buffer) {
            for datagram in self.buffer.chunks(transmit.segment) {
                let deed = self.forward.send(datagram, now);
                self.outcomes.truth.note_sent(datagram, deed);
            }
        }
        while let Some(datagram) = self.forward.poll(now) {
            let Some(receiver) = &mut self.receiver else {
                continue;
            };
            self.outcomes.truth.note_arrived(&datagram);
            receiver.handle_datagram(sender(), &datagram, now);
            Self::drain_receiver(receiver, &mut self.outcomes, now);
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.handle_timeout(now);
            Self::drain_receiver(receiver, &mut self.outcomes, now);
            while receiver.poll_transmit(now, &mut self.buffer).is_some() {
                self.backward.send(&self.buffer, now);
            }
        }
        while let Some(datagram) = self.backward.poll(now) {
            self.transmitter.handle_datagram(0, &datagram, now);
        }
    }

    fn drain_receiver(receiver: &mut Receiver, outcomes: &mut Outcomes, now: Duration) {
        while let Some(frame) = receiver.poll_frame() {
            receiver.handle_fate(frame.id, Outcome::Shown { at: now });
            outcomes.shown.push(frame);
        }
        outcomes
            .events
            .extend(std::iter::from_fn(|| receiver.poll_event()));
    }

    fn next_deadline(&self) -> Option<Duration> {
        let receiver = self.receiver.as_ref().and_then(Receiver::poll_timeout);
        [
            self.transmitter.poll_timeout(),
            receiver,
            self.forward.poll_timeout(),
        ]
        .into_iter()
        .chain([self.backward.poll_timeout()])
        .flatten()
        .min()
    }

    /// Whether the sender is done and what it sent has had its time.
    fn is_over(&self, now: Duration) -> bool {
        let quiet = self.forward.poll_timeout().is_none() && self.backward.poll_timeout().is_none();
        let ended = self
            .outcomes
            .events
            .iter()
            .any(|event| matches!(event, Event::Ended { .. }));
        let waited = self.transmitter.statistics(now).stream.ended && now > START + FOREVER;
        self.transmitter.is_finished() && quiet && (ended || waited)
    }
}

impl Truth {
    fn note_sent(&mut self, datagram: &[u8], deed: Deed) {
        let (header, packet) = Packet::decode(datagram).expect("what is sent can be decoded");
        let chunk = match packet {
            Packet::Chunk(chunk) | Packet::Resent(chunk) => Some((chunk.frame.0, chunk.index)),
            _ => None,
        };
        self.bytes += datagram.len() as u64;
        if deed.corrupt > 0 {
            self.damaged.insert((header.channel, header.number.0));
        }
        let before = self.sent.insert((header.channel, header.number.0), chunk);
        assert_eq!(before, None, "a packet number comes once");
    }

    fn note_arrived(&mut self, datagram: &[u8]) {
        match Packet::decode(datagram) {
            Ok((header, packet)) => {
                self.arrived.push((header.channel, header.number.0));
                if let Packet::Totals(totals) | Packet::Farewell(totals) = packet {
                    let channels = [totals.media, totals.repair, totals.control];
                    self.first_totals.get_or_insert(channels);
                    let newest = self.totals.map_or(0, |(control, ..)| control);
                    if totals.control > newest {
                        self.totals = Some((totals.control, channels, totals.frames_sent));
                    }
                }
            }
            Err(WireError::Checksum {
                claimed: Some(_), ..
            }) => {}
            Err(_) => self.unnumbered += 1,
        }
    }
}

fn sender() -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 1], 40_000))
}

const BOOT_MARK: u64 = 1;
const STREAM: u64 = 0x5eed;
const VIEWER: u64 = 0x1e77;
const START: Duration = Duration::from_secs(100);
const FOREVER: Duration = Duration::from_secs(3600);
