use super::*;
use crate::{Compressor, Decoder, Image, Planes, Subsampling};

fn noise(seed: u64, subsampling: Subsampling, amplitude: u8) -> Image {
    let mut random = fastrand::Rng::with_seed(seed);
    let bytes = subsampling.bytes(160, 96);
    let planes: Vec<u8> = (0..bytes).map(|_| 128 + random.u8(0..=amplitude)).collect();
    Image::yuv(160, 96, subsampling, planes.into()).unwrap()
}

fn planes(jpeg: &[u8]) -> Planes {
    let mut planes = Planes::default();
    let mut decoder = Decoder::new().unwrap();
    decoder.decode_planes(jpeg, &mut planes).unwrap();
    assert_eq!(decoder.take_remark(), None);
    planes
}

#[test]
fn new_tables_change_only_the_bytes() {
    for subsampling in [Subsampling::Yuv420, Subsampling::Yuv444, Subsampling::Gray] {
        for interval in [0, 3] {
            let mut compressor = Compressor::new().unwrap();
            compressor.set_restart_interval(interval);
            let model = noise(1, subsampling, 90);
            let standard = compressor.compress(&model, 80).unwrap();
            let maker = TableMaker::default();
            maker.observe(&standard);
            compressor.set_huffman_tables(maker.tables());
            let own = compressor.compress(&model, 80).unwrap();
            assert!(
                own.len() < standard.len(),
                "{} of {}",
                own.len(),
                standard.len()
            );
            assert_eq!(SymbolCounts::of(&own), SymbolCounts::of(&standard));
            // The tables can code any other image at any quality.
            for quality in [1, 30, 100] {
                for amplitude in [0, 1, 30, 127] {
                    let image = noise(2, subsampling, amplitude);
                    let jpeg = compressor.compress(&image, quality).unwrap();
                    let mut plain = Compressor::new().unwrap();
                    plain.set_restart_interval(interval);
                    let same = plain.compress(&image, quality).unwrap();
                    let rows =
                        |jpeg: &[u8]| planes(jpeg).rows().map(<[u8]>::to_vec).collect::<Vec<_>>();
                    assert_eq!(rows(&jpeg), rows(&same));
                }
            }
        }
    }
}

#[test]
fn counts_the_bits_of_the_jpeg() {
    let jpeg = Compressor::new()
        .unwrap()
        .compress(&noise(1, Subsampling::Yuv420, 90), 80)
        .unwrap();
    let counts = SymbolCounts::of(&jpeg).unwrap();
    let header = framegram_common::jpeg::JpegHeader::parse(&jpeg).unwrap();
    let coded = &jpeg[header.len..jpeg.len() - 2];
    let stuffed = coded.windows(2).filter(|pair| *pair == [0xff, 0]).count();
    let bits = HuffmanTables::default().bits(&counts);
    assert_eq!(bits.div_ceil(8) as usize, coded.len() - stuffed);
    assert!(HuffmanTables::of(&counts).bits(&counts) < bits);
}

#[test]
fn every_symbol_has_a_code_and_none_is_all_ones() {
    let none = SymbolCounts {
        dc: [[0; 256]; 2],
        ac: [[0; 256]; 2],
    };
    let mut one = none.clone();
    one.ac[0][0] = u32::MAX;
    for counts in [none, one] {
        let tables = HuffmanTables::of(&counts);
        for (index, standard) in STANDARD_TABLES.iter().enumerate() {
            let count: usize = tables.lengths[index].iter().copied().map(usize::from).sum();
            let mut symbols = tables.symbols[index][..count].to_vec();
            let mut expected = standard.symbols.to_vec();
            symbols.sort_unstable();
            expected.sort_unstable();
            assert_eq!(symbols, expected);
            let codes = (1_u32..).zip(tables.lengths[index]);
            let room: u32 = codes
                .map(|(len, count)| u32::from(count) << (16 - len))
                .sum();
            assert!(room < 1 << 16);
        }
    }
}

#[test]
fn counts_symbols_sooner_in_a_new_scene() {
    let mut state = TableState::default();
    let due: Vec<_> = (0..250).filter(|_| state.is_due(1_000)).collect();
    assert_eq!(due, [0, 100, 200]);
    let due: Vec<_> = (0..120).filter(|_| state.is_due(1_400)).collect();
    assert_eq!(due, [0, 100]);
}

#[test]
fn keeps_tables_when_new_ones_save_nothing() {
    let maker = TableMaker::default();
    let mut compressor = Compressor::new().unwrap();
    let jpeg = compressor
        .compress(&noise(1, Subsampling::Yuv420, 90), 80)
        .unwrap();
    maker.observe(&jpeg);
    let tables = maker.tables();
    assert_ne!(*tables, HuffmanTables::default());
    for seed in 2..250 {
        compressor.set_huffman_tables(maker.tables());
        let image = noise(seed, Subsampling::Yuv420, 90);
        maker.observe(&compressor.compress(&image, 80).unwrap());
    }
    assert!(Arc::ptr_eq(&tables, &maker.tables()));
}
