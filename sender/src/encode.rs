//! Encodes pictures as JPEG with the requested quality, size and length.
//!
//! A source's own JPEGs pass through unchanged unless one of these settings requires otherwise. Where
//! only their quality falls, they are requantised; otherwise they are decoded and re-encoded.

mod fit;
mod pass;
mod timecode;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use framegram_cli::locks::lock;
use framegram_common::frame::MAX_FRAME_BYTES;
use framegram_common::wire::Format;
use framegram_lab::timecode::Timecode;
use framegram_media::{Compressor, Decoder, HalfWork, Image, Scaler, TableMaker, requantise};
use framegram_net::clock;

use self::fit::{Fit, FitVerdict, Try};
use self::pass::OwnJpeg;
pub use self::pass::PassThrough;
use self::timecode::TimecodeDrawer;
use crate::frame::Content;
use crate::restart::Restart;

/// The default JPEG quality.
pub const DEFAULT_QUALITY: u8 = 80;

/// Below this quality, a smaller picture looks better than a coarser one.
pub const DEFAULT_MIN_QUALITY: u8 = 20;

/// The least limit of a frame's length: the headers and tables of a JPEG take 623 bytes, and some
/// picture must fit too.
pub const MIN_FRAME_BYTES: usize = 1024;

/// The properties of encoded frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Settings {
    /// JPEG quality, 1 to 100. `None`: that of a source's own JPEGs, otherwise [`DEFAULT_QUALITY`].
    pub quality: Option<u8>,
    /// The quality below which the size of frames is lowered instead. `None`:
    /// [`DEFAULT_MIN_QUALITY`].
    pub min_quality: Option<u8>,
    /// Width and height in pixels. `None`: as in the source.
    pub size: Option<(usize, usize)>,
    /// The longest frame in bytes. `None`: the protocol's limit.
    pub max_frame_bytes: Option<usize>,
    /// The initial limit of a frame's bytes, if a rate sets it ([`Limiter::set`]).
    pub first_frame_bytes: Option<usize>,
    /// Datagram size for which restart slices are made, half a chunk each. `None`: no slices.
    pub slices: Option<usize>,
    /// The wire format, which cannot carry every JPEG.
    pub format: Format,
}

impl Settings {
    /// Whether a source's own JPEGs may be sent unchanged.
    pub fn pass_through(&self) -> bool {
        self.quality.is_none()
    }

    fn limit(&self) -> usize {
        self.max_frame_bytes
            .map_or(MAX_FRAME_BYTES, |limit| limit.min(MAX_FRAME_BYTES))
    }
}

/// Limits the frame length of a stream's encoders.
#[derive(Debug)]
pub struct Limiter {
    fit: Arc<Mutex<Fit>>,
    most: AtomicUsize,
}

impl Limiter {
    /// Limits frames that are begun from now on to this many bytes, within the requested limit.
    /// A limit that moves does not make the quality pump.
    pub fn set(&self, bytes: usize) {
        let mut fit = lock(&self.fit);
        fit.set_limit(bytes.min(self.most.load(Ordering::Relaxed)));
        fit.keep_steady();
    }

    /// Lowers the limit for good: longer frames cannot be sent.
    pub fn lower(&self, bytes: usize) {
        let most = self.most.fetch_min(bytes, Ordering::Relaxed).min(bytes);
        lock(&self.fit).set_limit(most);
    }
}

/// The origin of an encoded frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameOrigin {
    /// Pixels.
    Pixels,
    /// The source's own JPEG, unchanged.
    PassedThrough,
    /// The source's own JPEG, requantised, or decoded and re-encoded.
    Reencoded {
        /// The wire format cannot carry that JPEG, or not every viewer can decode it.
        unsupported: bool,
    },
}

/// An encoded frame and its properties.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// The JPEG.
    pub jpeg: Bytes,
    /// Its width in pixels.
    pub width: usize,
    /// Its height in pixels.
    pub height: usize,
    /// Its quality, unless it is the source's own JPEG.
    pub quality: Option<u8>,
    /// Its origin.
    pub origin: FrameOrigin,
    /// It carries the requested timecode.
    pub has_timecode: bool,
    /// Its quality was lowered to fit the limit.
    pub quality_lowered: bool,
    /// It was scaled down to fit the limit.
    pub scaled_down: bool,
    /// An anomaly of the source's own JPEG, the first time that one was decoded.
    pub remark: Option<String>,
    /// The number of encodings that it took.
    pub encodings: u32,
}

/// One of several encoders side by side, each for one thread. What fits the
/// longest frame, how far apart restart markers are, and by which Huffman tables
/// it is shortest, they find out together.
pub struct Encoder {
    settings: Settings,
    fit: Arc<Mutex<Fit>>,
    restart: Option<Arc<Mutex<Restart>>>,
    huffman: Option<Arc<TableMaker>>,
    compressor: Compressor,
    decoder: Decoder,
    scaler: Scaler,
    drawer: TimecodeDrawer,
}

impl Encoder {
    /// An encoder for frames with these `settings`.
    ///
    /// # Errors
    /// If libjpeg-turbo cannot be initialized.
    pub fn new(settings: Settings) -> Result<Self> {
        let asked = settings.quality.unwrap_or(DEFAULT_QUALITY);
        let first = settings.first_frame_bytes;
        let limit = first.map_or(settings.limit(), |first| first.min(settings.limit()));
        let lowest = settings.min_quality.unwrap_or(DEFAULT_MIN_QUALITY);
        let mut fit = Fit::new(limit, asked, lowest);
        if first.is_some() {
            fit.keep_steady();
        }
        let restart = settings.slices.map(Restart::new);
        Self::with(
            settings,
            Arc::new(Mutex::new(fit)),
            restart.map(|restart| Arc::new(Mutex::new(restart))),
            // RTP carries no Huffman tables (RFC 2435, 3.1).
            (settings.format != Format::Rtp).then(Arc::default),
        )
    }

    /// Another encoder of the same stream, for another thread.
    ///
    /// # Errors
    /// If libjpeg-turbo cannot be initialized.
    pub fn another(&self) -> Result<Self> {
        Self::with(
            self.settings,
            Arc::clone(&self.fit),
            self.restart.clone(),
            self.huffman.clone(),
        )
    }

    /// Lets a second thread encode the lower half of large frames, where that is measured to be
    /// faster. The caller runs the work that is returned in that thread; it ends with this encoder.
    ///
    /// # Errors
    /// If libjpeg-turbo cannot be initialized.
    pub fn second_thread(&mut self) -> Result<HalfWork> {
        Ok(self.compressor.second_thread(clock::now)?)
    }

    /// The limiter of these encoders.
    pub fn limiter(&self) -> Limiter {
        Limiter {
            fit: Arc::clone(&self.fit),
            most: AtomicUsize::new(self.settings.limit()),
        }
    }

    /// Passes JPEGs through where these encoders would.
    pub fn pass_through(&self) -> PassThrough {
        PassThrough::new(self.settings, Arc::clone(&self.fit))
    }

    /// The restart interval of these encoders, if they make slices.
    pub fn restart(&self) -> Option<&Arc<Mutex<Restart>>> {
        self.restart.as_ref()
    }

    fn with(
        settings: Settings,
        fit: Arc<Mutex<Fit>>,
        restart: Option<Arc<Mutex<Restart>>>,
        huffman: Option<Arc<TableMaker>>,
    ) -> Result<Self> {
        Ok(Self {
            settings,
            fit,
            restart,
            huffman,
            compressor: Compressor::new()?,
            decoder: Decoder::new()?,
            scaler: Scaler::default(),
            drawer: TimecodeDrawer::default(),
        })
    }

    /// Encodes the content from a source, or passes it through.
    ///
    /// # Errors
    /// If it is not a picture, or does not fit at any quality and scale.
    pub fn encode(&mut self, content: &Content) -> Result<Encoded> {
        self.encode_with(content, None)
    }

    /// Like [`encode`](Self::encode), with a timecode in the corner of a picture that is large
    /// enough.
    ///
    /// # Errors
    /// Those of [`encode`](Self::encode).
    pub fn encode_with(
        &mut self,
        content: &Content,
        timecode: Option<Timecode>,
    ) -> Result<Encoded> {
        match content {
            Content::Image(picture) => self.encode_picture(picture, timecode),
            Content::Jpeg(jpeg) => {
                let own = OwnJpeg::parse(jpeg, &self.settings)?;
                if timecode.is_none()
                    && own.may_pass(&self.settings)
                    && lock(&self.fit).passes(jpeg.len())
                {
                    return Ok(own.passed(jpeg));
                }
                let requantised = match timecode.is_none() && own.keeps_size() && own.is_carried {
                    true => self.requantise(jpeg, own.size_asked)?,
                    false => None,
                };
                let encoded = match requantised {
                    Some(encoded) => encoded,
                    None => {
                        let picture = self.decoder.decode_image(jpeg)?;
                        self.encode_picture(&picture, timecode)?
                    }
                };
                Ok(Encoded {
                    origin: FrameOrigin::Reencoded {
                        unsupported: !own.is_carried,
                    },
                    remark: self.decoder.take_remark(),
                    ..encoded
                })
            }
        }
    }

    /// Encodes a source's own JPEG without decoding it to pixels; `None` if it is of no such kind,
    /// or has to be scaled down.
    fn requantise(&mut self, jpeg: &[u8], size: (usize, usize)) -> Result<Option<Encoded>> {
        let tables = self.huffman.as_ref().map(|huffman| huffman.tables());
        let tables = tables.unwrap_or_default();
        let interval = self.interval();
        self.fit_to_limit(size, |_, attempt, _| {
            let wanted = Some(attempt.quality).filter(|_| !attempt.is_scaled());
            let jpeg = wanted.and_then(|quality| requantise(jpeg, quality, &tables, interval));
            Ok(jpeg.map(|jpeg| (jpeg.into(), false)))
        })
    }

    fn interval(&self) -> u16 {
        let restart = self.restart.as_ref();
        restart.map_or(0, |restart| lock(restart).interval())
    }

    fn encode_picture(&mut self, picture: &Image, timecode: Option<Timecode>) -> Result<Encoded> {
        // RTP has no types for 4:4:4 and greyscale.
        let halved = picture
            .halved()
            .filter(|_| self.settings.format == Format::Rtp);
        let picture = halved.as_ref().unwrap_or(picture);
        let full_size = self.settings.size.unwrap_or_else(|| picture.square_size());
        let interval = self.interval();
        self.compressor.set_restart_interval(interval);
        if let Some(huffman) = &self.huffman {
            self.compressor.set_huffman_tables(huffman.tables());
        }
        let mut scaled: Option<Image> = None;
        let encoded = self.fit_to_limit(full_size, |encoder, attempt, (width, height)| {
            let right_size =
                |picture: &Image| (picture.width(), picture.height()) == (width, height);
            if right_size(picture) {
                scaled = None;
            } else if !scaled.as_ref().is_some_and(right_size) {
                scaled = Some(encoder.scaler.scale(picture, width, height)?);
            }
            let plain = scaled.as_ref().unwrap_or(picture);
            let drawn = match timecode {
                Some(timecode) => encoder.drawer.draw(timecode, plain)?,
                None => None,
            };
            let shown = drawn.as_ref().unwrap_or(plain);
            let jpeg = encoder.compressor.compress(shown, attempt.quality)?;
            Ok(Some((jpeg, drawn.is_some())))
        })?;
        encoded.context("images are encoded at every quality")
    }

    /// Encodes a frame at the quality and scale at which it fits the limit. `encode` takes a try and
    /// its size, and returns the JPEG and whether it has a timecode, or `None` if it cannot make that
    /// one: then nothing is returned or remembered.
    fn fit_to_limit(
        &mut self,
        (full_width, full_height): (usize, usize),
        mut encode: impl FnMut(&mut Self, Try, (usize, usize)) -> Result<Option<(Bytes, bool)>>,
    ) -> Result<Option<Encoded>> {
        let asked = self.settings.quality.unwrap_or(DEFAULT_QUALITY);
        let mut search = lock(&self.fit).search();
        let mut best = None;
        let mut encodings = 0;
        loop {
            let attempt = search.current();
            let (width, height) = (attempt.side(full_width), attempt.side(full_height));
            let Some((jpeg, has_timecode)) = encode(self, attempt, (width, height))? else {
                return Ok(None);
            };
            encodings += 1;
            let verdict = search.judge(jpeg.len());
            if jpeg.len() <= search.limit() {
                best = Some(Encoded {
                    jpeg,
                    width,
                    height,
                    quality: Some(attempt.quality),
                    origin: FrameOrigin::Pixels,
                    has_timecode,
                    quality_lowered: attempt.quality < asked,
                    scaled_down: attempt.is_scaled(),
                    remark: None,
                    encodings,
                });
            }
            if !matches!(verdict, FitVerdict::Next(_)) {
                break;
            }
        }
        lock(&self.fit).remember(&search);
        let Some(best) = best else {
            bail!(
                "a picture of {full_width}x{full_height} does not fit into {} bytes at any quality",
                search.limit()
            );
        };
        if let Some(restart) = &self.restart {
            lock(restart).observe(&best.jpeg);
        }
        if let Some(huffman) = &self.huffman {
            huffman.observe(&best.jpeg);
        }
        Ok(Some(Encoded { encodings, ..best }))
    }
}

#[cfg(test)]
mod tests;
