//! Chooses the restart interval, so that a lost datagram costs little more of the picture than it
//! carried. Pure: sizes in, an interval out.
//!
//! Every change makes another JPEG header, which must be sent to viewers. So there are few
//! intervals, and the interval is raised only after a number of frames.

use framegram_common::chunk::chunk_capacity;
use framegram_common::jpeg::{JpegHeader, slice_starts};
use framegram_common::wire::{MAX_DATAGRAM, MIN_DATAGRAM};

/// The first interval, which fits camera footage at quality 80. If it is too large, that affects
/// one frame; if it is too small, it costs bytes in [`PATIENCE`] frames.
const FIRST: u16 = 16;

/// When an interval is chosen, one slice in this many may be too long.
const OUTLIERS: usize = 50;

/// The interval is lowered as soon as more slices than this are too long, in percent of the frame's.
const TOO_MANY: usize = 3;

/// Target of a new interval, in percent of the longest allowed slice: room for pictures to change.
const AIM: usize = 95;

/// Frames in a row that must allow a larger interval. In a second or two, whatever moves through
/// the picture has been everywhere.
const PATIENCE: u32 = 45;

/// The patience after larger intervals were repeatedly too large.
const MOST_PATIENCE: u32 = 16 * PATIENCE;

/// Chooses the restart interval from the slices of earlier frames.
#[derive(Clone, Debug)]
pub struct Restart {
    limit: usize,
    interval: u16,
    /// Frames in a row that would allow more, and their longest slice without outliers.
    calm: u32,
    calm_length: usize,
    patience: u32,
}

impl Restart {
    /// For slices of at most half a chunk in datagrams of this many bytes.
    pub fn new(datagram: usize) -> Self {
        Self {
            limit: half_a_chunk(datagram),
            interval: FIRST,
            calm: 0,
            calm_length: 0,
            patience: PATIENCE,
        }
    }

    /// The number of MCUs between restart markers in the next frame.
    pub fn interval(&self) -> u16 {
        self.interval
    }

    /// Sets the datagram size.
    pub fn set_datagram(&mut self, bytes: usize) {
        self.limit = half_a_chunk(bytes);
    }

    /// Records an encoded frame.
    pub fn observe(&mut self, jpeg: &[u8]) {
        let Ok(header) = JpegHeader::parse(jpeg) else {
            return;
        };
        let mut lengths = slice_starts(jpeg, header.len);
        lengths.push(jpeg.len() as u32);
        for index in 1..lengths.len() {
            lengths[index - 1] = lengths[index] - lengths[index - 1];
        }
        lengths.pop();
        self.observe_lengths(header.restart_interval, &mut lengths);
    }

    /// Records the slice lengths in bytes of a frame that was encoded with this interval.
    fn observe_lengths(&mut self, interval: u16, lengths: &mut [u32]) {
        // Parallel encoders finish frames that were begun before a change.
        if interval != self.interval || lengths.is_empty() {
            return;
        }
        let outliers = lengths.len() / OUTLIERS;
        let too_long = lengths
            .iter()
            .filter(|length| **length as usize > self.limit)
            .count();
        let (_, longest, _) = lengths.select_nth_unstable_by(outliers, |a, b| b.cmp(a));
        let longest = (*longest as usize).max(1);
        if 100 * too_long > TOO_MANY * lengths.len() {
            self.patience = MOST_PATIENCE.min(self.patience * 4);
            self.change(self.fitting(longest).min(step_below(interval)));
            return;
        }
        if self.fitting(longest) <= interval || lengths.len() == 1 {
            self.calm = 0;
            self.calm_length = 0;
            return;
        }
        self.calm += 1;
        self.calm_length = self.calm_length.max(longest);
        if self.calm >= self.patience {
            let larger = self.fitting(self.calm_length);
            if larger > 2 * interval {
                self.patience = PATIENCE;
            }
            self.change(larger);
        }
    }

    /// The largest restart interval whose slices still fit, given that slices now have this
    /// `length`. A longer slice averages over more of the picture, so its length grows no faster
    /// than the interval.
    fn fitting(&self, length: usize) -> u16 {
        let most = usize::from(self.interval) * self.limit * AIM / (100 * length);
        step_at_most(most)
    }

    fn change(&mut self, interval: u16) {
        self.interval = interval;
        self.calm = 0;
        self.calm_length = 0;
    }
}

fn half_a_chunk(datagram: usize) -> usize {
    chunk_capacity(datagram.clamp(MIN_DATAGRAM, MAX_DATAGRAM)) / 2
}

/// The largest interval that is used, of the form 2ⁿ or 3·2ⁿ, at most `most` and at least 1.
fn step_at_most(most: usize) -> u16 {
    let most = most.clamp(1, usize::from(LARGEST)) as u16;
    let power = 1 << most.ilog2();
    let between = power / 2 * 3;
    if power > 1 && between <= most {
        between
    } else {
        power
    }
}

fn step_below(interval: u16) -> u16 {
    step_at_most(usize::from(interval).saturating_sub(1))
}

/// The largest interval: a picture without any detail is one slice.
const LARGEST: u16 = 1 << 15;

#[cfg(test)]
mod tests {
    use fastrand::Rng;
    use framegram_common::wire::DEFAULT_DATAGRAM;
    use proptest::prelude::*;

    use super::*;

    /// A picture as the cost of each MCU, in tenths of a byte.
    struct Scene {
        columns: usize,
        costs: Vec<u32>,
    }

    impl Scene {
        /// Detail in patches; some of it costs `contrast` times as much as the rest.
        fn new(rng: &mut Rng, columns: usize, rows: usize, mean: u32, contrast: u32) -> Self {
            let patch = rng.usize(3..20);
            let detail: Vec<u32> = (0..columns * rows)
                .map(|_| match rng.u8(..4) {
                    0 => mean * contrast,
                    1 => mean / 4,
                    _ => mean,
                })
                .collect();
            let costs = (0..columns * rows).map(|at| {
                let (x, y) = (at % columns / patch, at / columns / patch);
                10 + detail[y * columns + x] * rng.u32(50..150) / 100
            });
            Self {
                columns,
                costs: costs.collect(),
            }
        }

        /// The slices of one frame, with camera noise and a patch of detail that moves through it.
        fn lengths(&self, rng: &mut Rng, interval: u16, frame: usize) -> Vec<u32> {
            let busy =
                frame * 3 % self.costs.len()..frame * 3 % self.costs.len() + self.columns / 8;
            let mut costs = self.costs.clone();
            for (at, cost) in costs.iter_mut().enumerate() {
                let more = if busy.contains(&at) { 150 } else { 100 };
                *cost = *cost * rng.u32(92..=108) * more / 10_000;
            }
            let slices = costs.chunks(usize::from(interval));
            slices
                .map(|slice| 4 + slice.iter().sum::<u32>() / 10)
                .collect()
        }
    }

    fn share_too_long(restart: &Restart, lengths: &[u32]) -> f64 {
        let long = lengths
            .iter()
            .filter(|length| **length as usize > restart.limit)
            .count();
        long as f64 / lengths.len() as f64
    }

    #[test]
    fn one_slice_of_33_is_too_many() {
        let mut restart = Restart::new(DEFAULT_DATAGRAM);
        let mut lengths = vec![restart.limit as u32; 34];
        lengths[0] += 1;
        restart.observe_lengths(FIRST, &mut lengths[1..].to_vec());
        restart.observe_lengths(FIRST, &mut lengths);
        assert_eq!(restart.interval(), FIRST);
        restart.observe_lengths(FIRST, &mut lengths[..33]);
        assert!(restart.interval() < FIRST);
    }

    proptest! {
        #[test]
        fn settles_in_few_frames_and_stays(
            seed: u64,
            columns in 10_usize..130,
            rows in 5_usize..70,
            mean in 5_u32..1200,
            contrast in 1_u32..6,
        ) {
            let mut rng = Rng::with_seed(seed);
            let scene = Scene::new(&mut rng, columns, rows, mean, contrast);
            let mut restart = Restart::new(DEFAULT_DATAGRAM);
            let (mut intervals, mut slices, mut long) = (Vec::new(), 0, 0.0);
            for frame in 0..600 {
                let mut lengths = scene.lengths(&mut rng, restart.interval(), frame);
                if frame >= 6 {
                    slices += lengths.len();
                    long += share_too_long(&restart, &lengths) * lengths.len() as f64;
                }
                restart.observe_lengths(restart.interval(), &mut lengths);
                intervals.push(restart.interval());
            }
            let changes = |frames: &[u16]| frames.windows(2).filter(|pair| pair[0] != pair[1]).count();
            prop_assert!(long / slices as f64 <= 0.03 || restart.interval() == 1);
            prop_assert!(changes(&intervals) <= 10, "{intervals:?}");
            prop_assert!(changes(&intervals[300..]) <= 2, "{intervals:?}");
        }
    }

    #[test]
    fn makes_slices_no_shorter_than_they_need_to_be() {
        for mean in [20, 100, 350, 800] {
            let mut rng = Rng::with_seed(u64::from(mean));
            let scene = Scene::new(&mut rng, 120, 67, mean, 3);
            let mut restart = Restart::new(DEFAULT_DATAGRAM);
            for frame in 0..200 {
                let mut lengths = scene.lengths(&mut rng, restart.interval(), frame);
                restart.observe_lengths(restart.interval(), &mut lengths);
            }
            let twice = scene.lengths(&mut rng, restart.interval() * 2, 0);
            assert!(share_too_long(&restart, &twice) > 0.02, "mean {mean}");
        }
    }

    #[test]
    fn follows_a_cut_to_more_detail_within_two_frames() {
        let mut restart = Restart::new(DEFAULT_DATAGRAM);
        for _ in 0..200 {
            restart.observe_lengths(restart.interval(), &mut [40; 300]);
        }
        let before = restart.interval();
        let lengths = |interval: u16| vec![80 * u32::from(interval); 300];
        restart.observe_lengths(before, &mut lengths(before));
        assert_eq!(share_too_long(&restart, &lengths(restart.interval())), 0.0);
        assert!(restart.interval() < before);
    }

    #[test]
    fn ignores_frames_that_were_begun_before_a_change() {
        let mut restart = Restart::new(DEFAULT_DATAGRAM);
        restart.observe_lengths(FIRST, &mut [2000; 100]);
        let after = restart.interval();
        restart.observe_lengths(FIRST, &mut [2000; 100]);
        assert_eq!(restart.interval(), after);
    }

    #[test]
    fn takes_few_values() {
        let steps: std::collections::BTreeSet<_> = (0..=70_000).map(step_at_most).collect();
        let first: Vec<_> = steps.iter().copied().take(9).collect();
        assert_eq!(first, [1, 2, 3, 4, 6, 8, 12, 16, 24]);
        assert_eq!(steps.last(), Some(&LARGEST));
    }
}
