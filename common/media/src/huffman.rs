//! Huffman tables of JPEGs: those of T.81, annex K, or tables made from the symbols of an earlier
//! frame of the stream.

mod lengths;

use std::sync::{Arc, Mutex, PoisonError};

use framegram_common::jpeg::scan::SymbolCounts;
use framegram_common::jpeg::{HuffmanTable, STANDARD_TABLES};

use self::lengths::{MAX_LENGTH, code_lengths};

/// Frames from one count of symbols to the next. Counting decodes all codes of a frame.
const COUNT_EVERY: u32 = 100;

/// Frames until the next count if the length of frames has changed: a new scene.
const COUNT_EVERY_SCENE: u32 = 10;

/// A change of the length of frames that shows a new scene, in percent.
const OTHER_SCENE: usize = 30;

/// Bits of a frame that new tables must save, in percent: receivers need a new header for them.
const WORTH: u64 = 1;

/// DC and AC tables of luma, then of chroma, in the layout of `native/compressor.c`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct HuffmanTables {
    /// Number of codes of each length from 1 to 16 bits.
    lengths: [[u8; MAX_LENGTH]; 4],
    /// The symbols in the order of their codes.
    symbols: [[u8; 256]; 4],
}

impl Default for HuffmanTables {
    fn default() -> Self {
        let mut symbols = [[0; 256]; 4];
        for (symbols, table) in symbols.iter_mut().zip(&STANDARD_TABLES) {
            symbols[..table.symbols.len()].copy_from_slice(table.symbols);
        }
        Self {
            lengths: STANDARD_TABLES.each_ref().map(|table| table.lengths),
            symbols,
        }
    }
}

impl HuffmanTables {
    /// The optimal tables for these symbols. Symbols that do not occur have codes, too, since an
    /// encoder may need them.
    fn of(counts: &SymbolCounts) -> Self {
        let mut tables = Self::default();
        for (index, counts) in in_order(counts).into_iter().enumerate() {
            let known = STANDARD_TABLES[index].symbols;
            // A symbol that does not occur counts as a quarter.
            let weights = known
                .iter()
                .map(|symbol| 4 * u64::from(counts[usize::from(*symbol)]) + 1);
            // No code may be all ones (T.81, C.2): a dummy takes that place.
            let weights: Vec<_> = weights.chain([0]).collect();
            let lengths = code_lengths(&weights);
            let mut order: Vec<_> = (0..known.len()).collect();
            order.sort_by_key(|at| lengths[*at]);
            tables.lengths[index] = [0; MAX_LENGTH];
            for (place, at) in order.into_iter().enumerate() {
                tables.symbols[index][place] = known[at];
                tables.lengths[index][usize::from(lengths[at]) - 1] += 1;
            }
        }
        tables
    }

    /// Each of them.
    pub(crate) fn each(&self) -> [HuffmanTable<'_>; 4] {
        std::array::from_fn(|index| {
            let lengths = &self.lengths[index];
            let count = lengths.iter().map(|count| usize::from(*count)).sum();
            let symbols = &self.symbols[index];
            HuffmanTable {
                lengths,
                symbols: symbols.get(..count).unwrap_or(symbols),
            }
        })
    }

    /// The bits that these symbols take, with those that follow each.
    fn bits(&self, counts: &SymbolCounts) -> u64 {
        let mut bits = 0;
        for (index, counts) in in_order(counts).into_iter().enumerate() {
            let lengths = (1_u64..).zip(self.lengths[index]);
            let lengths = lengths.flat_map(|(len, codes)| (0..codes).map(move |_| len));
            for (len, symbol) in lengths.zip(self.symbols[index]) {
                bits += u64::from(counts[usize::from(symbol)]) * (len + u64::from(symbol & 15));
            }
        }
        bits
    }
}

fn in_order(counts: &SymbolCounts) -> [&[u32; 256]; 4] {
    let [luma, chroma] = &counts.dc;
    let [luma_ac, chroma_ac] = &counts.ac;
    [luma, luma_ac, chroma, chroma_ac]
}

/// Makes the Huffman tables of a stream from its frames, for all its compressors.
#[derive(Debug, Default)]
pub struct TableMaker(Mutex<TableState>);

#[derive(Debug, Default)]
struct TableState {
    tables: Arc<HuffmanTables>,
    /// Frames since the last count; `None` before the first.
    frames: Option<u32>,
    /// Bytes of the frame that was counted.
    len: usize,
}

impl TableMaker {
    /// The tables for the next frame. The first frame uses those of T.81.
    pub fn tables(&self) -> Arc<HuffmanTables> {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&state.tables)
    }

    /// Takes an encoded frame and, when due, makes new tables from its symbols.
    pub fn observe(&self, jpeg: &[u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.is_due(jpeg.len()) {
            return;
        }
        let current = Arc::clone(&state.tables);
        // Other compressors need not wait for the count.
        drop(state);
        let Some(counts) = SymbolCounts::of(jpeg) else {
            return;
        };
        let tables = HuffmanTables::of(&counts);
        if tables.bits(&counts) * 100 <= current.bits(&counts) * (100 - WORTH) {
            let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            state.tables = Arc::new(tables);
        }
    }
}

impl TableState {
    /// Whether the symbols of this frame are due to be counted.
    fn is_due(&mut self, len: usize) -> bool {
        let frames = self.frames.map(|frames| frames + 1);
        let off = len.abs_diff(self.len) * 100;
        let every = match off > self.len * OTHER_SCENE {
            true => COUNT_EVERY_SCENE,
            false => COUNT_EVERY,
        };
        let is_due = frames.is_none_or(|frames| frames >= every);
        if is_due {
            (self.frames, self.len) = (Some(0), len);
        } else {
            self.frames = frames;
        }
        is_due
    }
}

#[cfg(test)]
mod tests;
