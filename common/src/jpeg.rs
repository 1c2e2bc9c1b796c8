//! JPEG markers: the header, its tables and where the restart slices begin.
//! Knows no pixels.
//!
//! Source: ITU-T T.81, <https://www.w3.org/Graphics/JPEG/itu-t81.pdf>, annex B.

pub mod scan;
mod splitter;

use thiserror::Error;

pub use self::splitter::Splitter;

/// The longest header that is looked at, in bytes: four quantization and eight
/// Huffman tables of full length take less than 4 KiB, and what cameras and
/// editors add in application segments is left out.
pub const MAX_TABLES: usize = 8 << 10;

/// The most restart slices that are told apart: their numbers are 16 bits long
/// on the wire.
pub const MAX_SLICES: usize = 1 << 16;

/// What the header of a JPEG says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JpegHeader {
    /// Pixels a row, 1 to 65,535.
    pub width: u16,
    /// Rows, 1 to 65,535.
    pub height: u16,
    /// One a colour component, in the order of the scan.
    pub components: Vec<Component>,
    /// Whether it is baseline or extended sequential with Huffman coding, all
    /// components in one scan: what can be cut into slices.
    pub sequential: bool,
    /// Minimum coded units from restart to restart; 0 for none.
    pub restart_interval: u16,
    /// Bytes to the end of the start-of-scan segment.
    pub len: usize,
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
pub enum JpegError {
    /// No start of image.
    #[error("begins with {0:02x?}, expected ff d8")]
    NoStart([u8; 2]),
    /// The bytes end before the first scan begins.
    #[error("ends within the header, after {0} bytes")]
    Short(usize),
    /// A segment that may not stand there, or cannot be so short.
    #[error("marker ff {marker:02x} at byte {at} is out of place or too short")]
    Segment {
        /// The marker's second byte.
        marker: u8,
        /// Where it stands.
        at: usize,
    },
}

impl JpegHeader {
    /// Reads the header up to the first scan.
    ///
    /// # Errors
    /// Where `jpeg` is not the beginning of a JPEG with a frame and a scan.
    pub fn parse(jpeg: &[u8]) -> Result<Self, JpegError> {
        let mut frame = None;
        let mut restart_interval = 0;
        for segment in Segments::new(jpeg)? {
            let segment = segment?;
            match segment.marker {
                DRI => {
                    let [high, low] = segment.fixed()?;
                    restart_interval = u16::from_be_bytes([high, low]);
                }
                marker if is_start_of_frame(marker) => frame = Some(parse_frame(&segment)?),
                SOS => {
                    let mut header = frame.ok_or_else(|| segment.error())?;
                    header.restart_interval = restart_interval;
                    header.len = segment.end;
                    parse_scan(&segment, &mut header)?;
                    return Ok(header);
                }
                _ => {}
            }
        }
        Err(JpegError::Short(jpeg.len()))
    }

    /// Whether the picture can be cut into restart slices.
    #[must_use]
    pub fn has_slices(&self) -> bool {
        self.sequential && self.restart_interval > 0 && self.slice_count() <= MAX_SLICES
    }

    /// Width and height of a minimum coded unit in pixels
    /// (T.81, A.2): 8 by 8 for a single component, whatever its sampling.
    #[must_use]
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

    /// How many minimum coded units there are in a row and in a column.
    #[must_use]
    pub fn mcu_grid(&self) -> (u32, u32) {
        let (width, height) = self.mcu_size();
        (
            u32::from(self.width).div_ceil(width),
            u32::from(self.height).div_ceil(height),
        )
    }

    /// How many restart slices the picture has: 1 without restart markers.
    #[must_use]
    pub fn slice_count(&self) -> usize {
        let units = self.mcu_count() as usize;
        units.div_ceil(match self.restart_interval {
            0 => units,
            interval => usize::from(interval),
        })
    }

    /// How many minimum coded units the picture has.
    #[must_use]
    pub fn mcu_count(&self) -> u32 {
        let (columns, rows) = self.mcu_grid();
        columns * rows
    }
}

/// How many scans a JPEG has, or a few more where such bytes stand in what it
/// carries besides: decoding costs a pass over the whole picture for each of
/// them.
#[must_use]
pub fn scan_count(jpeg: &[u8]) -> usize {
    memchr::memmem::find_iter(jpeg, &[0xff, SOS]).count()
}

/// Copies what decoders need of a header and leaves out comments and the
/// application segments that say nothing of colours. `None` where that is
/// longer than [`MAX_TABLES`].
///
/// # Errors
/// As for [`JpegHeader::parse`].
pub fn tables(jpeg: &[u8]) -> Result<Option<Vec<u8>>, JpegError> {
    let mut tables = vec![0xff, SOI];
    for segment in Segments::new(jpeg)? {
        let segment = segment?;
        if !segment.is_ornament() {
            tables.extend_from_slice(&jpeg[segment.start..segment.end]);
        }
        if tables.len() > MAX_TABLES {
            return Ok(None);
        }
        if segment.marker == SOS {
            return Ok(Some(tables));
        }
    }
    Err(JpegError::Short(jpeg.len()))
}

/// Where each restart slice of a scan begins, counted from the start of the
/// JPEG: behind the header, and behind each restart marker. `header` is the
/// length of the header.
#[must_use]
pub fn slice_starts(jpeg: &[u8], header: usize) -> Vec<u32> {
    let mut starts = vec![header as u32];
    let mut at = header;
    while let Some(found) = memchr::memchr(0xff, jpeg.get(at..).unwrap_or_default()) {
        let marker = at + found + 1;
        match jpeg.get(marker) {
            Some(RST0..=RST7) => starts.push(marker as u32 + 1),
            Some(&EOI) | None => break,
            _ => {}
        }
        // A marker may be preceded by any number of fill bytes, each 0xff.
        at = if jpeg.get(marker) == Some(&0xff) {
            marker
        } else {
            marker + 1
        };
    }
    starts
}

fn parse_frame(segment: &Segment<'_>) -> Result<JpegHeader, JpegError> {
    let [_, h1, h0, w1, w0, count] = segment.fixed()?;
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
    let sequential = matches!(segment.marker, SOF0 | SOF1);
    Ok(JpegHeader {
        width,
        height,
        components,
        sequential,
        restart_interval: 0,
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
    // The order in the scan is that of the frame (B.2.3).
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
    /// The marker's second byte.
    pub(crate) marker: u8,
    start: usize,
    end: usize,
    /// What stands behind the segment's length.
    pub(crate) payload: &'a [u8],
}

impl Segment<'_> {
    /// Whether the picture is the same without it. JFIF and Adobe's segment
    /// say which colours the components are.
    fn is_ornament(&self) -> bool {
        match self.marker {
            APP0 => !self.payload.starts_with(b"JFIF\0"),
            APP14 => !self.payload.starts_with(b"Adobe"),
            marker => matches!(marker, APP0..=APP15 | COM),
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
            marker: self.marker,
            at: self.start,
        }
    }
}

/// The segments of a header, the start-of-scan being the last one of use.
pub(crate) struct Segments<'a> {
    jpeg: &'a [u8],
    at: usize,
}

impl<'a> Segments<'a> {
    pub(crate) fn new(jpeg: &'a [u8]) -> Result<Self, JpegError> {
        match jpeg.first_chunk() {
            Some(&[0xff, SOI]) => Ok(Self { jpeg, at: 2 }),
            Some(&start) => Err(JpegError::NoStart(start)),
            None => Err(JpegError::Short(jpeg.len())),
        }
    }

    fn segment(&mut self) -> Result<Segment<'a>, JpegError> {
        let short = JpegError::Short(self.jpeg.len());
        let start = self.at;
        let mut at = start;
        while self.jpeg.get(at + 1) == Some(&0xff) {
            at += 1;
        }
        let [fill, marker, high, low] = *self
            .jpeg
            .get(at..)
            .and_then(<[u8]>::first_chunk)
            .ok_or(short)?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let misplaced = matches!(marker, 0x00 | 0x01 | RST0..=RST7 | SOI | EOI);
        if fill != 0xff || misplaced || len < 2 {
            return Err(JpegError::Segment { marker, at: start });
        }
        let end = at + 2 + len;
        let payload = self.jpeg.get(at + 4..end).ok_or(short)?;
        self.at = end;
        Ok(Segment {
            marker,
            start,
            end,
            payload,
        })
    }
}

impl<'a> Iterator for Segments<'a> {
    type Item = Result<Segment<'a>, JpegError>;

    fn next(&mut self) -> Option<Self::Item> {
        (self.at < self.jpeg.len()).then(|| self.segment())
    }
}

/// C0 to CF without the tables and the reserved marker among them.
fn is_start_of_frame(marker: u8) -> bool {
    matches!(marker, 0xc0..=0xcf) && !matches!(marker, DHT | 0xc8 | 0xcc)
}

pub(crate) const SOF0: u8 = 0xc0;
pub(crate) const SOF1: u8 = 0xc1;
pub(crate) const DHT: u8 = 0xc4;
pub(crate) const DQT: u8 = 0xdb;
pub(crate) const RST0: u8 = 0xd0;
pub(crate) const RST7: u8 = 0xd7;
/// The end of an image.
pub const END: [u8; 2] = [0xff, EOI];

pub(crate) const SOI: u8 = 0xd8;
pub(crate) const EOI: u8 = 0xd9;
pub(crate) const SOS: u8 = 0xda;
pub(crate) const DRI: u8 = 0xdd;
pub(crate) const APP0: u8 = 0xe0;
pub(crate) const APP14: u8 = 0xee;
const APP15: u8 = 0xef;
const COM: u8 = 0xfe;

#[cfg(test)]
mod tests;
