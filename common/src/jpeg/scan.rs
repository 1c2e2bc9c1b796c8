//! Whether the coded data of a JPEG can be what an encoder made: a second look,
//! closer than a decoder's. Where something in its midst is missing, a decoder
//! finds its way again behind the gap, and one time in fifty it ends exactly at
//! the last unit and remarks nothing. But amid the gap it has read codes that no
//! encoder writes.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annexes C
//! and F.

use super::{Component, DHT, DQT, JpegHeader, RST0, Segments};

/// The most blocks in a minimum coded unit (T.81, B.2.3).
const MAX_BLOCKS: u32 = 10;

/// So many bytes are padding whatever they are.
const MAX_PADDING: usize = 16;

/// The largest coefficient of 8-bit samples is 1024; rounding and sharpening may
/// add to it.
const MAX_COEFFICIENT: i32 = 1_024 + 256;

/// Whether nothing of the scan can be missing. `true` too for what is not looked
/// at: progressive or arithmetic coding, several scans, Huffman tables that the
/// JPEG does not bring along.
#[must_use]
pub fn may_be_whole(jpeg: &[u8]) -> bool {
    let Ok(header) = JpegHeader::parse(jpeg) else {
        return false;
    };
    if !header.sequential {
        return true;
    }
    let (Some(tables), Some(scan)) = (Tables::of(jpeg), jpeg.get(header.len..)) else {
        return true;
    };
    let Some(blocks) = blocks(&header, &tables) else {
        return true;
    };
    walk(&header, &blocks, scan).is_some()
}

/// Whether bytes that are left over of a scan are padding, as some cameras leave
/// it, and no coded data: few, or all alike.
#[must_use]
pub fn is_padding(left_over: &[u8]) -> bool {
    let is_alike = left_over.windows(2).all(|pair| pair[0] == pair[1]);
    left_over.len() <= MAX_PADDING || is_alike
}

/// What a block of a unit is coded by.
struct Block<'a> {
    component: usize,
    dc: &'a Codes,
    ac: &'a Codes,
    /// By which coefficients were divided, in their order in the scan.
    divisors: &'a [i32; 64],
}

/// The blocks of one unit; `None` where tables are missing.
fn blocks<'a>(header: &JpegHeader, tables: &'a Tables) -> Option<Vec<Block<'a>>> {
    let is_single = header.components.len() == 1;
    let count = |component: &Component| match is_single {
        // Alone in its scan, a component is not interleaved (A.2.2).
        true => 1,
        false => u32::from(component.horizontal) * u32::from(component.vertical),
    };
    if header.components.iter().map(count).sum::<u32>() > MAX_BLOCKS {
        return None;
    }
    let mut blocks = Vec::new();
    for (index, component) in header.components.iter().enumerate() {
        for _ in 0..count(component) {
            blocks.push(Block {
                component: index,
                dc: tables.dc.get(usize::from(component.dc_table))?.as_ref()?,
                ac: tables.ac.get(usize::from(component.ac_table))?.as_ref()?,
                divisors: tables
                    .divisors
                    .get(usize::from(component.quantization))?
                    .as_ref()?,
            });
        }
    }
    Some(blocks)
}

/// Reads all units; `None` where that is not possible.
fn walk(header: &JpegHeader, blocks: &[Block<'_>], scan: &[u8]) -> Option<()> {
    let mut bits = Bits::new(scan);
    let mut before = [0_i32; 4];
    let interval = u32::from(header.restart_interval);
    for unit in 0..header.mcu_count() {
        if interval > 0 && unit > 0 && unit % interval == 0 {
            bits.end()?;
            bits.restart((unit / interval - 1) % 8)?;
            before = [0; 4];
        }
        for block in blocks {
            let dc = before.get_mut(block.component)?;
            *dc += bits.difference(block.dc)?;
            is_possible(*dc, block.divisors[0])?;
            bits.check_ac(block.ac, block.divisors)?;
        }
    }
    bits.end()
}

/// Whether a coefficient can be one that was divided by this.
fn is_possible(value: i32, divisor: i32) -> Option<()> {
    (value.saturating_mul(divisor).abs() <= MAX_COEFFICIENT + divisor).then_some(())
}

/// Huffman codes in canonical order (T.81, F.2.2.3).
struct Codes {
    /// For each length: the first code, how many there are, where they begin.
    lengths: [(u32, u32, usize); 16],
    symbols: Vec<u8>,
    /// By the next 8 bits: symbol and length of what is no longer than that.
    short: Vec<(u8, u8)>,
}

impl Codes {
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
        })
    }
}

/// What a header brings along.
#[derive(Default)]
struct Tables {
    dc: [Option<Codes>; 4],
    ac: [Option<Codes>; 4],
    divisors: [Option<[i32; 64]>; 4],
}

impl Tables {
    /// `None` where they are not what they say.
    fn of(jpeg: &[u8]) -> Option<Self> {
        let mut tables = Self::default();
        for segment in Segments::new(jpeg).ok()? {
            let segment = segment.ok()?;
            match segment.marker {
                DHT => tables.read_codes(segment.payload)?,
                DQT => tables.read_divisors(segment.payload)?,
                super::SOS => return Some(tables),
                _ => {}
            }
        }
        None
    }

    fn read_codes(&mut self, mut payload: &[u8]) -> Option<()> {
        while let Some((kind, rest)) = payload.split_first() {
            let (counts, rest) = rest.split_first_chunk::<16>()?;
            let count = counts.iter().copied().map(usize::from).sum();
            let (symbols, rest) = rest.split_at_checked(count)?;
            let known = if kind >> 4 == 0 {
                &mut self.dc
            } else {
                &mut self.ac
            };
            *known.get_mut(usize::from(kind & 15))? = Codes::new(counts, symbols);
            payload = rest;
        }
        Some(())
    }

    fn read_divisors(&mut self, mut payload: &[u8]) -> Option<()> {
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
}

/// The bits of a scan. Behind the last byte before a marker there are ones.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The next bits, the first of them highest.
    held: u64,
    count: u32,
    /// Of these, those that stand nowhere.
    beyond: u32,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            at: 0,
            held: 0,
            count: 0,
            beyond: 0,
        }
    }

    fn fill(&mut self) {
        while self.count <= 56 {
            let byte = match self.bytes.get(self.at..) {
                Some([0xff, 0, ..]) => {
                    self.at += 2;
                    0xff
                }
                None | Some([] | [0xff, ..]) => {
                    self.beyond += 8;
                    0xff
                }
                Some([byte, ..]) => {
                    self.at += 1;
                    *byte
                }
            };
            self.held |= u64::from(byte) << (56 - self.count);
            self.count += 8;
        }
    }

    /// The next `count` bits, at most 16; `None` where there are not so many.
    fn take(&mut self, count: u32) -> Option<u32> {
        if count == 0 {
            return Some(0);
        }
        if self.count < count + self.beyond {
            self.fill();
        }
        let bits = (self.held >> (64 - count)) as u32;
        self.drop(count)?;
        Some(bits)
    }

    fn drop(&mut self, count: u32) -> Option<()> {
        self.held <<= count;
        self.count -= count;
        (self.count >= self.beyond).then_some(())
    }

    fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        if self.count < 16 {
            self.fill();
        }
        let (symbol, len) = codes.short[(self.held >> 56) as usize];
        if len > 0 {
            self.drop(len.into())?;
            return Some(symbol);
        }
        for (index, (first, count, begin)) in codes.lengths.iter().enumerate().skip(8) {
            let code = (self.held >> (63 - index)) as u32;
            if let Some(own) = code.checked_sub(*first).filter(|own| own < count) {
                self.drop(index as u32 + 1)?;
                return codes.symbols.get(begin + own as usize).copied();
            }
        }
        None
    }

    /// The difference of a DC coefficient to the one before (T.81, F.2.2.1).
    fn difference(&mut self, codes: &Codes) -> Option<i32> {
        let size = u32::from(self.symbol(codes)?);
        if size > 11 {
            return None;
        }
        self.value(size)
    }

    /// A value of this many bits.
    fn value(&mut self, size: u32) -> Option<i32> {
        let bits = self.take(size)? as i32;
        let is_negative = size > 0 && bits < 1 << (size - 1);
        Some(if is_negative {
            bits - (1 << size) + 1
        } else {
            bits
        })
    }

    /// The AC coefficients of a block (T.81, F.2.2.2).
    fn check_ac(&mut self, codes: &Codes, divisors: &[i32; 64]) -> Option<()> {
        let mut at = 1;
        while at < 64 {
            let symbol = self.symbol(codes)?;
            let (run, size) = (usize::from(symbol >> 4), symbol & 15);
            match (run, size) {
                (0, 0) => return Some(()),
                (15, 0) => at += 16,
                (_, 1..=10) => {
                    let value = self.value(size.into())?;
                    is_possible(value, *divisors.get(at + run)?)?;
                    at += run + 1;
                }
                _ => return None,
            }
        }
        (at == 64).then_some(())
    }

    /// Nothing but padding may stand before the next marker: the rest of a byte,
    /// a few bytes, or many that are all alike.
    fn end(&mut self) -> Option<()> {
        let left = self.count.checked_sub(self.beyond)?;
        self.take(left % 8)?;
        let mut left_over = Vec::new();
        for _ in 0..left / 8 {
            left_over.push(self.take(8)? as u8);
        }
        (self.held, self.count, self.beyond) = (0, 0, 0);
        let rest = self.bytes.get(self.at..)?;
        let is_marker = |pair: &[u8]| pair[0] == 0xff && pair[1] != 0;
        let marker = rest.windows(2).position(is_marker)?;
        left_over.extend_from_slice(&rest[..marker]);
        self.at += marker;
        is_padding(&left_over).then_some(())
    }

    /// Behind this restart marker. Fill bytes may stand before it.
    fn restart(&mut self, number: u32) -> Option<()> {
        while let Some([0xff, second, ..]) = self.bytes.get(self.at..) {
            match *second {
                0xff => self.at += 1,
                marker if u32::from(marker) == u32::from(RST0) + number => {
                    self.at += 2;
                    return Some(());
                }
                _ => return None,
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use turbojpeg::Subsamp;

    use super::*;
    use crate::slices::encoder::{Settings, encode};

    fn jpeg(subsamp: Subsamp, interval: u16, seed: u64) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(3 * 160 * 96)
            .collect();
        let settings = Settings {
            width: 160,
            height: 96,
            subsamp,
            quality: 80,
            interval,
            optimize: false,
        };
        encode(&pixels, &settings)
    }

    #[test]
    fn what_encoders_make_is_whole_with_padding_and_without() {
        for subsamp in [
            Subsamp::Sub2x2,
            Subsamp::Sub2x1,
            Subsamp::None,
            Subsamp::Gray,
        ] {
            for interval in [0, 1, 7] {
                let jpeg = jpeg(subsamp, interval, 1);
                assert!(may_be_whole(&jpeg), "{subsamp:?}, {interval}");
                let end = jpeg.len() - 2;
                for padding in [&[0; 300][..], &[1, 2, 3]] {
                    let mut padded = jpeg.clone();
                    padded.splice(end..end, padding.iter().copied());
                    assert!(may_be_whole(&padded), "{subsamp:?}, {interval}");
                }
            }
        }
        let camera = include_bytes!("../../fixtures/opencv-64x48.jpg");
        assert!(may_be_whole(camera));
    }

    /// A decoder remarks on 49 of 50 of these.
    #[test]
    fn a_gap_anywhere_is_found() {
        let mut found = 0;
        for seed in 0..10 {
            let jpeg = jpeg(Subsamp::Sub2x2, 0, seed);
            let header = JpegHeader::parse(&jpeg).unwrap();
            for at in (header.len..jpeg.len() - 1_500).step_by(311) {
                let mut damaged = jpeg.clone();
                damaged.drain(at..at + 1_400);
                assert!(!may_be_whole(&damaged), "seed {seed}, at {at}");
                found += 1;
            }
        }
        assert!(found > 200, "{found}");
    }

    #[test]
    fn any_bytes_are_looked_at_without_harm() {
        let jpeg = jpeg(Subsamp::Sub2x2, 3, 2);
        let mut random = fastrand::Rng::with_seed(3);
        for _ in 0..2_000 {
            let mut damaged = jpeg[..random.usize(..=jpeg.len())].to_vec();
            for _ in 0..random.usize(..20) {
                if let Some(at) = (!damaged.is_empty()).then(|| random.usize(..damaged.len())) {
                    damaged[at] = random.u8(..);
                }
            }
            let _ = may_be_whole(&damaged);
        }
        assert!(!may_be_whole(b"GIF89a"));
    }
}
