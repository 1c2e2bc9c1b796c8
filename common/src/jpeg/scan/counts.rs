//! How often each symbol stands in a JPEG: what Huffman tables are made from.

use super::bits::BitReader;
use super::tables::{Codes, ScanTables};
use crate::jpeg::markers::{DHT, Markers, SOS};
use crate::jpeg::{JpegHeader, Process};

/// How often symbols stand in the scan of a JPEG, by the number of their table:
/// the bits of a difference of means, and the zeros before a coefficient with
/// its bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolCounts {
    /// Of the tables for DC.
    pub dc: [[u32; 256]; 2],
    /// Of the tables for AC.
    pub ac: [[u32; 256]; 2],
}

/// A block's tables with their numbers.
struct CountedBlock<'a> {
    dc: (&'a Codes, usize),
    ac: (&'a Codes, usize),
}

impl SymbolCounts {
    /// Those of a JPEG of one sequential scan, of whose tables there are two of
    /// each kind at most; `None` for others, and where it ends too early.
    pub fn of(jpeg: &[u8]) -> Option<Self> {
        let header = JpegHeader::parse(jpeg).ok()?;
        (header.process == Process::Sequential && header.sequential).then_some(())?;
        let tables = read_tables(jpeg)?;
        let unit = unit(&header, &tables)?;
        let mut counts = Self {
            dc: [[0; 256]; 2],
            ac: [[0; 256]; 2],
        };
        let mut bits = BitReader::new(jpeg, header.len);
        let interval = u32::from(header.restart_interval);
        for number in 0..header.mcu_count() {
            if let Some(restarts @ 1..) = number.checked_div(interval)
                && number % interval == 0
            {
                bits.end();
                bits.restart((restarts as usize - 1) % 8).then_some(())?;
            }
            for block in &unit {
                counts.count(&mut bits, block)?;
            }
            (!bits.is_exhausted()).then_some(())?;
        }
        Some(counts)
    }

    fn count(&mut self, bits: &mut BitReader<'_>, block: &CountedBlock<'_>) -> Option<()> {
        let (codes, table) = block.dc;
        let size = bits.symbol(codes)?;
        self.dc[table][usize::from(size)] += 1;
        bits.take(u32::from(size & 15));
        let (codes, table) = block.ac;
        let mut at = 1;
        while at < 64 {
            let symbol = bits.symbol(codes)?;
            self.ac[table][usize::from(symbol)] += 1;
            let (run, size) = (symbol >> 4, symbol & 15);
            if size == 0 && run < 15 {
                break;
            }
            bits.take(size.into());
            at += usize::from(run) + 1;
        }
        Some(())
    }
}

/// The tables that stand before the scan.
fn read_tables(jpeg: &[u8]) -> Option<ScanTables> {
    let mut tables = ScanTables::standard();
    let mut markers = Markers::default();
    while let Some(marker) = markers.next(jpeg) {
        match marker.code {
            DHT => tables.read_codes(marker.payload(jpeg))?,
            SOS => break,
            _ => {}
        }
    }
    Some(tables)
}

/// The blocks of a minimum coded unit.
fn unit<'a>(header: &JpegHeader, tables: &'a ScanTables) -> Option<Vec<CountedBlock<'a>>> {
    let mut unit = Vec::new();
    for component in &header.components {
        let count = match header.components.len() {
            1 => 1,
            _ => usize::from(component.horizontal) * usize::from(component.vertical),
        };
        for _ in 0..count {
            let (dc, ac) = (component.dc_table, component.ac_table);
            (dc < 2 && ac < 2).then_some(())?;
            unit.push(CountedBlock {
                dc: (tables.dc(dc)?, dc.into()),
                ac: (tables.ac(ac)?, ac.into()),
            });
        }
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use turbojpeg::Subsamp;

    use super::*;
    use crate::slices::encoder::{Settings, encode};

    fn jpeg(subsamp: Subsamp, interval: u16, optimize: bool) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(4);
        let pixels: Vec<u8> = std::iter::repeat_with(|| random.u8(..))
            .take(3 * 90 * 50)
            .collect();
        let settings = Settings {
            width: 90,
            height: 50,
            subsamp,
            quality: 60,
            interval,
            optimize,
        };
        encode(&pixels, &settings)
    }

    #[test]
    fn the_same_picture_has_the_same_symbols_whatever_codes_it_is_written_in() {
        for subsamp in [
            Subsamp::Sub2x2,
            Subsamp::Sub2x1,
            Subsamp::None,
            Subsamp::Gray,
        ] {
            for interval in [0, 1, 5] {
                let standard = SymbolCounts::of(&jpeg(subsamp, interval, false)).unwrap();
                let optimized = SymbolCounts::of(&jpeg(subsamp, interval, true)).unwrap();
                assert_eq!(standard, optimized, "{subsamp:?}, {interval}");
                let header = JpegHeader::parse(&jpeg(subsamp, interval, false)).unwrap();
                let blocks = |table: u8| -> u32 {
                    let own = header.components.iter().filter(|c| c.dc_table == table);
                    own.map(|c| match header.components.len() {
                        1 => 1,
                        _ => u32::from(c.horizontal) * u32::from(c.vertical),
                    })
                    .sum()
                };
                for table in 0..2 {
                    let means: u32 = standard.dc[table].iter().sum();
                    assert_eq!(means, header.mcu_count() * blocks(table as u8));
                }
            }
        }
    }

    #[test]
    fn whatever_is_cut_or_damaged_is_counted_or_not_but_harms_nothing() {
        let jpeg = jpeg(Subsamp::Sub2x2, 5, false);
        for len in 0..jpeg.len() {
            assert_eq!(
                SymbolCounts::of(&jpeg[..len]).is_some(),
                len >= jpeg.len() - 2,
                "{len}"
            );
        }
        let mut random = fastrand::Rng::with_seed(5);
        for _ in 0..2_000 {
            let mut damaged = jpeg.clone();
            let at = random.usize(..damaged.len());
            damaged[at] = random.u8(..);
            let _ = SymbolCounts::of(&damaged);
        }
    }
}
