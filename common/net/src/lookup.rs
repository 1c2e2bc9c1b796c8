//! Looks names up again while nothing arrives from the address that they led to.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::address::{resolve, split};

/// Silence before a name is looked up again, and interval between lookups. Most
/// outages are no change of address.
const LOOK_UP_EVERY: Duration = Duration::from_secs(2);

/// Repeats the lookup of a name in a thread of its own, because a resolver may
/// take half a minute. The thread runs from the start, so that the thread that
/// polls need not be allowed to open files.
pub struct Lookup {
    /// `None` if no thread could be started.
    requests: Option<SyncSender<()>>,
    results: Receiver<io::Result<SocketAddr>>,
    is_running: bool,
    /// When the last lookup began.
    begun: Option<Duration>,
}

impl Lookup {
    /// A lookup by `find`.
    pub fn new(find: impl Fn() -> io::Result<SocketAddr> + Send + 'static) -> Self {
        let (requests, requested) = sync_channel(1);
        let (found, results) = sync_channel(1);
        let thread = thread::Builder::new().name("looking up".into());
        // The thread is not joined, because it may run for longer than the
        // program waits.
        let started =
            thread.spawn(move || while requested.recv().is_ok() && found.send(find()).is_ok() {});
        Self {
            requests: started.is_ok().then_some(requests),
            results,
            is_running: false,
            begun: None,
        }
    }

    /// A lookup of the host in `text`, which has the format of [`resolve`].
    /// `None` if the host is an address.
    pub fn of(text: &str, default_port: Option<u16>) -> Option<Self> {
        let text = is_name(text, default_port).then(|| text.to_owned())?;
        Some(Self::new(move || resolve(&text, default_port)))
    }

    /// Returns the address of the name when a lookup has just finished. Starts a
    /// lookup every two seconds as long as nothing has been received since
    /// `heard`.
    pub fn poll(&mut self, heard: Duration, now: Duration) -> Option<SocketAddr> {
        let silent = now.saturating_sub(heard) >= LOOK_UP_EVERY;
        if self.is_running {
            let found = match self.results.try_recv() {
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => None,
                Ok(found) => found.ok(),
            };
            self.is_running = false;
            // If the peer is heard again, its address has not changed.
            return found.filter(|_| silent);
        }
        let is_due = |begun: Duration| now.saturating_sub(begun) >= LOOK_UP_EVERY;
        if silent && self.begun.is_none_or(is_due) {
            self.begun = Some(now);
            let requests = self.requests.as_ref();
            self.is_running = requests.is_some_and(|requests| requests.try_send(()).is_ok());
        }
        None
    }
}

impl fmt::Debug for Lookup {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Lookup").finish_non_exhaustive()
    }
}

/// Whether the host in a text is a name.
fn is_name(text: &str, default_port: Option<u16>) -> bool {
    let host = split(text, default_port).map(|(host, _)| host);
    let address = |host: &str| host.split('%').next().unwrap_or(host).parse::<IpAddr>();
    host.is_some_and(|host| !host.is_empty() && address(host).is_err())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::{Sender, channel};

    const SECOND: Duration = Duration::from_secs(1);

    /// A resolver that answers on demand.
    fn resolver() -> (Lookup, Sender<SocketAddr>, Receiver<()>) {
        let (answer, answers) = channel();
        let (asked, questions) = channel();
        let answers = Mutex::new(answers);
        let lookup = Lookup::new(move || {
            asked.send(()).unwrap();
            let answers = answers.lock().unwrap();
            answers.recv().map_err(|_| io::ErrorKind::NotFound.into())
        });
        (lookup, answer, questions)
    }

    fn next(lookup: &mut Lookup, heard: Duration, now: Duration) -> SocketAddr {
        loop {
            if let Some(found) = lookup.poll(heard, now) {
                return found;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_name_is_looked_up_in_silence_one_at_a_time_and_never_waited_for() {
        let (mut lookup, answer, questions) = resolver();
        let heard = 10 * SECOND;
        for now in 10..12 {
            assert_eq!(lookup.poll(heard, now * SECOND), None);
        }
        assert!(questions.try_recv().is_err(), "it was heard just now");
        // Only one lookup runs, however long it takes.
        for now in 12..60 {
            assert_eq!(lookup.poll(heard, now * SECOND), None);
        }
        questions.recv().unwrap();
        assert!(questions.try_recv().is_err(), "one at a time");
        let address: SocketAddr = "192.0.2.7:5005".parse().unwrap();
        answer.send(address).unwrap();
        assert_eq!(next(&mut lookup, heard, 60 * SECOND), address);
        assert_eq!(lookup.poll(heard, 60 * SECOND), None);
        questions.recv().unwrap();
        answer.send(address).unwrap();
        assert_eq!(next(&mut lookup, heard, 61 * SECOND), address);
        // Lookups are two seconds apart.
        assert_eq!(lookup.poll(heard, 61 * SECOND), None);
        assert!(questions.try_recv().is_err());
    }

    #[test]
    fn a_path_response_does_not_count_once_the_old_address_sends_again() {
        let (mut lookup, answer, questions) = resolver();
        assert_eq!(lookup.poll(Duration::ZERO, 2 * SECOND), None);
        questions.recv().unwrap();
        answer.send("192.0.2.7:5005".parse().unwrap()).unwrap();
        while lookup.is_running {
            assert_eq!(lookup.poll(3 * SECOND, 3 * SECOND), None);
        }
    }

    #[test]
    fn only_names_are_looked_up_again() {
        for (text, name) in [
            ("192.0.2.1:5005", false),
            ("[2001:db8::1]:5005", false),
            ("[fe80::1%eth0]:5005", false),
            ("camera.example:5005", true),
            ("localhost:5005", true),
            ("nonsense", false),
        ] {
            assert_eq!(Lookup::of(text, None).is_some(), name, "{text}");
        }
    }
}
