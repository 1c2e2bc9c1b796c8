//! An impaired link in front of a socket.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::judge::{Judge, LinkDecision};
use super::log::{Act, LogRow, PacketName};
use super::{Impairment, Passage};

/// Upper bound on datagrams in transit: at the longest delay, more than 3,000 per
/// second.
pub const MAX_DATAGRAMS: usize = 1 << 16;

/// Upper bound on bytes in transit: five seconds at 100 Mbit/s.
pub const MAX_BYTES: usize = 64 << 20;

/// A link whose datagrams carry a tag of the caller. Input: [`Stage::push`];
/// outputs: [`Stage::poll`], due at [`Stage::poll_timeout`], and with a log
/// [`Stage::poll_row`], which the caller drains after either.
///
/// Datagrams beyond [`MAX_DATAGRAMS`] or [`MAX_BYTES`] are dropped and logged as
/// such.
#[derive(Debug)]
pub struct Stage<T> {
    judge: Judge,
    /// Time of the first datagram. The judge's time starts there, so that a seed
    /// gives the same result at any time.
    origin: Option<Duration>,
    /// By due time, then in the order of sending.
    on_the_way: BTreeMap<(Duration, u64), DelayedItem<T>>,
    bytes: usize,
    sequence: u64,
    /// When the last datagram was handed on.
    handed: Duration,
    /// Rows that wait to be polled, if there is a log.
    rows: Option<VecDeque<LogRow>>,
}

/// A datagram that has passed the link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handed<T> {
    /// Its bytes, intact or corrupt.
    pub datagram: Vec<u8>,
    /// The caller's tag.
    pub tag: T,
    /// When it was due, however late it is polled. Never earlier than for the
    /// datagram polled before it.
    pub due: Duration,
}

impl<T: Clone> Stage<T> {
    /// An empty link. Keeps rows if `logged`.
    pub fn new(impairment: Impairment, logged: bool) -> Self {
        Self {
            judge: Judge::new(impairment),
            origin: None,
            on_the_way: BTreeMap::new(),
            bytes: 0,
            sequence: 0,
            handed: Duration::ZERO,
            rows: logged.then(VecDeque::new),
        }
    }

    /// An empty link without a log, whose time starts at 0 instead of at the first datagram.
    pub(super) fn since_zero(impairment: Impairment) -> Self {
        Self {
            origin: Some(Duration::ZERO),
            ..Self::new(impairment, false)
        }
    }

    /// Sets the rate of the bottleneck from now on, in bits of UDP payload a second.
    pub(super) fn set_rate(&mut self, rate: u64, now: Duration) {
        self.judge.set_rate(rate, now);
    }

    /// Puts a datagram on the link. `now` must not decrease. Returns what happens to it.
    pub fn push(&mut self, datagram: &[u8], tag: T, now: Duration) -> LinkDecision {
        let origin = *self.origin.get_or_insert(now);
        let decision = self.judge.judge(datagram.len(), now.saturating_sub(origin));
        let (name, damaged) = match self.rows {
            Some(_) => PacketName::of(datagram),
            None => (None, false),
        };
        let row = LogRow {
            time: now,
            name,
            bytes: u32::try_from(datagram.len()).unwrap_or(u32::MAX),
            copy: 0,
            act: if damaged {
                Act::Damaged
            } else {
                Act::Delivered
            },
            delay: None,
        };
        if let Some(act) = decision.dropped {
            self.record(LogRow { act, ..row });
        }
        for (passage, copy) in decision.passages.into_iter().flatten().zip(1..) {
            if self.on_the_way.len() >= MAX_DATAGRAMS || self.bytes + datagram.len() > MAX_BYTES {
                self.record(LogRow {
                    act: Act::Overflow,
                    copy,
                    ..row
                });
                continue;
            }
            self.begin(
                passage,
                origin,
                datagram,
                tag.clone(),
                LogRow { copy, ..row },
            );
        }
        decision
    }

    /// Returns the next datagram due by `now`.
    pub fn poll(&mut self, now: Duration) -> Option<Handed<T>> {
        if self.poll_timeout()? > now {
            return None;
        }
        let ((due, _), travelling) = self.on_the_way.pop_first()?;
        self.bytes -= travelling.datagram.len();
        self.handed = self.handed.max(due);
        self.record(LogRow {
            delay: Some(self.handed.saturating_sub(travelling.row.time)),
            ..travelling.row
        });
        Some(Handed {
            datagram: travelling.datagram,
            tag: travelling.tag,
            due: self.handed,
        })
    }

    /// When the next datagram is due.
    pub fn poll_timeout(&self) -> Option<Duration> {
        self.on_the_way.keys().next().map(|(due, _)| *due)
    }

    /// Records that the operating system rejected the datagram polled last. Call
    /// it before polling its row.
    pub fn record_refused(&mut self) {
        if let Some(row) = self.rows.as_mut().and_then(VecDeque::back_mut) {
            row.act = Act::Refused;
            row.delay = None;
        }
    }

    /// Discards everything in transit, and logs it as pending.
    pub fn finish(&mut self) {
        while let Some((_, travelling)) = self.on_the_way.pop_first() {
            self.record(LogRow {
                act: Act::Pending,
                ..travelling.row
            });
        }
        self.bytes = 0;
    }

    /// The next row of the log.
    pub fn poll_row(&mut self) -> Option<LogRow> {
        self.rows.as_mut()?.pop_front()
    }

    fn begin(&mut self, passage: Passage, origin: Duration, datagram: &[u8], tag: T, row: LogRow) {
        self.sequence += 1;
        self.bytes += datagram.len();
        let act = match passage.flipped {
            Some(_) if row.act == Act::Delivered => Act::Corrupt,
            _ => row.act,
        };
        let item = DelayedItem {
            datagram: passage.copy(datagram),
            tag,
            row: LogRow { act, ..row },
        };
        let place = (origin + passage.arrives, self.sequence);
        self.on_the_way.insert(place, item);
    }

    fn record(&mut self, row: LogRow) {
        if let Some(rows) = &mut self.rows {
            rows.push_back(row);
        }
    }
}

/// A datagram in transit.
#[derive(Debug)]
struct DelayedItem<T> {
    datagram: Vec<u8>,
    tag: T,
    row: LogRow,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn stage(spec: &str) -> Stage<usize> {
        Stage::new(spec.parse().unwrap(), true)
    }

    fn acts(stage: &mut Stage<usize>) -> Vec<Act> {
        let rows = std::iter::from_fn(|| stage.poll_row());
        rows.map(|row| row.act).collect()
    }

    #[test]
    fn undelayed_datagrams_pass_at_once_in_order_with_their_tag() {
        let mut stage = stage("seed=3");
        for tag in 0..5 {
            stage.push(&[7; 100], tag, MS);
        }
        let handed: Vec<_> = std::iter::from_fn(|| stage.poll(MS)).collect();
        assert_eq!(
            handed.iter().map(|one| one.tag).collect::<Vec<_>>(),
            [0, 1, 2, 3, 4]
        );
        assert!(handed.iter().all(|one| one.due == MS));
        assert_eq!(acts(&mut stage), [Act::Delivered; 5]);
    }

    #[test]
    fn a_datagram_is_due_after_its_delay_however_late_it_is_polled() {
        let mut stage = stage("delay=20ms");
        stage.push(&[7; 100], 0, 1000 * MS);
        assert_eq!(stage.poll(1019 * MS), None);
        assert_eq!(stage.poll_timeout(), Some(1020 * MS));
        let handed = stage.poll(1500 * MS).unwrap();
        assert_eq!(handed.due, 1020 * MS);
        let row = stage.poll_row().unwrap();
        assert_eq!(
            (row.time, row.delay, row.copy),
            (1000 * MS, Some(20 * MS), 1)
        );
    }

    #[test]
    fn a_seed_gives_the_same_result_at_any_uptime() {
        let spec = "ge=p:0.1,r:0.3,step:1ms,loss=5%,rate=1M,dup=5%,corrupt=5%,reorder=5%,seed=9";
        let run = |start: Duration| {
            let mut stage = stage(spec);
            for tag in 0..1000 {
                let now = start + MS * tag as u32;
                stage.push(&[1; 200], tag, now);
                while stage.poll(now).is_some() {}
            }
            acts(&mut stage)
        };
        assert_eq!(run(Duration::ZERO), run(Duration::from_secs(1 << 30)));
        assert!(run(MS).contains(&Act::Burst));
    }

    #[test]
    fn every_datagram_has_its_rows_once_whatever_becomes_of_it() {
        let mut stage = stage("loss=10%,dup=10%,corrupt=10%,delay=5ms±5ms,mtu=150,seed=2");
        let mut copies = 0;
        for tag in 0..500 {
            let now = MS * tag as u32;
            stage.push(&vec![1; 100 + tag % 60], tag, now);
            copies += std::iter::from_fn(|| stage.poll(now)).count();
        }
        stage.finish();
        assert_eq!((stage.poll_timeout(), stage.bytes), (None, 0));
        let rows: Vec<_> = std::iter::from_fn(|| stage.poll_row()).collect();
        let handed = rows.iter().filter(|row| row.act.is_handed_on()).count();
        let firsts = rows.iter().filter(|row| row.copy < 2).count();
        assert_eq!((handed, firsts), (copies, 500));
        assert!(
            rows.iter()
                .all(|row| row.delay.is_some() == row.act.is_handed_on())
        );
        for act in [Act::Lost, Act::Mtu, Act::Corrupt, Act::Pending] {
            assert!(rows.iter().any(|row| row.act == act), "{act:?}");
        }
        let due = rows.iter().filter_map(|row| Some(row.time + row.delay?));
        assert!(due.is_sorted());
    }

    #[test]
    fn rejected_datagrams_do_not_count_as_sent() {
        let mut stage = stage("seed=0");
        stage.push(&[1; 100], 0, MS);
        assert!(stage.poll(MS).is_some());
        stage.record_refused();
        let row = stage.poll_row().unwrap();
        assert_eq!((row.act, row.delay), (Act::Refused, None));
    }

    #[test]
    fn datagrams_above_the_bound_are_dropped_and_logged() {
        let mut stage = stage("delay=10s");
        for tag in 0..MAX_DATAGRAMS + 3 {
            stage.push(&[1; 10], tag, MS);
        }
        assert_eq!(acts(&mut stage), [Act::Overflow; 3]);
        let mut stage = Stage::new("delay=10s".parse().unwrap(), true);
        let large = vec![1; 60_000];
        for tag in 0..MAX_BYTES / large.len() + 1 {
            stage.push(&large, tag, MS);
        }
        assert_eq!(acts(&mut stage), [Act::Overflow]);
    }

    #[test]
    fn without_a_log_no_rows_pile_up() {
        let mut stage = Stage::new("loss=50%".parse().unwrap(), false);
        for tag in 0..100 {
            stage.push(&[1; 10], tag, MS);
        }
        assert_eq!(stage.poll_row(), None);
    }
}
