//! JPEG markers: the header, its tables and where the restart slices begin.
//! Knows no pixels.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annex B.

mod clean;
pub mod halves;
pub(crate) mod huffman;
pub(crate) mod markers;
pub mod scan;
mod splitter;

use thiserror::Error;

pub use self::clean::clean;
pub use self::huffman::{Huffman, HuffmanTable, STANDARD as STANDARD_TABLES};
use self::markers::{
    APP0, APP14, APP15, COM, DRI, EOI, Marker, Markers, RST0, RST7, SOF0, SOF1, SOF2, SOF3, SOI,
    SOS, is_reserved, is_start_of_frame,
};
pub use self::splitter::Splitter;

/// The longest header that is examined, in bytes. Four quantization and eight Huffman tables of
/// full length take less than 4 KiB, and the application segments of cameras and editors are left
/// out.
pub const MAX_TABLES: usize = 8 << 10;

/// The most restart slices that are distinguished: their numbers are 16 bits long on the wire.
pub const MAX_SLICES: usize = 1 << 16;

/// The most blocks in a minimum coded unit (T.81, B.2.3). FFmpeg decodes more.
pub(crate) const MAX_UNIT_BLOCKS: u32 = 10;

/// The header of a JPEG.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JpegHeader {
    /// Width in pixels, 1 to 65,535.
    pub width: u16,
    /// Height in pixels, 1 to 65,535.
    pub height: u16,
    /// The colour components, in scan order.
    pub components: Vec<Component>,
    /// The coding process.
    pub process: Process,
    /// Bits per sample.
    pub precision: u8,
    /// Whether it is baseline or extended sequential with Huffman coding and has all components in
    /// one scan, so that it can be cut into slices.
    pub sequential: bool,
    /// Minimum coded units from restart to restart; 0 for none.
    pub restart_interval: u16,
    /// Whether a JFIF segment declares luma and chroma.
    pub is_jfif: bool,
    /// The colour transform of the Adobe segment, if there is one.
    pub adobe: Option<u8>,
    /// Whether an AVI segment marks it as a field, with every other row of a picture (OpenDML AVI
    /// File Format Extensions, 1.02, "AVI1").
    pub is_field: bool,
    /// Bytes to the end of the start-of-scan segment.
    pub len: usize,
}

/// The coding process of a JPEG (T.81, table B.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Process {
    /// Baseline or extended sequential, Huffman coding.
    Sequential,
    /// Progressive, Huffman coding.
    Progressive,
    /// Lossless, Huffman coding.
    Lossless,
    /// Arithmetic coding or hierarchical: rare.
    Other,
}

/// How a colour component is sampled and coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its identifier.
    pub id: u8,
    /// Horizontal sampling factor, 1 to 4.
    pub horizontal: u8,
    /// Vertical sampling factor, 1 to 4.
    pub vertical: u8,
    /// Its quantization table.
    pub quantization: u8,
    /// Its Huffman table for DC coefficients.
    pub dc_table: u8,
    /// Its Huffman table for AC coefficients.
    pub ac_table: u8,
}

/// Why bytes are not the beginning of a JPEG.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JpegError {
    /// No start of image.
    #[error("begins with {0:02x?}, expected ff d8")]
    NoStart([u8; 2]),
    /// The bytes end before the first scan begins.
    #[error("ends within the header, after {0} bytes")]
    Short(usize),
    /// A segment that is misplaced or too short.
    #[error("marker ff {marker:02x} at byte {at} is out of place or too short")]
    Segment {
        /// The marker's second byte.
        marker: u8,
        /// Its offset.
        at: usize,
    },
}

impl JpegHeader {
    /// Parses the header up to the first scan.
    ///
    /// # Errors
    /// If `jpeg` does not begin like a JPEG with a frame and a scan.
    pub fn parse(jpeg: &[u8]) -> Result<Self, JpegError> {
        let mut frame = None;
        let mut restart_interval = 0;
        let (mut is_jfif, mut is_field, mut adobe) = (false, false, None);
        for segment in Segments::new(jpeg)? {
            let segment = segment?;
            match segment.code() {
                DRI => {
                    let [high, low] = segment.fixed()?;
                    restart_interval = u16::from_be_bytes([high, low]);
                }
                code if is_start_of_frame(code) => frame = Some(parse_frame(&segment)?),
                APP0 if segment.payload.starts_with(b"JFIF\0") => is_jfif = true,
                APP0 if segment.payload.starts_with(b"AVI1") => {
                    is_field = segment.payload.get(4).is_some_and(|polarity| *polarity > 0);
                }
                // https://www.itu.int/rec/T-REC-T.872, 6.5.3.
                APP14 if segment.payload.starts_with(b"Adobe") => {
                    adobe = segment.payload.get(11).copied();
                }
                SOS => {
                    let mut header = frame.ok_or_else(|| segment.error())?;
                    header.restart_interval = restart_interval;
                    (header.is_jfif, header.adobe) = (is_jfif, adobe);
                    header.is_field = is_field;
                    header.len = segment.marker.end;
                    parse_scan(&segment, &mut header)?;
                    return Ok(header);
                }
                _ => {}
            }
        }
        Err(JpegError::Short(jpeg.len()))
    }

    /// Whether the picture can be cut into restart slices.
    pub fn has_slices(&self) -> bool {
        self.sequential && self.restart_interval > 0 && self.slice_count() <= MAX_SLICES
    }

    /// Whether its colours are luma and chroma, or grey, by the rules of libjpeg (jdapimin.c,
    /// `default_decompress_parms`).
    pub fn is_luma_chroma(&self) -> bool {
        match (&self.components[..], self.adobe) {
            ([_], _) => true,
            ([_, _, _], _) if self.is_jfif => true,
            ([_, _, _], Some(transform)) => transform != 0,
            ([red, green, blue], None) => (red.id, green.id, blue.id) != (b'R', b'G', b'B'),
            _ => false,
        }
    }

    /// Whether every decoder of video frames accepts it: 8 bits, Huffman coding, luma and chroma or
    /// grey.
    pub fn is_video(&self) -> bool {
        let is_usual = matches!(self.process, Process::Sequential | Process::Progressive);
        self.precision == 8 && is_usual && self.is_luma_chroma() && self.has_usual_units()
    }

    /// Whether libjpeg decodes it, according to the header: it is not lossless, and its minimum
    /// coded units have no more blocks than allowed.
    pub fn is_for_libjpeg(&self) -> bool {
        self.process != Process::Lossless && self.has_usual_units()
    }

    fn has_usual_units(&self) -> bool {
        let blocks = |of: &Component| u32::from(of.horizontal) * u32::from(of.vertical);
        let interleaved = self.sequential && self.components.len() > 1;
        !interleaved || self.components.iter().map(blocks).sum::<u32>() <= MAX_UNIT_BLOCKS
    }

    /// Width and height of a minimum coded unit in pixels
    /// (T.81, A.2): 8 by 8 for a single component, whatever its sampling.
    pub fn mcu_size(&self) -> (u32, u32) {
        if self.components.len() == 1 {
            return (8, 8);
        }
        let most = |of: fn(&Component) -> u8| self.components.iter().map(of).max().unwrap_or(1);
        (
            8 * u32::from(most(|c| c.horizontal)),
            8 * u32::from(most(|c| c.vertical)),
        )
    }

    /// The number of minimum coded units in a row and in a column.
    pub fn mcu_grid(&self) -> (u32, u32) {
        let (width, height) = self.mcu_size();
        (
            u32::from(self.width).div_ceil(width),
            u32::from(self.height).div_ceil(height),
        )
    }

    /// The number of restart slices; 1 without restart markers.
    pub fn slice_count(&self) -> usize {
        let units = self.mcu_count() as usize;
        units.div_ceil(match self.restart_interval {
            0 => units,
            interval => usize::from(interval),
        })
    }

    /// The number of minimum coded units in the picture.
    pub fn mcu_count(&self) -> u32 {
        let (columns, rows) = self.mcu_grid();
        columns * rows
    }
}

/// The number of scans in a JPEG. It may be a little too high, since other parts may contain the
/// same bytes. Decoding each scan costs a pass over the whole picture.
pub fn scan_count(jpeg: &[u8]) -> usize {
    memchr::memmem::find_iter(jpeg, &[0xff, SOS]).count()
}

/// Copies the part of a header that decoders need, without comments and without application
/// segments that do not affect colours. `None` if it is longer than [`MAX_TABLES`].
///
/// # Errors
/// As for [`JpegHeader::parse`].
pub fn tables(jpeg: &[u8]) -> Result<Option<Vec<u8>>, JpegError> {
    let mut tables = vec![0xff, SOI];
    for segment in Segments::new(jpeg)? {
        let segment = segment?;
        if !segment.is_ornament() {
            tables.extend_from_slice(&jpeg[segment.marker.start..segment.marker.end]);
        }
        if tables.len() > MAX_TABLES {
            return Ok(None);
        }
        if segment.code() == SOS {
            return Ok(Some(tables));
        }
    }
    Err(JpegError::Short(jpeg.len()))
}

/// Where each restart slice of a scan begins, as an offset in the JPEG: after the header, and after
/// each restart marker. `header` is the length of the header.
pub fn slice_starts(jpeg: &[u8], header: usize) -> Vec<u32> {
    let mut starts = vec![header as u32];
    let mut markers = Markers::from(header);
    while let Some(marker) = markers.next(jpeg) {
        match marker.code {
            RST0..=RST7 => starts.push(marker.end as u32),
            EOI => break,
            _ => {}
        }
    }
    starts
}

fn parse_frame(segment: &Segment<'_>) -> Result<JpegHeader, JpegError> {
    let [precision, h1, h0, w1, w0, count] = segment.fixed()?;
    let (width, height) = (u16::from_be_bytes([w1, w0]), u16::from_be_bytes([h1, h0]));
    let specs = segment.payload.get(6..).unwrap_or_default();
    if width == 0
        || height == 0
        || !(1..=4).contains(&count)
        || specs.len() < 3 * usize::from(count)
    {
        return Err(segment.error());
    }
    let components = specs
        .chunks_exact(3)
        .take(usize::from(count))
        .map(|spec| Component {
            id: spec[0],
            horizontal: spec[1] >> 4,
            vertical: spec[1] & 15,
            quantization: spec[2],
            dc_table: 0,
            ac_table: 0,
        })
        .collect::<Vec<_>>();
    if components
        .iter()
        .any(|c| !(1..=4).contains(&c.horizontal) || !(1..=4).contains(&c.vertical))
    {
        return Err(segment.error());
    }
    let process = match segment.code() {
        SOF0 | SOF1 => Process::Sequential,
        SOF2 => Process::Progressive,
        SOF3 => Process::Lossless,
        _ => Process::Other,
    };
    Ok(JpegHeader {
        width,
        height,
        components,
        process,
        precision,
        sequential: process == Process::Sequential,
        restart_interval: 0,
        is_jfif: false,
        adobe: None,
        is_field: false,
        len: 0,
    })
}

fn parse_scan(segment: &Segment<'_>, header: &mut JpegHeader) -> Result<(), JpegError> {
    let [count] = segment.fixed()?;
    let specs = segment.payload.get(1..).unwrap_or_default();
    let specs = specs.chunks_exact(2).take(usize::from(count));
    if specs.len() < usize::from(count) {
        return Err(segment.error());
    }
    // The scan lists components in the order of the frame (B.2.3).
    header.sequential &= specs.len() == header.components.len();
    for (component, spec) in header.components.iter_mut().zip(specs) {
        header.sequential &= component.id == spec[0];
        component.dc_table = spec[1] >> 4;
        component.ac_table = spec[1] & 15;
    }
    Ok(())
}

/// One marker segment.
pub(crate) struct Segment<'a> {
    marker: Marker,
    /// The content after the segment's length.
    pub(crate) payload: &'a [u8],
}

impl Segment<'_> {
    /// The marker's second byte.
    pub(crate) fn code(&self) -> u8 {
        self.marker.code
    }

    /// Whether the picture is the same without it. JFIF and Adobe segments say what colours the
    /// components are.
    fn is_ornament(&self) -> bool {
        match self.code() {
            APP0 => !self.payload.starts_with(b"JFIF\0"),
            APP14 => !self.payload.starts_with(b"Adobe"),
            code => matches!(code, APP0..=APP15 | COM),
        }
    }

    fn fixed<const N: usize>(&self) -> Result<[u8; N], JpegError> {
        self.payload
            .first_chunk()
            .copied()
            .ok_or_else(|| self.error())
    }

    fn error(&self) -> JpegError {
        JpegError::Segment {
            marker: self.code(),
            at: self.marker.start,
        }
    }
}

/// The segments of a header, up to and including the start of scan. Skips stray bytes and markers
/// without a segment.
pub(crate) struct Segments<'a> {
    jpeg: &'a [u8],
    markers: Markers,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(jpeg: &'a [u8]) -> Result<Self, JpegError> {
        match jpeg.first_chunk() {
            Some(&[0xff, SOI]) => Ok(Self {
                jpeg,
                markers: Markers::from(2),
            }),
            Some(&start) => Err(JpegError::NoStart(start)),
            None => Err(JpegError::Short(jpeg.len())),
        }
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, JpegError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let marker = self.markers.next(self.jpeg)?;
            let segment = Segment {
                marker,
                payload: marker.payload(self.jpeg),
            };
            match marker.code {
                EOI => return Some(Err(segment.error())),
                code if is_reserved(code) => return Some(Err(segment.error())),
                0x01 | RST0..=SOI => {}
                _ => return Some(Ok(segment)),
            }
        }
    }
}

#[cfg(test)]
mod tests;
