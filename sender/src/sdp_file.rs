//! The session description of an RTP stream (`--sdp`).

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use framegram_cli::output::OutputFile;
use framegram_cli::threads::Threads;
use framegram_common::wire::rtp_jpeg::MAX_SIDE;
use framegram_common::wire::sdp;

use crate::args::Wire;
use crate::destinations::Destination;

/// The file, claimed before the stream begins.
pub(crate) struct SdpFile(OutputFile);

/// The stream that is described.
pub(crate) struct Session {
    pub(crate) number: u64,
    pub(crate) interval: Option<Duration>,
    pub(crate) rtcp_mux: bool,
    pub(crate) hops: u8,
    pub(crate) wire: Wire,
}

impl Session {
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
    /// Claims the file, or takes standard output for `-`.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub(crate) fn claim(path: &Path, threads: &Threads) -> Result<Self> {
        OutputFile::claim(path, "session description", threads).map(Self)
    }

    /// Writes the description for frames of this size, in place of an older one.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(
        &self,
        session: &Session,
        destination: &Destination,
        (width, height): (usize, usize),
    ) -> Result<()> {
        let local = destination.local_addr().map(|local| local.ip());
        let text = sdp::Session {
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
        }
        .write();
        self.0.replace(|out| Ok(out.write_all(text.as_bytes())?))?;
        Ok(())
    }
}
