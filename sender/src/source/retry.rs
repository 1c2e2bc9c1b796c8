//! Network sources that break off and return.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::Request;
use crate::console::Console;
use crate::stop::Stop;

/// Pauses between attempts grow from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Reconnects to a source that broke off, and says so.
pub(super) struct Retry {
    name: String,
    /// Grows until a frame arrives.
    pause: Duration,
    stop: Stop,
    console: Arc<Console>,
}

impl Retry {
    /// For a source that messages call `name`.
    pub(super) fn new(name: &str, request: &Request) -> Self {
        Self {
            name: name.into(),
            pause: FIRST_PAUSE,
            stop: request.stop.clone(),
            console: Arc::clone(&request.console),
        }
    }

    pub(super) fn stop(&self) -> &Stop {
        &self.stop
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.is_stopped()
    }

    /// A frame arrived.
    pub(super) fn succeeded(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// Waits, and retries until `open` succeeds; `None` if the stream ends first.
    pub(super) fn until_open<T>(&mut self, open: impl Fn(&Stop) -> Result<T>) -> Option<T> {
        let name = &self.name;
        self.console.say(&format!(
            "{name} broke off; trying again in {:.1} s",
            self.pause.as_secs_f64()
        ));
        loop {
            if self.stop.wait(self.pause) {
                return None;
            }
            self.pause = (2 * self.pause).min(LONGEST_PAUSE);
            match open(&self.stop) {
                Ok(opened) => {
                    self.console.say(&format!("{name} is back"));
                    return Some(opened);
                }
                Err(_) if self.stop.is_stopped() => return None,
                Err(error) => self.console.say(&format!(
                    "{error:#}; trying again in {:.1} s",
                    self.pause.as_secs_f64()
                )),
            }
        }
    }
}
