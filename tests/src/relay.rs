//! An impaired link between two programs: the one used in virtual time, here in
//! real time over loopback.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use framegram_common::wire::MAX_DATAGRAM;
use framegram_lab::impair::{Impairment, Link};
use framegram_net::{ListenOptions, Socket, Waker, clock, wait};

/// Longest time until the relay notices that it must stop.
const PATIENCE: Duration = Duration::from_millis(20);

/// Size of socket buffers: room for datagrams that arrive while the relay waits
/// for the processor.
const BUFFER: usize = 4 << 20;

/// Datagrams taken from a socket at once, so that the other one gets its turn.
const MAX_TAKEN: usize = 64;

/// Forwards datagrams to an address, and answers back. Dropping it ends it.
#[derive(Debug)]
pub struct Relay {
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicU64>,
    out: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A relay that listens at `near` and sends to `far`, with the impairment
    /// `forward`; `backward` applies to the other direction.
    ///
    /// # Panics
    /// If no socket can be opened.
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
            // The peer of each side: the far one is known, the near one is
            // whoever sends.
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

    /// A relay that only loses this share of the datagrams, with a different seed
    /// in each direction.
    ///
    /// # Panics
    /// If no socket can be opened.
    pub fn lossy(near: SocketAddr, far: SocketAddr, loss: f64) -> Self {
        let [forward, backward] = [1, 2].map(|seed| Impairment {
            loss,
            seed,
            ..Impairment::default()
        });
        Self::new(near, far, forward, backward)
    }

    /// Starts or ends an outage in both directions.
    pub fn set_out(&self, out: bool) {
        self.out.store(out, Ordering::Relaxed);
    }

    /// Number of datagrams lost so far on the way to `far`.
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

/// A socket, and the datagrams received from it that are in transit.
struct Side {
    socket: Socket,
    peer: Option<SocketAddr>,
    link: Link,
}

impl Side {
    fn new(address: SocketAddr, impairment: Impairment) -> Self {
        // The system may grant a smaller buffer.
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

/// Waits for something to do, and does it. Transit starts when the kernel
/// received a datagram, however late the relay runs.
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
            // An error refers to an earlier datagram.
            let Ok(Some(received)) = side.socket.receive(buffer) else {
                break;
            };
            side.peer = Some(received.from);
            let arrival = received.arrival.saturating_sub(start);
            let decision = (!out).then(|| side.link.send(&buffer[..received.len], arrival));
            let dropped = at == 0 && decision.is_none_or(|decision| decision.dropped.is_some());
            lost.fetch_add(u64::from(dropped), Ordering::Relaxed);
        }
    }
    let [near, far] = sides;
    deliver(near, far, start);
    deliver(far, near, start);
}

/// Delivers the datagrams that are due.
fn deliver(from: &mut Side, to: &Side, start: Duration) {
    while let Some(datagram) = from.link.poll(clock::now().saturating_sub(start)) {
        // If nobody listens yet, the datagram is lost.
        let _ = to
            .peer
            .map(|peer| to.socket.send(Some(peer), &datagram, datagram.len()));
    }
}
