//! The JPEG headers in use, numbered, and when each is sent (again).

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::schedule::Content;
use crate::jpeg;
use crate::wire::native::Tables;

/// The most sets that are remembered: more qualities than a stream alternates
/// between within the time that a viewer needs them.
const MAX_SETS: usize = 32;

/// So often a new set is sent with successive frames, against loss; then
/// [`REPEAT`] apart, for viewers that join.
const COPIES: u32 = 3;

/// Time from copy to copy of a set that is known.
const REPEAT: Duration = Duration::from_secs(1);

/// One JPEG header.
#[derive(Debug)]
pub(super) struct TableSet {
    number: u16,
    quality: Option<u8>,
    header: Vec<u8>,
}

impl TableSet {
    pub(super) fn packet(&self) -> Tables<'_> {
        Tables {
            set: self.number,
            quality: self.quality,
            header: &self.header,
        }
    }

    /// Bytes of the packet's body.
    pub(super) fn packet_len(&self) -> usize {
        FIELDS + self.header.len()
    }
}

/// The sets of a stream, the one used last at the end.
#[derive(Debug, Default)]
pub(super) struct TableSets {
    sets: VecDeque<Announced>,
    numbered: u16,
}

#[derive(Debug)]
struct Announced {
    set: Arc<TableSet>,
    copies: u32,
    sent: Duration,
}

impl TableSets {
    /// The set of tables of a JPEG with slices, where these begin, and what is
    /// to be sent before them.
    pub(super) fn find_slices(
        &mut self,
        jpeg: &[u8],
        quality: Option<u8>,
        now: Duration,
    ) -> (u16, Vec<u32>, Option<Content>) {
        let none = (0, Vec::new(), None);
        let Ok(header) = jpeg::JpegHeader::parse(jpeg) else {
            return none;
        };
        let tables = header.has_slices().then(|| jpeg::tables(jpeg));
        let Some(Ok(Some(tables))) = tables else {
            return none;
        };
        let (set, content) = self.announce(tables, quality, now);
        (set, jpeg::slice_starts(jpeg, header.len), content)
    }

    /// The number of the set with this header, and the packet to send if it is
    /// time to send it.
    fn announce(
        &mut self,
        header: Vec<u8>,
        quality: Option<u8>,
        now: Duration,
    ) -> (u16, Option<Content>) {
        let known = self
            .sets
            .iter()
            .position(|known| known.set.header == header);
        let mut entry = known
            .and_then(|at| self.sets.remove(at))
            .unwrap_or_else(|| {
                // 0 says that there is no set.
                self.numbered = self.numbered.checked_add(1).unwrap_or(1);
                let set = TableSet {
                    number: self.numbered,
                    quality,
                    header,
                };
                Announced {
                    set: Arc::new(set),
                    copies: 0,
                    sent: now,
                }
            });
        let due = entry.copies < COPIES || now.saturating_sub(entry.sent) >= REPEAT;
        let packet = due.then(|| Content::Tables(Arc::clone(&entry.set)));
        if due {
            entry.copies += 1;
            entry.sent = now;
        }
        let number = entry.set.number;
        self.sets.push_back(entry);
        if self.sets.len() > MAX_SETS {
            self.sets.pop_front();
        }
        (number, packet)
    }
}

/// Bytes of a tables body before the header.
const FIELDS: usize = 4;
