//! The session description of an RTP stream (`--sdp`).

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use framegram_cli::output::OutputFile;
use framegram_cli::threads::Threads;
use framegram_common::sender::lasting_name;
use framegram_common::wire::rtp_jpeg::MAX_SIDE;
use framegram_common::wire::sdp;
use zeroize::Zeroizing;

use crate::args::Wire;
use crate::destinations::Destination;

/// The file, claimed before the stream begins.
pub(crate) struct SdpFile(OutputFile);

/// The stream that is described.
pub(crate) struct SdpSession {
    pub(crate) number: u64,
    pub(crate) interval: Option<Duration>,
    pub(crate) rtcp_mux: bool,
    pub(crate) hops: u8,
    pub(crate) wire: Wire,
}

impl SdpSession {
    /// A notice about frames of this size, if one is needed.
    pub(crate) fn notice(&self, (width, height): (usize, usize)) -> Option<String> {
        let most = usize::from(MAX_SIDE);
        if self.wire != Wire::Rtp {
            None
        } else if width > most || height > most {
            Some(format!(
                "RTP cannot express sizes above {most} pixels: GStreamer and framegram-view take \
                 the size from the session description (--sdp FILE), FFmpeg cannot show such frames"
            ))
        } else if !width.is_multiple_of(8) || !height.is_multiple_of(8) {
            Some(format!(
                "RTP expresses sizes in steps of 8 pixels: receivers show {}x{}",
                width.next_multiple_of(8),
                height.next_multiple_of(8)
            ))
        } else {
            None
        }
    }
}

impl SdpFile {
    /// Claims the file, or standard output for `-`. If a `secret` will be in it, others
    /// cannot read it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn claim(path: &Path, secret: bool, threads: &Threads) -> Result<Self> {
        let file = OutputFile::claim(path, "session description", threads)?;
        Ok(Self(if secret { file.private() } else { file }))
    }

    /// What a person should know of a key that is in the file.
    pub(crate) fn secret_notice(&self) -> String {
        let path = self.0.path().display();
        if self.0.pipe().is_some() {
            return format!(
                "The session description on {path} holds the key of this start: keep it secret."
            );
        }
        format!(
            "The session description {path} holds the key of this start, and only you can read \
             it: copy it to the receivers, and keep it secret."
        )
    }

    /// Writes the description for frames of this size, in place of an older one, with
    /// the key's attribute.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(
        &self,
        session: &SdpSession,
        destination: &Destination,
        (width, height): (usize, usize),
        key: Option<&str>,
    ) -> Result<()> {
        let name = lasting_name(session.number);
        let crypto = key.map(|attribute| sdp::Crypto {
            attribute,
            source: session.number as u32,
            name: &name,
        });
        let local = destination.local_addr().map(|local| local.ip());
        let text = sdp::SessionDescription {
            number: session.number >> 1,
            origin: local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            name: "framegram",
            destination: destination.address(),
            hops: session.hops,
            size: u16::try_from(width).ok().zip(u16::try_from(height).ok()),
            rate: session
                .interval
                .map(|interval| 1.0 / interval.as_secs_f64()),
            rtcp_mux: session.rtcp_mux,
            crypto,
        };
        let text = Zeroizing::new(text.write());
        self.0.replace(|out| Ok(out.write_all(text.as_bytes())?))?;
        Ok(())
    }
}
