//! The tables that the RFC defines, so that they need not be sent.

use super::FIRST_SENT_Q;

/// The quantization tables of the three components, each in zigzag order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantization {
    /// For luma.
    pub luma: [u16; 64],
    /// For the blue difference (Cb).
    pub blue: [u16; 64],
    /// For the red difference (Cr).
    pub red: [u16; 64],
}

/// Tables as in a fragment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableBytes<'a> {
    /// Which of them have 16-bit values; the lowest bit stands for the first.
    pub precision: u8,
    /// The tables in sequence. The last one also stands in for missing ones.
    pub bytes: &'a [u8],
}

impl Quantization {
    /// The tables of `q`, 1 to 99
    /// (<https://www.rfc-editor.org/rfc/rfc2435#appendix-A>); `None` for others.
    pub fn standard(q: u8) -> Option<Self> {
        let scale = match q {
            1..50 => 5000 / u32::from(q),
            50..100 => 200 - 2 * u32::from(q),
            _ => return None,
        };
        let scaled = |table: &[u8; 64]| {
            table.map(|value| ((u32::from(value) * scale + 50) / 100).clamp(1, 255) as u16)
        };
        Some(Self {
            luma: scaled(&LUMA),
            blue: scaled(&CHROMA),
            red: scaled(&CHROMA),
        })
    }

    /// The `q` that has these tables, if any.
    pub fn standard_q(&self) -> Option<u8> {
        (1..100).find(|q| Self::standard(*q).as_ref() == Some(self))
    }

    /// Decodes tables from a fragment; `None` if there is no complete one.
    pub fn from_sent(sent: TableBytes<'_>) -> Option<Self> {
        let mut rest = sent.bytes;
        let mut tables = (0..3).map_while(|number| {
            let (table, behind) = if sent.precision >> number & 1 == 0 {
                let (table, behind) = rest.split_first_chunk::<64>()?;
                (table.map(u16::from), behind)
            } else {
                let (table, behind) = rest.split_first_chunk::<128>()?;
                let value = |at: usize| u16::from_be_bytes([table[2 * at], table[2 * at + 1]]);
                (std::array::from_fn(value), behind)
            };
            rest = behind;
            Some(table)
        });
        let luma = tables.next()?;
        let blue = tables.next().unwrap_or(luma);
        let red = tables.next().unwrap_or(blue);
        Some(Self { luma, blue, red })
    }

    /// Encodes the 8-bit tables for luma and chroma.
    pub fn to_sent(&self) -> [u8; 128] {
        let mut tables = [0; 128];
        let values = self.luma.iter().chain(&self.blue);
        for (byte, value) in tables.iter_mut().zip(values) {
            *byte = *value as u8;
        }
        tables
    }
}

/// The tables sent with earlier frames, by number.
#[derive(Clone, Debug)]
pub struct SentTables {
    /// One slot for each Q from 128 to 254.
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
    /// The tables of a frame with this `q` whose first fragment carried `sent`. Keeps tables that
    /// later frames may refer to.
    pub fn resolve(&mut self, q: u8, sent: Option<TableBytes<'_>>) -> Option<Quantization> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(precision: u8, bytes: &[u8]) -> Option<[u16; 3]> {
        let tables = Quantization::from_sent(TableBytes { precision, bytes })?;
        Some([tables.luma[63], tables.blue[63], tables.red[63]])
    }

    #[test]
    fn as_many_tables_are_taken_as_are_sent() {
        let table = |value: u8| vec![value; 64];
        let tables = [table(1), table(2), table(3), table(4)].concat();
        assert_eq!(sent(0, &tables[..64]), Some([1, 1, 1]));
        assert_eq!(sent(0, &tables[..128]), Some([1, 2, 2]));
        assert_eq!(sent(0, &tables[..192]), Some([1, 2, 3]));
        assert_eq!(sent(0, &tables), Some([1, 2, 3]));
        assert_eq!(sent(0, &tables[..150]), Some([1, 2, 2]));
        assert_eq!(sent(0, &tables[..63]), None);
        assert_eq!(sent(2, &tables[..192]), Some([1, 0x0303, 0x0303]));
        assert_eq!(sent(1, &tables[..192]), Some([0x0202, 3, 3]));
    }
}
