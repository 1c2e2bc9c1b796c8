//! What a viewer reports to the sender.

use serde::Serialize;

use super::{Frames, Outcome, Outcomes, Packets, Percentiles};

/// One viewer's figures, as it reported them last.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewerFigures {
    /// Its own number in 16 hexadecimal digits.
    pub viewer: String,
    /// The destination that it answers from, counted from 0 in the order of
    /// the command line.
    pub destination: u16,
    /// Whether it reported within the last seconds; one that ended with the stream
    /// did.
    pub present: bool,
    /// How many frames there were there.
    pub frames: Frames,
    /// How they ended there.
    pub outcomes: Outcomes,
    /// The packets there.
    pub packets: Packets,
    /// UDP payload that it received, in bytes.
    pub bytes_received: u64,
    /// Interarrival jitter in milliseconds
    /// (<https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1>).
    pub jitter_ms: f64,
    /// RTT in milliseconds, once it is known.
    pub rtt_ms: Option<f64>,
    /// Capture to shown, in milliseconds, once it knows the sender's clock.
    pub latency_ms: Option<Percentiles>,
}

impl ViewerFigures {
    /// Of the frames whose end is known there, the share that was not shown
    /// and not skipped for a newer one, 0 to 1.
    #[must_use]
    pub fn frames_lost(&self) -> Option<f64> {
        let (frames, outcomes) = (&self.frames, &self.outcomes);
        let missed = frames.lost?
            + frames.incomplete?
            + outcomes[Outcome::Late]?
            + outcomes[Outcome::Undecodable]?;
        let all = missed + frames.shown? + outcomes[Outcome::Skipped]?;
        (all > 0).then(|| missed as f64 / all as f64)
    }

    /// Of the packets sent to it, the share that did not arrive as it was sent,
    /// 0 to 1.
    #[must_use]
    pub fn packets_lost(&self) -> Option<f64> {
        self.packets.missing_share()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_what_is_known() {
        let mut figures = ViewerFigures::default();
        assert_eq!(
            (figures.frames_lost(), figures.packets_lost()),
            (None, None)
        );
        figures.frames = Frames {
            shown: Some(96),
            lost: Some(1),
            incomplete: Some(1),
            ..Frames::default()
        };
        let outcomes = [
            (Outcome::Skipped, 2),
            (Outcome::Late, 0),
            (Outcome::Undecodable, 0),
        ];
        figures.outcomes = outcomes.into_iter().collect();
        figures.packets = Packets {
            received: Some(990),
            lost: Some(8),
            corrupt: Some(1),
            socket_dropped: Some(2),
            ..Packets::default()
        };
        assert_eq!(figures.frames_lost(), Some(0.02));
        assert_eq!(figures.packets_lost(), Some(0.01));
    }
}
