//! Flows that share a bottleneck, in virtual time: streams with the rate control of
//! `framegram_common::rate`, and TCP flows.

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

/// A packet on its way.
#[derive(Clone, Debug)]
struct Packet {
    flow: usize,
    /// Bytes including the headers of IP and UDP or TCP.
    bytes: u64,
    content: Content,
}

/// The contents: packet numbers, and their arrival times in microseconds.
#[derive(Clone, Debug)]
enum Content {
    Media(u64),
    Feedback(Vec<(u64, u64)>),
    Segment(u64),
    Acknowledgement(u64),
}

/// An event.
#[derive(Clone, Debug)]
enum Event {
    /// A flow has something to do.
    Turn(usize),
    /// A link has served a packet.
    Served(usize),
    /// A packet arrives at the other end of its flow.
    Arrives(Packet),
}

/// What a flow requests from the simulation.
#[derive(Debug, Default)]
struct Asked {
    packets: Vec<Packet>,
    /// Packets from the flow's other end.
    back: Vec<Packet>,
    turn: Option<Nanos>,
}

/// The kind of a flow.
#[derive(Debug)]
pub enum Kind {
    /// A stream.
    Media(Box<Media>),
    /// TCP.
    Tcp(Box<Tcp>),
}

/// Both ends of a flow.
#[derive(Debug)]
pub struct Flow {
    /// Its kind.
    pub kind: Kind,
    /// The number of the link that it takes. Packets in return take the other one.
    pub link: usize,
    /// The one-way delay without the queue.
    pub delay: Nanos,
}

/// An event with its time and order.
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
    /// The forward link and the return link.
    pub links: [Link; 2],
    /// The flows, by number.
    pub flows: Vec<Flow>,
    rng: Rng,
}

impl Simulation {
    /// A simulation in which nothing has happened yet.
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

    /// Runs until `until`.
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
