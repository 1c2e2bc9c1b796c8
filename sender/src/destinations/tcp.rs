//! A destination over TCP: one connection at a time, with at most one frame queued.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use framegram_cli::numbers::or_none;
use framegram_common::seq::FrameNumber;
use framegram_net::{Connection, Received, clock};
use log::info;

/// The shortest and the longest pause before it connects again: soon for a viewer that is just
/// starting, and no load if there never is one.
const MIN_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(2);

/// How long to wait for an answer to a connection. The kernel waits for two minutes, and its last
/// retry is half a minute late.
const ANSWER: Duration = Duration::from_secs(3);

/// Upper bound on bytes of reports queued after a frame: many times those sent while a connection
/// may stall.
const MAX_REPORTS: usize = 64 << 10;

/// The connection to one viewer.
#[derive(Debug)]
pub(super) struct TcpLink {
    to: SocketAddr,
    connection: Option<Connection>,
    /// When the connection was made, or when the next one is due.
    since: Duration,
    pause: Duration,
    /// The newest frame, and whether it was accepted. The next frame waits until the kernel has all
    /// of it.
    frame: Option<(FrameNumber, bool)>,
    /// Queued bytes of reports.
    reports: usize,
    /// Nothing more is sent.
    is_over: bool,
}

impl TcpLink {
    /// Without a connection: [`poll`](Self::poll) makes one.
    pub(super) fn new(to: SocketAddr) -> Self {
        Self {
            to,
            connection: None,
            since: Duration::ZERO,
            pause: MIN_PAUSE,
            frame: None,
            reports: 0,
            is_over: false,
        }
    }

    pub(super) fn connection(&self) -> Option<&Connection> {
        self.connection.as_ref()
    }

    /// Whether a frame would be sent at once.
    pub(super) fn is_ready(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|it| it.is_established() && it.is_ready())
    }

    /// When [`poll`](Self::poll) is due even if nothing arrives.
    pub(super) fn poll_timeout(&self) -> Option<Duration> {
        match &self.connection {
            None => Some(self.since),
            Some(connection) if !connection.is_established() => Some(self.since + ANSWER),
            Some(_) => None,
        }
    }

    /// Connects if due, and passes to the kernel what it has room for.
    ///
    /// # Errors
    /// Why there is no connection. Each reason is reported once.
    pub(super) fn poll(&mut self, now: Duration) -> io::Result<()> {
        let polled = self.advance(now);
        if polled.is_err() {
            self.disconnect(now);
        }
        polled
    }

    fn advance(&mut self, now: Duration) -> io::Result<()> {
        let Some(connection) = &mut self.connection else {
            if now >= self.since && !self.is_over {
                self.since = now;
                self.connection = Some(Connection::connect(self.to)?);
            }
            return Ok(());
        };
        let was_established = connection.is_established();
        if !connection.is_ready() {
            connection.flush()?;
        }
        if connection.waiting() == 0 {
            self.reports = 0;
        }
        if !connection.is_established() && now >= self.since + ANSWER {
            return Err(io::ErrorKind::TimedOut.into());
        }
        if connection.is_established() && !was_established {
            let from = or_none(connection.local_addr().ok());
            info!("connected to {} from {from}", self.to);
            self.pause = MIN_PAUSE;
        }
        Ok(())
    }

    /// Closes the connection. The next one follows after a pause, which grows with each failure.
    fn disconnect(&mut self, now: Duration) {
        self.connection = None;
        self.since = now + self.pause;
        self.pause = (self.pause * 2).min(MAX_PAUSE);
        (self.frame, self.reports) = (None, 0);
    }

    /// Connects to another address from now on.
    pub(super) fn go_to(&mut self, to: SocketAddr) {
        *self = Self::new(to);
    }

    /// Sends packets, each but the last of `segment` bytes, which belong to `frame` if there is
    /// one. Returns whether they were accepted: a frame is not while an earlier one waits, so that
    /// a newer one can replace it.
    ///
    /// # Errors
    /// Why the connection is broken.
    pub(super) fn send(
        &mut self,
        packets: &[u8],
        segment: usize,
        frame: Option<FrameNumber>,
        now: Duration,
    ) -> io::Result<bool> {
        let is_ready = self.is_ready();
        let Some(connection) = &mut self.connection else {
            return Ok(false);
        };
        let is_sent = match (frame, self.frame) {
            (Some(_), _) if !connection.is_established() => false,
            (None, _) => self.reports + packets.len() <= MAX_REPORTS,
            (Some(frame), Some((newest, is_sent))) if frame <= newest => frame == newest && is_sent,
            (Some(frame), _) => {
                self.frame = Some((frame, is_ready));
                is_ready
            }
        };
        if !is_sent {
            return Ok(false);
        }
        if frame.is_none() {
            self.reports += packets.len();
        }
        connection.push(packets, segment);
        let flushed = connection.flush();
        if flushed.is_err() {
            self.disconnect(now);
        }
        flushed.map(|()| true)
    }

    /// Receives the viewer's next packet.
    ///
    /// # Errors
    /// Why the connection is broken.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        now: Duration,
    ) -> io::Result<Option<Received>> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let error = match connection.receive() {
            Ok(packet) => {
                return Ok(packet.and_then(|packet| {
                    buffer.get_mut(..packet.len())?.copy_from_slice(packet);
                    Some(Received {
                        len: packet.len(),
                        from: self.to,
                        arrival: clock::now(),
                        dropped: 0,
                        local: None,
                    })
                }));
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                io::Error::new(error.kind(), "the viewer has closed the connection")
            }
            Err(error) => error,
        };
        self.disconnect(now);
        // This is the regular end.
        if self.is_over { Ok(None) } else { Err(error) }
    }

    /// Whether there is a connection.
    pub(super) fn is_open(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(Connection::is_established)
    }

    /// Whether the last attempt to connect failed, or the connection broke.
    pub(super) fn has_failed(&self) -> bool {
        self.pause > MIN_PAUSE
    }

    /// Sends what is queued, then ends the connection. Call it until it returns that the viewer has
    /// closed its side.
    pub(super) fn finish(&mut self, now: Duration) -> bool {
        self.is_over = true;
        if self.poll(now).is_ok()
            && let Some(connection) = self.connection.as_ref().filter(|it| it.waiting() == 0)
        {
            connection.finish();
        }
        self.is_open()
    }
}
