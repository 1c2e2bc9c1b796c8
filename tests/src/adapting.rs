//! A sender and viewers, each on a path that carries less than the source could
//! make, or much more: their packets, not those of a simulation, and frames as long
//! as the sender's program makes them.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use fastrand::Rng;
use framegram_common::fec::Fec;
use framegram_common::receiver::{self, Receiver, SinkOutcome};
use framegram_common::sender::{self, Output, Rate, Sender};
use framegram_lab::impair::{Act, Impairment, Link};
use framegram_send::bitrate::BitrateControl;

/// Time from frame to frame.
pub const INTERVAL: Duration = Duration::from_micros(33_333);

/// What an encoder makes of a limit: at least and at most.
const FITTED: [f64; 2] = [0.85, 0.98];

/// What comes back takes no longer.
const BACK: u64 = 100_000_000;

/// A source: how long its frames would be, and for how long it plays.
#[derive(Clone, Copy, Debug)]
pub struct Source {
    /// Bytes of a frame that nothing limits, by the time since the start.
    pub natural: fn(Duration) -> usize,
    /// How long it plays.
    pub plays: Duration,
    /// How fast it is sent.
    pub rate: Rate,
    /// Random seed.
    pub seed: u64,
}

/// What came of a run to one viewer.
#[derive(Debug, Default)]
pub struct Run {
    /// Frames that were handed in.
    pub frames: usize,
    /// When each frame that the rate made shorter was handed in.
    pub shortened: Vec<Duration>,
    /// From handing in to the last datagram, of each frame.
    pub leaving: Vec<Duration>,
    /// When each frame that came complete was captured, and how long it took.
    pub complete: Vec<(Duration, Duration)>,
    /// What became of each datagram to the viewer.
    pub passed: Vec<Passed>,
    /// Rates that limited the frames, in bits a second.
    pub rates: Vec<u64>,
}

/// A datagram in front of a path.
#[derive(Clone, Copy, Debug)]
pub struct Passed {
    /// When it was sent.
    pub at: Duration,
    /// UDP payload.
    pub bytes: usize,
    /// How long it waited; `None` where the queue had no room.
    pub waited: Option<Duration>,
}

impl Run {
    fn within(&self, from: Duration, to: Duration) -> impl Iterator<Item = &Passed> {
        let passed = self.passed.iter();
        passed.filter(move |passed| (from..to).contains(&passed.at))
    }

    /// Bits a second that were sent in a time.
    #[must_use]
    pub fn rate(&self, from: Duration, to: Duration) -> f64 {
        let bytes: usize = self.within(from, to).map(|passed| passed.bytes).sum();
        bytes as f64 * 8.0 / (to - from).as_secs_f64()
    }

    /// Percentile of the time in the queue in a time.
    #[must_use]
    pub fn queue(&self, percent: usize, from: Duration, to: Duration) -> Duration {
        let waited = self.within(from, to).filter_map(|passed| passed.waited);
        percentile(waited.collect(), percent)
    }

    /// Share of the datagrams of a time that the queue had no room for.
    #[must_use]
    pub fn dropped(&self, from: Duration, to: Duration) -> f64 {
        let dropped = self.within(from, to).filter(|it| it.waited.is_none());
        dropped.count() as f64 / self.within(from, to).count().max(1) as f64
    }

    /// Percentile of the time that frames take until they are complete, of those captured
    /// from then on.
    #[must_use]
    pub fn delay(&self, percent: usize, from: Duration) -> Duration {
        let late = self
            .complete
            .iter()
            .filter(|(captured, _)| *captured >= from);
        percentile(late.map(|(_, took)| *took).collect(), percent)
    }
}

/// A viewer behind a path.
#[derive(Debug)]
pub struct Place {
    /// The viewer.
    pub receiver: Receiver,
    /// What it got.
    pub run: Run,
    delay: Duration,
    there: Link,
    back: Link,
}

/// Plays a source to viewers, each over a path of its own, whose rate changes at
/// these times to this many bits a second.
#[must_use]
pub fn play(source: Source, paths: &[Impairment], changes: &[(Duration, u64)]) -> Vec<Place> {
    let config = sender::Config {
        interval: Some(INTERVAL),
        destinations: paths.len(),
        second_encoding: true,
        rate: source.rate,
        ..sender::Config::default()
    };
    let mut sender = Sender::new(config, 1, Duration::ZERO);
    let mut rng = Rng::with_seed(source.seed);
    let places = paths.iter().enumerate();
    let mut places: Vec<_> = places.map(|(at, path)| Place::new(at, path)).collect();
    let from = SocketAddr::from(([192, 0, 2, 1], 5005));
    let mut changes = changes.iter().copied().peekable();
    let (mut now, mut due) = (Duration::ZERO, Duration::ZERO);
    let (mut handed_in, mut shortened) = (Vec::new(), Vec::new());
    let (mut rates, mut out) = (Vec::new(), Vec::new());
    let mut control: Option<BitrateControl> = None;
    let mut second: Option<(usize, BitrateControl)> = None;
    while now < source.plays {
        if let Some((_, rate)) = changes.next_if(|(at, _)| *at <= now) {
            for place in &mut places {
                place.there.set_rate(rate, now);
            }
        }
        if now >= due {
            due += INTERVAL;
            if let Some(rate) = sender.rate(now) {
                rates.push(rate);
                let new = || BitrateControl::new(rate, Some(INTERVAL), Fec::Auto, now);
                let _ = control.get_or_insert_with(new).set_rate(rate);
            }
            if let Some(control) = &mut control {
                control.observe(sender.volume(), now);
            }
            let fitted = FITTED[0] + (FITTED[1] - FITTED[0]) * rng.f64();
            let limit = control.as_ref().map_or(f64::MAX, |it| it.target() as f64);
            let natural = (source.natural)(now) as f64 * (0.95 + 0.1 * rng.f64());
            if !sender.is_held_back(now) {
                let is_long = natural > limit;
                let len = if is_long { limit * fitted } else { natural };
                let jpeg = Bytes::from(vec![7; len as usize]);
                let taken = sender.handle_frame(jpeg, now, None, now);
                handed_in.extend(taken.is_ok().then_some(now));
                shortened.extend(is_long.then_some(now));
                let target = sender.second_encoding(now).map(|target| {
                    let (slowest, volume) = target.slowest;
                    let before = second.take().filter(|(of, _)| *of == slowest);
                    let new =
                        || BitrateControl::new(target.bitrate, Some(INTERVAL), Fec::Auto, now);
                    let (_, mut control) = before.unwrap_or_else(|| (slowest, new()));
                    let _ = control.set_rate(target.bitrate);
                    control.observe(volume, now);
                    let len = natural.min(control.target() as f64 * fitted);
                    second = Some((slowest, control));
                    len
                });
                if let Some(len) = target {
                    let jpeg = Bytes::from(vec![9; len as usize]);
                    let taken = sender.handle_second(jpeg, now, None, now);
                    taken.expect("it is shorter than the first");
                }
                for place in &mut places {
                    place.run.leaving.push(Duration::ZERO);
                }
            }
        }
        loop {
            match sender.poll_output(now, &mut out) {
                Output::Transmit(sent) => {
                    let last = handed_in.last().copied();
                    places[sent.destination].send(&out, sent.segment, last, now);
                }
                Output::Timeout(_) => break,
                // Nobody connects, and no path is searched for its MTU.
                Output::Answer(_) | Output::Event(_) => {}
            }
        }
        let mut waits = vec![Some(due), changes.peek().map(|(at, _)| *at)];
        for (at, place) in places.iter_mut().enumerate() {
            place.take(from, now);
            while let Some(datagram) = place.back.poll(now) {
                sender.handle_datagram(at, &datagram, now);
            }
            waits.push(place.receiver.poll_timeout(now));
            waits.push(place.there.poll_timeout());
            waits.push(place.back.poll_timeout());
        }
        waits.push(sender.poll_timeout());
        now = waits.into_iter().flatten().min().unwrap_or(due).max(now);
    }
    for place in &mut places {
        place.run.frames = handed_in.len();
        place.run.shortened.clone_from(&shortened);
        place.run.rates.clone_from(&rates);
    }
    places
}

impl Place {
    fn new(at: usize, path: &Impairment) -> Self {
        let back = Impairment {
            rate: Some(BACK),
            bucket: 0,
            ..path.clone()
        };
        let config = receiver::Config::default();
        Self {
            receiver: Receiver::new(config, 2 + at as u64, (3, 4), Duration::ZERO),
            run: Run::default(),
            delay: path.delay,
            there: Link::new(path.clone()),
            back: Link::new(back),
        }
    }

    fn send(&mut self, out: &[u8], segment: usize, last: Option<Duration>, now: Duration) {
        for datagram in out.chunks(segment) {
            let decision = self.there.send(datagram, now);
            let passage = decision.passages[0];
            if passage.is_some() || decision.dropped == Some(Act::Queue) {
                self.run.passed.push(Passed {
                    at: now,
                    bytes: datagram.len(),
                    waited: passage.map(|it| it.arrives.saturating_sub(now + self.delay)),
                });
            }
        }
        if let (Some(leaving), Some(at)) = (self.run.leaving.last_mut(), last)
            && out.len() > 1_000
        {
            *leaving = now - at;
        }
    }

    /// Takes what has arrived by now.
    fn take(&mut self, from: SocketAddr, now: Duration) {
        let receiver = &mut self.receiver;
        while let Some(datagram) = self.there.poll(now) {
            receiver.handle_datagram(from, &datagram, now);
        }
        receiver.handle_timeout(now);
        loop {
            match receiver.poll_output(now) {
                receiver::Output::Frame(frame) => {
                    receiver.handle_outcome(frame.id, SinkOutcome::Shown { at: now });
                    // One clock, that of the simulation.
                    let captured = Duration::from_micros(frame.captured.as_micros());
                    if frame.stale.is_empty() {
                        self.run.complete.push((captured, now - captured));
                    }
                }
                receiver::Output::Transmit(sent) => {
                    self.back.send(&sent.datagram, now);
                }
                receiver::Output::Event(_) | receiver::Output::Record(_) => {}
                receiver::Output::Timeout(_) => break,
            }
        }
    }
}

/// A percentile of some times; zero of none.
#[must_use]
pub fn percentile(mut times: Vec<Duration>, percent: usize) -> Duration {
    times.sort_unstable();
    times
        .get(times.len() * percent / 100)
        .copied()
        .unwrap_or_default()
}
