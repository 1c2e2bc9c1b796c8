use turbojpeg::Subsamp;

use super::*;
use crate::jpeg::STANDARD_TABLES;
use crate::jpeg::scan::Coverage;
use crate::slices::encoder::{Settings, encode};

const SIZE: (usize, usize) = (90, 50);

const KINDS: [Subsamp; 4] = [
    Subsamp::Sub2x2,
    Subsamp::Sub2x1,
    Subsamp::None,
    Subsamp::Gray,
];

fn jpeg(subsamp: Subsamp, quality: i32, interval: u16) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(4);
    // Noise on a slope, so that there are coefficients of all sizes.
    let pixels = (0..3 * SIZE.0 * SIZE.1).map(|at| (at / 60) as u8 ^ (random.u8(..) >> 2));
    let settings = Settings {
        width: SIZE.0,
        height: SIZE.1,
        subsamp,
        quality,
        interval,
        optimize: false,
    };
    encode(&pixels.collect::<Vec<_>>(), &settings)
}

fn recoding(steps: &[[u16; 64]; 2], restart_interval: u16) -> Recoding<'_> {
    Recoding {
        steps,
        rounding: 39,
        huffman: STANDARD_TABLES.each_ref().map(|table| HuffmanTable {
            lengths: &table.lengths,
            symbols: table.symbols,
        }),
        restart_interval,
    }
}

/// The levels of all blocks in the order of the scan, each with the steps of its component.
fn levels(jpeg: &[u8]) -> Vec<([i32; 64], [i32; 64])> {
    let header = JpegHeader::parse(jpeg).unwrap();
    let tables = tables_of(jpeg).unwrap();
    let mut bits = BitReader::new(jpeg, header.len);
    let (mut all, mut means) = (Vec::new(), [0; 3]);
    for number in 0..header.mcu_count() {
        if let Some(restarts) = restarts_before(number, header.restart_interval.into()) {
            assert!(bits.end() && bits.restart((restarts - 1) % 8));
            means = [0; 3];
        }
        for (at, component) in header.components.iter().enumerate() {
            for _ in 0..blocks(&header, component) {
                let mut block = [0; 64];
                let size = bits.symbol(tables.dc(component.dc_table).unwrap()).unwrap();
                means[at] += bits.value(size.into());
                block[0] = means[at];
                let mut place = 1;
                while place < 64 {
                    let symbol = bits.symbol(tables.ac(component.ac_table).unwrap()).unwrap();
                    if symbol == 0 {
                        break;
                    }
                    place += usize::from(symbol >> 4);
                    block[place] = bits.value((symbol & 15).into());
                    place += 1;
                }
                all.push((block, *tables.divisors(component.quantization).unwrap()));
            }
        }
    }
    all
}

fn steps(luma: u16, chroma: u16) -> [[u16; 64]; 2] {
    [luma, chroma].map(|step| std::array::from_fn(|at| step + at as u16 / 4))
}

#[test]
fn coefficients_are_divided_and_rounded_as_plain_arithmetic_does_it() {
    for (at, subsamp) in KINDS.into_iter().enumerate() {
        let source = jpeg(subsamp, 92, [0, 1, 5, 7][at]);
        let wanted = steps(9, 14);
        let recoded = requantise(&source, &recoding(&wanted, 3)).unwrap();
        let (before, after) = (levels(&source), levels(&recoded));
        assert_eq!(before.len(), after.len());
        let mut changed = 0;
        for ((before, old), (after, new)) in before.iter().zip(&after) {
            for at in 0..64 {
                assert!(new[at] >= old[at]);
                let exact = f64::from(before[at] * old[at]) / f64::from(new[at]);
                let part = if at == 0 { 0.5 } else { 0.61 };
                let whole = exact.abs().floor();
                let up = exact.abs() - whole > part + 1e-9;
                // Where a product of the rounding is no eighth, it is rounded down.
                let near = (exact.abs() - whole - part).abs() < 0.13 / f64::from(new[at]);
                let expected = exact.signum() * (whole + f64::from(u8::from(up)));
                let is_same = f64::from(after[at]) == expected;
                let unchanged = old[at] == new[at] && after[at] == before[at];
                assert!(is_same || near || unchanged, "{at}: {exact}, {}", after[at]);
                changed += usize::from(after[at] != before[at]);
            }
        }
        assert!(changed > 1_000, "{changed}");
        assert!(recoded.len() < source.len() * 3 / 4);
    }
}

#[test]
fn restart_markers_alone_change_no_coefficient() {
    let same = [[1; 64]; 2];
    for (at, subsamp) in KINDS.into_iter().enumerate() {
        for interval in [0, 1, 4, 11] {
            let source = jpeg(subsamp, 70, [0, 3, 5, 1][at]);
            let recoded = requantise(&source, &recoding(&same, interval)).unwrap();
            let (before, after) = (levels(&source), levels(&recoded));
            assert!(before == after, "{subsamp:?}, {interval}");
            let header = JpegHeader::parse(&recoded).unwrap();
            assert_eq!(header.restart_interval, interval);
            let coverage = Coverage::of(&recoded).unwrap();
            assert!(coverage.is_sound && coverage.missing_rows == 0);
        }
    }
}

#[test]
fn a_decoder_takes_the_result() {
    for subsamp in KINDS {
        let recoded = requantise(&jpeg(subsamp, 92, 0), &recoding(&steps(20, 30), 4)).unwrap();
        let image = turbojpeg::decompress(&recoded, turbojpeg::PixelFormat::RGB).unwrap();
        assert_eq!((image.width, image.height), SIZE);
        // Again with the same steps, it stays as it is.
        assert_eq!(
            requantise(&recoded, &recoding(&steps(20, 30), 4)),
            Some(recoded)
        );
    }
}

#[test]
fn what_is_cut_or_damaged_is_refused_or_a_sound_jpeg_comes_of_it() {
    let source = jpeg(Subsamp::Sub2x2, 85, 5);
    let wanted = steps(9, 14);
    for len in 0..source.len() - 2 {
        assert_eq!(
            requantise(&source[..len], &recoding(&wanted, 3)),
            None,
            "{len}"
        );
    }
    let mut random = fastrand::Rng::with_seed(5);
    let (mut refused, mut taken) = (0, 0);
    for _ in 0..4_000 {
        let mut damaged = source.clone();
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..damaged.len());
            damaged[at] = random.u8(..);
        }
        match requantise(&damaged, &recoding(&wanted, random.u16(0..9))) {
            Some(recoded) => {
                let coverage = Coverage::of(&recoded).unwrap();
                assert!(coverage.missing_rows <= 1);
                taken += 1;
            }
            None => refused += 1,
        }
    }
    assert!(refused > 1_000 && taken > 100, "{refused}, {taken}");
}

#[test]
fn other_kinds_of_jpeg_are_refused() {
    let source = jpeg(Subsamp::Sub2x2, 85, 0);
    let wanted = steps(9, 14);
    let frame = source
        .windows(2)
        .position(|pair| pair == [0xff, 0xc0])
        .unwrap();
    for kind in [0xc1, 0xc2, 0xc9] {
        let mut other = source.clone();
        other[frame + 1] = kind;
        assert_eq!(requantise(&other, &recoding(&wanted, 0)), None, "{kind:x}");
    }
    // A table in which a symbol has no code.
    let table = HuffmanTable {
        lengths: &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        symbols: &[0],
    };
    let few = Recoding {
        huffman: [table; 4],
        ..recoding(&wanted, 0)
    };
    assert_eq!(requantise(&source, &few), None);
}
