//! The door that the JPEGs of every source go through: what is sent is such as
//! every decoder takes.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annex B.

use std::sync::Arc;

use anyhow::{Result, ensure};
use bytes::Bytes;
use framegram_common::jpeg::{JpegHeader, MAX_TABLES, Process, clean};
use framegram_media::limits::check_size;
use framegram_media::{Decoder, Vetter};

use super::{Captured, Content, Request, Source};
use crate::console::Console;

/// A source of which the first frame was read, and whose JPEGs are clean and
/// whole. Those that are not are left out and counted.
pub(super) struct Checked {
    source: Box<dyn Source>,
    first: Option<Captured>,
    keep_broken: bool,
    vetter: Vetter,
    tables: Tables,
    /// A frame was fit to be sent.
    any: bool,
    broken: u64,
    console: Arc<Console>,
}

impl Checked {
    /// Reads the first frame.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn begin(source: Box<dyn Source>, request: &Request) -> Result<Self> {
        let mut checked = Self {
            source,
            first: None,
            keep_broken: request.keep_broken,
            vetter: Vetter::default(),
            tables: Tables::default(),
            any: false,
            broken: 0,
            console: Arc::clone(&request.console),
        };
        checked.first = checked.read()?;
        Ok(checked)
    }

    fn read(&mut self) -> Result<Option<Captured>> {
        let mut why = None;
        while let Some(captured) = self.source.next()? {
            let checked = match captured.content {
                Content::Jpeg(jpeg) if !self.source.is_checked() => {
                    let jpeg = self.tables.supply(jpeg);
                    check(&jpeg, self.keep_broken, &mut self.vetter).and_then(with_aspect)
                }
                content => Ok(content),
            };
            match checked {
                Ok(content) => {
                    self.any = true;
                    return Ok(Some(Captured {
                        content,
                        ..captured
                    }));
                }
                Err(error) => {
                    self.broken += 1;
                    if self.broken == 1 {
                        let hint = if self.keep_broken { "" } else { HINT };
                        self.console.say(&format!(
                            "a frame of the source is left out: {error:#}{hint}"
                        ));
                    }
                    why = Some(error);
                }
            }
        }
        match why {
            Some(error) if !self.any => Err(error.context("no frame of the source can be read")),
            _ => Ok(None),
        }
    }
}

const HINT: &str = "; --keep-broken sends what ends early";

/// A JPEG as it is sent. One that ends early is, where that is wanted.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(jpeg: &Bytes, keep_broken: bool, vetter: &mut Vetter) -> Result<Bytes> {
    let jpeg = clean(jpeg)?;
    let header = JpegHeader::parse(&jpeg)?;
    check_size(header.width.into(), header.height.into())?;
    let is_lossless = header.process == Process::Other;
    ensure!(
        is_lossless || segments(&jpeg[..header.len]).any(|(marker, _)| marker == DQT),
        "it has no quantization tables, and none came before it"
    );
    if !keep_broken {
        vetter.vet(&jpeg)?;
    }
    Ok(jpeg)
}

/// A JPEG as it is, or, where its pixels are not square, decoded: what shows it
/// elsewhere does not know of them.
///
/// # Errors
/// Where it cannot be decoded.
pub(super) fn with_aspect(jpeg: Bytes) -> Result<Content> {
    let Some(aspect) = aspect(&jpeg) else {
        return Ok(Content::Jpeg(jpeg));
    };
    let image = Decoder::new()?.decode_image(&jpeg)?;
    Ok(Content::Image(image.with_aspect(aspect)))
}

/// Width and height of a pixel by the JFIF segment, as FFmpeg writes and reads
/// them, where they differ. A density by inch or centimetre is one of paper.
///
/// <https://www.w3.org/Graphics/JPEG/jfif3.pdf>
fn aspect(jpeg: &[u8]) -> Option<(i32, i32)> {
    let (_, segment) = segments(jpeg).find(|(marker, _)| *marker == APP0)?;
    let &[b'J', b'F', b'I', b'F', 0, _, _, 0, a, b, c, d, ..] = segment.get(4..)? else {
        return None;
    };
    let (across, down) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let is_odd = across != down && across.min(down) > 0;
    let is_believed = across.max(down) / across.min(down).max(1) <= MAX_ASPECT;
    (is_odd && is_believed).then_some((across.into(), down.into()))
}

/// Pixels that are so many times as long as they are wide, or more so, are none.
const MAX_ASPECT: u16 = 4;

/// Markers of the segments that are looked at (T.81, table B.1).
const APP0: u8 = 0xe0;
const DHT: u8 = 0xc4;
const DQT: u8 = 0xdb;
const SOS: u8 = 0xda;

/// The tables that stood in a JPEG of the stream. Some devices write them into
/// the first one only, and leave them to the decoder's memory (T.81, B.5); a
/// frame that is sent has to be decoded whatever became of those before it.
#[derive(Default)]
struct Tables(Vec<u8>);

impl Tables {
    /// Keeps the tables of `jpeg`, or supplies those that it lacks.
    fn supply(&mut self, jpeg: Bytes) -> Bytes {
        let mut own = Vec::new();
        let mut has_divisors = false;
        for (marker, segment) in segments(&jpeg) {
            has_divisors |= marker == DQT;
            if matches!(marker, DQT | DHT) && own.len() + segment.len() <= MAX_TABLES {
                own.extend_from_slice(segment);
            }
        }
        if has_divisors {
            self.0 = own;
            return jpeg;
        }
        match jpeg.split_at_checked(2) {
            Some((start, rest)) if !self.0.is_empty() => [start, &self.0, rest].concat().into(),
            _ => jpeg,
        }
    }
}

/// The markers of a header with their segments, up to the first scan.
fn segments(jpeg: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = jpeg;
    std::iter::from_fn(move || {
        loop {
            let start = rest.iter().position(|byte| *byte == 0xff)?;
            let segment = &rest[start..];
            let marker = *segment.get(1)?;
            match marker {
                SOS => return None,
                // Fill bytes, what is stuffed, and markers without a segment.
                0xff => rest = &segment[1..],
                0..=0xbf | 0xd0..=0xd9 => rest = &segment[2..],
                _ => {
                    let len = *segment.get(2..)?.first_chunk()?;
                    let len = 2 + usize::from(u16::from_be_bytes(len));
                    rest = segment.get(len..)?;
                    return Some((marker, &segment[..len]));
                }
            }
        }
    })
}

impl Source for Checked {
    fn next(&mut self) -> Result<Option<Captured>> {
        match self.first.take() {
            None => self.read(),
            first => Ok(first),
        }
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }

    fn rewind(&mut self) -> Result<bool> {
        self.source.rewind()
    }

    fn is_checked(&self) -> bool {
        true
    }

    fn unreadable(&self) -> u64 {
        self.source.unreadable() + self.broken
    }

    fn frame_rate(&self) -> Option<f64> {
        self.source.frame_rate()
    }
}

#[cfg(test)]
mod tests {
    use framegram_media::{Compressor, Image};
    use proptest::prelude::*;

    use super::*;

    fn jpeg() -> Bytes {
        let pixels: Vec<u8> = (0..3 * 48 * 32_usize).map(|at| (at / 7) as u8).collect();
        let image = Image::bgr(48, 32, pixels.into()).unwrap();
        Compressor::new().unwrap().compress(&image, 70).unwrap()
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

    #[test]
    fn tables_that_only_the_first_frame_has_are_supplied_to_those_behind_it() {
        let whole = jpeg();
        let check = |jpeg: &Bytes| check(jpeg, false, &mut Vetter::default());
        let decoded = |jpeg: &[u8]| Decoder::new().unwrap().decode_image(jpeg).unwrap();
        let bare = without(&whole, &[DQT, DHT]);
        let mut tables = Tables::default();
        assert!(check(&tables.supply(bare.clone())).is_err());
        assert_eq!(tables.supply(whole.clone()), whole);
        for jpeg in [&bare, &without(&whole, &[DQT])] {
            let supplied = check(&tables.supply(jpeg.clone())).unwrap();
            assert_eq!(decoded(&supplied), decoded(&whole));
        }
        // What a decoder knows by itself is none of this.
        let standard = without(&whole, &[DHT]);
        assert_eq!(tables.supply(standard.clone()), standard);
    }

    #[test]
    fn pixels_that_are_not_square_are_told_by_a_density_without_a_unit() {
        let whole = jpeg();
        let bare = without(&whole, &[APP0]);
        let size = |unit: u8, [across, down]: [u16; 2]| {
            let [[a, b], [c, d]] = [across.to_be_bytes(), down.to_be_bytes()];
            let jfif = [
                b"\xff\xe0\0\x10JFIF\0\x01\x01",
                &[unit, a, b, c, d, 0, 0][..],
            ]
            .concat();
            let jpeg = [&bare[..2], &jfif, &bare[2..]].concat().into();
            match with_aspect(jpeg).unwrap() {
                Content::Image(image) => Some(image.square_size()),
                Content::Jpeg(_) => None,
            }
        };
        assert_eq!(size(0, [2, 1]), Some((96, 32)));
        assert_eq!(size(0, [8, 9]), Some((43, 32)));
        for (unit, none) in [
            (0, [1, 1]),
            (0, [0, 1]),
            (0, [1, 0]),
            (0, [1, 9]),
            (1, [204, 98]),
        ] {
            assert_eq!(size(unit, none), None);
        }
        assert!(matches!(with_aspect(whole.clone()), Ok(Content::Jpeg(jpeg)) if jpeg == whole));
    }

    proptest! {
        #[test]
        fn takes_any_bytes(rest in prop::collection::vec(prop_oneof![Just(0xff), Just(DQT), any::<u8>()], 0..60)) {
            let mut tables = Tables::default();
            let jpeg: Bytes = [&[0xff, 0xd8], &rest[..]].concat().into();
            prop_assert_eq!(tables.supply(jpeg.clone()), jpeg.clone());
            let _ = aspect(&jpeg);
        }
    }
}
