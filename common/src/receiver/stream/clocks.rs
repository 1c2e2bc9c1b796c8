//! The sender's times on the viewer's clock.

use super::super::clock::Estimate;
use super::Stream;
use crate::stats;

impl Stream {
    /// What is to be added to a time of the sender, in microseconds.
    pub(super) fn offset(&self, time: u64) -> Option<i64> {
        if self.shared_clock {
            return Some(0);
        }
        self.clock.at(time).map(|estimate| estimate.offset)
    }

    /// What is known of the sender's clock.
    pub(super) fn clock(&self) -> Option<stats::Clock> {
        if self.shared_clock {
            return Some(stats::Clock {
                shared: true,
                ..stats::Clock::default()
            });
        }
        let Estimate {
            offset,
            uncertainty,
            drift,
            drift_uncertainty,
        } = self.clock.at(self.newest_sent)?;
        Some(stats::Clock {
            shared: false,
            cloned: self.cloned,
            offset_ms: offset as f64 / 1e3,
            drift_ppm: drift * 1e6,
            drift_uncertainty_ppm: drift_uncertainty * 1e6,
            uncertainty_ms: uncertainty / 1e3,
        })
    }
}
