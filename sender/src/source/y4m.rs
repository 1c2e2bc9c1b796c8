//! Y4M (`YUV4MPEG2`): raw planes with a header line, which many programs write to a pipe. The
//! planes go to the encoder unchanged, except for their range: JPEG uses the full range.
//!
//! The format does not state whether its colours are BT.601 or BT.709. They are taken as BT.601,
//! which JPEG uses. Interlaced frames are sent woven. The position of chroma samples within a pixel
//! is ignored.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use framegram_media::limits::check_size;
use framegram_media::y4m::{Y4mError, Y4mReader};
use framegram_media::{Image, Pool};

use super::{Captured, Content, Source, paced};

/// Frames per second, if the header does not say.
const DEFAULT_RATE: f64 = 25.0;

/// Frames from a Y4M pipe or file, at the header's rate or the requested one.
pub struct Y4m {
    reader: Y4mReader<Box<dyn BufRead + Send>>,
    name: String,
    path: Option<PathBuf>,
    rate: f64,
    number: u64,
    /// It was cut off within a frame.
    cut_off: bool,
    buffers: Pool<Vec<u8>>,
}

impl Y4m {
    /// Reads the header from `input`, which messages call `name`.
    ///
    /// # Errors
    /// If it is not a Y4M header, or one of an unsupported kind.
    pub fn stream(
        input: impl BufRead + Send + 'static,
        name: &str,
        rate: Option<f64>,
    ) -> Result<Self> {
        let input: Box<dyn BufRead + Send> = Box::new(input);
        let reader = open(input).with_context(|| format!("cannot take {name}"))?;
        let own_rate = reader.header().frame_rate();
        Ok(Self {
            reader,
            name: name.into(),
            path: None,
            rate: rate.or(own_rate).unwrap_or(DEFAULT_RATE),
            number: 0,
            cut_off: false,
            buffers: Pool::default(),
        })
    }

    /// Frames from a file.
    ///
    /// # Errors
    /// If it cannot be opened or is not supported.
    pub fn file(path: &Path, rate: Option<f64>) -> Result<Self> {
        let name = path.display().to_string();
        let input = File::open(path).with_context(|| format!("cannot open {name}"))?;
        Ok(Self {
            path: Some(path.into()),
            ..Self::stream(BufReader::new(input), &name, rate)?
        })
    }

    fn read_frame(&mut self) -> Result<Option<Image>> {
        let mut planes = match self.read_planes() {
            Ok(Some(planes)) => planes,
            Ok(None) => return Ok(None),
            // A recording that broke off is as long as its last whole frame.
            Err(Y4mError::CutOff(_)) if self.number > 0 => {
                self.cut_off = true;
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        let header = *self.reader.header();
        header.to_planes(&mut planes);
        let planes = self.buffers.lend(planes);
        let image = Image::yuv(header.width, header.height, header.subsampling, planes)?;
        Ok(Some(image.widened().with_aspect(header.aspect)))
    }
}

impl Y4m {
    fn read_planes(&mut self) -> Result<Option<Vec<u8>>, Y4mError> {
        if !self.reader.next_frame()? {
            return Ok(None);
        }
        let bytes = self.reader.header().frame_bytes();
        let mut planes = self.buffers.take_sized(bytes);
        self.reader.read_planes(&mut planes)?;
        Ok(Some(planes))
    }
}

impl Source for Y4m {
    fn next(&mut self) -> Result<Option<Captured>> {
        let picture = self
            .read_frame()
            .with_context(|| format!("frame {} of {} is broken", self.number, self.name))?;
        let Some(picture) = picture else {
            if self.number == 0 {
                bail!("there is no frame on {}", self.name);
            }
            return Ok(None);
        };
        let media_time = paced::media_time(self.number, self.rate);
        self.number += 1;
        Ok(Some(Captured::at(
            Some(media_time),
            Content::Image(picture),
        )))
    }

    fn rewind(&mut self) -> Result<bool> {
        let Some(path) = &self.path else {
            return Ok(false);
        };
        let input = File::open(path).with_context(|| format!("cannot open {}", self.name))?;
        self.reader = open(Box::new(BufReader::new(input)))?;
        Ok(true)
    }

    fn unreadable(&self) -> u64 {
        u64::from(self.cut_off)
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.rate)
    }
}

/// Reads the header, which must be of a supported kind.
fn open(input: Box<dyn BufRead + Send>) -> Result<Y4mReader<Box<dyn BufRead + Send>>> {
    let reader = Y4mReader::new(input)?;
    let header = reader.header();
    check_size(header.width, header.height)?;
    Ok(reader)
}

#[cfg(test)]
mod tests {
    use framegram_media::{Pixels, Subsampling};
    use proptest::prelude::*;

    use super::*;

    fn read(bytes: Vec<u8>) -> Result<Vec<Image>> {
        let mut source = Y4m::stream(std::io::Cursor::new(bytes), "test", None)?;
        let mut pictures = Vec::new();
        while let Some(captured) = source.next()? {
            let Content::Image(picture) = captured.content else {
                panic!("Y4M holds no JPEGs");
            };
            pictures.push(picture);
        }
        Ok(pictures)
    }

    #[test]
    fn fails_for_kinds_and_sizes_that_are_not_sent() {
        for line in [
            "YUV4MPEG2 W2 H2 C430\n",
            "YUV4MPEG2 W2 H2 C420p99\n",
            "YUV4MPEG2 W16385 H1\n",
            "YUV4MPEG2 W2\n",
            "RIFF\n",
        ] {
            assert!(read(line.into()).is_err(), "{line}");
        }
    }

    #[test]
    fn reads_frames_of_odd_size_up_to_half_a_frame() {
        let mut bytes = b"YUV4MPEG2 W3 H3 F25:1 C420jpeg\nFRAME\n".to_vec();
        bytes.extend([16; 9]);
        bytes.extend([128; 8]);
        bytes.extend(b"FRAME Ip\n");
        bytes.extend([235; 9]);
        bytes.extend([240; 8]);
        let pictures = read(bytes.clone()).unwrap();
        assert_eq!(pictures.len(), 2);
        let black = [[0_u8; 9].as_slice(), &[128; 8]].concat();
        let white = [[255_u8; 9].as_slice(), &[255; 8]].concat();
        assert_eq!(
            pictures[0].pixels(),
            &Pixels::Yuv(Subsampling::Yuv420, black.into())
        );
        assert_eq!(
            pictures[1].pixels(),
            &Pixels::Yuv(Subsampling::Yuv420, white.into())
        );
        bytes.pop();
        assert_eq!(read(bytes.clone()).unwrap(), pictures[..1]);
        bytes.truncate(50);
        assert!(read(bytes).is_err());
    }

    #[test]
    fn samples_of_more_bits_keep_the_highest_eight() {
        for (kind, sample, kept) in [
            ("420p10", 1023, 255),
            ("420p10", 64, 0),
            ("420p16", 0x8000, 130),
        ] {
            let mut bytes = format!("YUV4MPEG2 W2 H2 F25:1 A4:3 C{kind}\nFRAME\n").into_bytes();
            bytes.extend([sample; 6].into_iter().flat_map(u16::to_le_bytes));
            let pictures = read(bytes).unwrap();
            let Pixels::Yuv(Subsampling::Yuv420, planes) = pictures[0].pixels() else {
                panic!("{kind}");
            };
            assert_eq!(planes[..4], [kept; 4], "{kind}, {sample}");
            assert_eq!(pictures[0].square_size(), (3, 2));
        }
        let mut bytes = b"YUV4MPEG2 W1 H1 C444alpha XCOLORRANGE=FULL\nFRAME\n".to_vec();
        bytes.extend([1, 2, 3, 4]);
        let planes = Pixels::Yuv(Subsampling::Yuv444, vec![1, 2, 3].into());
        assert_eq!(read(bytes).unwrap()[0].pixels(), &planes);
    }

    proptest! {
        #[test]
        fn takes_any_bytes(
            start in prop_oneof![
                Just(&b""[..]),
                Just(&b"YUV4MPEG2 "[..]),
                Just(&b"YUV4MPEG2 W4 H2\n"[..]),
                Just(&b"YUV4MPEG2 W1 H1 Cmono\nFRAME\nx"[..]),
            ],
            rest in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            // It returns without a panic, whatever the result.
            let _ = read([start, &rest].concat());
        }
    }
}
