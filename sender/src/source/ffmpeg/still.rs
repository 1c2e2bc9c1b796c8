//! Stills that FFmpeg decodes: JPEGs that libjpeg does not accept, because they are lossless or
//! have too many blocks in a unit, and other formats.

use std::io::Cursor;

use anyhow::{Context, Result};
use ffmpeg_next::codec::{self, Id, decoder};
use ffmpeg_next::format::context::StreamIo;
use ffmpeg_next::{Packet, format, frame};
use framegram_media::Image;

use super::planes::Converter;
use super::watch::Watch;
use super::{OpenVideo, quiet};
use crate::source::Content;
use crate::stop::Stop;

/// Decodes a JPEG.
///
/// # Errors
/// If FFmpeg cannot decode it either.
pub(in crate::source) fn decode_jpeg(jpeg: &[u8]) -> Result<Image> {
    quiet()?;
    let found = decoder::find(Id::MJPEG).context("this FFmpeg decodes no JPEG")?;
    let mut decoder = codec::Context::new_with_codec(found).decoder();
    // A damaged JPEG is an error.
    decoder.check(decoder::Check::EXPLODE);
    let mut decoder = decoder.video()?;
    let mut frame = frame::Video::empty();
    decoder
        .send_packet(&Packet::copy(jpeg))
        .and_then(|()| decoder.receive_frame(&mut frame))
        .context("FFmpeg does not decode it")?;
    Converter::new(None, None).image(&frame)
}

/// Decodes the first image of a file in any format.
///
/// # Errors
/// If FFmpeg does not know the format.
pub(in crate::source) fn decode_still(file: Vec<u8>) -> Result<Content> {
    quiet()?;
    let io = StreamIo::from_read_seek(Cursor::new(file))?;
    let input = format::input_from_stream_with_interrupt(io, None, None, || false);
    let input = input.context("it is of no format that is known")?;
    let mut opened = OpenVideo::new(input, Watch::new(&Stop::new()), "it")?;
    let first = opened.next(&mut 0)?;
    first
        .map(|(content, _)| content)
        .context("there is no image in it")
}
