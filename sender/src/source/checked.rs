//! The check that the JPEGs of every source pass: what is sent can be decoded by every decoder.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annex B.

mod tables;

use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use framegram_common::jpeg::{JpegHeader, clean};
use framegram_media::limits::{MAX_STILL_PIXELS, check_size};
use framegram_media::{Decoder, Turn, Undecodable, Vetter};

use self::tables::{APP0, APP1, DQT, KnownTables, segments};
use super::exif;
use super::ffmpeg::decode_jpeg;
use super::{Captured, Content, Request, Source};
use crate::console::Console;

/// A source whose first frame was read, and whose JPEGs are clean and complete. Others are dropped
/// and counted.
pub(super) struct Checked {
    source: Box<dyn Source>,
    first: Option<Captured>,
    wanted: Wanted,
    vetter: Vetter,
    tables: KnownTables,
    /// A frame was fit to send.
    any: bool,
    broken: u64,
    console: Arc<Console>,
}

impl Checked {
    /// Reads the first frame.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn begin(source: Box<dyn Source>, request: &Request) -> Result<Self> {
        let mut checked = Self {
            source,
            first: None,
            wanted: Wanted::of(request),
            vetter: Vetter::default(),
            tables: KnownTables::default(),
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
                    let Some(jpeg) = self.tables.supply(&jpeg) else {
                        continue;
                    };
                    check(&jpeg, self.wanted, &mut self.vetter)
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
                        // Whether it goes to its end, the vetter says.
                        let ends_early = error.is::<Undecodable>() && !self.wanted.keep_broken;
                        let hint = if ends_early { HINT } else { "" };
                        self.console.say(&format!(
                            "a frame of the source is dropped: {error:#}{hint}"
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

/// What is asked of a JPEG.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Wanted {
    /// Those that end early are welcome too.
    pub(super) keep_broken: bool,
    /// Width and height in pixels that all are scaled to: then they may be larger
    /// than what is sent.
    pub(super) size: Option<(usize, usize)>,
}

impl Wanted {
    pub(super) fn of(request: &Request) -> Self {
        Self {
            keep_broken: request.keep_broken,
            size: request.size,
        }
    }

    /// The size that an image is scaled to because it is too large to be sent; `None`
    /// for one that is not.
    ///
    /// # Errors
    /// Where it is too large for that too, or no size is wanted.
    pub(super) fn scale(self, (width, height): (usize, usize)) -> Result<Option<(usize, usize)>> {
        let Err(error) = check_size(width, height) else {
            return Ok(None);
        };
        ensure!(
            (1..=MAX_STILL_PIXELS).contains(&(width * height)),
            "{error}"
        );
        match self.size {
            None => bail!("{error}; --size 1920x1080 scales a larger one"),
            size => Ok(size),
        }
    }
}

/// A JPEG as it is sent, or the image of one that few decoders take, that is held
/// another way up, or that says of its pixels that they are not square. One that
/// ends early is, where that is wanted.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(jpeg: &Bytes, wanted: Wanted, vetter: &mut Vetter) -> Result<Content> {
    let jpeg = clean(jpeg)?;
    let header = JpegHeader::parse(&jpeg)?;
    let (width, height) = (usize::from(header.width), usize::from(header.height));
    let scaled_to = wanted.scale((width, height))?;
    let image = if header.is_for_libjpeg() {
        ensure!(
            segments(&jpeg[..header.len]).any(|(marker, _)| marker == DQT),
            "it has no quantization tables, and no frame before it had any"
        );
        if !wanted.keep_broken {
            vetter.vet(&jpeg)?;
        }
        let large = scaled_to.map(|size| Decoder::new()?.decode_large(&jpeg, size));
        large.transpose()?
    } else {
        Some(decode_jpeg(&jpeg)?)
    };
    let (aspect, turn) = (aspect(&jpeg), turn(&jpeg));
    let image = match image {
        Some(image) => image,
        None if aspect.is_none() && turn.is_none() => return Ok(Content::Jpeg(jpeg)),
        None => Decoder::new()?.decode_image(&jpeg)?,
    };
    let image = match turn {
        Some(turn) => image.turned(turn)?,
        None => image,
    };
    let is_across = turn.is_some_and(|turn| turn.transpose);
    let aspect = aspect.map(|(across, down)| match is_across {
        true => (down, across),
        false => (across, down),
    });
    Ok(Content::Image(match aspect {
        Some(aspect) => image.with_aspect(aspect),
        None => image,
    }))
}

/// How it comes upright, where its EXIF segment says that it is not.
fn turn(jpeg: &[u8]) -> Option<Turn> {
    let is_exif = |segment: &[u8]| {
        segment
            .get(4..)
            .is_some_and(|it| it.starts_with(b"Exif\0\0"))
    };
    let has_exif = segments(jpeg).any(|(marker, segment)| marker == APP1 && is_exif(segment));
    has_exif.then(|| exif::turn(jpeg)).flatten()
}

/// The pixel aspect ratio in the JFIF segment, as FFmpeg writes and reads it, unless pixels are
/// square. A density per inch or centimetre refers to paper.
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

/// Upper bound on a plausible aspect ratio of pixels.
const MAX_ASPECT: u16 = 4;

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

    /// Without its JFIF segment.
    fn bare(jpeg: &Bytes) -> Bytes {
        let (_, segment) = segments(jpeg).find(|(marker, _)| *marker == APP0).unwrap();
        [&jpeg[..2], &jpeg[2 + segment.len()..]].concat().into()
    }

    #[test]
    fn a_density_without_a_unit_gives_the_pixel_aspect_ratio() {
        let whole = jpeg();
        let bare = bare(&whole);
        let size = |unit: u8, [across, down]: [u16; 2]| {
            let [[a, b], [c, d]] = [across.to_be_bytes(), down.to_be_bytes()];
            let jfif = [
                b"\xff\xe0\0\x10JFIF\0\x01\x01",
                &[unit, a, b, c, d, 0, 0][..],
            ]
            .concat();
            let jpeg = [&bare[..2], &jfif, &bare[2..]].concat().into();
            match check(&jpeg, Wanted::default(), &mut Vetter::default()).unwrap() {
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
        let same = check(&whole, Wanted::default(), &mut Vetter::default());
        assert!(matches!(same, Ok(Content::Jpeg(jpeg)) if jpeg == whole));
    }

    proptest! {
        #[test]
        fn takes_any_bytes(rest in prop::collection::vec(prop_oneof![Just(0xff), Just(DQT), any::<u8>()], 0..60)) {
            let jpeg: Bytes = [&[0xff, 0xd8], &rest[..]].concat().into();
            let _ = aspect(&jpeg);
        }
    }
}
