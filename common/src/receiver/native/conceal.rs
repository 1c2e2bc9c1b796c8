//! Concealment: a JPEG made of what arrived of a frame.

use std::collections::VecDeque;
use std::ops::Range;

use crate::jpeg::{JpegHeader, MAX_TABLES};
use crate::reassembly::Assembly;
use crate::seq::FrameNumber;
use crate::slices::{Fragments, Spliced, splice};
use crate::wire::native::Tables;

/// Upper bound on kept table sets: as many as a sender alternates between.
const MAX_SETS: usize = 32;

/// Upper bound on incomplete table sets. Several encoders finish frames out of order.
const MAX_INCOMPLETE: usize = 4;

/// The JPEG headers that a stream's frames share.
#[derive(Debug, Default)]
pub(super) struct ReceivedHeaders {
    sets: VecDeque<(u16, Vec<u8>)>,
    /// Sets of which only some parts have arrived, oldest first.
    incomplete: VecDeque<Parts>,
}

/// The parts of a set that have arrived.
#[derive(Debug)]
struct Parts {
    set: u16,
    parts: Vec<Option<Vec<u8>>>,
}

impl ReceivedHeaders {
    /// Inserts a set, or a part of one. Returns whether it is valid.
    pub(super) fn insert(&mut self, tables: &Tables<'_>) -> bool {
        if tables.parts > 1 {
            return self.insert_part(tables);
        }
        self.insert_complete(tables.set, tables.header)
    }

    fn insert_part(&mut self, tables: &Tables<'_>) -> bool {
        if tables.header.is_empty() || tables.header.len() > MAX_TABLES {
            return false;
        }
        let count = usize::from(tables.parts);
        let belongs = |parts: &Parts| parts.set == tables.set && parts.parts.len() == count;
        let known = self.incomplete.iter().position(belongs);
        let known = known.and_then(|at| self.incomplete.remove(at));
        let mut parts = known.unwrap_or_else(|| Parts {
            set: tables.set,
            parts: vec![None; count],
        });
        if let Some(part) = parts.parts.get_mut(usize::from(tables.part)) {
            *part = Some(tables.header.to_vec());
        }
        if parts.parts.iter().all(Option::is_some) {
            let header: Vec<u8> = parts.parts.into_iter().flatten().flatten().collect();
            return self.insert_complete(tables.set, &header);
        }
        self.incomplete.push_back(parts);
        if self.incomplete.len() > MAX_INCOMPLETE {
            self.incomplete.pop_front();
        }
        true
    }

    fn insert_complete(&mut self, set: u16, header: &[u8]) -> bool {
        if header.len() > MAX_TABLES || JpegHeader::parse(header).is_err() {
            return false;
        }
        self.sets.retain(|(number, _)| *number != set);
        self.sets.push_back((set, header.to_vec()));
        if self.sets.len() > MAX_SETS {
            self.sets.pop_front();
        }
        true
    }

    /// Makes a complete JPEG of what arrived of a frame; `None` if nothing of it can be shown.
    pub(super) fn conceal(&self, number: FrameNumber, assembly: &Assembly) -> Option<Spliced> {
        let size = assembly.size();
        let chunks =
            || (0..assembly.count() as u16).filter_map(|index| assembly.chunk(number, index));
        let mut present: Vec<Range<usize>> = Vec::new();
        let mut starts = Vec::new();
        for chunk in chunks() {
            let start = usize::from(chunk.index) * size;
            let end = start + chunk.data.len();
            match present.last_mut() {
                Some(last) if last.end == start => last.end = end,
                _ => present.push(start..end),
            }
            let begin = chunk.slice_start();
            starts.extend(begin.map(|(slice, behind)| (slice, start + behind)));
        }
        let header = self.header(assembly, present.first()?)?;
        splice(&Fragments {
            header,
            frame: assembly.frame(),
            present: &present,
            starts: &starts,
        })
    }

    /// The frame's own header if it arrived, otherwise its table set.
    fn header<'a>(&'a self, assembly: &'a Assembly, first: &Range<usize>) -> Option<&'a [u8]> {
        if first.start == 0
            && let Ok(header) = JpegHeader::parse(assembly.frame().get(first.clone())?)
        {
            return assembly.frame().get(..header.len);
        }
        let mut sets = self.sets.iter();
        let set = match assembly.header() {
            Some(frame) => sets.find(|(number, _)| *number == frame.tables),
            // If the stream has only one set, the frame uses it.
            None => self.sets.front().filter(|_| self.sets.len() == 1),
        };
        set.map(|(_, header)| header.as_slice())
    }
}
