//! Figures that a viewer reports to the sender.

use serde::Serialize;

use super::{Frames, Outcome, Outcomes, Packets, Percentiles};

/// The newest report of one viewer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ViewerFigures {
    /// The viewer's number in 16 hexadecimal digits.
    pub viewer: String,
    /// The destination that it answers from, counted from 0 in the order of the
    /// command line.
    pub destination: u16,
    /// Whether it reported within the last seconds, or stayed until the stream
    /// ended.
    pub present: bool,
    /// Its frame counts.
    pub frames: Frames,
    /// Its outcomes of frames.
    pub outcomes: Outcomes,
    /// Its packet counts.
    pub packets: Packets,
    /// UDP payload that it received, in bytes.
    pub bytes_received: u64,
    /// Interarrival jitter in milliseconds
    /// (<https://www.rfc-editor.org/rfc/rfc3550#section-6.4.1>).
    pub jitter_ms: f64,
    /// RTT in milliseconds, if known.
    pub rtt_ms: Option<f64>,
    /// Delay from capture to display in milliseconds, if it knows the sender's
    /// clock.
    pub latency_ms: Option<Percentiles>,
}

impl ViewerFigures {
    /// Share of its frames with a known outcome that were neither shown nor
    /// skipped, from 0 to 1.
    pub fn frames_lost(&self) -> Option<f64> {
        let (frames, outcomes) = (&self.frames, &self.outcomes);
        let missed = frames.lost?
            + frames.incomplete?
            + outcomes[Outcome::Late]?
            + outcomes[Outcome::Undecodable]?;
        let all = missed + frames.shown? + outcomes[Outcome::Skipped]?;
        (all > 0).then(|| missed as f64 / all as f64)
    }

    /// Share of the packets sent to it that did not arrive intact, from 0 to 1.
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
