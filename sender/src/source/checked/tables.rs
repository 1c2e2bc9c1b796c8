//! Supplies tables that only some JPEGs of a stream carry.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, B.2.4, B.4 and B.5.

use std::collections::BTreeMap;

use bytes::Bytes;
use framegram_common::jpeg::STANDARD_TABLES;
use framegram_common::jpeg::scan::Coverage;

/// Markers of the segments that matter here (T.81, table B.1).
pub(super) const APP0: u8 = 0xe0;
pub(super) const APP1: u8 = 0xe1;
pub(super) const DQT: u8 = 0xdb;
const DHT: u8 = 0xc4;
const SOS: u8 = 0xda;

/// Table numbers of each kind are 0 to 3 (T.81, B.2.4).
const NUMBERS: u8 = 4;

/// The segment marker of a table and its number; for a Huffman table, the class is above the
/// number.
type Slot = (u8, u8);

/// The newest table of each kind and number. Some devices write tables only into the first JPEG, or
/// into one of their own without an image, and rely on the decoder's memory. A frame that is sent
/// must be decodable without those before it. At most four quantization and eight Huffman tables.
#[derive(Default)]
pub(super) struct KnownTables(BTreeMap<Slot, Vec<u8>>);

impl KnownTables {
    /// Stores the tables of `jpeg` and supplies the missing ones. `None` if it has nothing but
    /// tables.
    pub(super) fn supply(&mut self, jpeg: &Bytes) -> Option<Bytes> {
        let mut own = BTreeMap::new();
        let (mut frame, mut scan) = (None, None);
        for (marker, segment) in segments(jpeg) {
            let payload = segment.get(LENGTH..).unwrap_or_default();
            match marker {
                DQT | DHT => own.extend(split(marker, payload)),
                0xc0..=0xcf => frame = Some(payload),
                SOS => scan = Some(payload),
                _ => {}
            }
        }
        let divisors = divisors_of(frame.unwrap_or_default());
        let lacks = |slot: &Slot| !own.contains_key(slot);
        let missing: Vec<_> = divisors.filter(lacks).collect();
        let has_codes = own.keys().any(|(marker, _)| *marker == DHT);
        let codes = codes_of(scan.unwrap_or_default());
        let mut supplied = self.supplied(missing.into_iter());
        // Without any Huffman table, the newest ones or those of annex K are meant.
        let coded = self.supplied(codes.filter(lacks));
        let has_image = frame.is_some() || scan.is_some();
        let is_only_tables = !has_image && !own.is_empty() && jpeg.ends_with(&END);
        for (slot, table) in own {
            let known = self.0.entry(slot).or_default();
            if known != table {
                *known = table.into();
            }
        }
        if is_only_tables {
            return None;
        }
        if !coded.is_empty() {
            let plain = with(jpeg, &supplied);
            let is_complete = |coverage: Coverage| coverage.is_sound && coverage.missing_rows == 0;
            if !has_codes && Coverage::of(&plain).is_some_and(is_complete) {
                return Some(plain);
            }
            supplied.extend(coded);
        }
        Some(with(jpeg, &supplied))
    }

    /// Segments with the tables of these slots, if they are known and differ from a decoder's
    /// defaults.
    fn supplied(&self, slots: impl Iterator<Item = Slot>) -> Vec<u8> {
        let mut segments = Vec::new();
        for slot in slots {
            let known = self.0.get(&slot);
            let Some(table) = known.filter(|table| slot.0 == DQT || !is_standard(table)) else {
                continue;
            };
            let len = (table.len() + LENGTH - 2) as u16;
            segments.extend([0xff, slot.0]);
            segments.extend(len.to_be_bytes());
            segments.extend_from_slice(table);
        }
        segments
    }
}

/// An end of image.
const END: [u8; 2] = [0xff, 0xd9];

/// Bytes of a marker and the length after it.
const LENGTH: usize = 4;

fn with(jpeg: &Bytes, tables: &[u8]) -> Bytes {
    match jpeg.split_at_checked(2) {
        Some((start, rest)) if !tables.is_empty() => [start, tables, rest].concat().into(),
        _ => jpeg.clone(),
    }
}

fn is_standard(table: &[u8]) -> bool {
    STANDARD_TABLES.iter().any(|known| {
        let known = [&[known.id], &known.lengths[..], known.symbols].concat();
        known == table
    })
}

/// The tables in a segment.
fn split(marker: u8, mut payload: &[u8]) -> Vec<(Slot, &[u8])> {
    let mut tables = Vec::new();
    while let Some(first) = payload.first() {
        let len = match marker {
            DQT => 1 + 64 * (1 + usize::from(first >> 4)),
            _ => {
                let counts = payload.get(1..17).unwrap_or_default();
                17 + counts
                    .iter()
                    .map(|count| usize::from(*count))
                    .sum::<usize>()
            }
        };
        let Some((table, rest)) = payload.split_at_checked(len) else {
            break;
        };
        if first & 0xf < NUMBERS && first >> 4 <= 1 {
            let number = if marker == DQT { first & 0xf } else { *first };
            tables.push(((marker, number), table));
        }
        payload = rest;
    }
    tables
}

/// The quantization tables that a frame header names.
fn divisors_of(frame: &[u8]) -> impl Iterator<Item = Slot> {
    let components = frame.get(6..).unwrap_or_default().chunks_exact(3);
    components.map(|component| (DQT, component[2] & 0xf))
}

/// The Huffman tables that a scan header names.
fn codes_of(scan: &[u8]) -> impl Iterator<Item = Slot> {
    let count = scan.first().copied().unwrap_or_default();
    let components = scan.get(1..).unwrap_or_default().chunks_exact(2);
    let tables = components.take(count.into()).map(|component| component[1]);
    tables.flat_map(|table| [(DHT, table >> 4), (DHT, 0x10 | table & 0xf)])
}

/// The markers of a header with their segments, up to and including the first scan.
pub(super) fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = jpeg;
    std::iter::from_fn(move || {
        loop {
            let start = rest.iter().position(|byte| *byte == 0xff)?;
            let segment = &rest[start..];
            let marker = *segment.get(1)?;
            match marker {
                // Fill bytes, stuffed bytes, and markers without a segment.
                0xff => rest = &segment[1..],
                0..=0xbf | 0xd0..=0xd9 => rest = &segment[2..],
                _ => {
                    let len = *segment.get(2..)?.first_chunk()?;
                    let len = 2 + usize::from(u16::from_be_bytes(len));
                    rest = match marker {
                        SOS => &[],
                        _ => segment.get(len..)?,
                    };
                    return Some((marker, segment.get(..len)?));
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use framegram_media::{Compressor, Decoder, Image};
    use proptest::prelude::*;

    use super::*;

    fn usual(quality: u8) -> Bytes {
        let pixels: Vec<u8> = (0..3 * 48 * 32_usize).map(|at| (at / 7) as u8).collect();
        let image = Image::bgr(48, 32, pixels.into()).unwrap();
        let mut compressor = Compressor::new().unwrap();
        compressor.compress(&image, quality).unwrap()
    }

    /// With Huffman tables of other numbers, which are no decoder's defaults.
    fn jpeg(quality: u8) -> Bytes {
        let mut jpeg = usual(quality).to_vec();
        let starts: Vec<_> = segments(&jpeg.clone())
            .map(|(marker, segment)| {
                let at = jpeg.windows(segment.len()).position(|at| at == segment);
                (marker, at.unwrap() + LENGTH)
            })
            .collect();
        for (marker, at) in starts {
            match marker {
                DHT => jpeg[at] |= 2,
                SOS => (1..=3).for_each(|component| jpeg[at + 2 * component] |= 0x22),
                _ => {}
            }
        }
        jpeg.into()
    }

    /// Without the tables of these kinds.
    fn without(jpeg: &Bytes, kinds: &[u8]) -> Bytes {
        let mut kept = jpeg.to_vec();
        let taken: Vec<_> = segments(jpeg)
            .filter(|(marker, _)| kinds.contains(marker))
            .collect();
        for (_, segment) in taken {
            let at = kept
                .windows(segment.len())
                .position(|bytes| bytes == segment)
                .unwrap();
            kept.drain(at..at + segment.len());
        }
        kept.into()
    }

    /// Only the tables of these kinds.
    fn only(jpeg: &Bytes, kinds: &[u8]) -> Bytes {
        let mut tables = jpeg[..2].to_vec();
        for (_, segment) in segments(jpeg).filter(|(marker, _)| kinds.contains(marker)) {
            tables.extend_from_slice(segment);
        }
        [&tables[..], &END].concat().into()
    }

    fn decoded(jpeg: &[u8]) -> Image {
        Decoder::new().unwrap().decode_image(jpeg).unwrap()
    }

    #[test]
    fn tables_that_only_the_first_frame_has_are_supplied_to_those_behind_it() {
        let whole = jpeg(70);
        let mut tables = KnownTables::default();
        assert_eq!(tables.supply(&whole), Some(whole.clone()));
        for kinds in [&[DQT, DHT][..], &[DQT], &[DHT]] {
            let supplied = tables.supply(&without(&whole, kinds)).unwrap();
            assert_eq!(decoded(&supplied), decoded(&whole), "{kinds:02x?}");
        }
    }

    #[test]
    fn tables_without_an_image_are_those_of_the_images_behind_them() {
        let whole = jpeg(70);
        let bare = without(&whole, &[DQT, DHT]);
        let mut tables = KnownTables::default();
        for kinds in [&[DHT][..], &[DQT]] {
            assert_eq!(tables.supply(&only(&whole, kinds)), None);
        }
        let supplied = tables.supply(&bare).unwrap();
        assert_eq!(decoded(&supplied), decoded(&whole));
        // Newer tables replace them.
        let other = jpeg(30);
        assert_eq!(tables.supply(&only(&other, &[DQT, DHT])), None);
        let supplied = tables.supply(&without(&other, &[DQT, DHT])).unwrap();
        assert_eq!(decoded(&supplied), decoded(&other));
    }

    #[test]
    fn a_frame_without_huffman_tables_means_those_that_decode_it() {
        let bare = without(&usual(70), &[DHT]);
        let mut tables = KnownTables::default();
        assert_eq!(tables.supply(&bare), Some(bare.clone()));
        // A table that decodes none of it.
        let [dc, ..] = STANDARD_TABLES;
        let table: Vec<_> = dc.symbols.iter().rev().copied().collect();
        let len = (2 + 17 + table.len()) as u16;
        let odd = [
            &[0xff, 0xd8, 0xff, DHT],
            &len.to_be_bytes()[..],
            &[dc.id],
            &dc.lengths,
            &table,
            &END,
        ]
        .concat();
        assert_eq!(tables.supply(&odd.into()), None);
        assert_eq!(tables.supply(&bare), Some(bare));
    }

    proptest! {
        #[test]
        fn any_bytes_leave_a_bounded_number_of_tables(
            rest in prop::collection::vec(prop_oneof![Just(0xff), Just(DQT), Just(DHT), any::<u8>()], 0..300),
        ) {
            let mut tables = KnownTables::default();
            let jpeg: Bytes = [&[0xff, 0xd8], &rest[..]].concat().into();
            if let Some(supplied) = tables.supply(&jpeg) {
                prop_assert_eq!(supplied, jpeg);
            }
            prop_assert!(tables.0.len() <= 12);
        }
    }
}
