//! Incoming packets: opened with the key that they name, and each taken once.

use std::time::Duration;

use framegram_common::seq::PacketNumber;
use framegram_common::wire::native::{Channel, Envelope, restore};

use crate::Refusal;
use crate::keys::{KeyNumber, PacketKey, PacketOrigin, StartKeys};
use crate::trials::Trials;
use crate::window::ReplayWindow;

/// Packets in the replay window of a media or repair channel: two seconds at 131,072 packets a
/// second, which is 1.5 Gbit/s in packets for Ethernet.
const FRAMES_WINDOW: u64 = 1 << 18;

/// Packets in the replay window of the control channel, which carries at most a few hundred a
/// second.
const CONTROL_WINDOW: u64 = 1 << 12;

/// The packets of one origin, with the keys of one start.
#[derive(Debug)]
pub(crate) struct Opener {
    origin: PacketOrigin,
    channels: [OpenChannel; 3],
}

#[derive(Debug)]
struct OpenChannel {
    /// The newest key that opened a packet and the one before it, since packets overtake each
    /// other.
    keys: [Option<(KeyNumber, PacketKey)>; 2],
    window: ReplayWindow,
}

impl Opener {
    /// A receiver that has opened nothing yet. It takes next to no memory.
    pub(crate) fn new(origin: PacketOrigin) -> Self {
        Self {
            origin,
            channels: Channel::ALL.map(|channel| OpenChannel {
                keys: [None, None],
                window: ReplayWindow::new(match channel {
                    Channel::Media | Channel::Repair => FRAMES_WINDOW,
                    Channel::Control => CONTROL_WINDOW,
                }),
            }),
        }
    }

    /// Opens the datagram with this envelope in place. Returns the length of the packet in the
    /// clear, whose CRC is not set. A key that has opened nothing yet costs a trial.
    ///
    /// # Errors
    /// Why it is refused. The datagram then has undefined content.
    /// Why it is not taken; the datagram may be anything then.
    pub(crate) fn open(
        &mut self,
        keys: &StartKeys,
        envelope: &Envelope,
        trials: &mut Trials,
        now: Duration,
        datagram: &mut [u8],
    ) -> Result<usize, Refusal> {
        let number = KeyNumber::of_wire(envelope.key).ok_or(Refusal::Unauthentic)?;
        let channel = &mut self.channels[envelope.channel as usize];
        let (clear, body, seq) = (envelope.clear(), envelope.body(), envelope.number.0);
        let known = channel.keys.iter().flatten();
        let known = known.clone().find(|(known, _)| *known == number);
        let length = if let Some((_, key)) = known {
            let length = key.open(seq, clear, body, datagram);
            length.ok_or(Refusal::Unauthentic)?
        } else {
            let newest = channel.keys[0].as_ref().map(|(newest, _)| newest.turn);
            // Keys do not return: a packet with an older turn was recorded.
            if newest.is_some_and(|newest| number.turn <= newest) || !trials.take(now) {
                return Err(Refusal::Unauthentic);
            }
            let key = keys.derive(self.origin, envelope.channel, number);
            let opened = key.and_then(|key| Some((key.open(seq, clear, body, datagram)?, key)));
            let (length, key) = opened.ok_or(Refusal::Unauthentic)?;
            channel.keys.swap(0, 1);
            channel.keys[0] = Some((number, key));
            length
        };
        let next = channel.window.highest().map_or(0, |highest| highest + 1);
        let number = envelope.number.extend(PacketNumber(next)).0;
        if !channel.window.take(number) {
            return Err(Refusal::Replayed);
        }
        let packet = datagram.get_mut(..length).ok_or(Refusal::Unauthentic)?;
        restore(packet);
        Ok(length)
    }
}
