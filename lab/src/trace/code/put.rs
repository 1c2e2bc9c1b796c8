//! Entries into bytes.

use super::*;
use crate::trace::varint::{put, put_from};
use crate::trace::{Body, Content, Datagram, Entry};

impl State {
    /// Appends an entry.
    pub(in crate::trace) fn put(&mut self, entry: &Entry, out: &mut Vec<u8>) {
        match *entry {
            Entry::Begin {
                at,
                budget,
                requests,
                strict,
            } => {
                out.push(BEGIN);
                self.put_at(at, out);
                put(out, budget);
                out.push(u8::from(requests) | u8::from(strict) << 1);
            }
            Entry::Stream { number, format } => {
                out.push(STREAM);
                out.extend_from_slice(&number.to_be_bytes());
                out.push(place(&FORMATS, format));
            }
            Entry::Drops { at, total } => {
                out.push(DROPS);
                self.put_at(at, out);
                put_from(out, self.drops, total);
                self.drops = total;
            }
            Entry::Frame { number, outcome } => {
                out.push(FRAME);
                put_from(out, self.frame, number);
                out.push(outcome_code(outcome));
                self.frame = number.wrapping_add(1);
            }
            Entry::Datagram(datagram) => self.put_datagram(&datagram, out),
            Entry::End { at, why, datagrams } => {
                out.push(END);
                self.put_at(at, out);
                out.push(place(&WHYS, why));
                put(out, datagrams);
            }
        }
    }

    fn put_datagram(&mut self, datagram: &Datagram, out: &mut Vec<u8>) {
        let Datagram { arrival, len, .. } = *datagram;
        let twice = if datagram.disposition == Disposition::Duplicate {
            DUPLICATE
        } else {
            0
        };
        match datagram.content {
            Content::Native {
                channel,
                number,
                sent,
                body,
            } => {
                let next = &mut self.next[channel as usize];
                let in_order = number == *next;
                let (kind, flags) = self.kind(&body, len);
                out.push(kind | flags | twice | if in_order { IN_ORDER } else { 0 });
                self.put_at(arrival, out);
                let next = &mut self.next[channel as usize];
                if !in_order {
                    put_from(out, *next, number);
                }
                *next = number.wrapping_add(1);
                let transit = arrival.wrapping_sub(sent);
                put_from(out, self.transit, transit);
                self.transit = transit;
                self.put_body(&body, flags, len, out);
            }
            Content::Rtp {
                sequence,
                timestamp,
                marker,
            } => {
                let same = len == self.rtp;
                let marker = if marker { NEW_FRAME } else { 0 };
                out.push(RTP | twice | marker | if same { SAME_SIZE } else { 0 });
                self.put_at(arrival, out);
                put_from(out, self.sequence.into(), sequence.into());
                put_from(out, self.timestamp.into(), timestamp.into());
                if !same {
                    put(out, len.into());
                }
                (self.sequence, self.timestamp, self.rtp) =
                    (sequence.wrapping_add(1), timestamp, len);
            }
            Content::Other => {
                out.push(OTHER);
                self.put_at(arrival, out);
                out.push(place(&DISPOSITIONS, datagram.disposition));
                put(out, len.into());
            }
        }
    }

    /// The kind of a packet, and what is as one would think.
    fn kind(&self, body: &Body, len: u32) -> (u8, u8) {
        let flags = |place: &ChunkPlace, last: &ChunkPlace| {
            let behind = ChunkPlace {
                index: last.index.wrapping_add(1),
                ..*last
            };
            let same = ChunkPlace {
                index: place.index,
                ..*last
            };
            match place {
                _ if *place == behind => NEXT,
                _ if *place == same => 0,
                _ => NEW_FRAME,
            }
        };
        match body {
            Body::Chunk(place) => (CHUNK, flags(place, &self.places[0])),
            Body::Retransmission(place) => (RESENT, flags(place, &self.places[1])),
            Body::Parity if len == self.parity => (PARITY, SAME_SIZE),
            Body::Parity => (PARITY, 0),
            Body::Tables => (TABLES, 0),
            Body::Proof => (TABLES, PROOF),
            Body::SenderReport(_) => (TOTALS, 0),
            Body::SenderBye(_) => (SENDER_BYE, 0),
            Body::Echo { .. } => (REPLY, 0),
        }
    }

    fn put_body(&mut self, body: &Body, flags: u8, len: u32, out: &mut Vec<u8>) {
        match body {
            Body::Chunk(place) => self.put_place(0, place, flags, out),
            Body::Retransmission(place) => self.put_place(1, place, flags, out),
            Body::Parity if flags & SAME_SIZE != 0 => {}
            Body::Parity => {
                put(out, len.into());
                self.parity = len;
            }
            Body::Tables | Body::Proof => put(out, len.into()),
            Body::SenderReport(counts) | Body::SenderBye(counts) => {
                put(out, len.into());
                put(out, counts.frames_captured);
                put(out, counts.frames_sent);
                counts.packets.iter().for_each(|count| put(out, *count));
                put(out, counts.bytes);
                put(out, counts.jpeg_bytes);
                for micros in [counts.interval, counts.kept, counts.spread] {
                    put(out, micros.into());
                }
            }
            Body::Echo { rtt } => {
                put(out, len.into());
                put(out, *rtt);
            }
        }
    }

    fn put_place(&mut self, which: usize, place: &ChunkPlace, flags: u8, out: &mut Vec<u8>) {
        let last = std::mem::replace(&mut self.places[which], *place);
        if flags & NEXT != 0 {
            return;
        }
        put(out, place.index.into());
        if flags & NEW_FRAME != 0 {
            put_from(out, last.frame, place.frame);
            put(out, place.frame_len.into());
            put(out, place.size.into());
            put_from(out, last.captured, place.captured);
        }
    }

    fn put_at(&mut self, at: u64, out: &mut Vec<u8>) {
        put_from(out, self.at, at);
        self.at = at;
    }
}

/// Where one of a fixed list stands.
fn place<T: Copy + PartialEq>(list: &[T], one: T) -> u8 {
    list.iter().position(|other| *other == one).unwrap_or(0) as u8
}
