//! What the logs say was done, stream by stream.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use crate::impair::{Act, LogReader, Place, Row};
use anyhow::{Context, bail};
use framegram_common::stats::Side;
use framegram_common::wire::native::{Channel, NO_DESTINATION};

/// The deeds of all logs.
#[derive(Debug, Default)]
pub(super) struct Deeds {
    /// Who did what, a line for each log.
    pub(super) done: Vec<String>,
    /// By stream and destination.
    streams: BTreeMap<(u64, u16), Sides>,
    rows: u64,
}

/// The deeds to one stream, of either side.
#[derive(Debug, Default)]
pub(super) struct Sides {
    pub(super) sender: Vec<Deed>,
    pub(super) viewer: Vec<Deed>,
}

/// What was done to a copy of a packet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deed {
    pub(super) channel: Channel,
    pub(super) number: u64,
    pub(super) place: Option<Place>,
    pub(super) kind: Kind,
    /// When it was handed on, in nanoseconds.
    pub(super) due: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Handed on unharmed.
    Intact,
    /// Handed on damaged.
    Damaged,
    /// Not handed on.
    Gone,
    /// Handed on, and refused by the sender's system.
    Refused,
}

impl Deeds {
    /// Reads them all.
    ///
    /// # Errors
    /// One line that says which of them cannot be read, and why.
    pub(super) fn read(paths: &[PathBuf]) -> anyhow::Result<Self> {
        let mut deeds = Self::default();
        for path in paths {
            deeds
                .add(path)
                .with_context(|| format!("cannot take {}", path.display()))?;
        }
        Ok(deeds)
    }

    /// The deeds to what this viewer was sent of a stream.
    pub(super) fn of(&self, stream: u64, destination: u16) -> Option<&Sides> {
        self.streams.get(&(stream, destination))
    }

    /// The streams that they name.
    pub(super) fn streams(&self) -> impl Iterator<Item = u64> {
        self.streams.keys().map(|(stream, _)| *stream)
    }

    fn add(&mut self, path: &Path) -> anyhow::Result<()> {
        let mut log = LogReader::new(BufReader::new(File::open(path)?))?;
        let (side, who) = match log.side() {
            Side::Sender => (Sides::sender as fn(&mut Sides) -> &mut Vec<Deed>, "sender"),
            Side::Viewer => (Sides::viewer as fn(&mut Sides) -> &mut Vec<Deed>, "viewer"),
        };
        self.done
            .push(format!("by the {who}: {}", log.impairment()));
        let mut own = BTreeMap::<_, Vec<Deed>>::new();
        while let Some(row) = log.next_row()? {
            self.rows += 1;
            if self.rows > MAX_ROWS {
                bail!("more than {MAX_ROWS} rows are too many to compare: measure for less time");
            }
            if let Some((key, deed)) = deed(&row) {
                own.entry(key).or_default().push(deed);
            }
        }
        for (key, deeds) in own {
            let known = side(self.streams.entry(key).or_default());
            if !known.is_empty() {
                bail!(
                    "another log, by the {who} too, has stream {:016x}: give one of them",
                    key.0
                );
            }
            *known = deeds;
        }
        Ok(())
    }
}

impl Sides {
    fn sender(&mut self) -> &mut Vec<Deed> {
        &mut self.sender
    }

    fn viewer(&mut self) -> &mut Vec<Deed> {
        &mut self.viewer
    }
}

/// What a row says, where it names a packet of a stream.
fn deed(row: &Row) -> Option<((u64, u16), Deed)> {
    let name = row.name.filter(|name| name.destination != NO_DESTINATION)?;
    let kind = match row.act {
        Act::Delivered => Kind::Intact,
        Act::Damaged | Act::Corrupt => Kind::Damaged,
        Act::Refused => Kind::Refused,
        Act::Lost | Act::Burst | Act::Queue | Act::Mtu | Act::Overflow | Act::Pending => Kind::Gone,
    };
    let due = row.time + row.delay.unwrap_or_default();
    let deed = Deed {
        channel: name.channel,
        number: name.number,
        place: name.place,
        kind,
        due: u64::try_from(due.as_nanos()).unwrap_or(u64::MAX),
    };
    Some(((name.stream, name.destination), deed))
}

/// An hour and a half at 3,000 datagrams a second: 700 MB in memory.
const MAX_ROWS: u64 = 1 << 24;
