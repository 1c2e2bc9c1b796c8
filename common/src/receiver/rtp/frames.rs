//! Assembles frames by timestamp and marker.

use std::collections::VecDeque;
use std::time::Duration;

use super::sender_time;
use crate::receiver::plain::{OutcomeCounts, PlainFrame};
use crate::time::SenderTime;
use crate::wire::rtp::RtpPacket;
use crate::wire::rtp_jpeg::{Fragment, JpegAssembly, Quantization};

/// Upper bound on remembered frames, given up or not: more than are on the way together in any
/// playout delay.
const MAX_FRAMES: usize = 8;

/// The newest frames, in the order in which they were sent.
#[derive(Debug)]
pub(super) struct RtpFrames {
    /// Width and height, if the fragments do not contain them.
    size: Option<(u16, u16)>,
    /// Only complete frames are handed out.
    strict: bool,
    open: VecDeque<RtpFrame>,
    /// Packets up to this number belong to frames that were handed out or are forgotten.
    past: Option<u64>,
    begun: bool,
    lacks_size: bool,
}

#[derive(Debug)]
struct RtpFrame {
    ticks: u64,
    lowest: u64,
    highest: u64,
    /// The number of its last packet.
    marker: Option<u64>,
    assembly: JpegAssembly,
    /// When the newest of its packets arrived.
    last_received: Duration,
    state: RtpFrameState,
    /// The viewer joined in the middle of it.
    joined_within: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RtpFrameState {
    Open,
    Complete,
    GivenUp,
    /// Given up, without anything to show.
    Lost,
    /// Handed out, or counted as something else.
    Done,
}

impl RtpFrames {
    pub(super) fn new(size: Option<(u16, u16)>, strict: bool) -> Self {
        Self {
            size,
            strict,
            open: VecDeque::new(),
            past: None,
            begun: false,
            lacks_size: false,
        }
    }

    pub(super) fn lacks_size(&self) -> bool {
        self.lacks_size
    }

    /// Inserts a packet with its extended number and timestamp. Returns whether it fits the others.
    pub(super) fn insert(
        &mut self,
        (number, ticks): (u64, u64),
        packet: &RtpPacket<'_>,
        fragment: &Fragment<'_>,
        tables: Option<Quantization>,
        now: Duration,
    ) -> bool {
        let Some(index) = self.find(number, ticks, fragment, now) else {
            // It belongs to a past frame, and counts there as late.
            return true;
        };
        let frame = &mut self.open[index];
        if frame.state == RtpFrameState::Done {
            return true;
        }
        if frame.assembly.place(fragment, packet.marker).is_err() {
            return false;
        }
        frame.assembly.set_tables(tables);
        frame.lowest = frame.lowest.min(number);
        frame.highest = frame.highest.max(number);
        frame.last_received = now;
        if packet.marker {
            frame.marker = Some(number);
        }
        let follows = fragment.offset == 0 && index > 0;
        if follows && let Some(before) = self.open.get_mut(index - 1) {
            // Some cameras set no marker: then the next frame ends this one.
            if before.highest + 1 == number && before.marker.is_none() {
                before.assembly.close();
                before.complete();
            }
        }
        self.open[index].complete();
        true
    }

    /// Gives up frames of which nothing arrived for `playout_delay`.
    pub(super) fn expire(
        &mut self,
        now: Duration,
        playout_delay: Duration,
        outcomes: &mut OutcomeCounts,
    ) {
        for frame in &mut self.open {
            if frame.last_received + playout_delay <= now {
                // The last frame before a pause of a sender that sets no marker.
                if frame.state == RtpFrameState::Open
                    && let Some(size) = frame.assembly.size(self.size)
                    && frame.assembly.close_if_complete(size)
                {
                    frame.state = RtpFrameState::Complete;
                } else {
                    frame.give_up(outcomes);
                }
            }
        }
        while self.open.len() > MAX_FRAMES
            && let Some(mut oldest) = self.open.pop_front()
        {
            oldest.give_up(outcomes);
            self.past = self.past.max(Some(oldest.highest));
        }
    }

    /// Bytes of memory that they hold.
    pub(super) fn held_bytes(&self) -> usize {
        let each = self.open.iter().map(|frame| frame.assembly.held_bytes());
        each.sum()
    }

    /// Gives up the oldest frame that holds memory, and frees all of it. Returns whether there is
    /// one.
    pub(super) fn shed(&mut self, outcomes: &mut OutcomeCounts) -> bool {
        let mut open = self.open.iter_mut();
        let Some(frame) = open.find(|frame| frame.assembly.held_bytes() > 0) else {
            return false;
        };
        frame.give_up(outcomes);
        frame.close();
        true
    }

    /// When the first of them is given up.
    pub(super) fn expiry(&self, playout_delay: Duration) -> Option<Duration> {
        let open = self
            .open
            .iter()
            .filter(|frame| frame.state == RtpFrameState::Open);
        open.map(|frame| frame.last_received + playout_delay).min()
    }

    pub(super) fn give_up_all(&mut self, outcomes: &mut OutcomeCounts) {
        self.open
            .iter_mut()
            .for_each(|frame| frame.give_up(outcomes));
    }

    /// The next frame that can be shown: each once, and none before an older one that is still
    /// waited for.
    pub(super) fn pop(&mut self, outcomes: &mut OutcomeCounts) -> Option<PlainFrame> {
        for index in 0..self.open.len() {
            let frame = &mut self.open[index];
            match frame.state {
                RtpFrameState::Open => return None,
                RtpFrameState::GivenUp => {
                    frame.state = RtpFrameState::Lost;
                    let size = frame.assembly.size(self.size).filter(|_| !self.strict);
                    if let Some(spliced) = size.and_then(|size| frame.assembly.splice(size)) {
                        outcomes.incomplete -= 1;
                        frame.close();
                        return Some(PlainFrame {
                            jpeg: spliced.jpeg.into(),
                            stale: spliced.stale,
                            stale_share: 1.0 - spliced.fresh,
                            captured: frame.captured(),
                        });
                    }
                }
                RtpFrameState::Lost if frame.assembly.is_complete() => {
                    frame.close();
                    outcomes.incomplete -= 1;
                    outcomes.late += 1;
                }
                RtpFrameState::Lost | RtpFrameState::Done => {}
                RtpFrameState::Complete => {
                    let size = frame.assembly.size(self.size);
                    self.lacks_size |= size.is_none();
                    let jpeg = size.and_then(|size| frame.assembly.jpeg(size));
                    frame.close();
                    match jpeg {
                        Some(jpeg) => return Some(PlainFrame::complete(jpeg, frame.captured())),
                        None => outcomes.undecodable += 1,
                    }
                }
            }
        }
        None
    }

    /// The frame of a packet, which may begin with it.
    fn find(
        &mut self,
        number: u64,
        ticks: u64,
        fragment: &Fragment<'_>,
        now: Duration,
    ) -> Option<usize> {
        let known = self.open.iter().rposition(|frame| {
            frame.ticks == ticks && frame.marker.is_none_or(|marker| number <= marker)
        });
        if known.is_some() {
            return known;
        }
        if self.past.is_some_and(|past| number <= past) {
            return None;
        }
        let joined_within = !self.begun && fragment.offset > 0;
        self.begun = true;
        let index = self.open.partition_point(|frame| frame.lowest < number);
        let newer_is_out = self
            .open
            .range(index..)
            .any(|frame| frame.state == RtpFrameState::Done);
        if newer_is_out {
            return None;
        }
        let frame = RtpFrame {
            ticks,
            lowest: number,
            highest: number,
            marker: None,
            assembly: JpegAssembly::new(fragment.kind),
            last_received: now,
            state: RtpFrameState::Open,
            joined_within,
        };
        self.open.insert(index, frame);
        Some(index)
    }
}

impl RtpFrame {
    /// When it was captured, on the sender's clock.
    fn captured(&self) -> SenderTime {
        sender_time(self.ticks)
    }

    fn complete(&mut self) {
        if self.state == RtpFrameState::Open && self.assembly.is_complete() {
            self.state = RtpFrameState::Complete;
        }
    }

    /// Frees its memory.
    fn close(&mut self) {
        self.state = RtpFrameState::Done;
        self.assembly = JpegAssembly::new(self.assembly.kind());
    }

    fn give_up(&mut self, outcomes: &mut OutcomeCounts) {
        if self.state != RtpFrameState::Open {
            return;
        }
        if self.joined_within {
            self.close();
        } else {
            self.state = RtpFrameState::GivenUp;
            outcomes.incomplete += 1;
        }
    }
}
