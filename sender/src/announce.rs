//! The sender's name on the local network: DNS-SD over mDNS
//! (<https://www.rfc-editor.org/rfc/rfc6763>).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use framegram_cli::threads::{Thread, Threads};
use framegram_common::os;
use framegram_common::udp::{SERVICE, probe_local_network};
use mdns_sd::{DaemonEvent, ServiceDaemon, ServiceInfo};

use crate::console::Console;

/// The longest name: that of a label
/// (<https://www.rfc-editor.org/rfc/rfc6763#section-4.1.1>).
const MAX_NAME: usize = 63;

/// How long the end waits for the word that the name is gone.
const FAREWELL: Duration = Duration::from_millis(300);

/// A name that is announced until this is dropped.
pub(crate) struct Announcement {
    daemon: ServiceDaemon,
    fullname: String,
    thread: Option<Thread<()>>,
}

impl Announcement {
    /// Announces that a stream is to be had under `name` at an address of this
    /// machine.
    ///
    /// # Errors
    /// Where this machine has no multicast.
    pub(crate) fn new(
        name: &str,
        address: SocketAddr,
        console: &Arc<Console>,
        threads: &Threads,
    ) -> Result<Self> {
        let failed = || format!("cannot announce {name:?} on the local network");
        let host = host();
        let own = if address.ip().is_unspecified() {
            String::new()
        } else {
            address.ip().to_string()
        };
        let properties = [("txtvers", "1"), ("wire", "native")];
        let mut service = ServiceInfo::new(
            SERVICE,
            name,
            &host,
            own.as_str(),
            address.port(),
            &properties[..],
        )
        .with_context(failed)?;
        if address.ip().is_unspecified() {
            service = service.enable_addr_auto();
        }
        let fullname = service.get_fullname().to_owned();
        // It goes on announcing: a network may come up yet.
        if let Err(error) = probe_local_network() {
            console.say(&format!(
                "nobody can find {name:?} by that name: {error}; --connect with an address works"
            ));
        }
        let daemon = ServiceDaemon::new().with_context(failed)?;
        let events = daemon.monitor().with_context(failed)?;
        daemon.register(service).with_context(failed)?;
        let console = Arc::clone(console);
        let thread = threads.spawn("announcing", move || {
            // It ends with the daemon.
            while let Ok(event) = events.recv() {
                match event {
                    DaemonEvent::NameChange(change) => {
                        let new = change.new_name.split("._").next().unwrap_or_default();
                        console.say(&format!("that name is taken: announced as {new:?}"));
                    }
                    DaemonEvent::Error(error) => {
                        console.say(&format!("cannot announce on the local network: {error}"));
                    }
                    _ => {}
                }
            }
        })?;
        Ok(Self {
            daemon,
            fullname,
            thread: Some(thread),
        })
    }
}

impl Drop for Announcement {
    fn drop(&mut self) {
        // Where that fails, the name expires by itself in two minutes.
        if let Ok(gone) = self.daemon.unregister(&self.fullname) {
            let _ = gone.recv_timeout(FAREWELL);
        }
        if let Ok(ended) = self.daemon.shutdown() {
            let _ = ended.recv_timeout(FAREWELL);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join_within(FAREWELL);
        }
    }
}

/// A name for this machine that no other sender on it has. The stream's number
/// is not in it: that is for those who are served.
fn host() -> String {
    format!("framegram-{:016x}.local.", os::random_u64())
}

/// A name that can be announced and typed.
///
/// # Errors
/// Where it cannot.
pub(crate) fn parse_name(text: &str) -> Result<String, String> {
    let strange = |letter: char| letter.is_control() || matches!(letter, '.' | ':' | '\\');
    if text.is_empty() || text.len() > MAX_NAME || text.contains(strange) {
        return Err(format!(
            "a name has 1 to {MAX_NAME} bytes, without dots, colons and backslashes"
        ));
    }
    Ok(text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_can_be_typed_where_addresses_can() {
        for name in ["kitchen", "Küche 2", &"x".repeat(63)] {
            assert_eq!(parse_name(name).as_deref(), Ok(name));
        }
        for name in ["", "a.b", "a:1", "a\\b", "a\nb", &"x".repeat(64)] {
            assert!(parse_name(name).is_err(), "{name}");
        }
    }
}
