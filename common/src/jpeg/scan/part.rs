//! What a scan covers.

use crate::jpeg::{JpegHeader, Process};

/// The part of the image in a scan (T.81, B.2.3).
pub(super) struct Scan {
    /// Indices of its components, with their DC and AC tables.
    pub(super) components: Vec<(usize, u8, u8)>,
    pub(super) spectrum: (usize, usize),
    /// The bit position that it carries, and the previous one; 0 for none.
    pub(super) bit: (u8, u8),
}

impl Scan {
    /// Reads the segment that begins a scan; `None` if it is malformed.
    pub(super) fn of(payload: &[u8], header: &JpegHeader) -> Option<Self> {
        let (count, rest) = payload.split_first()?;
        let (specs, rest) = rest.split_at_checked(2 * usize::from(*count))?;
        let number = |id: u8| header.components.iter().position(|own| own.id == id);
        let components: Option<Vec<_>> = specs
            .chunks_exact(2)
            .map(|spec| Some((number(spec[0])?, spec[1] >> 4, spec[1] & 15)))
            .collect();
        let components = components.filter(|components| !components.is_empty())?;
        let [first, last, bits, ..] = *rest else {
            return None;
        };
        let (spectrum, bit) = match header.process {
            // Some devices write arbitrary values there.
            Process::Sequential => ((0, 63), (0, 0)),
            _ => ((first.into(), last.into()), (bits & 15, bits >> 4)),
        };
        (spectrum.0 <= spectrum.1 && spectrum.1 < 64).then_some(Self {
            components,
            spectrum,
            bit,
        })
    }
}
