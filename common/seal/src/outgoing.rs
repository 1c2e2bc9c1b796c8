//! Outgoing packets: numbered, and sealed with the key of the turn.

use std::time::Duration;

use framegram_common::seq::{PacketNumber, PacketSeq};
use framegram_common::wire::native::{Envelope, SALT};

use crate::keys::{
    KEY_LIFETIME, KeyNumber, LAST_TURN, NUMBERS_OF_A_KEY, PacketKey, PacketOrigin, StartKeys, Suite,
};

/// The keys of a start that are in use.
#[derive(Debug)]
pub(crate) struct KeyTurn {
    suite: Suite,
    turn: u32,
    since: Option<Duration>,
}

impl KeyTurn {
    pub(crate) fn new(suite: Suite) -> Self {
        Self {
            suite,
            turn: 0,
            since: None,
        }
    }

    /// Advances to the next keys. Returns false after the last ones.
    pub(crate) fn advance(&mut self, now: Duration) -> bool {
        if self.turn == LAST_TURN {
            return false;
        }
        self.turn += 1;
        self.since = Some(now);
        true
    }

    /// The number of the key for a packet that leaves now.
    fn at(&mut self, keys: &StartKeys, now: Duration) -> KeyNumber {
        let since = *self.since.get_or_insert(now);
        if now.saturating_sub(since) >= KEY_LIFETIME {
            self.advance(now);
        }
        keys.number(self.suite, self.turn)
    }
}

/// The packets of one origin, with the keys of one start.
#[derive(Debug)]
pub(crate) struct Sealer {
    origin: PacketOrigin,
    channels: [Option<ChannelKey>; 3],
}

#[derive(Debug)]
struct ChannelKey {
    number: KeyNumber,
    key: PacketKey,
    /// The first packet that the key has sealed, and the last.
    first: u64,
    last: u64,
}

impl Sealer {
    pub(crate) fn new(origin: PacketOrigin) -> Self {
        Self {
            origin,
            channels: [const { None }; 3],
        }
    }

    /// The number after the last one of a channel.
    fn next(&self, channel: usize) -> u64 {
        self.channels[channel].as_ref().map_or(0, |it| it.last + 1)
    }

    /// Seals a packet in the clear and appends it. Its number is the one in its envelope, extended.
    /// Returns false and appends nothing if the number is not above the last one: no key seals two
    /// packets of one number.
    pub(crate) fn seal(
        &mut self,
        keys: &StartKeys,
        turn: &mut KeyTurn,
        (envelope, packet): (&Envelope, &[u8]),
        now: Duration,
        out: &mut Vec<u8>,
    ) -> bool {
        let at = envelope.channel as usize;
        let next = self.next(at);
        let number = envelope.number.extend(PacketNumber(next)).0;
        debug_assert!(number >= next, "no number is sealed twice");
        if number < next {
            return false;
        }
        let Some(channel) = self.channel(keys, turn, envelope, number, now) else {
            return false;
        };
        let sealed = Envelope {
            number: PacketSeq(number as u32),
            key: channel.number.to_wire(),
            salt: envelope.salt.map(|_: [u8; SALT]| keys.salt()),
            ..*envelope
        };
        channel.last = number;
        let start = out.len();
        sealed.write(packet, out);
        let done = channel.key.seal(number as u32, sealed.clear(), start, out);
        if !done {
            out.truncate(start);
        }
        done
    }

    /// The channel with a key for this number. A key that has served long enough is replaced.
    fn channel(
        &mut self,
        keys: &StartKeys,
        turn: &mut KeyTurn,
        envelope: &Envelope,
        number: u64,
        now: Duration,
    ) -> Option<&mut ChannelKey> {
        let place = &mut self.channels[envelope.channel as usize];
        let mut in_use = turn.at(keys, now);
        if let Some(channel) = place
            && channel.number == in_use
            && number - channel.first >= NUMBERS_OF_A_KEY
        {
            if !turn.advance(now) {
                return None;
            }
            in_use = turn.at(keys, now);
        }
        if place
            .as_ref()
            .is_none_or(|channel| channel.number != in_use)
        {
            *place = Some(ChannelKey {
                number: in_use,
                key: keys.derive(self.origin, envelope.channel, in_use)?,
                first: number,
                last: number,
            });
        }
        place.as_mut()
    }
}
