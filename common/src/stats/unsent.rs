//! Packets that were numbered but never sent, because the sender's operating
//! system rejected them. The sender reports tell which.

use std::collections::VecDeque;
use std::ops::Range;

/// Upper bound on remembered ranges: more than frames with open outcomes contain.
const MAX_RUNS: usize = 256;

/// Ranges of media packets that were never sent.
#[derive(Clone, Debug, Default)]
pub(super) struct UnsentRanges {
    runs: VecDeque<Range<u64>>,
}

impl UnsentRanges {
    /// Records the newest range; it may extend a known one.
    pub(super) fn record(&mut self, run: Range<u64>) {
        if run.is_empty() {
            return;
        }
        match self.runs.iter_mut().find(|known| known.start == run.start) {
            Some(known) => known.end = known.end.max(run.end),
            None => self.runs.push_back(run),
        }
        if self.runs.len() > MAX_RUNS {
            self.runs.pop_front();
        }
    }

    /// Number of packets of a range that were never sent.
    pub(super) fn count_in(&self, range: &Range<u64>) -> u64 {
        let common = |run: &Range<u64>| {
            let end = run.end.min(range.end);
            end.saturating_sub(run.start.max(range.start))
        };
        let all = self
            .runs
            .iter()
            .map(common)
            .fold(0_u64, u64::saturating_add);
        all.min(range.end.saturating_sub(range.start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_grow_and_are_counted_where_they_lie() {
        let mut unsent = UnsentRanges::default();
        unsent.record(10..10);
        assert_eq!(unsent.count_in(&(0..100)), 0);
        unsent.record(10..12);
        unsent.record(10..15);
        unsent.record(20..21);
        assert_eq!(unsent.count_in(&(0..100)), 6);
        assert_eq!(unsent.count_in(&(12..20)), 3);
        assert_eq!(unsent.count_in(&(15..20)), 0);
        // A forged report may claim anything.
        unsent.record(0..u64::MAX);
        unsent.record(1..u64::MAX);
        assert_eq!(unsent.count_in(&(5..9)), 4);
        (0..10_000).for_each(|run| unsent.record(run * 10..run * 10 + 1));
        assert_eq!(unsent.runs.len(), MAX_RUNS);
    }

    #[test]
    fn an_older_report_does_not_shorten_an_unsent_range() {
        let mut unsent = UnsentRanges::default();
        unsent.record(3..9);
        unsent.record(3..5);
        assert_eq!(unsent.count_in(&(0..20)), 6);
    }
}
