//! What leaves at one instant: datagrams for one destination take one system call.

use framegram_common::sender::Transmit;
use framegram_net::DatagramRun;

/// Upper bound on batches that wait for each other. A frame of 360p is sent in one call, and the
/// first datagrams of a large frame do not wait for its last.
const MAX_BATCHES: usize = 32;

/// Datagrams of one length, except the last, as the state machine handed them out.
#[derive(Debug)]
pub(super) struct ClearBatch {
    pub(super) transmit: Transmit,
    pub(super) packets: Vec<u8>,
}

impl ClearBatch {
    /// The batch as it is sent without a key.
    pub(super) fn run(&self) -> DatagramRun<'_> {
        DatagramRun {
            datagrams: &self.packets,
            segment: self.transmit.segment,
        }
    }
}

/// Batches in the order in which they were handed out.
#[derive(Debug, Default)]
pub(super) struct OutgoingBurst {
    /// Those that wait, followed by some whose buffers are used again.
    batches: Vec<ClearBatch>,
    waiting: usize,
}

impl OutgoingBurst {
    /// Adds a batch. In return, `packets` is an old buffer.
    pub(super) fn push(&mut self, transmit: Transmit, packets: &mut Vec<u8>) {
        if self.batches.len() == self.waiting {
            let packets = Vec::new();
            self.batches.push(ClearBatch { transmit, packets });
        }
        if let Some(batch) = self.batches.get_mut(self.waiting) {
            batch.transmit = transmit;
            std::mem::swap(&mut batch.packets, packets);
            self.waiting += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting == 0
    }

    pub(super) fn is_full(&self) -> bool {
        self.waiting >= MAX_BATCHES
    }

    /// Removes the batches, and returns them by destination.
    pub(super) fn take(&mut self) -> impl Iterator<Item = &[ClearBatch]> {
        let batches = self.batches.get_mut(..self.waiting).unwrap_or_default();
        self.waiting = 0;
        batches.sort_by_key(|batch| batch.transmit.destination);
        batches.chunk_by(|a, b| a.transmit.destination == b.transmit.destination)
    }
}
