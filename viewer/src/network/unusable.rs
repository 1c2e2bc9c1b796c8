//! Datagrams that belong to no stream: described once, with advice.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::wire::Format;
use framegram_common::wire::guess::Guess;
use framegram_common::wire::native::{MAGIC, is_sealed};
use framegram_common::wire::rtp::{JPEG, RtpPacket};

/// A real stream proves itself within this time.
const PROVING: Duration = Duration::from_millis(600);

/// A single datagram may be a mistake.
const ENOUGH: u32 = 2;

/// JPEGs that may begin without one that is complete before a person is told.
const MOST_BEGUN: u32 = 3;

/// If one datagram in this many begins as those of a stream do, it may be one.
const SHARE: u32 = 8;

/// The most kinds of datagrams that are distinguished.
const MAX_GUESSES: usize = 8;

/// Bytes of the length before each packet of a connection.
const LENGTH: usize = 2;

/// Times that pass from packet to packet of sound, in ticks of its clock; a
/// picture lasts longer by that of video.
const SOUND_STEPS: [u32; 9] = [120, 160, 240, 320, 480, 960, 1_024, 1_920, 2_880];

/// By how much the number of a packet may be above that of the one before.
const MOST_AHEAD: u16 = 100;

/// Datagrams that were no stream, of the first sender that was heard.
#[derive(Debug, Default)]
pub(super) struct Unusable {
    from: Option<SocketAddr>,
    since: Duration,
    datagrams: u32,
    /// What they look like, and how often.
    guesses: Vec<(Guess, u32)>,
    rtp: RtpSteps,
    /// They are sealed with a key, and none was given.
    is_sealed: bool,
    /// How many began as a format does that is known.
    stream_like: u32,
    /// JPEGs that began.
    begun: u32,
    /// What there is to say of a connection.
    connected: Option<String>,
    told: Option<String>,
}

/// How packets of RTP follow one another: what only looks like RTP does not.
#[derive(Debug, Default)]
struct RtpSteps {
    /// Number, time and source of the newest.
    newest: Option<(u16, u32, u32)>,
    /// Packets that came a step of sound behind the one before, and others.
    of_sound: u32,
    others: u32,
}

impl RtpSteps {
    /// Takes a datagram. Returns whether it goes on with the one before.
    fn insert(&mut self, datagram: &[u8]) -> bool {
        let Ok(packet) = RtpPacket::decode(datagram) else {
            return false;
        };
        let next = (packet.sequence, packet.timestamp, packet.source);
        let Some((sequence, timestamp, source)) = self.newest.replace(next) else {
            return false;
        };
        let step = packet.timestamp.wrapping_sub(timestamp);
        let ahead = packet.sequence.wrapping_sub(sequence);
        if ahead == 1 {
            match SOUND_STEPS.contains(&step) {
                true => self.of_sound += 1,
                false => self.others += 1,
            }
        }
        packet.source == source && (1..=MOST_AHEAD).contains(&ahead)
    }

    fn is_sound(&self) -> bool {
        self.of_sound > 0 && self.others == 0
    }
}

impl Unusable {
    /// Records a datagram that arrived while no stream is followed.
    pub(super) fn insert(&mut self, from: SocketAddr, datagram: &[u8], now: Duration) {
        if self.told.is_some() || *self.from.get_or_insert(from) != from {
            return;
        }
        if self.datagrams == 0 {
            self.since = now;
        }
        self.datagrams += 1;
        self.is_sealed |= is_sealed(datagram);
        match Guess::of(datagram) {
            Guess::Unknown => {
                let format = Format::of(datagram);
                let is_like = matches!(format, Some(Format::Native | Format::Raw));
                self.stream_like += u32::from(is_like);
                self.begun += u32::from(format == Some(Format::Raw));
            }
            Guess::Rtp { .. } if !self.rtp.insert(datagram) => {}
            guess => self.count(guess),
        }
    }

    /// Takes what a connection begins with, where that is no packet.
    pub(super) fn insert_connection(&mut self, from: SocketAddr, begin: &[u8]) {
        if self.told.is_some() || begin.get(LENGTH) == Some(&MAGIC) {
            return;
        }
        let guess = Guess::of(begin);
        let what = match guess {
            _ if Format::of(begin) == Some(Format::Raw) => "JPEG".to_owned(),
            guess if guess.is_certain() => guess.to_string(),
            _ => return,
        };
        self.from = Some(from);
        self.connected = Some(format!(
            "What {from} sends over TCP is {what}, not shown here: over TCP this port takes \
             video from framegram-send --transport tcp."
        ));
    }

    fn count(&mut self, guess: Guess) {
        let known = self.guesses.iter().position(|(known, _)| *known == guess);
        match known {
            Some(index) => self.guesses[index].1 += 1,
            None if self.guesses.len() < MAX_GUESSES => self.guesses.push((guess, 1)),
            None => {}
        }
    }

    /// What most of them look like, of those that prove something.
    fn guess(&self) -> Option<Guess> {
        let certain = self.guesses.iter().find(|(guess, _)| guess.is_certain());
        if let Some((guess, _)) = certain {
            return Some(*guess);
        }
        // Of the packets of one codec, some tell which it is.
        let tells = |guess: &Guess| !matches!(guess, Guess::Rtp { codec: None, .. });
        let (guess, _) = self
            .guesses
            .iter()
            .max_by_key(|(guess, count)| (tells(guess), *count))?;
        Some(match guess {
            Guess::Rtp { payload_type, .. } if self.rtp.is_sound() => Guess::Rtp {
                payload_type: *payload_type,
                codec: Some(SOUND),
            },
            guess => *guess,
        })
    }

    /// A stream is there after all.
    pub(super) fn clear(&mut self) {
        let told = self.told.take();
        *self = Self {
            told,
            ..Self::default()
        };
    }

    /// Forgets those of this sender, which has a stream after all.
    pub(super) fn clear_from(&mut self, from: SocketAddr) {
        if self.from == Some(from) {
            self.clear();
        }
    }

    /// When [`poll`](Self::poll) may have a notice.
    pub(super) fn due(&self) -> Option<Duration> {
        let is_enough = self.told.is_none() && self.datagrams >= ENOUGH;
        is_enough.then(|| self.since + PROVING)
    }

    /// The notice: what arrives, and what to do.
    pub(super) fn poll(&mut self, now: Duration) -> Option<String> {
        if let Some(line) = self.connected.take() {
            self.told = Some(line.clone());
            return Some(line);
        }
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        let from = self.from?;
        let line = match self.guess() {
            _ if self.is_sealed => {
                format!(
                    "The stream from {from} is encrypted: give this viewer the sender's --key-file."
                )
            }
            Some(guess) => {
                let advice = advice(guess);
                format!("What arrives from {from} is {guess}, not shown here: {advice}.")
            }
            None if self.begun > MOST_BEGUN => format!(
                "JPEGs from {from} begin, and none of them is complete: parts are lost on the way, or \
                 its sender cuts them off (a datagram holds at most 65507 bytes). framegram-send \
                 repairs what is lost."
            ),
            // By chance one of many does.
            None if SHARE * self.stream_like >= self.datagrams => return None,
            None => format!(
                "Datagrams from {from} are of no known format: {}.",
                advice(Guess::Unknown)
            ),
        };
        self.told = Some(line.clone());
        Some(line)
    }

    /// The notice, as long as it applies.
    pub(super) fn line(&self) -> Option<&String> {
        self.told.as_ref().filter(|_| self.from.is_some())
    }
}

/// What sound is called.
const SOUND: &str = "audio";

fn advice(guess: Guess) -> &'static str {
    match guess {
        Guess::Rtp {
            payload_type: JPEG, ..
        } => {
            "give --sdp FILE with its key, if it is SRTP, or have its sender encode as ffmpeg does \
             with -c:v mjpeg -huffman 0 -pix_fmt yuvj420p -f rtp"
        }
        Guess::Rtp {
            codec: Some(SOUND), ..
        } => "this viewer plays no sound; send it the video as JPEG",
        Guess::Rtp { .. } => {
            "have its sender encode JPEG, as ffmpeg does with -c:v mjpeg -huffman 0 -pix_fmt \
             yuvj420p -f rtp, or play its session description with framegram-send FILE.sdp, which \
             sends it here as JPEG"
        }
        Guess::AnnexB | Guess::MpegTs | Guess::Container(_) => {
            "play it with framegram-send udp://@:PORT, which sends it here as JPEG"
        }
        Guess::Rtcp => "the port of the stream itself is usually the one below",
        Guess::Protocol("SRT") => {
            "play it with framegram-send 'srt://:PORT?mode=listener', which sends it here as JPEG"
        }
        Guess::Protocol(_) => "this port takes video from framegram-send, and JPEG in RTP or alone",
        Guess::Header(_) => "have its sender leave its own header out and send the JPEG alone",
        Guess::Base64 => "have its sender send the bytes of the JPEG as they are",
        Guess::Pickle => {
            "have its sender send the JPEG alone: cv2.imencode('.jpg', picture)[1].tobytes()"
        }
        Guess::Image(_) => "have its sender encode JPEG",
        Guess::Text | Guess::Unknown => "see what sends to this port",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn told(datagrams: &[&[u8]]) -> Option<String> {
        let mut unusable = Unusable::default();
        let from = SocketAddr::from(([192, 0, 2, 1], 4000));
        for (tick, datagram) in (0..).zip(datagrams) {
            unusable.insert(from, datagram, 1_000 * MS + tick * 40 * MS);
        }
        assert_eq!(unusable.poll(1_100 * MS), None);
        let line = unusable.poll(1_700 * MS);
        assert_eq!(unusable.poll(9_000 * MS), None, "it is told once");
        line
    }

    #[test]
    fn what_arrives_is_told_once_with_what_to_do() {
        let h264 = |number| [0x80, 96, 0, number, 0, 0, 0, 2, 0, 0, 0, 3, 0x7c, 0x85];
        let line = told(&[&h264(1), &h264(2)]).unwrap();
        assert!(line.contains("192.0.2.1:4000 is RTP of payload type 96, likely H.264"));
        assert!(line.contains("-c:v mjpeg"), "{line}");
        let sealed = |number| [0x80, 26, 0, number, 0, 0, 0, 2, 0, 0, 0, 3, 0x7c, 0x85];
        let line = told(&[&sealed(1), &sealed(2)]).unwrap();
        assert!(line.contains("likely encrypted (SRTP), or JPEG"), "{line}");
        assert!(line.contains("give --sdp FILE with its key"), "{line}");
        let pieces: [&[u8]; 3] = [&[3, 0xff, 0xd8, 0xff, 0xe0], &[2, 7], &[1, 8]];
        assert!(told(&pieces).unwrap().contains("behind a header of 1 byte"));
        assert!(told(&[b"hello", b"world"]).unwrap().contains("is text"));
        assert!(
            told(&[&[1, 2], &[3, 4]])
                .unwrap()
                .contains("no known format")
        );
        // By chance some datagrams begin like RTP.
        let chance = [
            [0x80, 96, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0x7c, 9],
            [0x8f; 14],
        ];
        let line = told(&[&chance[0], &chance[1], &[0x90; 14], &[7; 14]]).unwrap();
        assert!(line.contains("no known format"), "{line}");
        // Opus.
        let opus = [0x80, 97, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0xf8, 1];
        let opus: Vec<_> = (0..9)
            .map(|number: u8| {
                let mut packet = opus;
                packet[3] = number;
                packet[4..8].copy_from_slice(&(960 * u32::from(number)).to_be_bytes());
                packet
            })
            .collect();
        let opus: Vec<_> = opus.iter().map(|packet| &packet[..]).collect();
        assert!(told(&opus).unwrap().contains("plays no sound"));
        // JPEGs of which each lacks something.
        let cut: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 16];
        assert!(
            told(&[cut; 5])
                .unwrap()
                .contains("none of them is complete")
        );
        // One alone, and what may be a slow stream.
        assert_eq!(told(&[b"hello"]), None);
        assert_eq!(told(&[&[0xff, 0xd8, 0xff, 1], &[3, 4]]), None);
    }

    #[test]
    fn it_is_reported_even_next_to_another_senders_stream() {
        let mut unusable = Unusable::default();
        let [good, bad] = [1, 2].map(|port| SocketAddr::from(([192, 0, 2, 1], port)));
        for _ in 0..3 {
            unusable.insert(bad, b"hello", MS);
            unusable.clear_from(good);
        }
        assert!(unusable.poll(1_000 * MS).is_some());
        unusable.clear_from(bad);
        assert_eq!(unusable.line(), None);
    }

    #[test]
    fn a_late_stream_clears_the_notice() {
        let mut unusable = Unusable::default();
        let from = SocketAddr::from(([192, 0, 2, 1], 4000));
        unusable.insert(from, b"hello", MS);
        unusable.insert(from, b"hello", MS);
        unusable.clear();
        assert_eq!(unusable.poll(2_000 * MS), None);
        assert_eq!(unusable.due(), None);
    }
}
