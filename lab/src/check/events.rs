//! Reads the logs into events, stream by stream.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::impair::{Act, LogReader, LogRow, LoggedChunk};
use anyhow::{Context, bail};
use framegram_common::stats::Side;
use framegram_common::wire::native::{Channel, NO_DESTINATION};

/// The events of all logs.
#[derive(Debug, Default)]
pub(super) struct ImpairLogs {
    /// Side and impairment of each log.
    pub(super) injected: Vec<String>,
    /// Events by stream and destination.
    streams: BTreeMap<(u64, u16), Sides>,
    /// Datagrams in the viewer's log that name no packet; some may be corrupt
    /// packets.
    pub(super) unnamed: u64,
    rows: u64,
}

/// The events of one stream, by the side that logged them.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) sender: Vec<CopyEvent>,
    pub(super) viewer: Vec<CopyEvent>,
}

/// What happened to one copy of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct CopyEvent {
    pub(super) channel: Channel,
    pub(super) number: u64,
    pub(super) place: Option<LoggedChunk>,
    pub(super) kind: CopyFate,
    /// When it was handed on, in nanoseconds of the logging program's clock.
    pub(super) due: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CopyFate {
    Intact,
    Corrupt,
    /// Not handed on.
    Dropped,
    /// Handed on, but rejected by the sender's operating system.
    SendError,
}

impl ImpairLogs {
    /// Reads all logs.
    ///
    /// # Errors
    /// If a log cannot be read; the error names it.
    pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut logs = Self::default();
        for path in paths {
            logs.add(path)
                .with_context(|| format!("cannot take {}", path.display()))?;
        }
        Ok(logs)
    }

    /// The events of the packets that one viewer was sent of a stream.
    pub(super) fn of(&self, stream: u64, destination: u16) -> Option<&Sides> {
        self.streams.get(&(stream, destination))
    }

    /// The streams that the logs name.
    pub(super) fn streams(&self) -> impl Iterator<Item = u64> {
        self.streams.keys().map(|(stream, _)| *stream)
    }

    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut log = LogReader::new(BufReader::new(File::open(path)?))?;
        let side = log.side();
        let who = match side {
            Side::Sender => "sender",
            Side::Viewer => "viewer",
        };
        self.injected
            .push(format!("by the {who}: {}", log.impairment()));
        let mut own = BTreeMap::<_, Vec<CopyEvent>>::new();
        while let Some(row) = log.next_row()? {
            self.rows += 1;
            if self.rows > MAX_ROWS {
                bail!(
                    "too many rows to compare (more than {MAX_ROWS}): measure for a shorter time"
                );
            }
            match event(&row) {
                Some((key, event)) => own.entry(key).or_default().push(event),
                None => self.unnamed += u64::from(row.name.is_none() && row.act.is_handed_on()),
            }
        }
        for (key, events) in own {
            let sides = self.streams.entry(key).or_default();
            let known = match side {
                Side::Sender => &mut sides.sender,
                Side::Viewer => &mut sides.viewer,
            };
            if !known.is_empty() {
                bail!(
                    "another log of the {who} also has stream {:016x}: give one of them",
                    key.0
                );
            }
            *known = events;
        }
        Ok(())
    }
}

/// The event in a row, if the row names a packet of a stream.
fn event(row: &LogRow) -> Option<((u64, u16), CopyEvent)> {
    let name = row.name.filter(|name| name.destination != NO_DESTINATION)?;
    let kind = match row.act {
        Act::Delivered => CopyFate::Intact,
        Act::Damaged | Act::Corrupt => CopyFate::Corrupt,
        Act::Refused => CopyFate::SendError,
        Act::Lost | Act::Burst | Act::Queue | Act::Mtu | Act::Overflow | Act::Pending => {
            CopyFate::Dropped
        }
    };
    let due = row.time + row.delay.unwrap_or_default();
    let event = CopyEvent {
        channel: name.channel,
        number: name.number,
        place: name.place,
        kind,
        due: u64::try_from(due.as_nanos()).unwrap_or(u64::MAX),
    };
    Some(((name.stream, name.destination), event))
}

/// Upper bound on rows: an hour and a half at 3,000 datagrams per second, 700 MB
/// in memory.
const MAX_ROWS: u64 = 1 << 24;
