//! What really happened to the packets of a stream, recorded from what the link
//! delivered while the viewer followed the stream.

use std::collections::{BTreeMap, BTreeSet};

use framegram_common::seq::PacketSeq;
use framegram_common::wire::native::{Channel, HEADER, Packet, WireHeader};

/// A packet of one stream: its channel and number.
pub type Key = (Channel, u64);

/// What really happened to the packets of one stream.
#[derive(Debug, Default)]
pub struct Truth {
    /// Stream number.
    pub stream: u64,
    /// Whether the viewer ever followed the stream.
    pub followed: bool,
    /// Whether something of it arrived before the viewer followed it or listened.
    pub missed: bool,
    /// Datagrams that arrived before any media while no stream was followed. They
    /// count if the viewer follows this stream.
    pub held: Vec<Vec<u8>>,
    /// For each channel, one above the highest packet number that arrived before
    /// following.
    pub passed: [u64; 3],
    /// Intact copies that arrived, in order of arrival.
    pub arrived: Vec<Key>,
    /// Corrupt datagrams that arrived while the viewer followed the stream.
    pub corrupt: u64,
    /// Packets of which a copy was dropped in the viewer's socket buffer, with
    /// the number of packets in `arrived` at that time.
    pub dropped: BTreeMap<Key, usize>,
    /// Every packet sent, with frame and chunk if it carries one.
    pub sent: BTreeMap<Key, Option<(u32, u16)>>,
    /// Number of chunks of each frame of which one was sent.
    pub chunks: BTreeMap<u32, usize>,
    /// UDP payload sent.
    pub bytes: u64,
    /// Packet counts by channel in the first sender report that arrived.
    pub first_totals: Option<[u64; 3]>,
    /// The newest sender report that arrived: number of control packets, packets
    /// by channel, and frames sent.
    pub totals: Option<(u64, [u64; 3], u64)>,
}

impl Truth {
    /// A stream of which nothing has been sent.
    pub fn new(stream: u64) -> Self {
        Self {
            stream,
            ..Self::default()
        }
    }

    /// Records a datagram that was sent.
    ///
    /// # Panics
    /// If it cannot be decoded, or its number was used before.
    pub fn record_sent(&mut self, datagram: &[u8]) {
        let (header, packet) = Packet::decode(datagram).expect("what is sent can be decoded");
        let chunk = match packet {
            Packet::Chunk(chunk) | Packet::Retransmission(chunk) => {
                let frame = chunk.frame.bits();
                self.chunks.insert(frame, chunk.count.into());
                Some((frame, chunk.index))
            }
            _ => None,
        };
        self.bytes += datagram.len() as u64;
        let before = self.sent.insert(key(&header), chunk);
        assert_eq!(before, None, "a packet number comes once");
    }

    /// Records a datagram of this stream that was dropped in the viewer's socket
    /// buffer.
    pub fn record_dropped(&mut self, datagram: &[u8]) {
        let (header, _) = read(datagram);
        let key = key(&header);
        self.dropped.insert(key, self.arrived.len());
    }

    /// Keeps a datagram of this stream that arrived before any media. A corrupt
    /// datagram belongs to no stream yet.
    pub fn hold(&mut self, datagram: &[u8]) {
        if !read(datagram).1 {
            self.held.push(datagram.to_vec());
        }
    }

    /// Records a datagram of this stream that arrived. `followed` tells whether
    /// the viewer now follows the stream.
    pub fn record_arrived(&mut self, datagram: &[u8], followed: bool) {
        for held in std::mem::take(&mut self.held) {
            if !followed {
                self.record_passed(&held);
            }
            self.record_arrived(&held, followed);
        }
        let (header, corrupt) = read(datagram);
        let key = key(&header);
        self.followed |= followed;
        if corrupt {
            self.corrupt += u64::from(followed);
        } else if !followed {
            self.missed |= !self.followed;
        } else if u64::from(header.number.0) >= self.passed[header.channel as usize] {
            self.arrived.push(key);
            self.record_sender_report(datagram);
        }
    }

    /// Records a datagram that arrived before the viewer followed the stream.
    /// Packets that it overtook were sent before joining, too.
    pub fn record_passed(&mut self, datagram: &[u8]) {
        let (header, corrupt) = read(datagram);
        if !corrupt {
            let passed = &mut self.passed[header.channel as usize];
            *passed = (*passed).max(u64::from(header.number.0) + 1);
        }
    }

    fn record_sender_report(&mut self, datagram: &[u8]) {
        if let Ok((_, Packet::SenderReport(totals) | Packet::SenderBye(totals))) =
            Packet::decode(datagram)
        {
            let channels = [totals.media, totals.repair, totals.control];
            self.first_totals.get_or_insert(channels);
            let newest = self.totals.map_or(0, |(control, ..)| control);
            if totals.control > newest {
                self.totals = Some((totals.control, channels, totals.frames_sent));
            }
        }
    }

    /// The packets that arrived intact.
    pub fn received(&self) -> BTreeSet<Key> {
        self.arrived.iter().copied().collect()
    }

    /// Number of packets that arrived after one with a higher number.
    pub fn reordered(&self) -> u64 {
        let (mut highest, mut seen, mut reordered) = (BTreeMap::new(), BTreeSet::new(), 0);
        for (channel, number) in &self.arrived {
            let highest = highest.entry(*channel).or_insert(*number);
            reordered += u64::from(seen.insert((*channel, *number)) && number < highest);
            *highest = (*highest).max(*number);
        }
        reordered
    }

    /// Whether the viewer listened from the start of the stream and knows it from
    /// a sender report.
    pub fn from_start(&self) -> bool {
        !self.missed && self.totals.is_some()
    }

    /// Every packet from the first one received (or from the start of the stream,
    /// if the viewer listened then) to the last one in the newest sender report.
    pub fn accountable(&self) -> BTreeSet<Key> {
        let arrived = self.received();
        let totals = self.totals.map_or([0; 3], |(_, channels, _)| channels);
        let joined = self.first_totals.unwrap_or(totals);
        let mut all = BTreeSet::new();
        for (index, channel) in CHANNELS.into_iter().enumerate() {
            let mut own = arrived.range((channel, 0)..=(channel, u64::MAX));
            let first = own.next().map(|key| key.1);
            let last = own.next_back().map(|key| key.1).or(first);
            let joined = self.first_totals.map(|_| joined[index]);
            let start = match (first, joined) {
                _ if self.from_start() => 0,
                (Some(first), Some(joined)) => first.min(joined),
                (first, joined) => first.or(joined).unwrap_or(0),
            };
            let start = start.max(self.passed[index]);
            let end = last.map_or(0, |last| last + 1).max(totals[index]);
            all.extend((start..end).map(|number| (channel, number)));
        }
        all
    }
}

/// The header of a datagram that arrived, and whether the datagram is corrupt
/// (one bit flipped).
///
/// # Panics
/// If more than one bit is wrong.
pub fn read(datagram: &[u8]) -> (WireHeader, bool) {
    if let Ok((header, _)) = Packet::decode(datagram) {
        return (header, false);
    }
    let mut mended = datagram.to_vec();
    for bit in 0..HEADER * 8 {
        mended[bit / 8] ^= 1 << (bit % 8);
        if let Ok((header, _)) = Packet::decode(&mended) {
            return (header, true);
        }
        mended[bit / 8] ^= 1 << (bit % 8);
    }
    // The flipped bit is in the body.
    let field = |at: usize| u32::from_be_bytes(std::array::from_fn(|byte| datagram[at + byte]));
    let channel = match datagram[1] & 31 {
        1 => Channel::Media,
        2 | 3 => Channel::Repair,
        _ => Channel::Control,
    };
    let header = WireHeader {
        stream: field(4),
        destination: u16::from_be_bytes([datagram[2], datagram[3]]),
        channel,
        number: PacketSeq(field(8)),
        sent: field(12),
    };
    (header, true)
}

fn key(header: &WireHeader) -> Key {
    (header.channel, header.number.0.into())
}

const CHANNELS: [Channel; 3] = [Channel::Media, Channel::Repair, Channel::Control];
