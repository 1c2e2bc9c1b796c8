//! The subset of session descriptions that JPEG in RTP needs
//! (<https://www.rfc-editor.org/rfc/rfc8866>).

use std::fmt::Write;
use std::net::{IpAddr, SocketAddr};

use super::rtp::{CLOCK, JPEG};

/// A sender's description of its stream.
#[derive(Clone, Debug, PartialEq)]
pub struct SessionDescription<'a> {
    /// A number that is unique among the sessions of this machine.
    pub number: u64,
    /// The sender's address, as far as it knows.
    pub origin: IpAddr,
    /// The session name.
    pub name: &'a str,
    /// Where the stream goes.
    pub destination: SocketAddr,
    /// The hop limit of multicast datagrams.
    pub hops: u8,
    /// Width and height in pixels, if known.
    pub size: Option<(u16, u16)>,
    /// Frames per second, if known.
    pub rate: Option<f64>,
    /// Whether RTCP goes to the same port.
    pub rtcp_mux: bool,
    /// What the packets are sealed with, if they are.
    pub crypto: Option<Crypto<'a>>,
}

/// What a receiver of SRTP has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crypto<'a> {
    /// The attribute, from its tag on
    /// (<https://www.rfc-editor.org/rfc/rfc4568#section-9.1>).
    pub attribute: &'a str,
    /// The number of the stream (SSRC)
    /// (<https://www.rfc-editor.org/rfc/rfc5576#section-4.1>).
    pub source: u32,
    /// Its lasting name.
    pub name: &'a str,
}

impl SessionDescription<'_> {
    /// The description as the text of a file.
    pub fn write(&self) -> String {
        let (origin, to) = (family(self.origin), family(self.destination.ip()));
        let mut text = format!(
            "v=0\r\no=- {} 1 IN {origin}\r\ns={}\r\nc=IN {to}",
            self.number, self.name
        );
        if self.destination.ip().is_multicast() && self.destination.is_ipv4() {
            let _ = write!(text, "/{}", self.hops);
        }
        let _ = write!(
            text,
            "\r\nt=0 0\r\nm=video {} {} {JPEG}\r\na=rtpmap:{JPEG} JPEG/{CLOCK}\r\n",
            self.destination.port(),
            if self.crypto.is_some() {
                "RTP/SAVP"
            } else {
                "RTP/AVP"
            }
        );
        if let Some(crypto) = self.crypto {
            let Crypto {
                attribute,
                source,
                name,
            } = crypto;
            let _ = write!(
                text,
                "a=crypto:{attribute}\r\na=ssrc:{source} cname:{name}\r\n"
            );
        }
        if let Some((width, height)) = self.size {
            // GStreamer reads the first, other programs the second.
            let _ = write!(
                text,
                "a=x-dimensions:{width},{height}\r\na=framesize:{JPEG} {width}-{height}\r\n"
            );
        }
        if let Some(rate) = self.rate {
            let _ = write!(text, "a=framerate:{}\r\n", (rate * 1000.0).round() / 1000.0);
        }
        if self.rtcp_mux {
            text += "a=rtcp-mux\r\n";
        }
        text + "a=recvonly\r\n"
    }
}

/// The attributes of a description that tell keys, each from its tag on.
pub fn cryptos(description: &str) -> impl Iterator<Item = &str> {
    let lines = description.lines().map(str::trim_end);
    lines.filter_map(|line| line.strip_prefix("a=crypto:"))
}

/// Width and height in pixels that a description tells, if it does.
pub fn size(description: &str) -> Option<(u16, u16)> {
    description.lines().map(str::trim_end).find_map(|line| {
        if let Some(dimensions) = line.strip_prefix("a=x-dimensions:") {
            return sides(dimensions.split_once(',')?);
        }
        let (_, size) = line.strip_prefix("a=framesize:")?.split_once(' ')?;
        sides(size.split_once('-')?)
    })
}

fn sides((width, height): (&str, &str)) -> Option<(u16, u16)> {
    let side = |text: &str| text.trim().parse().ok().filter(|side| *side > 0);
    Some((side(width)?, side(height)?))
}

fn family(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => format!("IP4 {address}"),
        IpAddr::V6(address) => format!("IP6 {address}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_a_receiver_needs() {
        let session = SessionDescription {
            number: 7,
            origin: IpAddr::from([10, 0, 0, 1]),
            name: "framegram",
            destination: SocketAddr::from(([239, 1, 2, 3], 5004)),
            hops: 4,
            size: Some((2560, 1440)),
            rate: Some(30_000.0 / 1001.0),
            rtcp_mux: true,
            crypto: None,
        };
        let text = session.write();
        assert_eq!(
            text,
            "v=0\r\no=- 7 1 IN IP4 10.0.0.1\r\ns=framegram\r\nc=IN IP4 239.1.2.3/4\r\nt=0 0\r\n\
             m=video 5004 RTP/AVP 26\r\na=rtpmap:26 JPEG/90000\r\na=x-dimensions:2560,1440\r\n\
             a=framesize:26 2560-1440\r\na=framerate:29.97\r\na=rtcp-mux\r\na=recvonly\r\n"
        );
        assert_eq!(size(&text), session.size);
        assert_eq!(cryptos(&text).count(), 0);
        let crypto = Crypto {
            attribute: "1 SUITE inline:KEY",
            source: 99,
            name: "a@b",
        };
        let sealed = SessionDescription {
            crypto: Some(crypto),
            ..session
        };
        let sealed = sealed.write();
        let lines = "RTP/SAVP 26\r\na=rtpmap:26 JPEG/90000\r\n\
             a=crypto:1 SUITE inline:KEY\r\na=ssrc:99 cname:a@b\r\na=x-dim";
        assert!(sealed.contains(lines), "{sealed}");
        assert_eq!(cryptos(&sealed).collect::<Vec<_>>(), [crypto.attribute]);
    }

    #[test]
    fn finds_sizes_and_nothing_else() {
        assert_eq!(size("v=0\na=framesize:26 4096-2160\n"), Some((4096, 2160)));
        assert_eq!(size("a=x-dimensions: 2048 , 16"), Some((2048, 16)));
        for none in [
            "",
            "a=framesize:26",
            "a=x-dimensions:0,9",
            "a=x-dimensions:70000,9",
        ] {
            assert_eq!(size(none), None, "{none}");
        }
    }
}
