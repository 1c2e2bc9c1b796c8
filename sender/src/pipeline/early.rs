//! Encodes the frames of a file in the thread that reads them, before they are due: a frame is in
//! the processor's cache still, and wakes one thread less. Where there is not the time, the
//! encoders work beside that thread.

use std::time::Duration;

use framegram_net::clock;

use crate::encode::{Encoded, Encoder};
use crate::source::Content;

/// The time until a frame is due is enough for this many encodings.
const ENOUGH: u32 = 2;

/// What is known of the time of an encoding loses one part in this many with each frame that was
/// not encoded early: it may have been the machine.
const FORGETS: u32 = 16;

/// The encoder of the source thread.
pub(super) struct EarlyEncoder {
    encoder: Encoder,
    /// The time of an encoding.
    takes: Duration,
    /// Whether the newest frame was encoded.
    pub(super) is_used: bool,
}

impl EarlyEncoder {
    pub(super) fn new(encoder: Encoder) -> Self {
        Self {
            encoder,
            takes: Duration::ZERO,
            is_used: false,
        }
    }

    /// Encodes a frame that is due in so much time, if that is enough.
    pub(super) fn encode(&mut self, content: &Content, left: Duration) -> Option<Encoded> {
        self.is_used = left > self.takes * ENOUGH;
        if !self.is_used {
            self.takes -= self.takes / FORGETS;
            return None;
        }
        let begun = clock::now();
        // An error is told of by the encoders, which try again.
        let encoded = self.encoder.encode(content).ok();
        self.takes = clock::now().saturating_sub(begun);
        encoded
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Settings;
    use crate::source::Pattern;

    #[test]
    fn where_time_is_short_nothing_is_encoded_until_it_is_known_to_be_enough_again() {
        let picture = Pattern::new(64, 48, 30.0).unwrap().picture(1).unwrap();
        let content = Content::Image(picture);
        let mut early = EarlyEncoder::new(Encoder::new(Settings::default()).unwrap());
        assert!(early.encode(&content, Duration::ZERO).is_none() && !early.is_used);
        let hour = Duration::from_secs(3_600);
        assert!(early.encode(&content, hour).is_some() && early.is_used);
        early.takes = hour / 2;
        let tries = (1..).find(|_| early.encode(&content, hour).is_some());
        assert_eq!(tries, Some(2));
        early.takes = hour;
        let tries = (1..).find(|_| early.encode(&content, hour).is_some());
        // (15/16) to the power of 11 is just below a half.
        assert_eq!(tries, Some(12));
    }
}
