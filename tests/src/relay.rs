//! A bad link between two programs: the same one that virtual time has, in
//! real time, over the loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use framegram_common::wire::MAX_DATAGRAM;
use framegram_lab::impair::{Impairment, Link};
use framegram_net::{ListenOptions, Socket, Waker, clock, wait};

/// How long it takes the relay at the most to notice that it is to stop.
const PATIENCE: Duration = Duration::from_millis(20);

/// Room for what arrives while the relay waits for its turn.
const BUFFER: usize = 4 << 20;

/// Datagrams taken from a socket in one go, so that the other gets its turn.
const MAX_TAKEN: usize = 64;

/// Passes datagrams on to an address, and the answers back. It ends when it is
/// dropped.
#[derive(Debug)]
pub struct Relay {
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    out: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A relay that listens at `near` and sends on to `far`, and does to the
    /// datagrams what `forward` says, to what comes back what `backward` says.
    ///
    /// # Panics
    /// Where there is no socket to be had.
    #[must_use]
    pub fn new(
        near: SocketAddr,
        far: SocketAddr,
        forward: Impairment,
        backward: Impairment,
    ) -> Self {
        let sides = [
            Side::new(near, forward),
            Side::new((Ipv4Addr::LOCALHOST, 0).into(), backward),
        ];
        let (stop, lost) = <(Arc<AtomicBool>, Arc<AtomicU64>)>::default();
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&lost));
        let out = Arc::new(AtomicBool::new(false));
        let is_out = Arc::clone(&out);
        let thread = thread::spawn(move || {
            let mut sides = sides;
            // Who is behind each side: known at once, or from what it sends.
            sides[1].peer = Some(far);
            let waker = Waker::new().expect("a file descriptor");
            let mut buffer = vec![0; MAX_DATAGRAM];
            let start = clock::now();
            while !stopped.load(Ordering::Relaxed) {
                let out = is_out.load(Ordering::Relaxed);
                pass(&mut sides, start, &waker, &mut buffer, &count, out);
            }
        });
        Self {
            stop,
            lost,
            out,
            thread: Some(thread),
        }
    }

    /// A relay that loses this share of the datagrams, by a seed of its own in
    /// either direction, and no more.
    ///
    /// # Panics
    /// Where there is no socket to be had.
    #[must_use]
    pub fn lossy(near: SocketAddr, far: SocketAddr, loss: f64) -> Self {
        let [forward, backward] = [1, 2].map(|seed| Impairment {
            loss,
            seed,
            ..Impairment::default()
        });
        Self::new(near, far, forward, backward)
    }

    /// Whether nothing passes from now on, in either direction.
    pub fn set_out(&self, out: bool) {
        self.out.store(out, Ordering::Relaxed);
    }

    /// Datagrams lost so far on the way to the far side.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A socket, and what is on its way from there.
struct Side {
    socket: Socket,
    peer: Option<SocketAddr>,
    link: Link,
}

impl Side {
    fn new(address: SocketAddr, impairment: Impairment) -> Self {
        // As much of a buffer as the system allows.
        let socket = Socket::listen(&ListenOptions {
            address: Some(address),
            buffer: BUFFER,
            ..ListenOptions::default()
        })
        .expect("a free port");
        Self {
            socket,
            peer: None,
            link: Link::new(impairment),
        }
    }
}

/// Waits for something to do, and does it. A datagram is on its way since the
/// system received it, however late the relay has its turn.
fn pass(
    sides: &mut [Side; 2],
    start: Duration,
    waker: &Waker,
    buffer: &mut [u8],
    lost: &AtomicU64,
    out: bool,
) {
    let due = sides.iter().filter_map(|side| side.link.poll_timeout());
    let patience = due.min().map_or(PATIENCE, |due| {
        (start + due).saturating_sub(clock::now()).min(PATIENCE)
    });
    let [near, far] = &*sides;
    let _ = wait(&[&near.socket, &far.socket], waker, Some(patience));
    for (at, side) in sides.iter_mut().enumerate() {
        for _ in 0..MAX_TAKEN {
            // What the network says of an earlier datagram is no datagram.
            let Ok(Some(received)) = side.socket.receive(buffer) else {
                break;
            };
            side.peer = Some(received.from);
            let arrival = received.arrival.saturating_sub(start);
            let deed = (!out).then(|| side.link.send(&buffer[..received.len], arrival));
            let dropped = at == 0 && deed.is_none_or(|deed| deed.dropped.is_some());
            lost.fetch_add(u64::from(dropped), Ordering::Relaxed);
        }
    }
    let [near, far] = sides;
    deliver(near, far, start);
    deliver(far, near, start);
}

/// Hands out what has arrived.
fn deliver(from: &mut Side, to: &Side, start: Duration) {
    while let Some(datagram) = from.link.poll(clock::now().saturating_sub(start)) {
        // Where nobody listens yet, that is a loss too.
        let _ = to
            .peer
            .map(|peer| to.socket.send(Some(peer), &datagram, datagram.len()));
    }
}
