//! A transmitter and a receiver joined by impaired links in virtual time: time
//! jumps to the next deadline, so hours run in milliseconds and nothing sleeps.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use framegram_common::Statistics;
use framegram_common::ledger::FrameRecord;
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
    /// What is added to it after each frame in turn, over and over: a source
    /// that hesitates.
    pub hesitations: Vec<Duration>,
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
            hesitations: Vec::new(),
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
    /// The viewer's records of frames, in the order that they were told.
    pub records: Vec<FrameRecord>,
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
    let mut shown = Vec::new();
    let mut pair = Pair::new(scenario, Some(Truth::default()));
    pair.run(
        frames.iter().cloned(),
        &mut |frame| shown.push(frame),
        &mut |_, _| {},
    );
    let viewer = pair
        .receiver
        .as_ref()
        .map(Receiver::statistics)
        .unwrap_or_default();
    if let Some(receiver) = &mut pair.receiver {
        receiver.finish();
        pair.records
            .extend(std::iter::from_fn(|| receiver.poll_record()));
    }
    let sender = pair.transmitter.statistics(pair.now);
    Outcomes {
        shown,
        events: pair.events,
        records: pair.records,
        viewer,
        sender,
        truth: pair.truth.unwrap_or_default(),
    }
}

/// Runs frames through the links without keeping anything of them: `shown`
/// is called with each frame that is handed out, `sent` with the number of
/// each frame before it is sent and the sender's counts until then. Gives the
/// counts of the sender and of the viewer.
///
/// # Panics
/// As for [`run`].
pub fn run_through(
    scenario: &Scenario,
    frames: impl Iterator<Item = Bytes>,
    shown: &mut dyn FnMut(ReceivedFrame),
    sent: &mut dyn FnMut(usize, &Statistics),
) -> (Statistics, Statistics) {
    let mut pair = Pair::new(scenario, None);
    pair.run(frames, shown, sent);
    let viewer = pair.receiver.as_ref().map(Receiver::statistics);
    let sender = pair.transmitter.statistics(pair.now);
    (sender, viewer.unwrap_or_default())
}

struct Pair<'a> {
    scenario: &'a Scenario,
    now: Duration,
    transmitter: Transmitter,
    receiver: Option<Receiver>,
    forward: Link,
    backward: Link,
    events: Vec<Event>,
    records: Vec<FrameRecord>,
    truth: Option<Truth>,
    buffer: Vec<u8>,
    /// The last moment at which the sender had something to do.
    finished_by: Duration,
}

impl<'a> Pair<'a> {
    fn new(scenario: &'a Scenario, truth: Option<Truth>) -> Self {
        Self {
            scenario,
            now: START,
            transmitter: Transmitter::new(scenario.transmitter, STREAM, START),
            receiver: None,
            forward: Link::new(scenario.forward.clone()),
            backward: Link::new(scenario.backward.clone()),
            events: Vec::new(),
            records: Vec::new(),
            truth,
            buffer: Vec::new(),
            finished_by: START,
        }
    }

    fn run(
        &mut self,
        frames: impl Iterator<Item = Bytes>,
        shown: &mut dyn FnMut(ReceivedFrame),
        sent: &mut dyn FnMut(usize, &Statistics),
    ) {
        let mut frames = frames.enumerate().peekable();
        let mut frame_due = START;
        let mut hesitations = self.scenario.hesitations.iter().copied().cycle();
        let join = START + self.scenario.join;
        let mut steps_at_rest = 0;
        loop {
            let now = self.now;
            if self.receiver.is_none() && now >= join {
                self.receiver = Some(Receiver::new(self.scenario.receiver.clone(), VIEWER, now));
            }
            if now >= frame_due {
                match frames.next() {
                    Some((index, frame)) => {
                        sent(index, &self.transmitter.statistics(now));
                        let taken = self.transmitter.handle_frame(frame, now, None, now);
                        taken.expect("the frame is sendable");
                    }
                    None => self.transmitter.finish(now),
                }
                frame_due += self.scenario.interval + hesitations.next().unwrap_or_default();
            }
            self.drain(shown);
            if !self.transmitter.is_finished() {
                self.finished_by = now;
            }
            let over = self.is_over();
            let waits = [
                (!over && self.receiver.is_none()).then_some(join),
                (!self.transmitter.is_finished()).then_some(frame_due),
                self.next_deadline(),
            ];
            let Some(next) = waits.into_iter().flatten().min().filter(|_| !over) else {
                return;
            };
            steps_at_rest = if next > now { 0 } else { steps_at_rest + 1 };
            assert!(steps_at_rest < 10_000, "does not come to rest at {now:?}");
            self.now = next.max(now);
        }
    }

    fn drain(&mut self, shown: &mut dyn FnMut(ReceivedFrame)) {
        let now = self.now;
        while let Some(transmit) = self.transmitter.poll_transmit(now, &mut self.buffer) {
            for datagram in self.buffer.chunks(transmit.segment) {
                let deed = self.forward.send(datagram, now);
                if let Some(truth) = &mut self.truth {
                    truth.note_sent(datagram, deed);
                }
            }
        }
        while let Some(datagram) = self.forward.poll(now) {
            let Some(receiver) = &mut self.receiver else {
                continue;
            };
            if let Some(truth) = &mut self.truth {
                truth.note_arrived(&datagram);
            }
            receiver.handle_datagram(sender(), &datagram, now);
            drain_receiver(receiver, &mut self.events, now, shown);
            self.records
                .extend(std::iter::from_fn(|| receiver.poll_record()));
        }
        if let Some(receiver) = &mut self.receiver {
            receiver.handle_timeout(now);
            drain_receiver(receiver, &mut self.events, now, shown);
            self.records
                .extend(std::iter::from_fn(|| receiver.poll_record()));
            while receiver.poll_transmit(now, &mut self.buffer).is_some() {
                self.backward.send(&self.buffer, now);
            }
        }
        while let Some(datagram) = self.backward.poll(now) {
            self.transmitter.handle_datagram(0, &datagram, now);
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let receiver = self.receiver.as_ref().and_then(Receiver::poll_timeout);
        [
            self.transmitter.poll_timeout(),
            receiver,
            self.forward.poll_timeout(),
            self.backward.poll_timeout(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whether the sender is done and what it sent has had its time.
    fn is_over(&self) -> bool {
        let quiet = self.forward.poll_timeout().is_none() && self.backward.poll_timeout().is_none();
        let ended = self
            .events
            .iter()
            .any(|event| matches!(event, Event::Ended { .. }));
        let nothing_comes = self
            .receiver
            .as_ref()
            .is_some_and(|r| r.poll_timeout().is_none());
        let unheard = self.now > self.finished_by + UNHEARD;
        self.transmitter.is_finished() && quiet && (ended || nothing_comes || unheard)
    }
}

fn drain_receiver(
    receiver: &mut Receiver,
    events: &mut Vec<Event>,
    now: Duration,
    shown: &mut dyn FnMut(ReceivedFrame),
) {
    while let Some(frame) = receiver.poll_frame() {
        receiver.handle_fate(frame.id, Outcome::Shown { at: now });
        shown(frame);
    }
    events.extend(std::iter::from_fn(|| receiver.poll_event()));
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
/// A viewer that heard no farewell is left alone after so long.
const UNHEARD: Duration = Duration::from_secs(1);
