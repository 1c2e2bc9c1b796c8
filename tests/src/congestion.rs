//! Flows that share a bottleneck, in virtual time: streams with the rate control
//! of `framegram_common::rate`, and flows of TCP.

pub mod figures;
pub mod link;
pub mod media;
pub mod tcp;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use fastrand::Rng;

use link::Link;
use media::Media;
use tcp::Tcp;

/// Nanoseconds since the start.
pub type Nanos = u64;

/// A millisecond.
pub const MS: Nanos = 1_000_000;
/// A second.
pub const SECOND: Nanos = 1_000_000_000;

/// What is on the way.
#[derive(Clone, Debug)]
struct Packet {
    flow: usize,
    /// With the headers of IP and UDP or TCP.
    bytes: u64,
    content: Content,
}

/// What it is: numbers, and when they arrived, in microseconds.
#[derive(Clone, Debug)]
enum Content {
    Media(u64),
    Feedback(Vec<(u64, u64)>),
    Segment(u64),
    Acknowledgement(u64),
}

/// What happens next.
#[derive(Clone, Debug)]
enum Event {
    /// A flow has something to do.
    Turn(usize),
    /// A link has served a packet.
    Served(usize),
    /// A packet arrives at its flow's other end.
    Arrives(Packet),
}

/// What a flow asks of the simulation.
#[derive(Debug, Default)]
struct Asked {
    packets: Vec<Packet>,
    /// From its other end.
    back: Vec<Packet>,
    turn: Option<Nanos>,
}

/// What kind of flow.
#[derive(Debug)]
pub enum Kind {
    /// A stream.
    Media(Box<Media>),
    /// TCP.
    Tcp(Box<Tcp>),
}

/// A flow, both its ends.
#[derive(Debug)]
pub struct Flow {
    /// What it is.
    pub kind: Kind,
    /// Which of the two links it takes; what comes back takes the other.
    pub link: usize,
    /// One-way, beside the queue.
    pub delay: Nanos,
}

/// When, and in which order, what happens.
#[derive(Debug)]
struct Timed(Nanos, u64, Event);

impl PartialEq for Timed {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Timed {}
impl PartialOrd for Timed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Timed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// Two links and the flows over them. Time jumps to the next event.
#[derive(Debug)]
pub struct Simulation {
    now: Nanos,
    events: BinaryHeap<Reverse<Timed>>,
    count: u64,
    /// Forward and back.
    pub links: [Link; 2],
    /// By number.
    pub flows: Vec<Flow>,
    rng: Rng,
}

impl Simulation {
    /// Everything at rest.
    #[must_use]
    pub fn new(links: [Link; 2], flows: Vec<Flow>, seed: u64) -> Self {
        let mut simulation = Self {
            now: 0,
            events: BinaryHeap::new(),
            count: 0,
            links,
            flows,
            rng: Rng::with_seed(seed),
        };
        for flow in 0..simulation.flows.len() {
            let start = match &simulation.flows[flow].kind {
                Kind::Media(media) => media.starts_at(),
                Kind::Tcp(tcp) => tcp.starts_at(),
            };
            simulation.put(start, Event::Turn(flow));
        }
        simulation
    }

    fn put(&mut self, at: Nanos, event: Event) {
        self.count += 1;
        self.events
            .push(Reverse(Timed(at.max(self.now), self.count, event)));
    }

    /// Runs until a time.
    pub fn run(&mut self, until: Nanos) {
        while let Some(Reverse(Timed(at, _, event))) = self.events.pop() {
            if at >= until {
                return;
            }
            self.now = at;
            match event {
                Event::Turn(flow) => {
                    let asked = match &mut self.flows[flow].kind {
                        Kind::Media(media) => media.turn(at),
                        Kind::Tcp(tcp) => tcp.turn(at),
                    };
                    self.ask(flow, asked);
                }
                Event::Arrives(packet) => {
                    let flow = packet.flow;
                    let asked = match &mut self.flows[flow].kind {
                        Kind::Media(media) => media.arrives(packet.content, at),
                        Kind::Tcp(tcp) => tcp.arrives(&packet.content, at),
                    };
                    self.ask(flow, asked);
                }
                Event::Served(link) => {
                    let (packet, next) = self.links[link].served(at);
                    if let Some(next) = next {
                        self.put(next, Event::Served(link));
                    }
                    let lost = self.rng.f64() < self.links[link].loss;
                    if let Some(packet) = packet.filter(|_| !lost) {
                        let delay = self.flows[packet.flow].delay;
                        let jitter = self.rng.u64(..=self.links[link].jitter);
                        self.put(at + delay + jitter, Event::Arrives(packet));
                    }
                }
            }
        }
    }

    fn ask(&mut self, flow: usize, asked: Asked) {
        let link = self.flows[flow].link;
        for (link, packets) in [(link, asked.packets), (1 - link, asked.back)] {
            for packet in packets {
                if let Some(served) = self.links[link].put(packet, self.now) {
                    self.put(served, Event::Served(link));
                }
            }
        }
        if let Some(turn) = asked.turn {
            self.put(turn, Event::Turn(flow));
        }
    }
}
