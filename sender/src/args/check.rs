//! Which flags can be combined.

use std::net::SocketAddr;
use std::path::Path;

use clap::{CommandFactory, error::ErrorKind};
use framegram_cli::output::{self, Named};
use framegram_cli::paths::resolve;
use framegram_common::fec::Fec;
use framegram_net::is_broadcast;

use super::{Options, PacketSize, Transport, Wire};
use crate::encode::MIN_FRAME_BYTES;
use crate::source::{Spec, is_still};

impl Options {
    /// Checks what [`clap::Parser`] cannot: combinations of flags.
    ///
    /// # Errors
    /// A usage error like clap's own.
    pub fn check(self) -> Result<Self, clap::Error> {
        if let Some(path) = self.report.as_deref().filter(|path| !is_json(path)) {
            return Err(Self::command().error(
                ErrorKind::ValueValidation,
                format!(
                    "the sender's report is JSON: end the name {} in .json, or write - for \
                     standard output",
                    path.display()
                ),
            ));
        }
        match self.conflict() {
            Some(conflict) => Err(Self::command().error(ErrorKind::ArgumentConflict, conflict)),
            None => Ok(self),
        }
    }

    fn conflict(&self) -> Option<String> {
        if self.repeat && self.source == Spec::Stdin {
            return Some("standard input cannot be read twice: remove --loop".into());
        }
        let size = self.packet_size();
        let least = DATAGRAMS_A_SECOND * size as u64 * 8;
        if self.bitrate.is_some_and(|bitrate| bitrate < least) {
            return Some(format!(
                "--packet-size {size} needs a --bitrate of {least} or more"
            ));
        }
        if let Some(conflict) = self.conflict_of_files() {
            return Some(conflict);
        }
        let is_piped = |path: &Option<_>| path.as_deref() == Some("-".as_ref());
        if is_piped(&self.sdp) && is_piped(&self.report) {
            return Some(
                "--sdp - and --report - both write to standard output: write one of them to a file"
                    .into(),
            );
        }
        if self.packet_size == Some(PacketSize::Auto) && self.most_datagram().is_none() {
            return Some(
                "--packet-size auto needs the native format over UDP: give a number of bytes"
                    .into(),
            );
        }
        self.conflict_of_wire()
            .or_else(|| self.conflict_of_transport().map(str::to_owned))
            .or_else(|| self.conflict_of_group())
    }

    /// Files that would be written twice, or would overwrite the source.
    fn conflict_of_files(&self) -> Option<String> {
        let source = match &self.source {
            Spec::Path(path) => Some(path.as_path()),
            Spec::Stdin => Some("-".as_ref()),
            Spec::Camera(_) | Spec::CameraNamed(_) | Spec::Url(_) | Spec::Pattern { .. } => None,
        };
        let sdp = self.sdp.as_deref().map(|path| Named::new("--sdp", path));
        let report = self.report.as_deref();
        let report = report.map(|path| Named::new("--report", path));
        let log = self.impair_log.as_deref();
        let log = log.map(|path| Named::growing("--impair-log", path));
        let outputs: Vec<_> = [sdp, report, log].into_iter().flatten().collect();
        let stills = source
            .filter(|path| path.is_dir())
            .and_then(|path| path.canonicalize().ok());
        let still = outputs.iter().find(|output| {
            let folder = resolve(output.path);
            stills.is_some() && folder.parent() == stills.as_deref() && is_still(output.path)
        });
        if let Some(Named { option, path, .. }) = still {
            let path = path.display();
            return Some(format!(
                "{option} would write {path} among the stills of SOURCE: name another file"
            ));
        }
        let source = source.map(|path| Named::new("SOURCE", path));
        output::conflict(source.as_slice(), &outputs)
    }

    fn conflict_of_wire(&self) -> Option<String> {
        let has_parity = self.fec.is_some_and(|fec| fec != Fec::Off);
        let key = self.key.given();
        if let Some(key) = key.filter(|_| self.wire == Wire::Raw) {
            Some(format!(
                "--wire raw cannot be encrypted: remove --wire, or send without {key}"
            ))
        } else if let Some(key) = key.filter(|_| self.wire == Wire::Rtp && self.sdp.is_none()) {
            Some(format!(
                "--wire rtp with {key} needs --sdp FILE: receivers take the key of each start from \
                 the session description"
            ))
        } else if self.wire != Wire::Rtp && (self.rtcp_mux || self.sdp.is_some()) {
            Some("--rtcp-mux and --sdp need --wire rtp".into())
        } else if self.wire != Wire::Native && self.listen.is_some() {
            Some("--listen needs the native format: remove --wire".into())
        } else if self.wire != Wire::Native && has_parity {
            Some("--fec needs the native format: remove --fec or --wire".into())
        } else if self.wire == Wire::Raw && self.packet_size() < MIN_FRAME_BYTES {
            Some(format!(
                "--wire raw needs a --packet-size of {MIN_FRAME_BYTES} or more"
            ))
        } else {
            None
        }
    }

    fn conflict_of_transport(&self) -> Option<&'static str> {
        let has_parity = self.fec.is_some_and(|fec| fec != Fec::Off);
        if self.transport == Transport::Udp {
            None
        } else if self.wire != Wire::Native {
            Some("--transport tcp needs the native format: remove --wire")
        } else if has_parity {
            Some("nothing is lost over TCP: remove --fec or --transport")
        } else if self.impair.is_some() {
            Some("--impair needs datagrams: remove --impair or --transport")
        } else if self.listen.is_some() {
            Some("viewers connect over UDP only: remove --listen or --transport")
        } else {
            None
        }
    }

    /// Multicast flags when no destination can be a multicast group. Host names
    /// are not resolved yet, so they may be one.
    fn conflict_of_group(&self) -> Option<String> {
        let is_none = |may_be: fn(SocketAddr) -> bool| {
            let mut destinations = self.destinations.iter();
            destinations.all(|text| text.parse().is_ok_and(|address| !may_be(address)))
        };
        let is_group = |address: SocketAddr| address.ip().is_multicast();
        if is_none(is_group) && (self.ttl.is_some() || self.no_multicast_loop) {
            Some("--ttl and --no-multicast-loop need a multicast DEST".into())
        } else if self.interface.is_some()
            && !self.broadcast
            && is_none(|address| address.ip().is_multicast() || is_broadcast(address.ip()))
        {
            Some(
                "--interface needs a multicast or broadcast DEST: routes select the interface of \
                 all others"
                    .into(),
            )
        } else {
            None
        }
    }
}

/// Whether the name ends in .json, or belongs to a pipe or device.
fn is_json(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default();
    path.as_os_str() == "-"
        || extension.eq_ignore_ascii_case("json")
        || path.metadata().is_ok_and(|there| !there.is_file())
}

/// Below this many datagrams per second, frames have no steady rate.
const DATAGRAMS_A_SECOND: u64 = 4;
