//! Datagrams that the viewer discarded.

use std::net::SocketAddr;

use serde::Serialize;

use crate::wire::Format;

/// Datagrams discarded for one reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discarded {
    /// The reason.
    pub reason: DiscardReason,
    /// Their format, if the reason is the format.
    pub format: Option<&'static str>,
    /// Number of datagrams.
    pub datagrams: u64,
    /// Source address of the newest one.
    pub from: String,
}

/// Why a datagram was discarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum DiscardReason {
    /// Its source address is not allowed.
    Address,
    /// Its format is not the selected one.
    Format,
    /// It is encrypted, and not with the viewer's key.
    Key,
    /// It is not encrypted, and the viewer has a key.
    Clear,
    /// It belongs to no stream of a known format. Counted only until a stream is
    /// followed; then corrupt datagrams of that stream are counted separately.
    Unknown,
}

/// Counts of discarded datagrams, one entry per reason and format.
#[derive(Clone, Debug, Default)]
pub(crate) struct Discards {
    all: Vec<(DiscardReason, Option<Format>, u64, SocketAddr)>,
}

impl Discards {
    pub(crate) fn record(
        &mut self,
        reason: DiscardReason,
        format: Option<Format>,
        from: SocketAddr,
        count: u64,
    ) {
        let format = format.filter(|_| reason == DiscardReason::Format);
        let known = self
            .all
            .iter_mut()
            .find(|(known, of, ..)| (*known, *of) == (reason, format));
        match known {
            Some((.., datagrams, newest)) => (*datagrams, *newest) = (*datagrams + count, from),
            None if count > 0 => self.all.push((reason, format, count, from)),
            None => {}
        }
    }

    pub(crate) fn figures(&self) -> Vec<Discarded> {
        let figures = self
            .all
            .iter()
            .map(|(reason, format, datagrams, from)| Discarded {
                reason: *reason,
                format: format.map(Format::name),
                datagrams: *datagrams,
                from: from.to_string(),
            });
        figures.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_reason_and_remembers_the_newest_address() {
        let from = |port| SocketAddr::from(([10, 0, 0, 1], port));
        let mut discards = Discards::default();
        discards.record(DiscardReason::Unknown, None, from(1), 0);
        discards.record(DiscardReason::Address, None, from(1), 2);
        discards.record(DiscardReason::Format, Some(Format::Native), from(2), 1);
        discards.record(DiscardReason::Address, Some(Format::Rtp), from(3), 1);
        let counts = |discards: &Discards| {
            let figures = discards.figures();
            let count = |of: &Discarded| (of.reason, of.format, of.datagrams, of.from.clone());
            figures.iter().map(count).collect::<Vec<_>>()
        };
        assert_eq!(
            counts(&discards),
            [
                (DiscardReason::Address, None, 3, "10.0.0.1:3".to_owned()),
                (
                    DiscardReason::Format,
                    Some("native"),
                    1,
                    "10.0.0.1:2".to_owned()
                ),
            ]
        );
    }
}
