//! A path below IP: two TUN devices with impaired links between them. It carries
//! all IP traffic, TCP as well as UDP. Sizes and rates of its impairments are
//! those of IP packets.

mod device;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use framegram_lab::impair::{Impairment, Stage};
use framegram_net::{Pollable, Waker, clock, wait};

pub use device::Tun;

/// Packets taken from a device at once, so that the other one gets its turn.
const MOST_TAKEN: usize = 64;

/// The path. Dropping it ends it.
#[derive(Debug)]
pub struct TunPath {
    stop: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl TunPath {
    /// Carries packets from `near` to `far` with the impairment `forward`, and
    /// back with `backward`.
    ///
    /// # Errors
    /// If no thread or file descriptor is available.
    pub fn start(
        near: Tun,
        far: Tun,
        forward: Impairment,
        backward: Impairment,
    ) -> io::Result<Self> {
        let (stop, waker) = (Arc::new(AtomicBool::new(false)), Waker::new()?);
        let (stopped, woken) = (Arc::clone(&stop), waker.clone());
        let path = thread::Builder::new().name("path".to_owned());
        let thread = path.spawn(move || {
            let mut ways = [
                (near, Stage::new(forward, false)),
                (far, Stage::new(backward, false)),
            ];
            let mut buffer = vec![0; device::MAX_PACKET];
            while !stopped.load(Ordering::Relaxed) {
                let [near, far] = &mut ways;
                carry(near, &far.0, &mut buffer)?;
                carry(far, &near.0, &mut buffer)?;
                let due = ways.iter().filter_map(|(_, stage)| stage.poll_timeout());
                let left = due.min().map(|due| due.saturating_sub(clock::now()));
                let [near, far] = ways.each_ref().map(|(tun, _)| tun as &dyn Pollable);
                wait(&[near, far], &woken, left)?;
            }
            Ok(())
        })?;
        Ok(Self {
            stop,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for TunPath {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.waker.wake();
        // A failure shows at both ends: nothing arrives.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Takes packets from one device, and hands those that are due to the other.
fn carry((from, stage): &mut (Tun, Stage<()>), to: &Tun, buffer: &mut [u8]) -> io::Result<()> {
    for _ in 0..MOST_TAKEN {
        let Some(len) = from.receive(buffer)? else {
            break;
        };
        stage.push(&buffer[..len.min(buffer.len())], (), clock::now());
    }
    while let Some(passed) = stage.poll(clock::now()) {
        to.send(&passed.datagram)?;
    }
    Ok(())
}
