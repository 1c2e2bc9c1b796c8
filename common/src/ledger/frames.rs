//! One fate for every frame.

use crate::seq::FrameNumber;

/// How many frames met which fate. A frame of which something arrived is
/// `begun`, and met exactly one fate or is still open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FrameCounts {
    /// The lowest frame of which something arrived, and one above the highest.
    range: Option<(u64, u64)>,
    /// The frame that was given up and in whose midst this side joined.
    pub joined_within: Option<u64>,
    /// Something of it arrived.
    pub begun: u64,
    /// Shown as it was sent.
    pub intact: u64,
    /// Of these, how many took parity.
    pub repaired_by_parity: u64,
    /// Of these, how many took chunks sent again.
    pub repaired_by_request: u64,
    /// Shown with holes filled.
    pub concealed: u64,
    /// How much of these had not arrived, in millionths of a picture.
    pub stale: u64,
    /// Given up.
    pub incomplete: u64,
    /// Complete after it was given up.
    pub late: u64,
    /// Complete, and a newer one was shown.
    pub superseded: u64,
    /// Complete, and not decodable.
    pub undecodable: u64,
}

impl FrameCounts {
    /// Counts a frame of which the first piece arrived.
    pub fn begin(&mut self, number: FrameNumber) {
        self.begun += 1;
        let (first, next) = self.range.unwrap_or((number.0, number.0));
        self.range = Some((first.min(number.0), next.max(number.0 + 1)));
    }

    /// Counts a frame shown with holes, of which this share, from 0 to 1, had
    /// not arrived.
    pub fn conceal(&mut self, stale: f64) {
        self.concealed += 1;
        self.stale += (stale * MILLION) as u64;
    }

    /// The mean share of a concealed frame that had not arrived.
    #[must_use]
    pub fn stale_share(&self) -> Option<f64> {
        let concealed = self.concealed as f64;
        (self.concealed > 0).then(|| self.stale as f64 / MILLION / concealed)
    }

    /// The same without the frame in whose midst this side joined, if that is
    /// why it was given up: it counts as sent before joining.
    #[must_use]
    pub fn since_joining(&self) -> Self {
        let mut counts = self.clone();
        if let Some((first, next)) = self
            .range
            .filter(|(first, _)| self.joined_within == Some(*first))
        {
            counts.range = Some((first + 1, next));
            counts.begun -= 1;
            counts.incomplete -= 1;
        }
        counts
    }

    /// The lowest frame of which something arrived.
    #[must_use]
    pub fn first(&self) -> Option<u64> {
        self.range.map(|(first, _)| first)
    }

    /// One above the highest frame of which something arrived; 0 before it.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.range.map_or(0, |(_, next)| next)
    }

    /// Frames shown, with holes or without.
    #[must_use]
    pub fn shown(&self) -> u64 {
        self.intact + self.concealed
    }

    /// Frames from `first` on of which nothing arrived, where `sent` frames
    /// are known to have been sent.
    #[must_use]
    pub fn lost(&self, first: u64, sent: u64) -> u64 {
        self.next()
            .max(sent)
            .saturating_sub(first)
            .saturating_sub(self.begun)
    }
}

const MILLION: f64 = 1e6;
