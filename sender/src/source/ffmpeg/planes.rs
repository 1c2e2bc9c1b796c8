//! Converts FFmpeg's frames to the images of JPEG: planes of 8 bits in full range, with the matrix
//! of BT.601.

use std::cell::RefCell;

use anyhow::{Result, bail};
use ffmpeg_next::Rational;
use ffmpeg_next::color::{Range, Space};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame;
use ffmpeg_next::software::scaling::{Context, Flags};
use framegram_media::limits::check_size;
use framegram_media::{Image, Matrix, Pool, Subsampling, Turn, copy_chroma_wide, copy_luma_wide};

/// Converts the frames of one stream.
pub(super) struct Converter {
    turn: Option<Turn>,
    /// The aspect ratio of pixels, if the container states it.
    aspect: Option<Rational>,
    buffers: Pool<Vec<u8>>,
}

thread_local! {
    /// Converts rare pixel formats. The binding ties it to a thread.
    static SCALER: RefCell<Option<Context>> = const { RefCell::new(None) };
}

impl Converter {
    pub(super) fn new(turn: Option<Turn>, aspect: Option<Rational>) -> Self {
        Self {
            turn,
            aspect,
            buffers: Pool::default(),
        }
    }

    /// Converts a frame to an image.
    ///
    /// # Errors
    /// If its pixel format cannot be converted, or its size is not supported.
    pub(super) fn image(&mut self, frame: &frame::Video) -> Result<Image> {
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        check_size(width, height)?;
        let wanted = wanted(frame.format());
        let converted = (wanted != frame.format())
            .then(|| convert(frame, wanted))
            .transpose()?;
        let source = converted.as_ref().unwrap_or(frame);
        let mut image = match subsampling(wanted) {
            None => {
                let mut pixels = self.buffers.take_sized(3 * width * height);
                copy_rows(source, 0, 3 * width, &mut pixels, copy);
                Image::bgr(width, height, self.buffers.lend(pixels))?
            }
            Some(subsampling) => {
                let mut planes = self.buffers.take_sized(subsampling.bytes(width, height));
                let copies: [CopyRow; 2] = if is_full(frame, wanted) {
                    [copy, copy]
                } else {
                    [copy_luma_wide, copy_chroma_wide]
                };
                copy_planes(source, subsampling, (width, height), &mut planes, copies);
                if let Some(matrix) = matrix(frame.color_space()) {
                    matrix.to_bt601(&mut planes, subsampling, (width, height));
                }
                Image::yuv(width, height, subsampling, self.buffers.lend(planes))?
            }
        };
        if let Some(turn) = self.turn {
            image = image.turned(turn)?;
        }
        let aspect = self.aspect.unwrap_or(frame.aspect_ratio());
        let turned = self.turn.is_some_and(|turn| turn.transpose);
        let (across, down) = (aspect.numerator(), aspect.denominator());
        let aspect = if turned {
            (down, across)
        } else {
            (across, down)
        };
        Ok(image.with_aspect(aspect))
    }
}

fn convert(frame: &frame::Video, wanted: Pixel) -> Result<frame::Video> {
    let (kind, width, height) = (frame.format(), frame.width(), frame.height());
    let mut converted = frame::Video::empty();
    SCALER.with_borrow_mut(|scaler| {
        let fits = scaler.as_ref().is_some_and(|scaler| {
            let (input, output) = (scaler.input(), scaler.output());
            let size = (input.width, input.height);
            (input.format, output.format, size) == (kind, wanted, (width, height))
        });
        if !fits {
            let flags = Flags::BICUBIC | Flags::ACCURATE_RND;
            *scaler = Context::get(kind, width, height, wanted, width, height, flags).ok();
        }
        match scaler {
            Some(scaler) => Ok(scaler.run(frame, &mut converted)?),
            None => bail!("pixels of kind {kind:?} are not taken"),
        }
    })?;
    Ok(converted)
}

/// The pixel format to convert to: the frame's own, if that has planes of 8 bits, otherwise the
/// closest one that keeps its sampling.
fn wanted(kind: Pixel) -> Pixel {
    if subsampling(kind).is_some() {
        return kind;
    }
    let Some(descriptor) = kind.descriptor() else {
        return Pixel::BGR24;
    };
    let name = descriptor.name();
    let is_full = name.starts_with("yuvj");
    let is_luma_chroma = [
        "yuv", "yuyv", "uyvy", "yvyu", "nv", "p0", "p2", "p4", "y2", "xv",
    ]
    .iter()
    .any(|start| name.starts_with(start));
    if name.starts_with("gray") || name.starts_with("ya") || name.starts_with("mono") {
        return Pixel::GRAY8;
    }
    if !is_luma_chroma {
        return Pixel::BGR24;
    }
    match (
        descriptor.log2_chroma_w(),
        descriptor.log2_chroma_h(),
        is_full,
    ) {
        (0, 0, false) => Pixel::YUV444P,
        (0, 0, true) => Pixel::YUVJ444P,
        (_, 0, false) => Pixel::YUV422P,
        (_, 0, true) => Pixel::YUVJ422P,
        (_, _, false) => Pixel::YUV420P,
        (_, _, true) => Pixel::YUVJ420P,
    }
}

fn subsampling(kind: Pixel) -> Option<Subsampling> {
    match kind {
        Pixel::YUV420P | Pixel::YUVJ420P => Some(Subsampling::Yuv420),
        Pixel::YUV422P | Pixel::YUVJ422P => Some(Subsampling::Yuv422),
        Pixel::YUV444P | Pixel::YUVJ444P => Some(Subsampling::Yuv444),
        Pixel::GRAY8 => Some(Subsampling::Gray),
        _ => None,
    }
}

/// Whether the range is full, according to the frame or its format.
fn is_full(frame: &frame::Video, wanted: Pixel) -> bool {
    let means_it = matches!(
        wanted,
        Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P | Pixel::GRAY8
    );
    match frame.color_range() {
        Range::JPEG => true,
        Range::MPEG => false,
        Range::Unspecified => means_it,
    }
}

/// The matrix of a frame, unless it is that of BT.601.
fn matrix(space: Space) -> Option<Matrix> {
    match space {
        Space::BT709 => Some(Matrix::BT709),
        Space::BT2020NCL | Space::BT2020CL => Some(Matrix::BT2020),
        Space::SMPTE240M => Some(Matrix::SMPTE240M),
        _ => None,
    }
}

/// Copies a row of samples, converted to what JPEG uses.
type CopyRow = fn(&[u8], &mut [u8]);

fn copy(from: &[u8], to: &mut [u8]) {
    to.copy_from_slice(from);
}

/// Copies luma and chroma, each by its own function, so that converted samples are read only once.
fn copy_planes(
    frame: &frame::Video,
    subsampling: Subsampling,
    (width, height): (usize, usize),
    planes: &mut [u8],
    [luma, chroma]: [CopyRow; 2],
) {
    let sides = subsampling.chroma(width, height);
    let mut rest = planes;
    for (index, (side, copy_row)) in [
        (Some((width, height)), luma),
        (sides, chroma),
        (sides, chroma),
    ]
    .into_iter()
    .enumerate()
    {
        let Some((width, height)) = side else { return };
        let (plane, behind) = rest.split_at_mut(width * height);
        copy_rows(frame, index, width, plane, copy_row);
        rest = behind;
    }
}

/// Rows without the padding between them.
fn copy_rows(frame: &frame::Video, index: usize, row: usize, to: &mut [u8], copy_row: CopyRow) {
    let rows = frame.data(index).chunks(frame.stride(index));
    for (from, to) in rows.zip(to.chunks_exact_mut(row)) {
        copy_row(&from[..row], to);
    }
}
