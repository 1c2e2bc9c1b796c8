//! A baseline JPEG in fewer bytes, without pixels: its coefficients are divided by longer steps and
//! written with other Huffman tables and restart markers.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annexes A and F.

use super::bits::BitReader;
use super::tables::{Codes, ScanTables};
use super::writer::{ScanWriter, code_words};
use crate::jpeg::huffman::HuffmanTable;
use crate::jpeg::markers::{
    DHT, DQT, DRI, EOI, Markers, SOF0, SOI, SOS, is_start_of_frame, restart_marker,
};
use crate::jpeg::{Component, JpegHeader, Segments};

/// Limits of coefficients of 8-bit samples (T.81, tables F.1 and F.2): the size of a difference of
/// means, of another coefficient, and the mean itself.
const MAX_DIFFERENCE_BITS: u8 = 11;
const MAX_BITS: u8 = 10;
const MAX_MEAN: i32 = 2_047;

/// Division by a step is multiplication by a number with this many bits behind the point.
const FRACTION: u32 = 40;

/// How the coefficients are coded.
#[derive(Clone, Copy, Debug)]
pub struct Recoding<'a> {
    /// Steps of luma and of chroma, in natural order, 1 to 255. Where a step of the JPEG is longer,
    /// it stays.
    pub steps: &'a [[u16; 64]; 2],
    /// The part of a step at which a coefficient other than the mean is rounded up, in percent, at
    /// most 50; a smaller one makes a dead zone.
    pub rounding: u32,
    /// Huffman tables: DC and AC of luma, DC and AC of chroma.
    pub huffman: [HuffmanTable<'a>; 4],
    /// Minimum coded units from restart to restart; 0 for none.
    pub restart_interval: u16,
}

/// Codes a JPEG again. `None` if it is not a baseline JPEG of luma and chroma, or of luma only, in one
/// scan, or if it is damaged.
pub fn requantise(jpeg: &[u8], recoding: &Recoding<'_>) -> Option<Vec<u8>> {
    let header = JpegHeader::parse(jpeg).ok()?;
    let tables = tables_of(jpeg)?;
    let steps = RequantisedSteps::new(&header, &tables, recoding)?;
    let words = recoding.huffman.each_ref().map(code_words);
    let [Some(dc), Some(ac), Some(chroma_dc), Some(chroma_ac)] = &words else {
        return None;
    };
    let mut unit = Vec::new();
    for (number, component) in header.components.iter().enumerate() {
        let is_luma = number == 0;
        let (dc_words, ac_words) = if is_luma {
            (dc, ac)
        } else {
            (chroma_dc, chroma_ac)
        };
        let block = RequantisedBlock {
            component: number,
            dc: tables.dc(component.dc_table)?,
            ac: tables.ac(component.ac_table)?,
            steps: steps.of.get(number)?,
            dc_words,
            ac_words,
        };
        unit.extend(std::iter::repeat_n(block, blocks(&header, component)));
    }

    let mut writer = ScanWriter::new(write_header(jpeg, &header, &steps.written, recoding)?);
    let mut bits = BitReader::new(jpeg, header.len);
    let (mut before, mut means) = ([0; 3], [0; 3]);
    let interval = u32::from(header.restart_interval);
    let own_interval = u32::from(recoding.restart_interval);
    for number in 0..header.mcu_count() {
        if let Some(restarts) = restarts_before(number, interval) {
            (bits.end() && bits.restart((restarts - 1) % 8)).then_some(())?;
            before = [0; 3];
        }
        if let Some(restarts) = restarts_before(number, own_interval) {
            writer.marker(restart_marker(restarts - 1));
            means = [0; 3];
        }
        for block in &unit {
            block.recode(&mut bits, &mut writer, &mut before, &mut means)?;
        }
        (!bits.is_exhausted()).then_some(())?;
    }
    bits.end().then_some(())?;
    writer.marker(EOI);
    Some(writer.into_bytes())
}

/// How many restarts there are up to the one before this unit, if there is one.
fn restarts_before(number: u32, interval: u32) -> Option<usize> {
    let restarts = number
        .checked_div(interval)
        .filter(|restarts| *restarts > 0)?;
    number.is_multiple_of(interval).then_some(restarts as usize)
}

/// The blocks of a component in a unit.
fn blocks(header: &JpegHeader, component: &Component) -> usize {
    match header.components.len() {
        1 => 1,
        _ => usize::from(component.horizontal) * usize::from(component.vertical),
    }
}

/// The tables before the scan.
fn tables_of(jpeg: &[u8]) -> Option<ScanTables> {
    let mut tables = ScanTables::standard();
    let mut markers = Markers::default();
    loop {
        let marker = markers.next(jpeg)?;
        match marker.code {
            DHT => tables.read_codes(marker.payload(jpeg))?,
            DQT => tables.read_divisors(marker.payload(jpeg))?,
            SOS => return Some(tables),
            // Only this one is baseline.
            SOF0 => {}
            code if is_start_of_frame(code) => return None,
            _ => {}
        }
    }
}

/// A block of a unit, how it is read, and how it is written.
#[derive(Clone, Copy)]
struct RequantisedBlock<'a> {
    component: usize,
    dc: &'a Codes,
    ac: &'a Codes,
    steps: &'a [CoefficientStep; 64],
    dc_words: &'a [(u16, u8); 256],
    ac_words: &'a [(u16, u8); 256],
}

impl RequantisedBlock<'_> {
    fn recode(
        &self,
        bits: &mut BitReader<'_>,
        writer: &mut ScanWriter,
        before: &mut [i32; 3],
        means: &mut [i32; 3],
    ) -> Option<()> {
        let size = bits
            .symbol(self.dc)
            .filter(|size| *size <= MAX_DIFFERENCE_BITS)?;
        let mean = &mut before[self.component];
        *mean += bits.value(size.into());
        (mean.abs() <= MAX_MEAN).then_some(())?;
        let level = self.steps[0].divide(*mean);
        let difference = level - std::mem::replace(&mut means[self.component], level);
        writer.put_value(self.dc_words, 0, difference)?;

        let (mut at, mut run) = (1, 0);
        while at < 64 {
            let symbol = bits.symbol(self.ac)?;
            let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
            match (zeros, size) {
                (0, 0) => break,
                (15, 0) => {
                    (at, run) = (at + 16, run + 16);
                    continue;
                }
                (_, 1..=MAX_BITS) => (at, run) = (at + zeros, run + zeros),
                _ => return None,
            }
            let level = self.steps.get(at)?.divide(bits.value(size.into()));
            at += 1;
            if level == 0 {
                run += 1;
                continue;
            }
            while run > 15 {
                writer.put(self.ac_words[0xf0])?;
                run -= 16;
            }
            writer.put_value(self.ac_words, (run << 4) as u8, level)?;
            run = 0;
        }
        (at <= 64).then_some(())?;
        if at < 64 || run > 0 {
            writer.put(self.ac_words[0])?;
        }
        Some(())
    }
}

/// From the step of a coefficient to a longer one.
#[derive(Clone, Copy, Default)]
struct CoefficientStep {
    /// The step of the JPEG, times 8; 0 if nothing changes.
    from: u64,
    /// What is added before rounding down, of the longer step times 8.
    more: u64,
    reciprocal: u64,
}

impl CoefficientStep {
    /// `rounding` as in [`Recoding`]; `None` for the mean, which is rounded to the nearest. Halves
    /// are rounded towards 0.
    fn new(from: u16, to: u16, rounding: Option<u32>) -> Self {
        if from == to {
            return Self::default();
        }
        let divisor = u64::from(to) * 8;
        Self {
            from: u64::from(from) * 8,
            more: match rounding {
                Some(rounding) if to > 1 => divisor * u64::from(rounding.min(50)) / 100,
                _ => divisor / 2,
            }
            .saturating_sub(u64::from(rounding.is_none_or(|rounding| rounding >= 50))),
            reciprocal: (1_u64 << FRACTION).div_ceil(divisor),
        }
    }

    fn divide(&self, level: i32) -> i32 {
        if self.from == 0 {
            return level;
        }
        let value = u64::from(level.unsigned_abs()) * self.from + self.more;
        let divided = ((value * self.reciprocal) >> FRACTION) as i32;
        if level < 0 { -divided } else { divided }
    }
}

/// The steps of each component, in scan order.
struct RequantisedSteps {
    of: Vec<[CoefficientStep; 64]>,
    /// What is written of them: luma's, then chroma's.
    written: Vec<[u8; 64]>,
}

impl RequantisedSteps {
    /// `None` if the components are not those of luma and chroma, or the tables are missing.
    fn new(header: &JpegHeader, tables: &ScanTables, recoding: &Recoding<'_>) -> Option<Self> {
        let count = header.components.len();
        let is_taken = header.sequential && header.precision == 8 && header.is_video();
        (is_taken && (count == 1 || count == 3)).then_some(())?;
        let mut own = Vec::new();
        for component in &header.components {
            let steps = tables.divisors(component.quantization)?;
            // Baseline has no longer ones, and none is 0.
            let steps = steps.map(|step| u8::try_from(step).unwrap_or(0));
            (!steps.contains(&0)).then_some(())?;
            own.push(steps);
        }
        let (luma, chroma) = own.split_at(1);
        let kinds = [luma, chroma].into_iter().zip(recoding.steps);
        let written: Vec<[u8; 64]> = kinds
            .filter(|(own, _)| !own.is_empty())
            .map(|(own, wanted)| {
                std::array::from_fn(|at| {
                    let wanted = wanted[ZIGZAG[at]].clamp(1, 255) as u8;
                    own.iter().fold(wanted, |most, own| most.max(own[at]))
                })
            })
            .collect();
        let of = own.iter().enumerate().map(|(number, own)| {
            let to = &written[number.min(1)];
            std::array::from_fn(|at| {
                let rounding = (at > 0).then_some(recoding.rounding);
                CoefficientStep::new(own[at].into(), to[at].into(), rounding)
            })
        });
        let of = of.collect();
        Some(Self { of, written })
    }
}

/// The header of the result, up to its scan.
fn write_header(
    jpeg: &[u8],
    header: &JpegHeader,
    steps: &[[u8; 64]],
    recoding: &Recoding<'_>,
) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(jpeg.len());
    out.extend([0xff, SOI]);
    for segment in Segments::new(jpeg).ok()? {
        let segment = segment.ok()?;
        match segment.code() {
            SOS => break,
            DQT | DHT | DRI | SOF0 => {}
            _ if segment.is_ornament() => {}
            code => put_segment(&mut out, code, segment.payload)?,
        }
    }
    for (number, steps) in steps.iter().enumerate() {
        put_segment(&mut out, DQT, &[&[number as u8], &steps[..]].concat())?;
    }
    let mut frame = vec![8];
    frame.extend(header.height.to_be_bytes());
    frame.extend(header.width.to_be_bytes());
    frame.push(header.components.len() as u8);
    let mut scan = vec![header.components.len() as u8];
    for (number, component) in header.components.iter().enumerate() {
        let kind = number.min(1) as u8;
        let sampling = component.horizontal << 4 | component.vertical;
        frame.extend([component.id, sampling, kind]);
        scan.extend([component.id, kind << 4 | kind]);
    }
    put_segment(&mut out, SOF0, &frame)?;
    let count = 2 * steps.len();
    for (number, table) in recoding.huffman.iter().enumerate().take(count) {
        let id = [(number % 2) as u8 * 16 + (number / 2) as u8];
        put_segment(
            &mut out,
            DHT,
            &[&id, &table.lengths[..], table.symbols].concat(),
        )?;
    }
    if recoding.restart_interval > 0 {
        put_segment(&mut out, DRI, &recoding.restart_interval.to_be_bytes())?;
    }
    scan.extend([0, 63, 0]);
    put_segment(&mut out, SOS, &scan)?;
    Some(out)
}

fn put_segment(out: &mut Vec<u8>, code: u8, payload: &[u8]) -> Option<()> {
    let len = u16::try_from(payload.len() + 2).ok()?;
    out.extend([0xff, code]);
    out.extend(len.to_be_bytes());
    out.extend(payload);
    Some(())
}

/// Where the coefficients of a scan stand in a block, row by row (T.81, figure A.6).
const ZIGZAG: [usize; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

#[cfg(test)]
mod tests;
