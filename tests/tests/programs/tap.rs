//! Somebody on the path between the programs.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;
use std::{fs, io};

use framegram_tests::program::{address, until};

/// Somebody on the path, who sees and keeps everything, passes it on one way, and
/// changes a bit of some.
pub(crate) struct Tap {
    pub(crate) socket: UdpSocket,
    viewer: SocketAddr,
    pub(crate) recorded: Vec<Vec<u8>>,
    /// Those of them that it has not changed.
    pub(crate) passed: Vec<Vec<u8>>,
}

impl Tap {
    pub(crate) fn new(viewer: SocketAddr) -> Self {
        let socket = UdpSocket::bind(address()).expect("a free port");
        let patience = Some(Duration::from_millis(1_500));
        socket.set_read_timeout(patience).expect("a timeout");
        Self {
            socket,
            viewer,
            recorded: Vec::new(),
            passed: Vec::new(),
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.socket.local_addr().expect("an address")
    }

    /// Until nothing more comes. What it changes is behind the first `clear` bytes.
    /// Returns how many it has changed.
    pub(crate) fn pass(&mut self, clear: usize) -> u64 {
        let mut buffer = vec![0; 65_536];
        let mut changed = 0;
        loop {
            match self.socket.recv_from(&mut buffer) {
                // It does not pass on what the viewer answers.
                Ok((_, from)) if from == self.viewer => {}
                Ok((length, _)) => {
                    let datagram = &mut buffer[..length];
                    self.recorded.push(datagram.to_vec());
                    if self.recorded.len().is_multiple_of(20) {
                        let bit = self.recorded.len() * 7 % ((length - clear) * 8);
                        datagram[clear + bit / 8] ^= 1 << (bit % 8);
                        changed += 1;
                    } else {
                        self.passed.push(datagram.to_vec());
                    }
                    self.socket.send_to(datagram, self.viewer).expect("sent");
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return changed,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Waits until whoever listens at an address of IPv4 has read all that came there, by
/// what the system says of its sockets.
pub(crate) fn await_read(listens: SocketAddr) {
    let SocketAddr::V4(v4) = listens else {
        panic!("{listens} is not IPv4");
    };
    let host = u32::from_ne_bytes(v4.ip().octets());
    let address = format!("{host:08X}:{:04X}", v4.port());
    until(&format!("all at {listens} to be read"), || {
        let list = fs::read_to_string("/proc/net/udp").expect("Linux says it");
        let mut lines = list.lines().map(|line| line.split_whitespace());
        let queues = lines.find_map(|mut fields| {
            let is_it = fields.nth(1) == Some(&*address);
            fields.nth(2).filter(|_| is_it)
        });
        let queues = queues.expect("somebody listens");
        queues.ends_with(":00000000").then_some(())
    });
}
