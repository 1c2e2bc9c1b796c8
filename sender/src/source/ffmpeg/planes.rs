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
use framegram_media::{Image, Matrix, Pool, SourcePlane, Subsampling, ToJpeg, Turn};

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
        let is_full = is_full(frame);
        let wanted = wanted(frame.format(), is_full);
        let converted = (wanted != frame.format())
            .then(|| convert(frame, wanted))
            .transpose()?;
        let source = converted.as_ref().unwrap_or(frame);
        let mut image = match subsampling(wanted) {
            None => {
                let mut pixels = self.buffers.take_sized(3 * width * height);
                let rows = source.data(0).chunks(source.stride(0));
                for (from, to) in rows.zip(pixels.chunks_exact_mut(3 * width)) {
                    to.copy_from_slice(&from[..3 * width]);
                }
                Image::bgr(width, height, self.buffers.lend(pixels))?
            }
            Some((subsampling, bits)) => {
                let mut planes = self.buffers.take_sized(subsampling.bytes(width, height));
                let from: Vec<_> = (0..source.planes())
                    .map(|index| SourcePlane {
                        samples: source.data(index),
                        pitch: source.stride(index),
                    })
                    .collect();
                let is_expanded = converted.is_some() && is_jpeg(wanted);
                let conversion = ToJpeg::new(is_full || is_expanded, matrix(frame.color_space()));
                let size = (width, height);
                match bits {
                    8 => conversion.copy(&from, subsampling, size, &mut planes),
                    _ => conversion.copy_deep(&from, bits, subsampling, size, &mut planes),
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

/// The pixel format to convert to: the frame's own, if that has planes of 8 or 10 bits, otherwise
/// the closest one that keeps its sampling. Limited range is expanded on the way.
fn wanted(kind: Pixel, is_full: bool) -> Pixel {
    if subsampling(kind).is_some() {
        return kind;
    }
    let Some(descriptor) = kind.descriptor() else {
        return Pixel::BGR24;
    };
    let name = descriptor.name();
    // The scaler takes other formats for limited, so that full range needs no other format.
    let to_jpeg = name.starts_with("yuvj") || !is_full;
    let is_luma_chroma = [
        "yuv", "yuyv", "uyvy", "yvyu", "nv", "p0", "p2", "p4", "y2", "xv",
    ]
    .iter()
    .any(|start| name.starts_with(start));
    if is_gray(name) {
        return Pixel::GRAY8;
    }
    if !is_luma_chroma {
        return Pixel::BGR24;
    }
    match (
        descriptor.log2_chroma_w(),
        descriptor.log2_chroma_h(),
        to_jpeg,
    ) {
        (0, 0, false) => Pixel::YUV444P,
        (0, 0, true) => Pixel::YUVJ444P,
        (_, 0, false) => Pixel::YUV422P,
        (_, 0, true) => Pixel::YUVJ422P,
        (_, _, false) => Pixel::YUV420P,
        (_, _, true) => Pixel::YUVJ420P,
    }
}

/// The subsampling and bits of a sample, if a format has planes that need no scaler.
fn subsampling(kind: Pixel) -> Option<(Subsampling, u32)> {
    match kind {
        Pixel::YUV420P | Pixel::YUVJ420P => Some((Subsampling::Yuv420, 8)),
        Pixel::YUV422P | Pixel::YUVJ422P => Some((Subsampling::Yuv422, 8)),
        Pixel::YUV444P | Pixel::YUVJ444P => Some((Subsampling::Yuv444, 8)),
        Pixel::YUV420P10LE => Some((Subsampling::Yuv420, 10)),
        Pixel::YUV422P10LE => Some((Subsampling::Yuv422, 10)),
        Pixel::YUV444P10LE => Some((Subsampling::Yuv444, 10)),
        Pixel::GRAY8 => Some((Subsampling::Gray, 8)),
        _ => None,
    }
}

/// Whether the range is full, according to the frame or its format.
fn is_full(frame: &frame::Video) -> bool {
    match frame.color_range() {
        Range::JPEG => true,
        Range::MPEG => false,
        Range::Unspecified => {
            let name = frame.format().descriptor().map_or("", |it| it.name());
            name.starts_with("yuvj") || is_gray(name)
        }
    }
}

/// Whether a format is one of gray pixels, by its name.
fn is_gray(name: &str) -> bool {
    name.starts_with("gray") || name.starts_with("ya") || name.starts_with("mono")
}

/// Whether a format means full range.
fn is_jpeg(kind: Pixel) -> bool {
    matches!(kind, Pixel::YUVJ420P | Pixel::YUVJ422P | Pixel::YUVJ444P)
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
