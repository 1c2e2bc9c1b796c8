use fastrand::Rng;

use super::*;

const MS: Duration = Duration::from_millis(1);
const RTT: Duration = Duration::from_millis(20);

/// A sender of frames on a path with a largest datagram and a share of loss.
struct Path {
    mtu: PathMtu,
    carries: usize,
    loss: f64,
    rng: Rng,
    now: Duration,
    /// When datagrams came, and their sizes.
    came: VecDeque<(Duration, usize)>,
}

impl Path {
    fn new(ceiling: usize, carries: usize, loss: f64, seed: u64) -> Self {
        Self {
            mtu: PathMtu::new(ceiling, Duration::ZERO),
            carries,
            loss,
            rng: Rng::with_seed(seed),
            now: Duration::ZERO,
            came: VecDeque::new(),
        }
    }

    fn send(&mut self, len: usize) {
        if len <= self.carries && self.rng.f64() >= self.loss {
            self.came.push_back((self.now + RTT / 2, len));
        }
    }

    /// Frames of 30 KB at 30 a second, for so long.
    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            let millis = self.now.as_millis();
            if millis.is_multiple_of(33) {
                let size = self.mtu.size();
                for len in std::iter::repeat_n(size, 30_000 / size).chain([30_000 % size]) {
                    self.mtu.record_sent(len, self.now);
                    self.send(len);
                }
                self.send(120);
            }
            if self.mtu.due() <= self.now
                && let Some(len) = self.mtu.poll_probe(self.now)
            {
                self.send(len);
            }
            let left = self.now.saturating_sub(RTT / 2);
            if millis.is_multiple_of(200) && self.rng.f64() >= self.loss {
                let recent = |(at, _): &&(Duration, usize)| *at <= left && *at + 200 * MS > left;
                let came = self.came.iter().filter(recent).map(|(_, len)| *len);
                let heard = Heard {
                    longest: came.max().unwrap_or(0),
                    rtt: RTT,
                };
                self.mtu.handle_report(heard, self.now);
                let old = |(at, _): &(Duration, usize)| *at + 500 * MS < left;
                while self.came.front().is_some_and(old) {
                    self.came.pop_front();
                }
            }
            self.now += MS;
        }
    }
}

#[test]
fn the_interfaces_mtu_is_found_if_the_path_carries_it() {
    for (ceiling, carries) in [(65_507, 65_507), (8_952, 8_952), (1_472, 1_472)] {
        let mut path = Path::new(ceiling, carries, 0.0, 1);
        path.run(Duration::from_secs(2));
        assert_eq!(path.mtu.size(), ceiling);
        assert_eq!(path.mtu.poll_found(), Some((ceiling, None)));
        assert_eq!(path.mtu.poll_found(), None);
        let figures = path.mtu.figures();
        assert_eq!((figures.probes, figures.too_large), (1, None));
    }
}

#[test]
fn a_size_between_the_steps_is_found_and_a_too_large_one_is_not_kept() {
    for carries in [1_352, 1_372, 1_452, 1_472, 4_000, 8_000] {
        let mut path = Path::new(8_952, carries, 0.05, carries as u64);
        path.run(Duration::from_secs(120));
        let found = path.mtu.size();
        assert!(
            found <= carries && found + LEAST_GAIN >= carries,
            "{found} of {carries}"
        );
    }
}

#[test]
fn random_loss_does_not_lower_the_path_mtu() {
    for seed in 0..20 {
        let mut path = Path::new(1_452, 1_452, 0.2, seed);
        path.run(Duration::from_secs(5));
        for _ in 0..600 {
            path.run(100 * MS);
            let holes = path.mtu.figures().black_holes;
            assert_eq!(holes, 0, "seed {seed} at {:?}", path.now);
        }
    }
}

#[test]
fn a_silently_lowered_path_mtu_is_detected_within_a_second() {
    for seed in 0..20 {
        let mut path = Path::new(1_452, 1_452, 0.0, seed);
        path.run(3_000 * MS + (seed as u32) * 13 * MS);
        path.carries = 1_300;
        let _ = path.mtu.poll_found();
        path.run(900 * MS);
        let size = path.mtu.size();
        assert!(size <= 1_300, "seed {seed}: {size}");
        let told = path.mtu.poll_found();
        assert_eq!(told, Some((BASE_DATAGRAM, Some(1_452))), "seed {seed}");
        path.run(Duration::from_secs(60));
        let size = path.mtu.size();
        assert!((1_284..=1_300).contains(&size), "seed {seed}: {size}");
        // And again when it carries more.
        path.carries = 1_452;
        path.run(RAISE_AFTER + Duration::from_secs(60));
        assert_eq!(path.mtu.size(), 1_452);
    }
}

#[test]
fn an_outage_does_not_lower_the_path_mtu() {
    let mut path = Path::new(1_452, 1_452, 0.0, 1);
    path.run(Duration::from_secs(2));
    path.carries = 0;
    path.run(Duration::from_secs(5));
    path.carries = 1_452;
    path.run(Duration::from_secs(2));
    assert_eq!(path.mtu.size(), 1_452);
}

#[test]
fn a_lowered_path_mtu_is_detected_with_few_frames_too() {
    let mut path = Path::new(65_507, 65_507, 0.0, 1);
    path.run(Duration::from_secs(2));
    assert_eq!(path.mtu.size(), 65_507);
    path.carries = 9_000;
    path.run(1_000 * MS);
    assert_eq!(path.mtu.size(), BASE_DATAGRAM);
}

#[test]
fn rejected_datagrams_are_not_sent_again() {
    let mut mtu = PathMtu::new(9_000, Duration::ZERO);
    assert_eq!(mtu.poll_probe(MS), Some(9_000));
    assert!(!mtu.handle_too_large(9_000, MS));
    let next = mtu.poll_probe(MS).expect("another size");
    assert!((BASE_DATAGRAM..9_000).contains(&next), "{next}");
    let heard = Heard {
        longest: next,
        rtt: RTT,
    };
    assert!(mtu.handle_report(heard, 2 * MS));
    // One without the probe that is under way is about the datagrams in use.
    mtu.probe = None;
    mtu.search_at = Duration::MAX;
    assert!(mtu.handle_too_large(next, 3 * MS));
    assert_eq!(mtu.size(), BASE_DATAGRAM);
    assert!(!mtu.handle_too_large(next, 4 * MS));
    assert!(mtu.handle_too_large(BASE_DATAGRAM, 4 * MS));
    assert_eq!(mtu.size(), MIN_DATAGRAM);
    assert!(!mtu.handle_too_large(MIN_DATAGRAM, 5 * MS));
    assert_eq!(mtu.figures().black_holes, 2);
}

#[test]
fn the_next_search_waits_longer_each_time_that_a_path_carries_less() {
    let mut mtu = PathMtu::new(1_452, Duration::ZERO);
    let mut waits = Vec::new();
    for _ in 0..15 {
        mtu.size = 1_452;
        mtu.fall(MS);
        waits.push(mtu.due() - MS);
    }
    assert_eq!(waits[..3], [PROBE_EVERY, 2 * PROBE_EVERY, 4 * PROBE_EVERY]);
    assert_eq!(waits[14], PROBE_EVERY * (1 << MAX_DOUBLINGS));
}
