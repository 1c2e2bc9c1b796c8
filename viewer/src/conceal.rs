//! Concealment: which parts of a frame are stale, and how they are filled from the frame before.

use std::ops::Range;

use anyhow::{Result, ensure};
use bytes::Bytes;
use framegram_common::jpeg::JpegHeader;
use framegram_common::receiver::ReceivedFrame;
use framegram_common::slices;
use framegram_media::{Decoder, Planes};

/// Quality of a re-encoded frame: so high that the received parts look unchanged.
const QUALITY: u8 = 95;

/// Fills the holes of frames. Its memory is reused.
#[derive(Default)]
pub struct Concealer {
    decoder: Option<Decoder>,
    planes: Planes,
    before: Planes,
    stale: Stale,
}

impl Concealer {
    /// Fills the stale units of a frame from the one shown `before`: within the coded data or, if
    /// the two are coded differently (for example with another quality), by samples. If they do not
    /// fit together, the holes stay grey.
    pub fn conceal(&mut self, frame: &mut ReceivedFrame, before: Option<&Bytes>) {
        let Some(before) = before.filter(|_| !frame.stale.is_empty()) else {
            return;
        };
        let filled = slices::fill(&frame.jpeg, &frame.stale, before)
            .map(Bytes::from)
            .or_else(|| self.reencode(&frame.jpeg, &frame.stale, before).ok());
        if let Some(filled) = filled {
            frame.jpeg = filled;
        }
    }

    fn reencode(&mut self, jpeg: &[u8], stale: &[Range<u32>], before: &[u8]) -> Result<Bytes> {
        let decoder = match &mut self.decoder {
            Some(decoder) => decoder,
            none => none.insert(Decoder::new()?),
        };
        decoder.decode_planes(jpeg, &mut self.planes)?;
        decoder.decode_planes(before, &mut self.before)?;
        ensure!(self.planes.is_like(&self.before), "another kind of image");
        self.stale.read(jpeg, stale);
        self.stale.fill(&mut self.planes, &self.before);
        Ok(self.planes.to_jpeg(QUALITY)?)
    }
}

/// Which parts of a picture did not arrive, in minimum coded units of its JPEG. Its memory is
/// reused from frame to frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stale {
    /// Whether each unit is stale, row by row; empty if none is.
    units: Vec<bool>,
    columns: usize,
    /// Width and height of a unit in pixels of the picture as coded.
    unit: (usize, usize),
}

/// A stale unit, in pixels of the picture as coded. It may extend beyond the right and lower edge
/// of the picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleUnit {
    /// Its columns.
    pub x: Range<usize>,
    /// Its rows.
    pub y: Range<usize>,
    /// Whether there is no stale neighbour to its left, to its right, above and below.
    pub edges: [bool; 4],
}

impl Stale {
    /// Sets the units of a frame that did not arrive, numbered in scan order. `jpeg` has been
    /// decoded, so its size is within bounds.
    pub fn read(&mut self, jpeg: &[u8], stale: &[Range<u32>]) {
        self.units.clear();
        if stale.is_empty() {
            return;
        }
        let Ok(header) = JpegHeader::parse(jpeg) else {
            return;
        };
        let (width, height) = header.mcu_size();
        self.unit = (width as usize, height as usize);
        self.columns = header.mcu_grid().0 as usize;
        self.units.resize(header.mcu_count() as usize, false);
        for range in stale {
            let range = range.start as usize..range.end as usize;
            if let Some(units) = self.units.get_mut(range) {
                units.fill(true);
            }
        }
    }

    /// Whether the picture arrived completely.
    pub fn is_empty(&self) -> bool {
        self.units.is_empty()
    }

    /// Overwrites the stale parts of `planes` with those of `before`. Planes of another kind
    /// provide nothing.
    fn fill(&self, planes: &mut Planes, before: &Planes) {
        if !planes.is_like(before) {
            return;
        }
        let older = before.planes();
        for (plane, (older, _)) in planes.planes_mut().zip(older) {
            let (samples, layout) = plane;
            let unit = (self.unit.0 / layout.step.0, self.unit.1 / layout.step.1);
            self.copy(samples, older, layout.pitch, unit);
        }
    }

    /// The stale units, row by row.
    pub fn units(&self) -> impl Iterator<Item = StaleUnit> {
        let (width, height) = self.unit;
        let rows = self.units.chunks(self.columns.max(1)).enumerate();
        rows.flat_map(move |(row, units)| {
            let stale = units.iter().enumerate().filter(|(_, stale)| **stale);
            stale.map(move |(column, _)| {
                let fresh = |at: Option<usize>| !at.is_some_and(|at| self.units[at]);
                let at = row * self.columns + column;
                let below = at + self.columns;
                StaleUnit {
                    x: column * width..(column + 1) * width,
                    y: row * height..(row + 1) * height,
                    edges: [
                        fresh((column > 0).then(|| at - 1)),
                        fresh((column + 1 < self.columns).then(|| at + 1)),
                        fresh(at.checked_sub(self.columns)),
                        fresh((below < self.units.len()).then_some(below)),
                    ],
                }
            })
        })
    }

    /// Copies stale units of this width and height between pictures with rows of `pitch`.
    fn copy<T: Copy>(&self, to: &mut [T], from: &[T], pitch: usize, unit: (usize, usize)) {
        if self.is_empty() || pitch == 0 {
            return;
        }
        let lines = to.chunks_exact_mut(pitch).zip(from.chunks_exact(pitch));
        for (y, (to, from)) in lines.enumerate() {
            let row = y / unit.1 * self.columns;
            let units = self.units.get(row..row + self.columns);
            let mut column = 0;
            for run in units.unwrap_or_default().chunk_by(|a, b| a == b) {
                let x = (column * unit.0).min(pitch)..((column + run.len()) * unit.0).min(pitch);
                if run[0] {
                    to[x.clone()].copy_from_slice(&from[x]);
                }
                column += run.len();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use framegram_media::{Reduction, Subsampling, XrgbImage};

    use super::*;
    use crate::fixture::{self, jpeg};

    const SAMPLINGS: [Subsampling; 5] = [
        Subsampling::Yuv420,
        Subsampling::Yuv422,
        Subsampling::Yuv411,
        Subsampling::Yuv444,
        Subsampling::Gray,
    ];

    fn red(subsampling: Subsampling) -> Vec<u8> {
        jpeg(83, 61, subsampling, |_, _| [200, 30, 30])
    }

    fn blue(subsampling: Subsampling) -> Vec<u8> {
        jpeg(83, 61, subsampling, |_, _| [30, 30, 200])
    }

    /// Whether the unit with this pixel is stale.
    fn is_stale(jpeg: &[u8], x: usize, y: usize, stale: &Range<u32>) -> bool {
        let header = JpegHeader::parse(jpeg).unwrap();
        let (width, height) = header.mcu_size();
        stale.contains(&(y as u32 / height * header.mcu_grid().0 + x as u32 / width))
    }

    #[test]
    fn takes_stale_units_and_no_others_from_the_frame_before() {
        let mut decoder = Decoder::new().unwrap();
        for subsampling in SAMPLINGS {
            let (new, old) = (red(subsampling), blue(subsampling));
            let [mut planes, before] = [&new, &old].map(|jpeg| {
                let mut planes = Planes::default();
                decoder.decode_planes(jpeg, &mut planes).unwrap();
                planes
            });
            let fresh = planes.clone();
            let range = 1..6;
            let mut stale = Stale::default();
            stale.read(&new, from_ref(&range));
            stale.fill(&mut planes, &before);
            let all = planes.planes().zip(fresh.planes()).zip(before.planes());
            for (((filled, plane), (fresh, _)), (before, _)) in all {
                for (at, sample) in filled.iter().enumerate() {
                    let (x, y) = (at % plane.pitch, at / plane.pitch);
                    // Padding belongs to the last column and row.
                    let x = (x * plane.step.0).min(planes.width - 1);
                    let y = (y * plane.step.1).min(planes.height - 1);
                    let from = if is_stale(&new, x, y, &range) {
                        before
                    } else {
                        fresh
                    };
                    assert_eq!(*sample, from[at], "{subsampling:?}: {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn outlines_only_where_fresh_begins() {
        let mut stale = Stale::default();
        // Six units per row: the last one of the first row, and all of the second.
        stale.read(&red(Subsampling::Yuv420), from_ref(&(5..12)));
        let units: Vec<_> = stale.units().collect();
        assert_eq!(units.len(), 7);
        assert_eq!((&units[0].x, &units[0].y), (&(80..96), &(0..16)));
        assert_eq!(units[0].edges, [true, true, true, false]);
        assert_eq!(units[1].edges, [true, false, true, true]);
        assert_eq!(units[6].edges, [false, true, false, true]);
        stale.read(&red(Subsampling::Yuv420), &[]);
        assert!(stale.is_empty() && stale.units().next().is_none());
    }

    #[test]
    fn ranges_beyond_the_picture_are_ignored() {
        let mut stale = Stale::default();
        stale.read(&red(Subsampling::Yuv420), &[20..30, 7..u32::MAX, 3..4]);
        assert_eq!(stale.units().count(), 1);
        stale.read(b"no jpeg", from_ref(&(0..1)));
        assert!(stale.is_empty());
    }

    fn of_quality(quality: u8, colour: [u8; 3]) -> Bytes {
        let jpeg = fixture::jpeg(96, 64, Subsampling::Yuv420, |_, _| colour);
        let mut planes = Planes::default();
        let mut decoder = Decoder::new().unwrap();
        decoder.decode_planes(&jpeg, &mut planes).unwrap();
        planes.to_jpeg(quality).unwrap()
    }

    #[test]
    fn holes_show_the_frame_before_though_it_was_of_another_quality() {
        let (new, old) = (of_quality(90, [250, 0, 0]), of_quality(40, [0, 0, 250]));
        // The lower two of four rows, with six units of 16 pixels each.
        let stale = 12..24;
        assert_eq!(slices::fill(&new, from_ref(&stale), &old), None);
        let mut frame = fixture::frame(0, &new);
        frame.stale.push(stale);
        Concealer::default().conceal(&mut frame, Some(&old));
        let filled = frame.jpeg;
        let mut picture = XrgbImage::default();
        let mut decoder = Decoder::new().unwrap();
        decoder
            .decode(&filled, Reduction::None, &mut picture)
            .unwrap();
        for (at, word) in picture.pixels.iter().enumerate() {
            let [blue, _, red, _] = word.to_le_bytes();
            let row = at / 96;
            // Where they meet, the colours of one bleed into the other.
            if (30..34).contains(&row) {
                continue;
            }
            let fresh = row < 32;
            assert!(if fresh {
                red > 200 && blue < 50
            } else {
                blue > 200 && red < 50
            });
        }
    }

    #[test]
    fn pictures_of_different_size_are_not_mixed() {
        let small = fixture::jpeg(48, 64, Subsampling::Yuv420, |_, _| [9; 3]);
        let new = of_quality(90, [1, 2, 3]);
        let mut frame = fixture::frame(0, &new);
        frame.stale.push(0..3);
        Concealer::default().conceal(&mut frame, Some(&small.into()));
        assert_eq!(frame.jpeg, new);
    }
}
