//! Rebuilds a frame's JPEG header from its fragments.

use super::{JpegKind, Quantization, Sampling};
use crate::jpeg::huffman::STANDARD;
use crate::jpeg::markers::{APP0, DHT, DQT, DRI, SOF0, SOF1, SOI, SOS};

/// The header of a frame of this kind, `width` by `height` pixels, from start of image to start of
/// scan.
pub fn rebuild(kind: JpegKind, (width, height): (u16, u16), tables: &Quantization) -> Vec<u8> {
    let mut out = Vec::with_capacity(LEN);
    out.extend([0xff, SOI]);
    segment(&mut out, APP0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    let has_three = tables.red != tables.blue;
    let mut is_wide = false;
    for (number, table) in [(0, &tables.luma), (1, &tables.blue), (2, &tables.red)] {
        if number == 2 && !has_three {
            break;
        }
        let bytes: Option<Vec<u8>> = table.iter().map(|value| (*value).try_into().ok()).collect();
        let body = match bytes {
            Some(bytes) => [&[number], &bytes[..]].concat(),
            None => {
                is_wide = true;
                let bytes = table.iter().flat_map(|value| value.to_be_bytes());
                std::iter::once(0x10 | number).chain(bytes).collect()
            }
        };
        segment(&mut out, DQT, &body);
    }
    if let Some(interval) = kind.interval {
        segment(&mut out, DRI, &interval.to_be_bytes());
    }
    let luma = match kind.sampling {
        Sampling::HalfWidth => 0x21,
        Sampling::Half => 0x22,
    };
    let ([h1, h0], [w1, w0]) = (height.to_be_bytes(), width.to_be_bytes());
    let red = if has_three { 2 } else { 1 };
    let frame = [8, h1, h0, w1, w0, 3, 1, luma, 0, 2, 0x11, 1, 3, 0x11, red];
    // Baseline has 8-bit tables.
    segment(&mut out, if is_wide { SOF1 } else { SOF0 }, &frame);
    for table in &STANDARD {
        let mut body = vec![table.id];
        body.extend(table.lengths);
        body.extend(table.symbols);
        segment(&mut out, DHT, &body);
    }
    segment(&mut out, SOS, &[3, 1, 0x00, 2, 0x11, 3, 0x11, 0, 63, 0]);
    out
}

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xff, marker]);
    out.extend((body.len() as u16 + 2).to_be_bytes());
    out.extend(body);
}

/// Bytes of the header, with a restart interval and two 8-bit tables.
const LEN: usize = 2 + 18 + 2 * 69 + 6 + 19 + 33 + 183 + 33 + 183 + 14;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::JpegHeader;

    #[test]
    fn says_what_it_was_made_of() {
        let kind = JpegKind {
            sampling: Sampling::HalfWidth,
            interval: Some(40),
            q: 50,
            width: 80,
            height: 45,
        };
        let tables = Quantization::standard(50).unwrap();
        let header = rebuild(kind, (640, 360), &tables);
        assert_eq!(header.len(), LEN);
        let parsed = JpegHeader::parse(&header).unwrap();
        assert_eq!((parsed.width, parsed.height), (640, 360));
        assert_eq!((parsed.restart_interval, parsed.len), (40, LEN));
        assert_eq!(parsed.mcu_size(), (16, 8));
        assert!(parsed.has_slices());
    }

    #[test]
    fn tables_of_16_bits_and_a_third_one_are_in_it() {
        let kind = JpegKind {
            sampling: Sampling::Half,
            interval: None,
            q: 128,
            width: 2,
            height: 2,
        };
        let mut tables = Quantization::standard(50).unwrap();
        (tables.luma[3], tables.red[5]) = (300, 7);
        let header = rebuild(kind, (16, 16), &tables);
        let parsed = JpegHeader::parse(&header).unwrap();
        let used: Vec<_> = parsed
            .components
            .iter()
            .map(|own| own.quantization)
            .collect();
        assert_eq!(used, [0, 1, 2]);
        assert!(parsed.sequential && parsed.is_video());
    }
}
