//! Entries out of bytes.

use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_common::wire::native::MAX_CHUNKS;

use super::*;
use crate::trace::varint::Input;
use crate::trace::{Body, Content, Counts, Datagram, Entry};

impl State {
    /// The next entry; `None` where there is none that can be one.
    pub(in crate::trace) fn take(&mut self, input: &mut Input<'_>) -> Option<Entry> {
        let tag = input.byte()?;
        let (kind, flags) = (tag & 0x0f, tag & 0xf0);
        Some(match kind {
            BEGIN => {
                let (at, budget) = (self.take_at(input)?, input.number()?);
                let bits = input.byte()?;
                Entry::Begin {
                    at,
                    budget,
                    requests: bits & 1 != 0,
                    strict: bits & 2 != 0,
                }
            }
            STREAM => Entry::Stream {
                number: input.fixed()?,
                format: *FORMATS.get(usize::from(input.byte()?))?,
            },
            DROPS => {
                let at = self.take_at(input)?;
                self.drops = input.from(self.drops)?;
                let total = self.drops;
                Entry::Drops { at, total }
            }
            FRAME => {
                let number = input.from(self.frame)?;
                self.frame = number.wrapping_add(1);
                let code = input.byte()?;
                let mut outcomes = stats::Outcome::all();
                let outcome = outcomes.find(|outcome| outcome_code(*outcome) == code)?;
                Entry::Frame { number, outcome }
            }
            END => Entry::End {
                at: self.take_at(input)?,
                why: *WHYS.get(usize::from(input.byte()?))?,
                datagrams: input.number()?,
            },
            RTP => Entry::Datagram(self.take_rtp(flags, input)?),
            OTHER => {
                let arrival = self.take_at(input)?;
                let disposition = *DISPOSITIONS.get(usize::from(input.byte()?))?;
                Entry::Datagram(Datagram {
                    arrival,
                    len: input.small()?,
                    disposition,
                    content: Content::Other,
                })
            }
            _ => Entry::Datagram(self.take_packet(kind, flags, input)?),
        })
    }

    fn take_rtp(&mut self, flags: u8, input: &mut Input<'_>) -> Option<Datagram> {
        let arrival = self.take_at(input)?;
        let sequence: u16 = input.from(self.sequence.into())?.try_into().ok()?;
        self.timestamp = input.from(self.timestamp.into())?.try_into().ok()?;
        if flags & SAME_SIZE == 0 {
            self.rtp = input.small()?;
        }
        self.sequence = sequence.wrapping_add(1);
        Some(Datagram {
            arrival,
            len: self.rtp,
            disposition: received(flags),
            content: Content::Rtp {
                sequence,
                timestamp: self.timestamp,
                marker: flags & NEW_FRAME != 0,
            },
        })
    }

    fn take_packet(&mut self, kind: u8, flags: u8, input: &mut Input<'_>) -> Option<Datagram> {
        let channel = match kind {
            CHUNK => Channel::Media,
            RESENT | PARITY => Channel::Repair,
            TABLES | TOTALS | SENDER_BYE | REPLY => Channel::Control,
            _ => return None,
        };
        let arrival = self.take_at(input)?;
        let next = &mut self.next[channel as usize];
        let number = if flags & IN_ORDER == 0 {
            input.from(*next)?
        } else {
            *next
        };
        *next = number.wrapping_add(1);
        self.transit = input.from(self.transit)?;
        let sent = arrival.wrapping_sub(self.transit);
        let (len, body) = self.take_body(kind, flags, input)?;
        Some(Datagram {
            arrival,
            len,
            disposition: received(flags),
            content: Content::Native {
                channel,
                number,
                sent,
                body,
            },
        })
    }

    fn take_body(&mut self, kind: u8, flags: u8, input: &mut Input<'_>) -> Option<(u32, Body)> {
        match kind {
            CHUNK | RESENT => {
                let which = usize::from(kind == RESENT);
                let place = take_place(&self.places[which], flags, input)?;
                self.places[which] = place;
                let body = if kind == CHUNK {
                    Body::Chunk(place)
                } else {
                    Body::Retransmission(place)
                };
                return Some((place.datagram(), body));
            }
            PARITY => {
                if flags & SAME_SIZE == 0 {
                    self.parity = input.small()?;
                }
                return Some((self.parity, Body::Parity));
            }
            _ => {}
        }
        let len = input.small()?;
        let body = match kind {
            TABLES if flags & PROOF != 0 => Body::Proof,
            TABLES => Body::Tables,
            TOTALS => Body::SenderReport(take_counts(input)?),
            SENDER_BYE => Body::SenderBye(take_counts(input)?),
            REPLY => Body::Echo {
                rtt: input.number()?,
            },
            _ => return None,
        };
        Some((len, body))
    }

    fn take_at(&mut self, input: &mut Input<'_>) -> Option<u64> {
        self.at = input.from(self.at)?;
        Some(self.at)
    }
}

fn take_place(last: &ChunkPlace, flags: u8, input: &mut Input<'_>) -> Option<ChunkPlace> {
    let mut place = *last;
    if flags & NEXT != 0 {
        place.index = place.index.checked_add(1)?;
    } else {
        place.index = input.small()?;
        if flags & NEW_FRAME != 0 {
            place.frame = input.from(last.frame)?;
            place.frame_len = input.small()?;
            place.size = input.small()?;
            place.captured = input.from(last.captured)?;
        }
    }
    // As a chunk's own fields are checked where it is decoded.
    let len = place.frame_len as usize;
    let sensible = (1..=MAX_FRAME_BYTES).contains(&len)
        && place.size > 0
        && place.count() <= MAX_CHUNKS
        && usize::from(place.index) < place.count();
    sensible.then_some(place)
}

fn take_counts(input: &mut Input<'_>) -> Option<Counts> {
    Some(Counts {
        frames_captured: input.number()?,
        frames_sent: input.number()?,
        packets: [input.number()?, input.number()?, input.number()?],
        bytes: input.number()?,
        jpeg_bytes: input.number()?,
        interval: input.small()?,
        kept: input.small()?,
        spread: input.small()?,
    })
}

fn received(flags: u8) -> Disposition {
    if flags & DUPLICATE == 0 {
        Disposition::Received
    } else {
        Disposition::Duplicate
    }
}
