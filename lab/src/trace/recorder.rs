//! Records datagrams as blocks of a trace.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::receiver::{self, Verdict};
use framegram_common::stats::FrameRecord;
use framegram_common::wire::Format;
use framegram_common::wire::native::{Channel, micros};

use super::block::{self, BLOCK_HEAD, HEAD};
use super::code::CodeState;
use super::followed::{self, Followed};
use super::open::{Kept, OpenDatagrams};
use super::{Datagram, DatagramContent, Disposition, Entry, MAX_BLOCK, Why};

/// Records a trace. Inputs are `record_*`; the output is
/// [`Recorder::poll_block`], which the caller drains after each input. It does no
/// file access.
#[derive(Debug)]
pub struct Recorder {
    limit: u64,
    /// Bytes of blocks handed out or waiting.
    written: u64,
    ready: Vec<u8>,
    block: Vec<u8>,
    state: CodeState,
    /// When the current block began.
    began: u64,
    followed: Option<Followed>,
    open: OpenDatagrams,
    datagrams: u64,
    drops: u64,
    why: Option<Why>,
}

impl Recorder {
    /// A trace of a viewer with these settings, of at most `limit` bytes.
    pub fn new(config: &receiver::Config, limit: u64, now: Duration) -> Self {
        let mut recorder = Self {
            limit,
            written: HEAD as u64,
            ready: block::head(),
            block: Vec::new(),
            state: CodeState::default(),
            began: 0,
            followed: None,
            open: OpenDatagrams::default(),
            datagrams: 0,
            drops: 0,
            why: None,
        };
        recorder.put(
            &Entry::Begin {
                at: micros(now),
                playout_delay: micros(config.playout_delay),
                nack: config.nack,
                strict: config.strict,
            },
            now,
        );
        recorder
    }

    /// Records that this stream is followed from now on, and the source address
    /// of its datagrams.
    pub fn record_followed(
        &mut self,
        number: u64,
        format: Format,
        from: SocketAddr,
        now: Duration,
    ) {
        let mut followed = Followed::new(number, format, from);
        self.put(&Entry::Stream { number, format }, now);
        for _ in 0..self.open.len() {
            let Some(kept) = self.open.first() else {
                break;
            };
            match followed.claim(&kept) {
                Some((disposition, content)) if format == Format::Native => {
                    self.put_datagram(kept.datagram.len(), disposition, content, kept.arrival);
                }
                _ => self.open.keep(kept.from, &kept.datagram, kept.arrival),
            }
        }
        self.followed = Some(followed);
    }

    /// Records a datagram, with the receiver's verdict if the receiver gave one.
    pub fn record_datagram(
        &mut self,
        from: SocketAddr,
        datagram: &[u8],
        verdict: Option<Verdict>,
        now: Duration,
    ) {
        if self.why.is_some() {
            return;
        }
        if verdict == Some(Verdict::Open) {
            self.open.keep(from, datagram, now);
            while let Some(kept) = self.open.excess() {
                self.put_unclaimed(&kept);
            }
            return;
        }
        let (disposition, content) = match &mut self.followed {
            Some(followed) => followed.classify(from, datagram, verdict, now),
            None => (followed::of_no_stream(datagram), DatagramContent::Other),
        };
        self.put_datagram(datagram.len(), disposition, content, now);
    }

    /// Records a datagram of `len` bytes from an address that is not allowed.
    pub fn record_foreign(&mut self, len: usize, now: Duration) {
        self.put_datagram(len, Disposition::Foreign, DatagramContent::Other, now);
    }

    /// Records the kernel's count of datagrams dropped in the socket buffer.
    pub fn record_drops(&mut self, total: u64, now: Duration) {
        if total != self.drops {
            self.drops = total;
            let at = micros(now);
            self.put(&Entry::Drops { at, total }, now);
        }
    }

    /// Records the outcome of a frame, if it belongs to the stream that is
    /// followed.
    pub fn record_frame(&mut self, record: &FrameRecord, now: Duration) {
        let followed = self.followed.as_ref();
        if followed.is_some_and(|followed| followed.number() == record.stream) {
            let (number, outcome) = (record.number.0, record.outcome);
            self.put(&Entry::Frame { number, outcome }, now);
        }
    }

    /// Ends the trace.
    pub fn finish(&mut self, why: Why, now: Duration) {
        while let Some(kept) = self.open.first() {
            self.put_unclaimed(&kept);
        }
        if self.why.is_none() {
            self.end(why, micros(now));
        }
    }

    /// Why the trace has ended; `None` while it goes on.
    pub fn ended(&self) -> Option<Why> {
        self.why
    }

    /// Number of datagrams in the trace.
    pub fn datagrams(&self) -> u64 {
        self.datagrams
    }

    /// Size of the trace so far, in bytes.
    pub fn bytes(&self) -> u64 {
        self.written
    }

    /// The next bytes of the file.
    pub fn poll_block(&mut self) -> Option<Vec<u8>> {
        (!self.ready.is_empty()).then(|| std::mem::take(&mut self.ready))
    }

    fn put_unclaimed(&mut self, kept: &Kept) {
        let disposition = followed::of_no_stream(&kept.datagram);
        self.put_datagram(
            kept.datagram.len(),
            disposition,
            DatagramContent::Other,
            kept.arrival,
        );
    }

    fn put_datagram(
        &mut self,
        len: usize,
        disposition: Disposition,
        content: DatagramContent,
        now: Duration,
    ) {
        let arrival = micros(now);
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        let before = self.why;
        self.put(
            &Entry::Datagram(Datagram {
                arrival,
                len,
                disposition,
                content,
            }),
            now,
        );
        self.datagrams += u64::from(before.is_none() && self.why.is_none());
    }

    fn put(&mut self, entry: &Entry, now: Duration) {
        if self.why.is_some() {
            return;
        }
        let now = micros(now);
        let pending = self.block.len() + BLOCK_HEAD + MAX_ENTRY + BLOCK_HEAD + MAX_ENTRY;
        if self.written + pending as u64 > self.limit {
            self.end(Why::Limit, now);
            return;
        }
        if self.block.is_empty() {
            self.began = now;
        }
        self.state.put(entry, &mut self.block);
        let old = now.saturating_sub(self.began) >= BLOCK_MICROS;
        if old || self.block.len() >= BLOCK_BYTES {
            self.close();
        }
    }

    fn end(&mut self, why: Why, at: u64) {
        self.why = Some(why);
        let datagrams = self.datagrams;
        let end = Entry::End { at, why, datagrams };
        self.state.put(&end, &mut self.block);
        self.close();
    }

    fn close(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.state = CodeState::default();
        let waiting = self.ready.len();
        block::put(&block, &mut self.ready);
        self.written += (self.ready.len() - waiting) as u64;
    }
}

/// A block is closed at this size: a few seconds of a small stream.
const BLOCK_BYTES: usize = 32 << 10;

/// A block is also closed after this time. It is what an incomplete file loses at
/// most.
const BLOCK_MICROS: u64 = 1_000_000;

/// Upper bound on the length of an entry: eleven numbers of ten bytes, and more.
const MAX_ENTRY: usize = 128;

const _: () = assert!(BLOCK_BYTES + 2 * MAX_ENTRY <= MAX_BLOCK);
const _: () = assert!(Channel::Control as usize == 2);

#[cfg(test)]
mod tests;
