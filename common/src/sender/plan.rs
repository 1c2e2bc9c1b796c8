//! The parameters of pacer, rate limit and loss protection. One function sets them, from the
//! settings and from the viewers' reports. A viewer's claims about its own path decide what it is
//! sent. On what all viewers share, they have only bounded influence.

use std::time::Duration;

use super::Config;
use crate::fec::PathEstimate;
use crate::wire::DEFAULT_DATAGRAM;

/// Bytes per second reserved for control packets: two sender reports, four byes and some echoes.
pub const CONTROL_RESERVE: u64 = 1024;

/// If several viewers are served, repair takes at most one part in this many of a destination's
/// rate. What all wait for is sent at the pace of the slowest, and a viewer that needs or wants
/// more repair slows it down by no more than that.
const REPAIR_SHARE: u64 = 5;

/// If several viewers share the pacer, shorter playout delays count as this one, which leaves time
/// to spread a frame's datagrams.
const LEAST_SHARED_DELAY: Duration = Duration::from_millis(20);

/// The longest time over which a frame is spread.
const LONGEST_SPREAD: Duration = Duration::from_millis(200);

/// The parameters from now on.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Upper bound on the bytes of media and repair to each destination in any second.
    pub(super) rate: Option<u64>,
    /// Upper bound on repair among them, if the plan is shared.
    pub(super) repair_rate: Option<u64>,
    /// Time over which the datagrams of a frame are spread: no longer than suits every viewer.
    pub(super) spread: Duration,
    /// If the path's capacity is known: the pace of its packets instead, and the time over which a
    /// frame like the last one is then spread, by destination.
    paces: Vec<Option<(Pace, Duration)>>,
    /// How long a frame is kept for retransmission: as long as the longest playout delay of a
    /// viewer.
    pub(super) keep: Duration,
    /// Whether there are several viewers or destinations: repair for one of them keeps to a share
    /// of the rate.
    pub(super) is_shared: bool,
    /// Shorter playout delays count as this one.
    least_delay: Duration,
    /// The assumed path to a viewer that has not reported.
    presumed: PathEstimate,
    /// The paths to the viewers of each destination, which determine its parity; none for a closed
    /// one.
    pub(super) destinations: Vec<Option<Vec<PathEstimate>>>,
}

/// The pace of a frame's packets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Pace {
    /// Bytes per second.
    pub(super) rate: f64,
    /// Bytes sent at once.
    pub(super) burst: f64,
    /// Bytes a second that the path carries; infinite where it carries the packets as
    /// they leave, as far as is known.
    pub(super) carried: f64,
    /// Seconds that a packet waits in the queue of the path.
    pub(super) queue: f64,
}

impl Plan {
    /// Sets how packets leave to a destination, where those of a frame have this many
    /// bytes. What a path takes longer to carry than they take to leave is not late.
    pub(super) fn set_pace(&mut self, destination: usize, pace: Pace, frame: usize) {
        let leaving = (frame as f64 - pace.burst).max(0.0) / pace.rate;
        let spread = leaving.max(frame as f64 / pace.carried + pace.queue);
        let spread = Duration::from_secs_f64(spread.min(LONGEST_SPREAD.as_secs_f64()));
        if self.paces.len() <= destination {
            self.paces.resize(destination + 1, None);
        }
        self.paces[destination] = Some((pace, spread));
    }

    /// The pace to a destination, if its path determines it.
    pub(super) fn pace_to(&self, destination: usize) -> Option<Pace> {
        let paced = self.paces.get(destination).copied().flatten();
        paced.map(|(pace, _)| pace)
    }

    /// Time over which the datagrams of a frame are spread to a destination.
    pub(super) fn spread_to(&self, destination: usize) -> Duration {
        let paced = self.paces.get(destination).copied().flatten();
        paced.map_or(self.spread, |(_, spread)| spread)
    }

    /// The path that determines over how many frames these destinations share parity: as bad as the
    /// worst one, and in time for all. Also returns the longest spread.
    pub(super) fn worst(&self, of: impl Fn(usize) -> bool) -> (PathEstimate, Duration) {
        let destinations = self.destinations.iter().enumerate();
        let those = destinations.filter(|(at, paths)| of(*at) && paths.is_some());
        let spreads = those.clone().map(|(at, _)| self.spread_to(at));
        let spread = spreads.max().unwrap_or(self.spread);
        let paths = those.flat_map(|(_, paths)| paths).flatten();
        let worst = paths.clone().max_by(|a, b| loss(a).total_cmp(&loss(b)));
        let shortest = paths.map(|path| path.playout_delay.max(self.least_delay));
        let worst = *worst.unwrap_or(&self.presumed);
        let path = PathEstimate {
            playout_delay: shortest.min().unwrap_or(self.presumed.playout_delay),
            ..worst
        };
        (path, spread)
    }

    /// The plan for these paths to the present viewers, by destination. A destination without any
    /// report has the assumed path.
    pub(super) fn new(config: &Config, mut destinations: Vec<Option<Vec<PathEstimate>>>) -> Self {
        let presumed = PathEstimate {
            nack: config.retransmit,
            ..PathEstimate::default()
        };
        for viewers in destinations.iter_mut().flatten() {
            if viewers.is_empty() {
                viewers.push(presumed);
            }
        }
        let all: Vec<_> = destinations.iter().flatten().flatten().copied().collect();
        let delays = || all.iter().map(|path| path.playout_delay);
        let longest = delays().max().unwrap_or(presumed.playout_delay);
        // In a shared plan, shorter playout delays count as the least shared one, unless all are
        // shorter.
        let floor = LEAST_SHARED_DELAY.min(longest);
        let spread = |path: &PathEstimate| {
            let path = PathEstimate {
                playout_delay: path.playout_delay.max(floor),
                ..*path
            };
            path.spread(config.interval.unwrap_or_default())
        };
        let spread = all
            .iter()
            .map(spread)
            .min()
            .unwrap_or_else(|| spread(&presumed));
        let rate = config
            .bitrate
            .map(|bitrate| (bitrate / 8).saturating_sub(CONTROL_RESERVE));
        Self {
            rate,
            repair_rate: rate.map(|rate| (rate / REPAIR_SHARE).max(DEFAULT_DATAGRAM as u64)),
            spread: if config.pace { spread } else { Duration::ZERO },
            paces: Vec::new(),
            keep: if config.retransmit {
                longest
            } else {
                Duration::ZERO
            },
            is_shared: all.len() > 1,
            least_delay: floor,
            presumed,
            destinations,
        }
    }
}

fn loss(path: &PathEstimate) -> f64 {
    path.loss.map_or(0.0, |loss| loss.loss())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fec::LossModel;

    const MS: Duration = Duration::from_millis(1);

    fn config() -> Config {
        Config {
            interval: Some(40 * MS),
            ..Config::default()
        }
    }

    fn path(loss: f64, delay: u32) -> PathEstimate {
        PathEstimate {
            loss: Some(LossModel::new(loss, 1.0)),
            playout_delay: delay * MS,
            ..PathEstimate::default()
        }
    }

    #[test]
    fn a_destination_without_reports_has_the_assumed_path() {
        let plan = Plan::new(&config(), vec![Some(vec![])]);
        let presumed = PathEstimate::default();
        assert_eq!(plan.keep, presumed.playout_delay);
        assert_eq!(plan.spread, presumed.playout_delay / 4);
        assert!(!plan.is_shared && plan.worst(|_| true).0.loss.is_none());
        // Closed destinations do not count.
        let none = Plan::new(&config(), vec![None, None]);
        assert_eq!((none.keep, none.spread), (plan.keep, plan.spread));
        assert!(!none.is_shared);
    }

    #[test]
    fn frames_are_kept_for_the_most_patient_and_spread_for_the_least() {
        let viewers = vec![
            Some(vec![path(0.3, 500), path(0.01, 30)]),
            None,
            Some(vec![path(0.1, 60)]),
        ];
        let plan = Plan::new(&config(), viewers);
        assert_eq!((plan.keep, plan.spread), (500 * MS, 30 * MS / 4));
        assert!(plan.is_shared);
        let (worst, spread) = plan.worst(|_| true);
        assert_eq!((loss(&worst), worst.playout_delay), (0.3, 30 * MS));
        assert_eq!(spread, plan.spread);
        assert_eq!(loss(&plan.worst(|at| at != 0).0), 0.1);
    }

    #[test]
    fn a_viewer_without_playout_delay_leaves_time_to_spread_the_others_frames() {
        let spread = |viewers| Plan::new(&config(), vec![Some(viewers)]).spread;
        let shared = spread(vec![path(0.0, 0), path(0.0, 60)]);
        assert_eq!(shared, LEAST_SHARED_DELAY / 4);
        assert_eq!(spread(vec![path(0.0, 0)]), Duration::ZERO);
    }

    #[test]
    fn without_pacing_nothing_is_spread_and_without_retransmission_nothing_kept() {
        let config = Config {
            pace: false,
            retransmit: false,
            ..config()
        };
        let plan = Plan::new(&config, vec![Some(vec![path(0.1, 60)])]);
        assert_eq!((plan.spread, plan.keep), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn repair_has_a_share_of_the_rate_and_room_for_a_datagram() {
        let rates = |bitrate| {
            let config = Config {
                bitrate,
                ..config()
            };
            let plan = Plan::new(&config, Vec::new());
            (plan.rate, plan.repair_rate)
        };
        assert_eq!(rates(None), (None, None));
        assert_eq!(rates(Some(8_008_192)), (Some(1_000_000), Some(200_000)));
        let datagram = DEFAULT_DATAGRAM as u64;
        assert_eq!(rates(Some(16_384)), (Some(1_024), Some(datagram)));
        assert_eq!(rates(Some(1)), (Some(0), Some(datagram)));
    }
}
