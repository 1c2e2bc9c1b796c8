//! The tables in a JPEG, or the ones that stand in for them.

use std::sync::OnceLock;

use crate::jpeg::huffman::STANDARD;

/// Bits that are looked up at once to skip several symbols.
pub(super) const LOOK: u32 = 11;

/// Huffman codes in canonical order (T.81, F.2.2.3).
#[derive(Debug)]
pub(super) struct Codes {
    /// For each length: the first code, the number of codes, and where their symbols begin.
    pub(super) lengths: [(u32, u32, usize); 16],
    pub(super) symbols: Vec<u8>,
    /// Symbol and length of each code of at most 8 bits, by the next 8 bits.
    pub(super) short: Vec<(u8, u8)>,
    /// What begins with the next [`LOOK`] bits, once it was needed.
    several: OnceLock<Vec<SkippedSymbols>>,
}

/// Symbols of coefficients in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SkippedSymbols {
    /// Their bits, with those of their values; 0 if the first code is longer than what is looked up.
    pub(super) bits: u8,
    /// The coefficients that they cover; the end of the block counts as one.
    pub(super) coefficients: u8,
    /// Whether the last one is the end of the block.
    pub(super) ends: bool,
}

impl Codes {
    /// What each of the next [`LOOK`] bits begin with, if these are codes of coefficients.
    pub(super) fn several(&self) -> &[SkippedSymbols] {
        self.several
            .get_or_init(|| (0..1 << LOOK).map(|bits| self.begin_of(bits)).collect())
    }

    fn begin_of(&self, bits: u32) -> SkippedSymbols {
        let mut all = SkippedSymbols::default();
        while !all.ends
            && let Some(left) = LOOK.checked_sub(all.bits.into())
            && let Some((symbol, len)) = self.first_of(bits & ((1 << left) - 1), left)
        {
            all.bits += len + (symbol & 15);
            all.coefficients += (symbol >> 4) + 1;
            all.ends = symbol == 0;
        }
        all
    }

    /// The symbol that these `count` bits begin with, and the length of its code.
    fn first_of(&self, bits: u32, count: u32) -> Option<(u8, u8)> {
        let lengths = self.lengths.iter().take(count as usize).enumerate();
        for (index, (first, own, begin)) in lengths {
            let code = bits >> (count as usize - index - 1);
            if let Some(at) = code.checked_sub(*first).filter(|at| at < own) {
                let symbol = self.symbols.get(begin + at as usize)?;
                return Some((*symbol, index as u8 + 1));
            }
        }
        None
    }

    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut lengths = [(0, 0, 0); 16];
        let mut short = vec![(0, 0); 256];
        let (mut code, mut begin) = (0_u32, 0_usize);
        for (index, count) in counts.iter().enumerate() {
            let (count, len) = (u32::from(*count), index + 1);
            if code + count > 1 << len {
                return None;
            }
            lengths[index] = (code, count, begin);
            for own in 0..count {
                let symbol = *symbols.get(begin + own as usize)?;
                if len <= 8 {
                    let first = ((code + own) << (8 - len)) as usize;
                    short[first..first + (1 << (8 - len))].fill((symbol, len as u8));
                }
            }
            begin += count as usize;
            code = (code + count) << 1;
        }
        Some(Self {
            lengths,
            symbols: symbols.to_vec(),
            short,
            several: OnceLock::new(),
        })
    }
}

/// Tables by number.
#[derive(Debug, Default)]
pub(super) struct ScanTables {
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
    divisors: [Option<[i32; 64]>; 4],
}

impl ScanTables {
    /// The tables that a JPEG without Huffman tables implies. Many cameras omit them.
    pub(super) fn standard() -> Self {
        let mut tables = Self::default();
        for table in &STANDARD {
            let place = tables.place(table.id);
            if let Some(place) = place {
                *place = Codes::new(&table.lengths, table.symbols);
            }
        }
        tables
    }

    pub(super) fn dc(&self, number: u8) -> Option<&Codes> {
        self.dc.get(usize::from(number))?.as_ref()
    }

    pub(super) fn ac(&self, number: u8) -> Option<&Codes> {
        self.ac.get(usize::from(number))?.as_ref()
    }

    pub(super) fn divisors(&self, number: u8) -> Option<&[i32; 64]> {
        self.divisors.get(usize::from(number))?.as_ref()
    }

    /// Reads a segment of Huffman tables; `None` if it is malformed.
    pub(super) fn read_codes(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((id, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count = counts.iter().copied().map(usize::from).sum();
            let (symbols, rest) = rest.split_at_checked(count)?;
            *self.place(*id)? = Codes::new(counts, symbols);
            payload = rest;
        }
        Some(())
    }

    /// Reads a segment of quantization tables; `None` if it is malformed.
    pub(super) fn read_divisors(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = payload.split_first() {
            let is_wide = kind >> 4 != 0;
            let (table, rest) = rest.split_at_checked(if is_wide { 128 } else { 64 })?;
            let divisors = std::array::from_fn(|at| match is_wide {
                true => u16::from_be_bytes([table[2 * at], table[2 * at + 1]]).into(),
                false => table[at].into(),
            });
            *self.divisors.get_mut(usize::from(kind & 15))? = Some(divisors);
            payload = rest;
        }
        Some(())
    }

    /// The slot of the codes with this class and number.
    fn place(&mut self, id: u8) -> Option<&mut Option<Codes>> {
        let codes = if id >> 4 == 0 {
            &mut self.dc
        } else {
            &mut self.ac
        };
        codes.get_mut(usize::from(id & 15))
    }
}
