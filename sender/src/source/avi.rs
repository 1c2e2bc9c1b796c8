//! Motion JPEG in AVI files, whose packets are JPEGs to be sent as they are:
//! no decoder is needed, and so no OpenCV.
//!
//! An AVI file is made of chunks (four letters, a length in 32 bits, the least
//! significant byte first, and as many bytes, padded to an even number), some
//! of which are lists of chunks:
//! <https://learn.microsoft.com/en-us/windows/win32/directshow/avi-riff-file-reference>.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_common::jpeg::JpegHeader;

use super::{Captured, Content, Source, paced};

/// What a file begins with.
pub(super) const MAGIC: &[u8] = b"RIFF";

/// The frames of a file, at its own rate.
pub(super) struct Avi {
    chunks: Chunks,
    path: PathBuf,
    stream: VideoStream,
    rate: f64,
    /// Packets so far, also the empty ones, which hold a frame's time.
    packets: u64,
    shown: bool,
    /// Packets that are no JPEG.
    broken: u64,
}

impl Avi {
    /// Opens a file; `rate`, where given, stands in for the file's own. `None`
    /// where it is not an AVI file of JPEGs that are whole pictures.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub(super) fn open(path: &Path, rate: Option<f64>) -> io::Result<Option<Self>> {
        let mut chunks = Chunks::open(path)?;
        let Some(stream) = VideoStream::find(&mut chunks)? else {
            return Ok(None);
        };
        let first = loop {
            match chunks.next_packet(stream.number)? {
                Some(Packet::Bytes(packet)) if packet.is_empty() => {}
                Some(Packet::Bytes(packet)) => break packet,
                Some(Packet::TooLong) | None => return Ok(None),
            }
        };
        if !stream.is_whole_picture(&first) {
            return Ok(None);
        }
        Ok(Some(Self {
            chunks: Chunks::open(path)?,
            path: path.into(),
            rate: rate.unwrap_or(stream.rate),
            stream,
            packets: 0,
            shown: false,
            broken: 0,
        }))
    }

    fn name(&self) -> String {
        self.path.display().to_string()
    }
}

impl Source for Avi {
    fn next(&mut self) -> Result<Option<Captured>> {
        loop {
            let packet = self.chunks.next_packet(self.stream.number);
            let packet = packet.with_context(|| format!("cannot read {}", self.name()))?;
            let Some(packet) = packet else {
                if !self.shown {
                    bail!("there is no frame in {} that can be decoded", self.name());
                }
                return Ok(None);
            };
            let media_time = paced::media_time(self.packets, self.rate);
            self.packets += 1;
            match packet {
                // The frame before it is to be repeated.
                Packet::Bytes(packet) if packet.is_empty() => {}
                Packet::Bytes(packet) if JpegHeader::parse(&packet).is_ok() => {
                    self.shown = true;
                    return Ok(Some(Captured {
                        content: Content::Jpeg(without_padding(packet)),
                        media_time: Some(media_time),
                        taken: None,
                    }));
                }
                Packet::Bytes(_) | Packet::TooLong => self.broken += 1,
            }
        }
    }

    fn rewind(&mut self) -> Result<bool> {
        let chunks = Chunks::open(&self.path);
        self.chunks = chunks.with_context(|| format!("cannot open {}", self.name()))?;
        Ok(true)
    }

    fn unreadable(&self) -> u64 {
        self.broken
    }

    fn frame_rate(&self) -> Option<f64> {
        Some(self.rate)
    }
}

/// The first stream of pictures.
struct VideoStream {
    /// Its number among all streams.
    number: u8,
    /// Frames a second.
    rate: f64,
    /// Rows of a picture, as a whole.
    height: u32,
}

impl VideoStream {
    /// Reads up to where the packets begin. `None` where there is no video, or
    /// one of another kind.
    fn find(chunks: &mut Chunks) -> io::Result<Option<Self>> {
        let mut streams = 0u8;
        let mut rate = None;
        while let Some(chunk) = chunks.next()? {
            match &chunk.name {
                b"movi" => break,
                b"strh" if rate.is_none() => {
                    let header = chunks.read_start::<STREAM_HEADER>(&chunk)?;
                    streams = streams.saturating_add(1);
                    if header.starts_with(b"vids") {
                        let (scale, frames) = (word(&header[20..]), word(&header[24..]));
                        rate = Some(f64::from(frames) / f64::from(scale));
                    }
                }
                b"strf" if rate.is_some() => {
                    let format = chunks.read_start::<STREAM_FORMAT>(&chunk)?;
                    let rate = rate.filter(|rate| (0.001..=1000.0).contains(rate));
                    let is_jpeg = CODECS.contains(&&format[16..20]);
                    return Ok(rate.filter(|_| is_jpeg).map(|rate| Self {
                        number: streams - 1,
                        rate,
                        height: word(&format[8..]).cast_signed().unsigned_abs(),
                    }));
                }
                _ => chunks.skip(&chunk)?,
            }
        }
        Ok(None)
    }

    /// Whether a packet is a JPEG of the whole picture: some devices store
    /// every other row in a JPEG of its own.
    fn is_whole_picture(&self, packet: &[u8]) -> bool {
        JpegHeader::parse(packet).is_ok_and(|header| u32::from(header.height) == self.height)
    }
}

/// Beginnings of chunks, as far as they matter here: `AVISTREAMHEADER` up to
/// the rate, `BITMAPINFOHEADER` up to the codec.
const STREAM_HEADER: usize = 28;
const STREAM_FORMAT: usize = 20;

/// Codecs whose packets are JPEGs.
const CODECS: [&[u8]; 3] = [b"MJPG", b"mjpg", b"jpeg"];

fn word(bytes: &[u8]) -> u32 {
    bytes
        .first_chunk()
        .map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

fn without_padding(packet: Vec<u8>) -> Bytes {
    let end = memchr::memmem::rfind(&packet, &[0xFF, 0xD9]).map_or(packet.len(), |at| at + 2);
    Bytes::from(packet).slice(..end)
}

/// What a stream's packet holds.
enum Packet {
    Bytes(Vec<u8>),
    /// More than a frame may have.
    TooLong,
}

/// The chunks of a file in their order; of lists, what they hold.
struct Chunks {
    file: BufReader<File>,
}

/// What stands before a chunk's bytes.
struct Chunk {
    name: [u8; 4],
    len: u32,
}

impl Chunks {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self {
            file: BufReader::new(File::open(path)?),
        })
    }

    /// The next chunk, whose bytes are to be read or skipped, or the name of
    /// the list that begins; `None` at the end of the file.
    fn next(&mut self) -> io::Result<Option<Chunk>> {
        let mut head = [0; 8];
        if !self.fill(&mut head)? {
            return Ok(None);
        }
        let [a, b, c, d, len @ ..] = head;
        let chunk = Chunk {
            name: [a, b, c, d],
            len: u32::from_le_bytes(len),
        };
        if ![*b"RIFF", *b"LIST"].contains(&chunk.name) {
            return Ok(Some(chunk));
        }
        let mut name = [0; 4];
        if !self.fill(&mut name)? {
            return Ok(None);
        }
        Ok(Some(Chunk { name, len: 0 }))
    }

    /// The next packet of a stream, or `None` at the end. A file that ends
    /// within one ends before it.
    fn next_packet(&mut self, stream: u8) -> io::Result<Option<Packet>> {
        let number = [b'0' + stream / 10, b'0' + stream % 10];
        while let Some(chunk) = self.next()? {
            let [a, b, kind @ ..] = chunk.name;
            if [a, b] != number || ![*b"dc", *b"db"].contains(&kind) {
                self.skip(&chunk)?;
                continue;
            }
            if chunk.len as usize > MAX_FRAME_BYTES {
                self.skip(&chunk)?;
                return Ok(Some(Packet::TooLong));
            }
            let mut bytes = vec![0; chunk.len as usize];
            if !self.fill(&mut bytes)? {
                return Ok(None);
            }
            self.file.seek_relative((chunk.len % 2).into())?;
            return Ok(Some(Packet::Bytes(bytes)));
        }
        Ok(None)
    }

    /// The first bytes of a chunk, zeros where it has fewer.
    fn read_start<const N: usize>(&mut self, chunk: &Chunk) -> io::Result<[u8; N]> {
        let mut start = [0; N];
        let len = N.min(chunk.len as usize);
        if self.fill(&mut start[..len])? {
            let read = Chunk {
                len: chunk.len - len as u32,
                ..*chunk
            };
            self.file
                .seek_relative(i64::from(read.len) + i64::from(chunk.len % 2))?;
        }
        Ok(start)
    }

    fn skip(&mut self, chunk: &Chunk) -> io::Result<()> {
        self.file
            .seek_relative(i64::from(chunk.len) + i64::from(chunk.len % 2))
    }

    /// Whether there were enough bytes.
    fn fill(&mut self, bytes: &mut [u8]) -> io::Result<bool> {
        match self.file.read_exact(bytes) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }
}
