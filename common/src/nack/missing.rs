//! What is missing of an incomplete frame, and the gaps that name it in a NACK.

use std::time::Duration;

use crate::reassembly::Assembly;
use crate::seq::FrameNumber;
use crate::wire::native::{FRAME_NACK_LEN, GAP_LEN};

/// Upper bound on missing chunks examined in one frame. NACKs cannot save a frame that misses more.
pub(super) const MAX_LOOKED_AT: usize = 512;

/// Upper bound on missing chunks examined over all frames, oldest first: this
/// runs for every packet.
const MAX_LOOKED_AT_TOGETHER: usize = 2 * MAX_LOOKED_AT;

/// An incomplete frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IncompleteFrame<'a> {
    pub(crate) number: FrameNumber,
    /// Its received chunks, if any.
    pub(crate) assembly: Option<&'a Assembly>,
    /// When it is given up.
    pub(crate) deadline: Duration,
    /// When its last packet was expected.
    pub(crate) all_due: Duration,
    /// How many packets would complete it, given the parity that arrived.
    pub(crate) short_of: usize,
}

impl<'a> IncompleteFrame<'a> {
    /// The missing chunks, up to the number that is examined.
    pub(super) fn missing(&self) -> impl Iterator<Item = u16> + use<'a> {
        let missing = self.assembly.map(|assembly| assembly.have().zeroes());
        let missing = missing.into_iter().flatten().map(|index| index as u16);
        // Nothing of the frame arrived: the complete frame is requested.
        let first = self.assembly.is_none().then_some(0);
        missing.take(MAX_LOOKED_AT).chain(first)
    }

    /// Whether a chunk is missing. If nothing of the frame arrived, only the first counts as
    /// missing.
    pub(super) fn is_missing(&self, index: u16) -> bool {
        let assembly = self.assembly;
        assembly.map_or(index == 0, |assembly| {
            let (have, index) = (assembly.have(), usize::from(index));
            index < have.len() && !have.contains(index)
        })
    }
}

/// The frames that are examined, so that work stays bounded.
pub(super) fn within_reach<'a>(
    incomplete: impl Iterator<Item = IncompleteFrame<'a>>,
) -> impl Iterator<Item = IncompleteFrame<'a>> {
    let mut looked_at = 0;
    incomplete.take_while(move |frame| {
        let within = looked_at < MAX_LOOKED_AT_TOGETHER;
        let missing = frame.assembly.map_or(1, Assembly::missing);
        looked_at += missing.min(MAX_LOOKED_AT);
        within
    })
}

/// The chunks that fit into `most` gaps, and the gaps.
pub(super) fn gaps(chunks: impl Iterator<Item = u16>, most: usize) -> (Vec<u16>, Vec<(u16, u16)>) {
    let mut gaps: Vec<(u16, u16)> = Vec::new();
    let mut named = Vec::new();
    for index in chunks {
        let full = gaps.len() == most;
        match gaps.last_mut() {
            Some((first, count)) if *first + *count == index => *count += 1,
            _ if full => break,
            _ => gaps.push((index, 1)),
        }
        named.push(index);
    }
    (named, gaps)
}

/// The room left in a NACK.
pub(super) struct NackRoom {
    pub(super) bytes: usize,
    pub(super) gaps: usize,
}

impl NackRoom {
    /// The number of gaps that fit with one more frame.
    pub(super) fn gaps_of_one_more(&self) -> usize {
        let gaps = self.bytes.saturating_sub(FRAME_NACK_LEN) / GAP_LEN;
        gaps.min(self.gaps)
    }

    /// Uses room for one more frame with this many gaps.
    pub(super) fn take(&mut self, gaps: usize) {
        self.gaps = self.gaps.saturating_sub(gaps);
        self.bytes = self.bytes.saturating_sub(FRAME_NACK_LEN + GAP_LEN * gaps);
    }
}
