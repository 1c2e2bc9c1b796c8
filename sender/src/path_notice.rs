//! Describes in one line what the first second of a path showed.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use framegram_common::stats::PathFigures;

/// Upper bound on described paths; the report has the others.
const MAX_TOLD: usize = 16;

/// Upper bound on paths remembered before they are described.
const MAX_SEEN: usize = 64;

/// Time between two checks. The second one finds settled figures.
const LOOK_EVERY: Duration = Duration::from_millis(400);

/// Which paths were described.
#[derive(Debug, Default)]
pub(crate) struct PathNotice {
    looked: Option<Duration>,
    seen: BTreeSet<SocketAddr>,
    told: BTreeSet<SocketAddr>,
}

impl PathNotice {
    /// Whether the paths are to be checked now.
    pub(crate) fn is_due(&mut self, now: Duration) -> bool {
        let due = |looked: Duration| now.saturating_sub(looked) >= LOOK_EVERY;
        let is_due = self.told.len() < MAX_TOLD && self.looked.is_none_or(due);
        if is_due {
            self.looked = Some(now);
        }
        is_due
    }

    /// The line about a path, at the second check after its viewer has reported.
    /// `datagram` is the largest datagram that passes, if the path's MTU is searched.
    pub(crate) fn poll(
        &mut self,
        to: SocketAddr,
        path: &PathFigures,
        datagram: Option<usize>,
    ) -> Option<String> {
        path.rtt_ms?;
        if self.told.len() >= MAX_TOLD {
            return None;
        }
        if self.seen.len() >= MAX_SEEN {
            self.seen.clear();
        }
        let is_settled = !self.seen.insert(to);
        if !is_settled || !self.told.insert(to) {
            return None;
        }
        let rate = path.rate_bps.map_or("no limit found".to_owned(), |rate| {
            format!("up to {:.1} Mbit/s", rate / 1e6)
        });
        let mut parts = vec![format!("path to {to}: {rate}")];
        parts.extend(datagram.map(|bytes| format!("datagrams of {bytes} bytes")));
        parts.extend(path.rtt_ms.map(|rtt| format!("RTT {rtt:.1} ms")));
        parts.extend(path.queue_ms.map(|queue| format!("queue {queue:.1} ms")));
        let clock = path.clock_offset_ms.zip(path.clock_uncertainty_ms);
        parts.extend(clock.map(|(offset, uncertainty)| {
            format!("clock offset {offset:+.1} ms (give or take {uncertainty:.1} ms)")
        }));
        let buffer = path.socket_buffer.map(|bytes| bytes / 1000);
        parts.extend(buffer.map(|kilobytes| format!("socket buffer {kilobytes} kB")));
        Some(parts.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn describes_each_path_once_up_to_a_bound() {
        let mut notice = PathNotice::default();
        let millis = Duration::from_millis;
        assert!(notice.is_due(millis(0)) && !notice.is_due(millis(399)));
        assert!(notice.is_due(millis(400)));
        let to = |host: u8| SocketAddr::from(([192, 0, 2, host], 5005));
        let mut path = PathFigures::default();
        assert_eq!(notice.poll(to(1), &path, None), None);
        path.rate_bps = Some(20e6);
        assert_eq!(notice.poll(to(1), &path, None), None);
        path.rtt_ms = Some(3.25);
        path.socket_buffer = Some(425_984);
        assert_eq!(notice.poll(to(1), &path, None), None);
        assert_eq!(
            notice.poll(to(1), &path, Some(1_472)).as_deref(),
            Some(
                "path to 192.0.2.1:5005: up to 20.0 Mbit/s, datagrams of 1472 bytes, RTT 3.2 ms, \
                 socket buffer 425 kB"
            )
        );
        assert_eq!(notice.poll(to(1), &path, None), None);
        path.rate_bps = None;
        (path.clock_offset_ms, path.clock_uncertainty_ms) = (Some(-12.34), Some(1.6));
        assert_eq!(notice.poll(to(2), &path, None), None);
        assert_eq!(
            notice.poll(to(2), &path, None).as_deref(),
            Some(
                "path to 192.0.2.2:5005: no limit found, RTT 3.2 ms, clock offset -12.3 ms (give or \
                 take 1.6 ms), socket buffer 425 kB"
            )
        );
        let told = (3..100).filter(|host| {
            notice.poll(to(*host), &path, None);
            notice.poll(to(*host), &path, None).is_some()
        });
        assert_eq!(told.count(), MAX_TOLD - 2);
        assert!(!notice.is_due(millis(9_000)));
        assert_eq!(notice.seen.len(), MAX_TOLD);
    }
}
