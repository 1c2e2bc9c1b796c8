//! Ends waits for the network.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::stop::Stop;

/// A network source that is silent for this long has broken off.
const SILENCE: Duration = Duration::from_secs(10);

/// Decides when to stop waiting: at the end of the stream, or after [`SILENCE`].
#[derive(Clone)]
pub(super) struct Watch {
    stop: Stop,
    begun: Instant,
    /// In milliseconds since `begun`.
    deadline: Arc<AtomicU64>,
}

impl Watch {
    pub(super) fn new(stop: &Stop) -> Self {
        let watch = Self {
            stop: stop.clone(),
            begun: Instant::now(),
            deadline: Arc::default(),
        };
        watch.begin();
        watch
    }

    /// A wait begins now.
    pub(super) fn begin(&self) {
        let deadline = self.begun.elapsed() + SILENCE;
        self.deadline
            .store(deadline.as_millis() as u64, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        let late = self.begun.elapsed().as_millis() as u64;
        self.stop.is_stopped() || late > self.deadline.load(Ordering::Relaxed)
    }
}
