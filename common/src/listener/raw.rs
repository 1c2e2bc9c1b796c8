//! A stream of JPEGs without a header.

use std::net::SocketAddr;
use std::time::Duration;

use super::accounts::{Accounts, Ready};
use crate::stats::Statistics;
use crate::wire::Format;
use crate::wire::raw::{Joined, Joiner};

/// One stream.
#[derive(Debug)]
pub(super) struct RawStream {
    accounts: Accounts,
    budget: Duration,
    joiner: Joiner,
    datagrams: u64,
    /// When the first frame began, which its sender calls the beginning too.
    begun: Option<Duration>,
}

impl RawStream {
    pub(super) fn new(number: u64, budget: Duration) -> Self {
        Self {
            accounts: Accounts::new(number),
            budget,
            joiner: Joiner::default(),
            datagrams: 0,
            begun: None,
        }
    }

    pub(super) fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    pub(super) fn accounts_mut(&mut self) -> &mut Accounts {
        &mut self.accounts
    }

    /// Whether a JPEG has begun, and has not ended.
    pub(super) fn is_within_jpeg(&self) -> bool {
        self.joiner.is_open()
    }

    /// Takes a datagram. Returns how many of it belong to no frame: 1 or none.
    pub(super) fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> u64 {
        self.handle_timeout(now);
        self.accounts.note_datagram(from, datagram.len(), now);
        self.datagrams += 1;
        self.begun.get_or_insert(now);
        let joined = self.joiner.push(datagram);
        let stray = joined.iter().filter(|joined| **joined == Joined::Stray);
        let stray = stray.count() as u64;
        for joined in joined {
            self.settle(joined, now);
        }
        stray
    }

    fn settle(&mut self, joined: Joined, now: Duration) {
        match joined {
            Joined::Whole(jpeg) => {
                let captured = now.saturating_sub(self.begun.unwrap_or(now));
                self.accounts.hand_out(Ready::whole(jpeg, captured), now);
            }
            Joined::Broken => self.accounts.counts.incomplete += 1,
            Joined::Stray => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.end();
        }
    }

    /// A frame that has begun is given up when its sender falls silent: with
    /// no length and no numbers, what is missing is not known before.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let open = self.joiner.is_open();
        open.then(|| self.accounts.heard() + self.budget.max(PATIENCE))
    }

    pub(super) fn end(&mut self) {
        if let Some(joined) = self.joiner.finish() {
            let heard = self.accounts.heard();
            self.settle(joined, heard);
        }
    }

    /// Bytes of the JPEG that has begun.
    pub(super) fn held_bytes(&self) -> usize {
        self.joiner.held_bytes()
    }

    pub(super) fn statistics(&self) -> Statistics {
        let mut statistics = self.accounts.statistics(Format::Raw.name());
        statistics.packets.received = Some(self.datagrams);
        statistics
    }
}

/// Microcontrollers take their time between the datagrams of a frame.
const PATIENCE: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::receiver::SinkOutcome;

    #[test]
    fn what_opencv_makes_is_a_frame_whole_and_in_pieces() {
        let jpeg = include_bytes!("../../fixtures/opencv-64x48.jpg");
        let from = SocketAddr::from(([192, 0, 2, 1], 5005));
        let mut stream = RawStream::new(1, Duration::from_millis(60));
        for (tick, size) in [jpeg.len(), 500, 100, 64].into_iter().enumerate() {
            let now = Duration::from_millis(40 * tick as u64);
            for piece in jpeg.chunks(size) {
                assert_eq!(stream.handle_datagram(from, piece, now), 0);
            }
            let frame = stream.accounts_mut().poll_frame().expect("a frame");
            assert_eq!(frame.jpeg, &jpeg[..]);
            let shown = SinkOutcome::Shown { at: now };
            stream.accounts_mut().handle_outcome(frame.id.number, shown);
        }
        // One of which the middle is missing is none.
        let now = Duration::from_secs(1);
        let (start, end) = (&jpeg[..700], &jpeg[..200]);
        stream.handle_datagram(from, start, now);
        stream.handle_datagram(from, end, now);
        stream.handle_timeout(now + PATIENCE);
        let frames = stream.statistics().frames;
        assert_eq!((frames.intact, frames.incomplete), (Some(4), Some(2)));
        assert!(stream.accounts_mut().poll_frame().is_none());
    }
}
