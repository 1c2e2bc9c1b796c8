//! Y4M (`YUV4MPEG2`): a header line, then the planes of each frame after a line that begins with
//! FRAME. The header states one size, subsampling and rate for all frames.

use std::fmt;
use std::io::{self, BufRead, Read, Write};

use thiserror::Error;

use crate::limits::MAX_PIXELS;
use crate::planes::Planes;
use crate::range;
use crate::subsampling::Subsampling;

/// The first bytes of a Y4M.
pub const Y4M_START: &[u8] = b"YUV4MPEG2 ";

/// Longest line that is read. FFmpeg writes less than 100 bytes.
const MAX_LINE: usize = 1024;

/// Highest plausible rate, in frames per second.
pub const MAX_RATE: f64 = 1000.0;

/// The fields of the header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Y4mHeader {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Frames per second as a fraction, if stated.
    pub rate: Option<(u32, u32)>,
    /// The planes that [`to_planes`](Self::to_planes) makes.
    pub subsampling: Subsampling,
    /// Rows of those chroma planes for each row in the file: more than 1 for 4:1:0 and 4:4:0.
    pub chroma_rows: usize,
    /// Bits of a sample. A sample of more than 8 bits takes two bytes, little-endian.
    pub bits: u8,
    /// Whether an alpha plane follows the others.
    pub has_alpha: bool,
    /// Aspect ratio of a pixel, width and height.
    pub aspect: (i32, i32),
    /// Full range (0 to 255), not limited range (luma 16 to 235, chroma 16 to 240).
    pub full_range: bool,
}

/// Why a Y4M cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Y4mError {
    /// The input does not begin with a Y4M header.
    #[error("this is not a Y4M header")]
    NotY4m,
    /// Width or height is missing, zero or not a number.
    #[error("the Y4M header has no size")]
    NoSize,
    /// A frame has more than [`MAX_PIXELS`].
    #[error("frames of {0}x{1} are too large: the limit is {MAX_PIXELS} pixels")]
    TooLarge(usize, usize),
    /// The colour space is not supported.
    #[error(
        "the Y4M colour space C{} is not supported; with ffmpeg, add -pix_fmt yuv420p",
        .0.escape_debug()
    )]
    Kind(String),
    /// A line is longer than any program writes it.
    #[error("a line of the Y4M is longer than {MAX_LINE} bytes")]
    EndlessLine,
    /// Something else stands where a frame should begin.
    #[error("a frame of the Y4M does not begin with FRAME")]
    NotAFrame,
    /// The input ends within the header or a frame.
    #[error("the Y4M ends within {0}")]
    CutOff(&'static str),
    /// The input cannot be read.
    #[error("reading failed")]
    Io(#[from] io::Error),
}

/// Reads the frames of a Y4M.
pub struct Y4mReader<R> {
    input: R,
    header: Y4mHeader,
}

impl<R: BufRead> Y4mReader<R> {
    /// Reads the header.
    pub fn new(mut input: R) -> Result<Self, Y4mError> {
        let line = read_line(&mut input, "its header")?.ok_or(Y4mError::CutOff("its header"))?;
        let header = Y4mHeader::parse(&line)?;
        Ok(Self { input, header })
    }

    /// The header of the next frame.
    pub fn header(&self) -> &Y4mHeader {
        &self.header
    }

    /// Advances to the planes of the next frame. Returns false at the end. If the input continues
    /// with another Y4M, [`header`](Self::header) returns its header from then on.
    ///
    /// # Errors
    /// If the input cannot be read, is not a Y4M or ends within a line.
    pub fn next_frame(&mut self) -> Result<bool, Y4mError> {
        while let Some(line) = read_line(&mut self.input, "a frame")? {
            let parameters = line.strip_prefix(b"FRAME");
            if parameters.is_some_and(|rest| rest.first().is_none_or(u8::is_ascii_whitespace)) {
                return Ok(true);
            }
            if line.starts_with(Y4M_START) {
                self.header = Y4mHeader::parse(&line)?;
            } else if !line.trim_ascii().is_empty() {
                return Err(Y4mError::NotAFrame);
            }
        }
        Ok(false)
    }

    /// Reads the planes of the frame that [`next_frame`](Self::next_frame) advanced to; `planes`
    /// has the length [`frame_bytes`](Y4mHeader::frame_bytes).
    ///
    /// # Errors
    /// If the input cannot be read or ends within the frame.
    pub fn read_planes(&mut self, planes: &mut [u8]) -> Result<(), Y4mError> {
        match self.input.read_exact(planes) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(Y4mError::CutOff("a frame"))
            }
            other => Ok(other?),
        }
    }
}

impl Y4mHeader {
    /// Parses the header line, without its line end.
    pub fn parse(line: &[u8]) -> Result<Self, Y4mError> {
        let line = std::str::from_utf8(line).map_err(|_| Y4mError::NotY4m)?;
        let mut words = line.trim_end_matches('\r').split(' ');
        if words.next() != Some("YUV4MPEG2") {
            return Err(Y4mError::NotY4m);
        }
        let mut header = Self {
            width: 0,
            height: 0,
            rate: None,
            subsampling: Subsampling::Yuv420,
            chroma_rows: 1,
            bits: 8,
            has_alpha: false,
            aspect: (1, 1),
            full_range: false,
        };
        let (mut has_kind, mut older_kind) = (false, None);
        let size = |value: &str| value.parse::<usize>().map_err(|_| Y4mError::NoSize);
        for word in words.filter(|word| !word.is_empty()) {
            let mut rest = word.chars();
            let tag = rest.next();
            let value = rest.as_str();
            match tag {
                Some('W') => header.width = size(value)?,
                Some('H') => header.height = size(value)?,
                Some('F') => header.rate = parse_rate(value),
                Some('C') => {
                    has_kind = true;
                    header.set_kind(value)?;
                }
                Some('A') => header.aspect = parse_aspect(value).unwrap_or((1, 1)),
                Some('X') if value.starts_with("COLORRANGE=") => {
                    header.full_range = value == "COLORRANGE=FULL";
                }
                // MJPEG tools wrote the colour space like this before it had a tag of its own.
                Some('X') => older_kind = value.strip_prefix("YSCSS=").or(older_kind),
                _ => {}
            }
        }
        if let (false, Some(kind)) = (has_kind, older_kind) {
            header.set_kind(&kind.to_ascii_lowercase())?;
        }
        let (width, height) = (header.width, header.height);
        match width.checked_mul(height) {
            Some(0) => Err(Y4mError::NoSize),
            Some(pixels) if pixels <= MAX_PIXELS => Ok(header),
            _ => Err(Y4mError::TooLarge(width, height)),
        }
    }

    /// Bytes of a frame in the file.
    pub fn frame_bytes(&self) -> usize {
        let alpha = if self.has_alpha {
            self.width * self.height
        } else {
            0
        };
        let samples = self.stored_samples() + alpha;
        samples * if self.bits > 8 { 2 } else { 1 }
    }

    /// Samples of a frame in the file, without alpha.
    fn stored_samples(&self) -> usize {
        let chroma = self.subsampling.chroma(self.width, self.height);
        let (width, height) = chroma.unwrap_or((0, 0));
        self.width * self.height + 2 * width * height.div_ceil(self.chroma_rows)
    }

    /// Frames per second, if stated.
    pub fn frame_rate(&self) -> Option<f64> {
        let (over, under) = self.rate?;
        Some(f64::from(over) / f64::from(under))
    }

    /// Converts the bytes of a frame to the planes of a JPEG: 8 bits, full range, no alpha.
    pub fn to_planes(&self, frame: &mut Vec<u8>) {
        if self.bits > 8 {
            let shift = self.bits - 8;
            for at in 0..frame.len() / 2 {
                let sample = u16::from_le_bytes([frame[2 * at], frame[2 * at + 1]]);
                frame[at] = (sample >> shift).min(255) as u8;
            }
        }
        frame.truncate(self.stored_samples());
        if self.chroma_rows > 1 {
            self.repeat_chroma_rows(frame);
        }
        if !self.full_range {
            range::to_full_range(frame, self.width * self.height);
        }
    }

    fn repeat_chroma_rows(&self, frame: &mut Vec<u8>) {
        let (luma, stored) = frame.split_at(self.width * self.height);
        let mut planes = luma.to_vec();
        if let Some((width, height)) = self.subsampling.chroma(self.width, self.height) {
            for plane in stored.chunks_exact(width * height.div_ceil(self.chroma_rows)) {
                let row = |number: usize| number / self.chroma_rows * width;
                planes.extend((0..height).flat_map(|number| &plane[row(number)..][..width]));
            }
        }
        *frame = planes;
    }

    /// Parses the colour space: the subsampling, then the variant or bit depth.
    fn set_kind(&mut self, kind: &str) -> Result<(), Y4mError> {
        let unknown = || Y4mError::Kind(kind.into());
        let name = if kind.starts_with("mono") { 4 } else { 3 };
        let (sampling, more) = kind.split_at_checked(name).ok_or_else(unknown)?;
        (self.subsampling, self.chroma_rows) = match sampling {
            "420" => (Subsampling::Yuv420, 1),
            "411" => (Subsampling::Yuv411, 1),
            "410" => (Subsampling::Yuv411, 4),
            "422" => (Subsampling::Yuv422, 1),
            "444" => (Subsampling::Yuv444, 1),
            "440" => (Subsampling::Yuv444, 2),
            "mono" => (Subsampling::Gray, 1),
            _ => return Err(unknown()),
        };
        match more {
            "" | "jpeg" | "mpeg2" | "paldv" => {}
            "alpha" => self.has_alpha = true,
            deep => {
                let bits = deep.strip_prefix('p').unwrap_or(deep).parse();
                let bits = bits.ok().filter(|bits| (9..=16).contains(bits));
                self.bits = bits.ok_or_else(unknown)?;
            }
        }
        Ok(())
    }
}

/// The header line with its line end.
impl fmt::Display for Y4mHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "YUV4MPEG2 W{} H{}", self.width, self.height)?;
        if let Some((over, under)) = self.rate {
            write!(f, " F{over}:{under}")?;
        }
        let kind = match self.subsampling {
            Subsampling::Yuv420 => "420jpeg",
            Subsampling::Yuv422 => "422",
            Subsampling::Yuv444 => "444",
            Subsampling::Yuv411 => "411",
            Subsampling::Gray => "mono",
        };
        write!(f, " Ip A{}:{} C{kind}", self.aspect.0, self.aspect.1)?;
        if self.full_range {
            write!(f, " XCOLORRANGE=FULL")?;
        }
        writeln!(f)
    }
}

/// The line before the planes of a frame.
pub const FRAME: &[u8] = b"FRAME\n";

/// Writes the planes of an image as a frame.
pub fn write_frame(planes: &Planes, out: &mut impl Write) -> io::Result<()> {
    out.write_all(FRAME)?;
    if let Some(samples) = planes.packed() {
        return out.write_all(samples);
    }
    planes.rows().try_for_each(|row| out.write_all(row))
}

fn parse_aspect(text: &str) -> Option<(i32, i32)> {
    let (across, down) = text.split_once(':')?;
    Some((across.parse().ok()?, down.parse().ok()?))
}

fn parse_rate(text: &str) -> Option<(u32, u32)> {
    let (over, under) = text.split_once(':')?;
    let (over, under) = (over.parse().ok()?, under.parse().ok()?);
    let rate = f64::from(over) / f64::from(under);
    (rate > 0.0 && rate <= MAX_RATE).then_some((over, under))
}

/// Reads a line, without its line end; `None` at the end of the input.
fn read_line(input: &mut impl BufRead, what: &'static str) -> Result<Option<Vec<u8>>, Y4mError> {
    let mut line = Vec::new();
    let read = input
        .by_ref()
        .take(MAX_LINE as u64)
        .read_until(b'\n', &mut line)?;
    match line.pop() {
        None => Ok(None),
        Some(b'\n') => Ok(Some(line)),
        Some(_) if read < MAX_LINE => Err(Y4mError::CutOff(what)),
        Some(_) => Err(Y4mError::EndlessLine),
    }
}

#[cfg(test)]
mod tests;
