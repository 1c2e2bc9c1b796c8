//! Reconstructs every frame and datagram that was sent, from those that arrived.

mod spans;

use self::spans::{FrameSpan, place_frames};
use super::slots::{Floor, PacketSlot, ReceivedPacket};
use super::stream_index::StreamIndex;
use crate::trace::TracedCounts;

/// A frame that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameSent {
    /// Length in bytes.
    pub(super) len: u32,
    /// Length of every chunk but the last, in bytes.
    pub(super) size: u16,
    /// Capture time, and start of sending, on the sender's clock.
    pub(super) captured: u64,
    pub(super) start: u64,
    /// Index of its first chunk among all chunks.
    pub(super) first: usize,
}

/// All frames and chunks of a stream.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) frames: Vec<FrameSent>,
    pub(super) media: Vec<PacketSlot>,
    pub(super) counts: Option<TracedCounts>,
    /// Datagrams sent, and those lost, by packet numbers and sender reports; some
    /// cannot be assigned to a frame.
    pub(super) datagrams: (u64, u64),
}

/// Reconstructs the stream; `None` with fewer than two frames.
pub(super) fn lay_out(mut index: StreamIndex) -> Option<Layout> {
    let first = index.received[0].iter().map(|received| received.sent).min();
    let first = first.filter(|first| *first <= LATEST)?;
    let within = |sent: u64| sent.saturating_sub(first) <= LONGEST;
    for received in &mut index.received {
        received.retain(|received| within(received.sent));
        received.sort_by_key(|received| received.number);
        received.dedup_by_key(|received| received.number);
    }
    let media = &index.received[0];
    let all = index.received.iter().flatten();
    let last = all.clone().map(|received| received.sent).max()?;
    let floor = Floor::new(all, first, last);
    let spans = place_frames(&index);
    let lag = median_lag(&spans, media);
    let mut layout = Layout {
        counts: index.counts,
        ..Layout::default()
    };
    let spread = index.counts.map_or(0, |counts| counts.spread.into());
    let mut before = 0;
    for frame in &spans {
        let slots = chunks(frame, media, &floor, lag, spread);
        let start = slots.first().map_or(0, |slot| slot.sent).max(before);
        if layout.media.len() + slots.len() > MAX_SLOTS || !within(start) {
            break;
        }
        before = start;
        layout.frames.push(FrameSent {
            len: frame.len,
            size: frame.size,
            captured: frame.captured.min(start),
            start,
            first: layout.media.len(),
        });
        layout.media.extend(slots);
    }
    let numbers = [0, 1, 2].map(|channel| index.numbers(channel));
    let sent = numbers.iter().map(|numbers| numbers.end - numbers.start);
    let sent = sent.sum::<u64>();
    let came = index.received.iter().flatten().count() as u64;
    layout.datagrams = (sent, sent.saturating_sub(came));
    (layout.frames.len() > 1).then_some(layout)
}

/// Median time from the capture of a frame to its first packet.
fn median_lag(spans: &[FrameSpan], media: &[ReceivedPacket]) -> u64 {
    let first = |frame: &FrameSpan| {
        let at = media.binary_search_by_key(&frame.base, |received| received.number);
        Some(media[at.ok()?].sent.saturating_sub(frame.captured))
    };
    let known = spans.iter().filter(|frame| frame.known);
    let mut lags: Vec<_> = known.filter_map(first).collect();
    let middle = lags.len() / 2;
    if lags.is_empty() {
        return 0;
    }
    *lags.select_nth_unstable(middle).1
}

/// Send time and outcome of each chunk of a frame.
fn chunks(
    frame: &FrameSpan,
    media: &[ReceivedPacket],
    floor: &Floor,
    lag: u64,
    spread: u64,
) -> Vec<PacketSlot> {
    let count = frame.count();
    let begin = media.partition_point(|received| received.number < frame.base);
    let end = media.partition_point(|received| received.number < frame.base + count);
    let received = &media[begin..end];
    let due = frame.captured.saturating_add(lag);
    let step = match received {
        [first, .., last] => {
            last.sent.saturating_sub(first.sent) / (last.number - first.number).max(1)
        }
        _ => spread / count.max(1),
    };
    let mut slots: Vec<PacketSlot> = Vec::with_capacity(count as usize);
    let mut next = received.iter().peekable();
    for number in frame.base..frame.base + count {
        if let Some(came) = next.next_if(|received| received.number == number) {
            slots.push(floor.slot(came));
            continue;
        }
        let ahead = next.peek();
        let sent = match (slots.last(), ahead) {
            (None, None) => due,
            (None, Some(ahead)) => {
                let back = step * (ahead.number - number);
                due.min(ahead.sent).max(ahead.sent.saturating_sub(back))
            }
            (Some(before), None) => before.sent.saturating_add(step),
            (Some(before), Some(ahead)) => {
                let apart = ahead.sent.saturating_sub(before.sent);
                before.sent + apart / (ahead.number - number + 1)
            }
        };
        slots.push(PacketSlot::lost(sent));
    }
    slots
}

/// A longer gap is no loss, but another stream or nonsense.
const MAX_MISSING: u64 = 10_000;

/// Upper bound on datagrams of a channel.
const MAX_SLOTS: usize = 8_000_000;

/// Longest stream that is reconstructed, in microseconds: a day.
const LONGEST: u64 = 24 * 3_600_000_000;

/// Upper bound on times in microseconds, so that sums do not overflow. No clock
/// runs this long.
const LATEST: u64 = 1 << 60;
