//! Streams beside the one that is followed.

use std::net::SocketAddr;
use std::time::Duration;

use crate::receiver::MAX_OTHERS;

/// Those heard of late.
#[derive(Debug, Default)]
pub(super) struct Others(Vec<Other>);

#[derive(Debug)]
struct Other {
    number: u64,
    from: SocketAddr,
    /// Since when it is there, and when it was heard last.
    since: Duration,
    heard: Duration,
    /// It was followed itself before.
    followed: bool,
}

impl Others {
    /// How many there are that were never followed.
    pub(super) fn count(&self) -> u64 {
        self.0.iter().filter(|other| !other.followed).count() as u64
    }

    /// Since when the stream with this number is there, where it is known.
    pub(super) fn since(&self, number: u64, from: SocketAddr) -> Option<Duration> {
        self.find(number, from).map(|index| self.0[index].since)
    }

    /// Hears a stream that has been there `since`. Returns whether it is a new
    /// one.
    pub(super) fn note(
        &mut self,
        number: u64,
        from: SocketAddr,
        since: Duration,
        now: Duration,
    ) -> bool {
        if let Some(index) = self.find(number, from) {
            self.0[index].heard = now;
            return false;
        }
        self.push(Other {
            number,
            from,
            since,
            heard: now,
            followed: false,
        });
        true
    }

    /// Takes the stream that was followed: back again, it has been there all
    /// the while, and takes no turns with the one that is followed now.
    pub(super) fn note_followed(
        &mut self,
        number: u64,
        from: SocketAddr,
        (since, heard): (Duration, Duration),
    ) {
        self.remove(number, from);
        self.push(Other {
            number,
            from,
            since,
            heard,
            followed: true,
        });
    }

    pub(super) fn remove(&mut self, number: u64, from: SocketAddr) {
        self.0
            .retain(|other| (other.number, other.from) != (number, from));
    }

    fn find(&self, number: u64, from: SocketAddr) -> Option<usize> {
        let same = |other: &Other| (other.number, other.from) == (number, from);
        self.0.iter().position(same)
    }

    fn push(&mut self, other: Other) {
        let oldest = self.0.iter().enumerate();
        let oldest = oldest.min_by_key(|(_, other)| other.heard);
        if let Some((oldest, _)) = oldest.filter(|_| self.0.len() == MAX_OTHERS) {
            self.0.swap_remove(oldest);
        }
        self.0.push(other);
    }
}
