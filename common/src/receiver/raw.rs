//! A session of bare JPEGs, which have no header.

use std::net::SocketAddr;
use std::time::Duration;

use super::plain::{PlainFrame, PlainState};
use crate::stats::Statistics;
use crate::time::SenderTime;
use crate::wire::Format;
use crate::wire::native::micros;
use crate::wire::raw::{Joined, Joiner};

/// One stream.
#[derive(Debug)]
pub(super) struct RawSession {
    state: PlainState,
    playout_delay: Duration,
    joiner: Joiner,
    datagrams: u64,
}

impl RawSession {
    pub(super) fn new(
        number: u64,
        from: SocketAddr,
        playout_delay: Duration,
        now: Duration,
    ) -> Self {
        Self {
            state: PlainState::new(number, from, now),
            playout_delay,
            joiner: Joiner::default(),
            datagrams: 0,
        }
    }

    pub(super) fn state(&self) -> &PlainState {
        &self.state
    }

    pub(super) fn state_mut(&mut self) -> &mut PlainState {
        &mut self.state
    }

    /// Whether a JPEG has begun and not ended.
    pub(super) fn is_within_jpeg(&self) -> bool {
        self.joiner.is_open()
    }

    /// Handles a datagram. Returns whether all of it belongs to frames.
    pub(super) fn handle_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        now: Duration,
    ) -> bool {
        self.handle_timeout(now);
        self.state.record_datagram(from, datagram.len(), now);
        self.datagrams += 1;
        let joined = self.joiner.push(datagram);
        let fits = !joined.contains(&Joined::Stray);
        for joined in joined {
            self.settle(joined, now);
        }
        fits
    }

    fn settle(&mut self, joined: Joined, now: Duration) {
        match joined {
            Joined::Complete(jpeg) => {
                // Without timestamps, times count from the first datagram.
                let since = micros(now.saturating_sub(self.state.begun()));
                let captured = SenderTime::from_micros(since);
                self.state.insert(PlainFrame::complete(jpeg, captured), now);
            }
            Joined::Broken => self.state.outcomes.incomplete += 1,
            Joined::Stray => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Duration) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.end();
        }
    }

    /// An incomplete frame is given up when its sender is silent: without a length and numbers,
    /// nothing shows earlier what is missing.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        let open = self.joiner.is_open();
        open.then(|| self.state.last_received() + self.playout_delay.max(PATIENCE))
    }

    pub(super) fn end(&mut self) {
        if let Some(joined) = self.joiner.finish() {
            let last_received = self.state.last_received();
            self.settle(joined, last_received);
        }
    }

    /// Bytes of the incomplete JPEG.
    pub(super) fn held_bytes(&self) -> usize {
        self.joiner.held_bytes()
    }

    pub(super) fn statistics(&self) -> Statistics {
        let mut statistics = self.state.statistics(Format::Raw);
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
    fn opencv_jpegs_are_frames_complete_or_cut_into_datagrams() {
        let jpeg = include_bytes!("../../fixtures/opencv-64x48.jpg");
        let from = SocketAddr::from(([192, 0, 2, 1], 5005));
        let mut session = RawSession::new(1, from, Duration::from_millis(60), Duration::ZERO);
        for (tick, size) in [jpeg.len(), 500, 100, 64].into_iter().enumerate() {
            let now = Duration::from_millis(40 * tick as u64);
            for piece in jpeg.chunks(size) {
                assert!(session.handle_datagram(from, piece, now));
            }
            let frame = session.state_mut().playout.poll(0).expect("a frame");
            assert_eq!(frame.jpeg, &jpeg[..]);
            let shown = SinkOutcome::Shown { at: now };
            session.state_mut().handle_outcome(frame.id.number, shown);
        }
        // A JPEG without its middle is not a frame.
        let now = Duration::from_secs(1);
        let (start, end) = (&jpeg[..700], &jpeg[..200]);
        session.handle_datagram(from, start, now);
        session.handle_datagram(from, end, now);
        session.handle_timeout(now + PATIENCE);
        let frames = session.statistics().frames;
        assert_eq!((frames.intact, frames.incomplete), (Some(4), Some(2)));
        assert!(session.state_mut().playout.poll(0).is_none());
    }
}
