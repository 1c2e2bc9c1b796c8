//! Y4M (`YUV4MPEG2`): raw planes with one line of header, as many programs
//! write to a pipe. The planes go to the encoder as they are, but for their
//! range: a JPEG uses all values.
//!
//! The format does not say whether its colours are BT.601 or BT.709; they are
//! taken as BT.601, which is what a JPEG holds. Interlaced frames go out as
//! they are woven; where chroma samples lie within a pixel is left aside.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use framegram_media::limits::{SizeError, check_size};
use framegram_media::{Image, Pool, Subsampling};
use thiserror::Error;

use super::{Captured, Content, Source, paced};

/// The longest line of header that is read: FFmpeg writes under 100 bytes.
const MAX_LINE: usize = 1024;

/// Frames a second where the header has none.
const DEFAULT_RATE: f64 = 25.0;

/// Frames from a Y4M pipe or file, at the header's rate or the one asked for.
pub struct Y4m {
    input: Box<dyn BufRead + Send>,
    name: String,
    path: Option<PathBuf>,
    header: Header,
    rate: f64,
    number: u64,
    buffers: Pool<Vec<u8>>,
}

impl Y4m {
    /// Reads the header from `input`, which messages call `name`.
    ///
    /// # Errors
    /// Where it is not a Y4M header, or one of a kind that is not taken.
    pub fn stream(
        mut input: impl BufRead + Send + 'static,
        name: &str,
        rate: Option<f64>,
    ) -> Result<Self> {
        let line = read_line(&mut input)
            .and_then(|line| line.context("it ends in its header"))
            .with_context(|| format!("cannot read {name}"))?;
        let header = Header::parse(&line).with_context(|| format!("cannot take {name}"))?;
        Ok(Self {
            input: Box::new(input),
            name: name.into(),
            path: None,
            header,
            rate: rate.or(header.rate).unwrap_or(DEFAULT_RATE),
            number: 0,
            buffers: Pool::new(),
        })
    }

    /// Frames from a file.
    ///
    /// # Errors
    /// Where it cannot be opened or is not one that is taken.
    pub fn file(path: &Path, rate: Option<f64>) -> Result<Self> {
        let name = path.display().to_string();
        let input = File::open(path).with_context(|| format!("cannot open {name}"))?;
        Ok(Self {
            path: Some(path.into()),
            ..Self::stream(BufReader::new(input), &name, rate)?
        })
    }

    fn read_frame(&mut self) -> Result<Option<Image>> {
        let Some(line) = read_line(&mut self.input)? else {
            return Ok(None);
        };
        ensure!(
            line == b"FRAME" || line.starts_with(b"FRAME "),
            "a frame does not begin with FRAME"
        );
        let Header {
            width,
            height,
            sampling,
            ..
        } = self.header;
        let mut planes = self.buffers.take_sized(sampling.bytes(width, height));
        self.input
            .read_exact(&mut planes)
            .context("it ends within a frame")?;
        if !self.header.full_range {
            let (luma, chroma) = planes.split_at_mut(width * height);
            expand_luma(luma);
            expand_chroma(chroma);
        }
        let planes = self.buffers.lend(planes);
        Ok(Some(Image::yuv(width, height, sampling, planes)?))
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
        Ok(Some(Captured {
            content: Content::Image(picture),
            media_time: Some(media_time),
            taken: None,
        }))
    }

    fn rewind(&mut self) -> Result<bool> {
        let Some(path) = &self.path else {
            return Ok(false);
        };
        let input = File::open(path).with_context(|| format!("cannot open {}", self.name))?;
        let mut input = BufReader::new(input);
        read_line(&mut input)?;
        self.input = Box::new(input);
        Ok(true)
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.rate)
    }
}

/// What the first line says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Frames a second, where it says.
    pub rate: Option<f64>,
    /// Which planes there are.
    pub sampling: Subsampling,
    /// Whether all values are used, not 16 to 235 and 16 to 240.
    pub full_range: bool,
}

/// Why a header is not taken.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// It does not begin like one.
    #[error("this is not a Y4M header")]
    NotY4m,
    /// It has no width or no height that makes sense.
    #[error("the Y4M header has no size")]
    NoSize,
    /// Its size is not one that is taken.
    #[error(transparent)]
    Size(#[from] SizeError),
    /// Deeper than 8 bits, with alpha, or unknown.
    #[error(
        "Y4M of kind C{} is not taken; with ffmpeg, type -pix_fmt yuv420p",
        .0.escape_debug()
    )]
    Kind(String),
}

impl Header {
    /// Understands the first line, without its end.
    ///
    /// # Errors
    /// Where it is not a header, or one of a kind that is not taken.
    pub fn parse(line: &[u8]) -> Result<Self, HeaderError> {
        let line = std::str::from_utf8(line).map_err(|_| HeaderError::NotY4m)?;
        let mut words = line.split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(HeaderError::NotY4m);
        }
        let (mut width, mut height) = (0, 0);
        let (mut rate, mut sampling, mut full_range) = (None, Subsampling::Yuv420, false);
        for word in words.filter(|word| !word.is_empty()) {
            let mut rest = word.chars();
            let tag = rest.next();
            let value = rest.as_str();
            match tag {
                Some('W') => width = value.parse().map_err(|_| HeaderError::NoSize)?,
                Some('H') => height = value.parse().map_err(|_| HeaderError::NoSize)?,
                Some('F') => rate = parse_ratio(value),
                Some('C') => sampling = parse_kind(value)?,
                Some('X') if value.starts_with("COLORRANGE=") => {
                    full_range = value == "COLORRANGE=FULL";
                }
                _ => {}
            }
        }
        if width == 0 || height == 0 {
            return Err(HeaderError::NoSize);
        }
        check_size(width, height)?;
        Ok(Self {
            width,
            height,
            rate,
            sampling,
            full_range,
        })
    }
}

fn parse_kind(kind: &str) -> Result<Subsampling, HeaderError> {
    match kind {
        "420" | "420jpeg" | "420mpeg2" | "420paldv" => Ok(Subsampling::Yuv420),
        "422" => Ok(Subsampling::Yuv422),
        "444" => Ok(Subsampling::Yuv444),
        "mono" => Ok(Subsampling::Gray),
        _ => Err(HeaderError::Kind(kind.into())),
    }
}

fn parse_ratio(text: &str) -> Option<f64> {
    let (over, under) = text.split_once(':')?;
    let rate =
        over.parse::<u32>().ok().map(f64::from)? / under.parse::<u32>().ok().map(f64::from)?;
    (rate.is_finite() && rate > 0.0 && rate <= 1000.0).then_some(rate)
}

/// A line without its end; `None` at the end of the input.
fn read_line(input: &mut (impl BufRead + ?Sized)) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    input
        .take(MAX_LINE as u64)
        .read_until(b'\n', &mut line)
        .context("reading failed")?;
    if line.is_empty() {
        return Ok(None);
    }
    ensure!(
        line.pop() == Some(b'\n'),
        "a line of its header does not end"
    );
    Ok(Some(line))
}

/// 16 to 235 become 0 to 255. Written so that the compiler does many at once.
fn expand_luma(plane: &mut [u8]) {
    for value in plane {
        let above = u16::from(value.saturating_sub(16).min(219));
        *value = ((above * 255 + 109) / 219) as u8;
    }
}

/// 16 to 240 become 0 to 255, and 128 stays.
fn expand_chroma(plane: &mut [u8]) {
    for value in plane {
        let above = u16::from(value.saturating_sub(16).min(224));
        *value = ((above * 255 + 112) / 224) as u8;
    }
}

#[cfg(test)]
mod tests {
    use framegram_media::Pixels;
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
    fn expands_limited_range_to_the_nearest_value() {
        let mut luma: Vec<u8> = (0..=255).collect();
        let mut chroma = luma.clone();
        expand_luma(&mut luma);
        expand_chroma(&mut chroma);
        for value in 0..=255_u8 {
            let exact =
                |low: f64, span: f64| ((f64::from(value) - low) * 255.0 / span).clamp(0.0, 255.0);
            let error = |got: u8, exact: f64| (f64::from(got) - exact).abs();
            assert!(error(luma[usize::from(value)], exact(16.0, 219.0)) <= 0.5);
            assert!(error(chroma[usize::from(value)], exact(16.0, 224.0)) <= 0.5);
        }
        assert_eq!(chroma[128], 128);
    }

    #[test]
    fn understands_the_headers_of_ffmpeg() {
        let header = Header::parse(
            b"YUV4MPEG2 W641 H361 F30000:1001 Ip A1:1 C420mpeg2 XYSCSS=420MPEG2 XCOLORRANGE=LIMITED",
        )
        .unwrap();
        assert_eq!((header.width, header.height), (641, 361));
        assert!((header.rate.unwrap() - 29.97).abs() < 0.01);
        assert_eq!(
            (header.sampling, header.full_range),
            (Subsampling::Yuv420, false)
        );
        let header = Header::parse(b"YUV4MPEG2 W2 H2 F0:0 C444 XCOLORRANGE=FULL").unwrap();
        assert_eq!(
            (header.sampling, header.full_range),
            (Subsampling::Yuv444, true)
        );
        assert_eq!(header.rate, None);
    }

    #[test]
    fn fails_for_kinds_that_are_not_taken() {
        for kind in ["420p10", "444alpha", "410", ""] {
            let line = format!("YUV4MPEG2 W2 H2 C{kind}");
            assert_eq!(
                Header::parse(line.as_bytes()),
                Err(HeaderError::Kind(kind.into()))
            );
        }
        // Whoever made the file made the kind: it is told, and does nothing else.
        let strange = Header::parse(b"YUV4MPEG2 W2 H2 C\x1b[2J\x07").unwrap_err();
        assert!(
            !strange.to_string().contains(char::is_control),
            "{strange:?}"
        );
        assert_eq!(Header::parse(b"YUV4MPEG2 W2"), Err(HeaderError::NoSize));
        assert_eq!(Header::parse(b"RIFF"), Err(HeaderError::NotY4m));
        let huge = Header::parse(b"YUV4MPEG2 W16000 H16000");
        assert!(matches!(huge, Err(HeaderError::Size(_))));
    }

    #[test]
    fn reads_frames_of_odd_size_and_fails_for_half_a_frame() {
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
        assert!(read(bytes).is_err());
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
            // Only that it comes back, whatever it says.
            let _ = read([start, &rest].concat());
        }

        #[test]
        fn takes_any_header_line(line in "YUV4MPEG2( [WHFICAX]{0,2}[0-9a-z:=]{0,20}){0,8}") {
            if let Ok(header) = Header::parse(line.as_bytes()) {
                prop_assert!(check_size(header.width, header.height).is_ok());
            }
        }
    }
}
