//! Checks the coded data of a JPEG: how much is missing at the end, and whether an encoder can have
//! produced it.
//!
//! A decoder reveals less. If data is missing in the middle of a scan, it resynchronizes after the
//! gap, and one time in fifty it ends exactly at the last unit without a warning. At the gap,
//! however, it has read codes that no encoder writes.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annexes C, F and G.

mod bits;
mod bounds;
mod counts;
mod part;
mod progressive;
mod requantise;
mod tables;
mod writer;

use self::bits::BitReader;
use self::bounds::may_hold_all_blocks;
pub use self::bounds::{MAX_SCANS, most_scans};
pub use self::counts::SymbolCounts;
use self::part::Scan;
use self::progressive::Spectrum;
pub use self::requantise::{Recoding, requantise};
use self::tables::{Codes, ScanTables};
use super::markers::{DHT, DQT, DRI, EOI, Marker, Markers, RST0, RST7, SOS, is_start_of_frame};
use super::{Component, JpegHeader, MAX_UNIT_BLOCKS, Process};

/// This many bytes or fewer are padding, whatever their values.
const MAX_PADDING: usize = 16;

/// Limit of a coefficient of 8-bit samples: 1024, plus what rounding and sharpening may add.
const MAX_COEFFICIENT: i32 = 1_024 + 256;

/// The result of checking the coded data of a JPEG.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Rows of minimum coded units missing from the last scan; a partial row counts as one.
    pub missing_rows: u32,
    /// Whether an encoder can have produced all of it.
    pub is_sound: bool,
}

impl Coverage {
    /// Checks all of a JPEG. `None` if it cannot be checked: arithmetic or lossless coding, or a
    /// header that makes no sense.
    pub fn of(jpeg: &[u8]) -> Option<Self> {
        Walk::new(jpeg)?.all_scans()
    }
}

/// [`Coverage::missing_rows`] only, which needs no values. `None` as for [`Coverage::of`].
pub fn missing_rows(jpeg: &[u8]) -> Option<u32> {
    let mut walk = Walk::new(jpeg)?;
    walk.checks_values = false;
    walk.all_scans().map(|coverage| coverage.missing_rows)
}

/// Whether the scans may be complete, for bytes without a checksum. Also `true` if they cannot be
/// checked.
pub fn may_be_complete(jpeg: &[u8]) -> bool {
    if JpegHeader::parse(jpeg).is_err() {
        return false;
    }
    Coverage::of(jpeg).is_none_or(|coverage| coverage.is_sound && coverage.missing_rows == 0)
}

/// The number of minimum coded units before the first marker in a JPEG of one sequential scan, for
/// headers that omit the restart interval. `None` if no encoder writes them like that.
pub(super) fn units_before_marker(jpeg: &[u8]) -> Option<u32> {
    let walk = Walk::new(jpeg)?;
    walk.header.sequential.then_some(walk)?.first_units()
}

/// Whether the bytes left over in a scan are padding, as some cameras leave it, and not coded data:
/// few, or all alike.
fn is_padding(left_over: &[u8]) -> bool {
    let is_alike = left_over.windows(2).all(|pair| pair[0] == pair[1]);
    left_over.len() <= MAX_PADDING || is_alike
}

/// A walk through all scans.
struct Walk<'a> {
    jpeg: &'a [u8],
    header: JpegHeader,
    tables: ScanTables,
    /// Minimum coded units from restart to restart; 0 for none.
    interval: u32,
    is_sound: bool,
    /// Whether the values of sequential coding are checked too.
    checks_values: bool,
    /// In a progressive JPEG: for each component's blocks, which coefficients are nonzero so far.
    coefficients: Vec<Vec<u64>>,
}

/// A block of a unit, and its tables.
struct ScanBlock<'a> {
    component: usize,
    dc: Option<&'a Codes>,
    ac: Option<&'a Codes>,
    /// The quantization of the coefficients, in scan order.
    divisors: Option<&'a [i32; 64]>,
}

/// The data of an interval ended before its units did.
struct Exhausted;

impl<'a> Walk<'a> {
    fn new(jpeg: &'a [u8]) -> Option<Self> {
        let header = JpegHeader::parse(jpeg).ok()?;
        matches!(header.process, Process::Sequential | Process::Progressive).then_some(Self {
            jpeg,
            tables: ScanTables::standard(),
            interval: 0,
            is_sound: true,
            checks_values: true,
            coefficients: Vec::new(),
            header,
        })
    }

    fn all_scans(&mut self) -> Option<Coverage> {
        if self.header.process == Process::Progressive {
            if !may_hold_all_blocks(&self.header, self.jpeg.len()) {
                return Some(Coverage {
                    missing_rows: self.header.mcu_grid().1,
                    is_sound: false,
                });
            }
            let component = |component| {
                let (columns, rows) = self.header.blocks_of(component);
                vec![0; columns as usize * rows as usize]
            };
            self.coefficients = self.header.components.iter().map(component).collect();
        }
        let most = most_scans(self.header.width.into(), self.header.height.into());
        let mut seen = vec![false; self.header.components.len()];
        let mut missing_rows = 0;
        let mut scans = 0;
        let mut markers = Markers::default();
        while let Some(marker) = markers.next(self.jpeg) {
            let payload = marker.payload(self.jpeg);
            match marker.code {
                DHT => self.tables.read_codes(payload)?,
                DQT => self.tables.read_divisors(payload)?,
                DRI => self.interval = u16::from_be_bytes(*payload.first_chunk()?).into(),
                EOI => break,
                SOS => {
                    scans += 1;
                    if scans > most {
                        return None;
                    }
                    let scan = Scan::of(payload, &self.header)?;
                    for (component, ..) in &scan.components {
                        seen[*component] = true;
                    }
                    let (rows, behind) = self.scan(&scan, marker)?;
                    missing_rows = rows;
                    markers = Markers::from(behind);
                }
                code if is_start_of_frame(code) || !matches!(code, RST0..=RST7) => {}
                // After a complete scan.
                _ => {}
            }
        }
        if seen.contains(&false) {
            missing_rows = missing_rows.max(self.header.mcu_grid().1);
        }
        Some(Coverage {
            missing_rows,
            is_sound: self.is_sound && missing_rows == 0,
        })
    }

    fn first_units(mut self) -> Option<u32> {
        let mut markers = Markers::default();
        let (scan, start) = loop {
            let marker = markers.next(self.jpeg)?;
            let payload = marker.payload(self.jpeg);
            match marker.code {
                DHT => self.tables.read_codes(payload)?,
                DQT => self.tables.read_divisors(payload)?,
                SOS => break (Scan::of(payload, &self.header)?, marker.end),
                _ => {}
            }
        };
        let tables = std::mem::take(&mut self.tables);
        let unit = self.unit(&scan, &tables)?;
        let (columns, total) = (self.header.mcu_grid().0, self.header.mcu_count());
        let mut bits = BitReader::new(self.jpeg, start);
        let mut state = ScanState::default();
        let mut number = 0;
        // Beyond the marker there are no bits, and nothing is sound.
        let mut was_sound = true;
        while number < total {
            let place = (number % columns, number / columns);
            match self.read_unit(&mut bits, &scan, &unit, &mut state, place) {
                Ok(()) => (number, was_sound) = (number + 1, self.is_sound),
                Err(Exhausted) => break,
            }
        }
        (was_sound && bits.end()).then_some(number)
    }

    /// Reads a scan that `start` begins. Returns the number of missing rows of units, and where the
    /// scan ends.
    fn scan(&mut self, scan: &Scan, start: Marker) -> Option<(u32, usize)> {
        let tables = std::mem::take(&mut self.tables);
        let unit = self.unit(scan, &tables)?;
        let (columns, rows) = match scan.components[..] {
            [(component, ..)] => {
                // In a scan of its own, a component is not interleaved (A.2.2).
                self.header.blocks_of(&self.header.components[component])
            }
            _ => self.header.mcu_grid(),
        };
        let total = columns.checked_mul(rows)?;
        let mut bits = BitReader::new(self.jpeg, start.end);
        let mut state = ScanState::default();
        let mut missing = 0;
        let mut number = 0;
        while number < total {
            let last = match self.interval {
                0 => total,
                interval => total.min(number + interval),
            };
            while number < last {
                let place = (number % columns, number / columns);
                match self.read_unit(&mut bits, scan, &unit, &mut state, place) {
                    Ok(()) => number += 1,
                    Err(Exhausted) => break,
                }
            }
            missing += last - number;
            let is_padded = bits.end();
            self.is_sound &= number == last && is_padded;
            number = last;
            if number < total {
                let expected = number / self.interval - 1;
                state = ScanState::default();
                self.is_sound &= bits.restart(expected as usize % 8);
                if bits.is_at_end() {
                    // A header of a few bytes may claim millions of intervals.
                    missing += total - number;
                    break;
                }
            }
        }
        self.tables = tables;
        Some((missing.div_ceil(columns.max(1)), bits.at()))
    }

    /// The blocks of one unit; `None` if their tables are missing.
    fn unit<'t>(&self, scan: &Scan, tables: &'t ScanTables) -> Option<Vec<ScanBlock<'t>>> {
        let (first, last) = scan.spectrum;
        let mut unit = Vec::new();
        for (index, dc, ac) in &scan.components {
            let component = &self.header.components[*index];
            let count = match scan.components.len() {
                1 => 1,
                _ => u32::from(component.horizontal) * u32::from(component.vertical),
            };
            let dc = tables.dc(*dc).filter(|_| first == 0);
            let ac = tables.ac(*ac).filter(|_| last > 0);
            // Only the first scan of a DC coefficient uses a table.
            let lacks_dc = first == 0 && scan.bit.1 == 0 && dc.is_none();
            if lacks_dc || last > 0 && ac.is_none() {
                return None;
            }
            unit.extend((0..count).map(|_| ScanBlock {
                component: *index,
                dc,
                ac,
                divisors: tables.divisors(component.quantization),
            }));
        }
        (unit.len() <= MAX_UNIT_BLOCKS as usize).then_some(unit)
    }

    fn read_unit(
        &mut self,
        bits: &mut BitReader<'_>,
        scan: &Scan,
        unit: &[ScanBlock<'_>],
        state: &mut ScanState,
        place: (u32, u32),
    ) -> Result<(), Exhausted> {
        let mut of_component = (usize::MAX, 0);
        for block in unit {
            of_component = match of_component {
                (component, number) if component == block.component => (component, number + 1),
                _ => (block.component, 0),
            };
            if self.header.process == Process::Sequential {
                if self.checks_values {
                    self.read_block(bits, block, state)?;
                } else {
                    skip_block(bits, block)?;
                }
                continue;
            }
            let component = &self.header.components[block.component];
            let columns = self.header.blocks_of(component).0;
            let (across, down) = match scan.components.len() {
                1 => (1, 1),
                _ => (component.horizontal.into(), component.vertical.into()),
            };
            let (x, y): (u32, u32) = (
                place.0 * across + of_component.1 % across,
                place.1 * down + of_component.1 / across,
            );
            debug_assert!(down > 0);
            let at = (x < columns).then_some(y as usize * columns as usize + x as usize);
            self.read_progressive(bits, scan, block, state, at)?;
        }
        if bits.is_exhausted() {
            return Err(Exhausted);
        }
        Ok(())
    }

    /// Reads a block of sequential coding (T.81, F.2.2).
    fn read_block(
        &mut self,
        bits: &mut BitReader<'_>,
        block: &ScanBlock<'_>,
        state: &mut ScanState,
    ) -> Result<(), Exhausted> {
        let (Some(dc), Some(ac)) = (block.dc, block.ac) else {
            return Err(Exhausted);
        };
        let limit = Limit {
            is_known: self.header.precision == 8,
            divisors: block.divisors,
        };
        let size = self.symbol(bits, dc);
        self.is_sound &= size <= if limit.is_known { 11 } else { 15 };
        let value = bits.value(size.min(16).into());
        let before = &mut state.dc[block.component];
        *before = before.wrapping_add(value);
        self.is_sound &= limit.allows(*before, 0);
        let mut at = 1;
        while at < 64 {
            let symbol = self.symbol(bits, ac);
            let (run, size) = (usize::from(symbol >> 4), symbol & 15);
            match (run, size) {
                (0, 0) => break,
                (15, 0) => at += 16,
                _ => {
                    at += run;
                    let value = bits.value(size.into());
                    let is_possible = at < 64 && size > 0 && (size <= 10 || !limit.is_known);
                    self.is_sound &= is_possible && limit.allows(value, at);
                    at += 1;
                }
            }
            if bits.is_exhausted() {
                return Err(Exhausted);
            }
        }
        self.is_sound &= at <= 64;
        Ok(())
    }

    /// Reads a block's part in a progressive scan (T.81, G.1.2). `at` is its index among those of
    /// its component, if it is part of the image.
    fn read_progressive(
        &mut self,
        bits: &mut BitReader<'_>,
        scan: &Scan,
        block: &ScanBlock<'_>,
        state: &mut ScanState,
        at: Option<usize>,
    ) -> Result<(), Exhausted> {
        let (first, last) = scan.spectrum;
        let refines = scan.bit.1 > 0;
        let mut outside = 0;
        let known = at.and_then(|at| self.coefficients.get_mut(block.component)?.get_mut(at));
        let mut present = known.as_deref().copied().unwrap_or(outside);
        if first == 0 {
            if refines {
                bits.take(1);
            } else if let Some(dc) = block.dc {
                let size = read_symbol(bits, dc, &mut self.is_sound);
                self.is_sound &= size <= 15;
                bits.value(size.min(16).into());
            }
        } else if let Some(ac) = block.ac {
            let mut read = Spectrum {
                bits,
                ac,
                run: &mut state.end_of_band,
                is_sound: &mut self.is_sound,
                last,
            };
            match refines {
                true => read.refine(first, &mut present),
                false => read.first(first, &mut present),
            }
        }
        *known.unwrap_or(&mut outside) = present;
        if bits.is_exhausted() {
            return Err(Exhausted);
        }
        Ok(())
    }

    fn symbol(&mut self, bits: &mut BitReader<'_>, codes: &Codes) -> u8 {
        read_symbol(bits, codes, &mut self.is_sound)
    }
}

/// Skips a block of sequential coding. Beyond the end of the data, it reads ones, as
/// [`Walk::read_block`] does; the end of the unit tells.
fn skip_block(bits: &mut BitReader<'_>, block: &ScanBlock<'_>) -> Result<(), Exhausted> {
    let (Some(dc), Some(ac)) = (block.dc, block.ac) else {
        return Err(Exhausted);
    };
    let size = read_symbol(bits, dc, &mut true);
    bits.take(size.min(16).into());
    let mut at = 1;
    while at < 64 {
        at = bits.skip_coefficients(ac, at);
    }
    Ok(())
}

/// The next symbol; 0 if there is no such code.
fn read_symbol(bits: &mut BitReader<'_>, codes: &Codes, is_sound: &mut bool) -> u8 {
    let symbol = bits.symbol(codes);
    *is_sound &= symbol.is_some();
    symbol.unwrap_or(0)
}

/// State that carries over from block to block.
#[derive(Default)]
struct ScanState {
    /// The DC coefficients of the components.
    dc: [i32; 4],
    /// Number of blocks that have no more coefficients in their band.
    end_of_band: u32,
}

/// The limit of coefficients.
struct Limit<'a> {
    is_known: bool,
    divisors: Option<&'a [i32; 64]>,
}

impl Limit<'_> {
    /// Whether a quantized coefficient can have this value.
    fn allows(&self, value: i32, at: usize) -> bool {
        let divisor = self.divisors.and_then(|divisors| divisors.get(at));
        let Some(divisor) = divisor.filter(|_| self.is_known) else {
            return true;
        };
        value.saturating_mul(*divisor).abs() <= MAX_COEFFICIENT + divisor
    }
}

impl JpegHeader {
    /// The blocks of a component across and down that belong to the image: as many as its own scan
    /// has (T.81, A.2.2).
    fn blocks_of(&self, component: &Component) -> (u32, u32) {
        let most = |of: fn(&Component) -> u8| {
            let all = self.components.iter().map(of);
            u32::from(all.max().unwrap_or(1)).max(1)
        };
        let blocks = |side: u16, own: u8, most: u32| {
            (u32::from(side) * u32::from(own))
                .div_ceil(most)
                .div_ceil(8)
        };
        (
            blocks(self.width, component.horizontal, most(|c| c.horizontal)),
            blocks(self.height, component.vertical, most(|c| c.vertical)),
        )
    }
}

#[cfg(test)]
mod tests;
