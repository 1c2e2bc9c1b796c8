//! The tables that are agreed on and not sent.

use super::FIRST_SENT_Q;

/// The quantization tables of luma and chroma, each in zigzag order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    /// For the first component.
    pub luma: [u8; 64],
    /// For the others.
    pub chroma: [u8; 64],
}

impl Quantization {
    /// The tables of `q`, 1 to 99
    /// (<https://www.rfc-editor.org/rfc/rfc2435#appendix-A>); `None` for others.
    #[must_use]
    pub fn standard(q: u8) -> Option<Self> {
        let scale = match q {
            1..50 => 5000 / u32::from(q),
            50..100 => 200 - 2 * u32::from(q),
            _ => return None,
        };
        let scaled = |table: &[u8; 64]| {
            table.map(|value| ((u32::from(value) * scale + 50) / 100).clamp(1, 255) as u8)
        };
        Some(Self {
            luma: scaled(&LUMA),
            chroma: scaled(&CHROMA),
        })
    }

    /// The `q` whose tables these are, if it is one.
    #[must_use]
    pub fn standard_q(&self) -> Option<u8> {
        (1..100).find(|q| Self::standard(*q).as_ref() == Some(self))
    }

    /// Tables as they are sent: 128 bytes, or 64 for one that serves all.
    #[must_use]
    pub fn from_sent(tables: &[u8]) -> Option<Self> {
        let (luma, rest) = tables.split_first_chunk()?;
        let chroma = rest.first_chunk().unwrap_or(luma);
        Some(Self {
            luma: *luma,
            chroma: *chroma,
        })
    }

    /// As they are sent.
    #[must_use]
    pub fn to_sent(&self) -> [u8; 128] {
        let mut tables = [0; 128];
        tables[..64].copy_from_slice(&self.luma);
        tables[64..].copy_from_slice(&self.chroma);
        tables
    }
}

/// The tables sent with frames before, under their numbers.
#[derive(Clone, Debug)]
pub struct SentTables {
    /// One place for each of Q 128 to 254.
    places: Vec<Option<Box<Quantization>>>,
}

impl Default for SentTables {
    fn default() -> Self {
        Self {
            places: vec![None; PLACES],
        }
    }
}

impl SentTables {
    /// The tables of a frame with this `q` whose first fragment had these
    /// `sent` with it; they are remembered where they are to be.
    #[must_use]
    pub fn resolve(&mut self, q: u8, sent: Option<&[u8]>) -> Option<Quantization> {
        let Some(place) = q.checked_sub(FIRST_SENT_Q) else {
            return Quantization::standard(q);
        };
        let sent = sent.and_then(Quantization::from_sent);
        let Some(place) = self.places.get_mut(usize::from(place)) else {
            return sent;
        };
        if let Some(sent) = sent {
            *place = Some(Box::new(sent));
        }
        place.as_deref().copied()
    }
}

/// Q 128 to 254.
const PLACES: usize = 127;

/// ITU-T T.81, table K.1, in zigzag order.
const LUMA: [u8; 64] = [
    16, 11, 12, 14, 12, 10, 16, 14, 13, 14, 18, 17, 16, 19, 24, 40, 26, 24, 22, 22, 24, 49, 35, 37,
    29, 40, 58, 51, 61, 60, 57, 51, 56, 55, 64, 72, 92, 78, 64, 68, 87, 69, 55, 56, 80, 109, 81,
    87, 95, 98, 103, 104, 103, 62, 77, 113, 121, 112, 100, 120, 92, 101, 103, 99,
];

/// ITU-T T.81, table K.2, in zigzag order.
const CHROMA: [u8; 64] = [
    17, 18, 18, 24, 21, 24, 47, 26, 26, 47, 99, 66, 56, 66, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
    99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99, 99,
];

/// A Huffman table: what it is for, how many codes there are of each length
/// from 1 to 16 bits, and their symbols.
pub(super) struct Huffman {
    /// Class (0: DC, 1: AC) in the high half, number in the low one.
    pub(super) id: u8,
    pub(super) lengths: [u8; 16],
    pub(super) symbols: &'static [u8],
}

/// ITU-T T.81, tables K.3 to K.6: DC and AC of luma, DC and AC of chroma.
pub(super) const HUFFMAN: [Huffman; 4] = [
    Huffman {
        id: 0x00,
        lengths: [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0],
        symbols: &DC_SYMBOLS,
    },
    Huffman {
        id: 0x10,
        lengths: [0, 2, 1, 3, 3, 2, 4, 3, 5, 5, 4, 4, 0, 0, 1, 125],
        symbols: &LUMA_AC_SYMBOLS,
    },
    Huffman {
        id: 0x01,
        lengths: [0, 3, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0],
        symbols: &DC_SYMBOLS,
    },
    Huffman {
        id: 0x11,
        lengths: [0, 2, 1, 2, 4, 4, 3, 4, 7, 5, 4, 4, 0, 1, 2, 119],
        symbols: &CHROMA_AC_SYMBOLS,
    },
];

const DC_SYMBOLS: [u8; 12] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11];

const LUMA_AC_SYMBOLS: [u8; 162] = [
    0x01, 0x02, 0x03, 0x00, 0x04, 0x11, 0x05, 0x12, 0x21, 0x31, 0x41, 0x06, 0x13, 0x51, 0x61, 0x07,
    0x22, 0x71, 0x14, 0x32, 0x81, 0x91, 0xa1, 0x08, 0x23, 0x42, 0xb1, 0xc1, 0x15, 0x52, 0xd1, 0xf0,
    0x24, 0x33, 0x62, 0x72, 0x82, 0x09, 0x0a, 0x16, 0x17, 0x18, 0x19, 0x1a, 0x25, 0x26, 0x27, 0x28,
    0x29, 0x2a, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48, 0x49,
    0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68, 0x69,
    0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88, 0x89,
    0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
    0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3, 0xc4, 0xc5,
    0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda, 0xe1, 0xe2,
    0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf1, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];

const CHROMA_AC_SYMBOLS: [u8; 162] = [
    0x00, 0x01, 0x02, 0x03, 0x11, 0x04, 0x05, 0x21, 0x31, 0x06, 0x12, 0x41, 0x51, 0x07, 0x61, 0x71,
    0x13, 0x22, 0x32, 0x81, 0x08, 0x14, 0x42, 0x91, 0xa1, 0xb1, 0xc1, 0x09, 0x23, 0x33, 0x52, 0xf0,
    0x15, 0x62, 0x72, 0xd1, 0x0a, 0x16, 0x24, 0x34, 0xe1, 0x25, 0xf1, 0x17, 0x18, 0x19, 0x1a, 0x26,
    0x27, 0x28, 0x29, 0x2a, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3a, 0x43, 0x44, 0x45, 0x46, 0x47, 0x48,
    0x49, 0x4a, 0x53, 0x54, 0x55, 0x56, 0x57, 0x58, 0x59, 0x5a, 0x63, 0x64, 0x65, 0x66, 0x67, 0x68,
    0x69, 0x6a, 0x73, 0x74, 0x75, 0x76, 0x77, 0x78, 0x79, 0x7a, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87,
    0x88, 0x89, 0x8a, 0x92, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99, 0x9a, 0xa2, 0xa3, 0xa4, 0xa5,
    0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8, 0xb9, 0xba, 0xc2, 0xc3,
    0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xd2, 0xd3, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8, 0xd9, 0xda,
    0xe2, 0xe3, 0xe4, 0xe5, 0xe6, 0xe7, 0xe8, 0xe9, 0xea, 0xf2, 0xf3, 0xf4, 0xf5, 0xf6, 0xf7, 0xf8,
    0xf9, 0xfa,
];
