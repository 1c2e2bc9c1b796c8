//! The session description of an RTP stream, for players that cannot find out
//! by themselves.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use framegram_cli::output::OutputFile;
use framegram_cli::threads::Threads;
use framegram_common::wire::rtp_jpeg::MAX_SIDE;
use framegram_common::wire::sdp;

use crate::args::Wire;
use crate::outputs::Output;

/// Where it is written.
pub(crate) struct Description(OutputFile);

/// What the stream keeps of it.
pub(crate) struct Session {
    pub(crate) number: u64,
    pub(crate) interval: Option<Duration>,
    pub(crate) rtcp_mux: bool,
    pub(crate) hops: u8,
    pub(crate) wire: Wire,
}

impl Session {
    /// What a person should know of pictures of this size.
    pub(crate) fn notice(&self, (width, height): (usize, usize)) -> Option<String> {
        let most = usize::from(MAX_SIDE);
        if self.wire != Wire::Rtp {
            None
        } else if width > most || height > most {
            Some(format!(
                "RTP tells no size above {most} pixels: GStreamer and framegram-view take it \
                 from the session description (--sdp FILE), FFmpeg does not show such pictures"
            ))
        } else if !width.is_multiple_of(8) || !height.is_multiple_of(8) {
            Some(format!(
                "RTP tells sizes in steps of 8 pixels: receivers show {}x{}",
                width.next_multiple_of(8),
                height.next_multiple_of(8)
            ))
        } else {
            None
        }
    }
}

impl Description {
    /// Claims the file, or standard output for `-`.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn claim(path: &Path, threads: &Threads) -> Result<Self> {
        OutputFile::claim(path, "session description", threads).map(Self)
    }

    /// Writes the description of pictures of this size; a file holds the
    /// newest one alone.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn write(
        &self,
        session: &Session,
        output: &Output,
        (width, height): (usize, usize),
    ) -> Result<()> {
        let local = output.local_addr().map(|local| local.ip());
        let text = sdp::Session {
            number: session.number >> 1,
            origin: local.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
            name: "framegram",
            destination: output.address(),
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
