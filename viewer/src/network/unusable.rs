//! What arrives while no stream does: said once, with what to do about it.

use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::wire::Format;
use framegram_common::wire::guess::Guess;
use framegram_common::wire::native::is_sealed;
use framegram_common::wire::rtp::JPEG;

/// A stream proves itself sooner than that.
const PROVING: Duration = Duration::from_millis(600);

/// One datagram alone may be anybody's mistake.
const ENOUGH: u32 = 2;

/// Datagrams that were no stream, of the first sender that was heard.
#[derive(Debug, Default)]
pub(super) struct Unusable {
    from: Option<SocketAddr>,
    since: Duration,
    datagrams: u32,
    guess: Option<Guess>,
    /// They are sealed with a key, and none was given.
    is_sealed: bool,
    /// Some of them began as a format does that is known.
    may_be_stream: bool,
    told: Option<String>,
}

impl Unusable {
    /// Takes a datagram that came while nothing is followed.
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
            // RTP has its own word; what is known of it says more.
            Guess::Unknown if Format::of(datagram).is_some() => self.may_be_stream = true,
            Guess::Unknown => {}
            guess => _ = self.guess.get_or_insert(guess),
        }
    }

    /// A stream is there after all.
    pub(super) fn clear(&mut self) {
        let told = self.told.take();
        *self = Self {
            told,
            ..Self::default()
        };
    }

    /// Of this sender there is a stream after all.
    pub(super) fn clear_from(&mut self, from: SocketAddr) {
        if self.from == Some(from) {
            self.clear();
        }
    }

    /// When [`poll`](Self::poll) may have something to say.
    pub(super) fn due(&self) -> Option<Duration> {
        let is_enough = self.told.is_none() && self.datagrams >= ENOUGH;
        is_enough.then(|| self.since + PROVING)
    }

    /// What came, and what to do, once that is clear.
    pub(super) fn poll(&mut self, now: Duration) -> Option<String> {
        if self.due().is_none_or(|due| now < due) {
            return None;
        }
        if let Some(from) = self.from.filter(|_| self.is_sealed) {
            let line = format!(
                "The stream from {from} is encrypted: give this viewer the sender's --key-file."
            );
            self.told = Some(line.clone());
            return Some(line);
        }
        let guess = match self.guess {
            Some(guess) => guess,
            None if self.may_be_stream => return None,
            None => Guess::Unknown,
        };
        let (from, advice) = (self.from?, advice(guess));
        let line = match guess {
            Guess::Unknown => format!("Datagrams from {from} are of no known format: {advice}."),
            guess => format!("What arrives from {from} is {guess}, not shown here: {advice}."),
        };
        self.told = Some(line.clone());
        Some(line)
    }

    /// What was said, while it is so.
    pub(super) fn line(&self) -> Option<&String> {
        self.told.as_ref().filter(|_| self.from.is_some())
    }
}

fn advice(guess: Guess) -> &'static str {
    match guess {
        Guess::Rtp {
            payload_type: JPEG, ..
        } => {
            "give --sdp FILE with its key, if it is SRTP, or have its sender encode as ffmpeg does \
             with -c:v mjpeg -huffman 0 -pix_fmt yuvj420p -f rtp"
        }
        Guess::Rtp { .. } | Guess::AnnexB => {
            "have its sender encode JPEG, as ffmpeg does with -c:v mjpeg -huffman 0 -pix_fmt \
             yuvj420p -f rtp, or play it with framegram-send"
        }
        Guess::MpegTs => "play it with framegram-send udp://@:PORT, which sends it here as JPEG",
        Guess::Header(_) => "have its sender leave its own header out and send the JPEG alone",
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
        let h264 = [0x80, 96, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x7c, 0x85];
        let line = told(&[&h264, &h264]).unwrap();
        assert!(line.contains("192.0.2.1:4000 is RTP of payload type 96, likely H.264"));
        assert!(line.contains("-c:v mjpeg"), "{line}");
        let sealed = [0x80, 26, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0x7c, 0x85];
        let line = told(&[&sealed, &sealed]).unwrap();
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
        // One alone, and what may be a slow stream.
        assert_eq!(told(&[b"hello"]), None);
        assert_eq!(told(&[&[0xff, 0xd8, 0xff, 1], &[3, 4]]), None);
    }

    #[test]
    fn beside_the_stream_of_another_sender_it_is_told_all_the_same() {
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
    fn a_stream_that_comes_after_all_leaves_nothing_to_say() {
        let mut unusable = Unusable::default();
        let from = SocketAddr::from(([192, 0, 2, 1], 4000));
        unusable.insert(from, b"hello", MS);
        unusable.insert(from, b"hello", MS);
        unusable.clear();
        assert_eq!(unusable.poll(2_000 * MS), None);
        assert_eq!(unusable.due(), None);
    }
}
