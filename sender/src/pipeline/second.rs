//! The second encoding of frames, for viewers whose paths carry too few of the first.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;

use super::EncodedFrame;
use crate::encode::{Encoded, Encoder, Limiter, Settings};
use crate::queue::Ordered;
use crate::restart::Restart;

/// The second encoding of a frame, or the first where there is no shorter one.
pub(crate) struct SecondFrame {
    /// The JPEG.
    pub(crate) jpeg: Bytes,
    /// Its quality, unless it is the source's own JPEG.
    pub(crate) quality: Option<u8>,
    /// When the frame was captured.
    pub(crate) captured: Duration,
}

/// What the encoder threads and the transmit loop share.
pub(super) struct SecondPipeline {
    frames: Arc<Ordered<Option<SecondFrame>>>,
    limiter: Limiter,
    restart: Option<Arc<Mutex<Restart>>>,
    is_wanted: Arc<AtomicBool>,
    /// Frames of the first encoding that were taken, and positions of the second.
    firsts: AtomicU64,
    taken: AtomicU64,
}

/// Makes the second encoding, in one thread.
pub(super) struct SecondEncoder {
    encoder: Encoder,
    frames: Arc<Ordered<Option<SecondFrame>>>,
    is_wanted: Arc<AtomicBool>,
}

impl SecondPipeline {
    /// For this many encoder threads; returns what each of them needs.
    ///
    /// # Errors
    /// If libjpeg-turbo cannot be initialized.
    pub(super) fn new(settings: Settings, encoders: usize) -> Result<(Self, Vec<SecondEncoder>)> {
        let first = Encoder::new(settings)?;
        let frames = Arc::new(Ordered::new(encoders));
        let is_wanted = Arc::new(AtomicBool::new(false));
        let second = Self {
            frames: Arc::clone(&frames),
            limiter: first.limiter(),
            restart: first.restart().cloned(),
            is_wanted: Arc::clone(&is_wanted),
            firsts: AtomicU64::new(0),
            taken: AtomicU64::new(0),
        };
        let each = (0..encoders).map(|_| {
            Ok(SecondEncoder {
                encoder: first.another()?,
                frames: Arc::clone(&frames),
                is_wanted: Arc::clone(&is_wanted),
            })
        });
        Ok((second, each.collect::<Result<_>>()?))
    }

    /// Limits frames that are begun from now on to this many bytes; makes none if `None`.
    pub(super) fn set(&self, bytes: Option<usize>) {
        if let Some(bytes) = bytes {
            self.limiter.set(bytes);
        }
        self.is_wanted.store(bytes.is_some(), Ordering::Relaxed);
    }

    /// The restart interval of its encoders, if they make slices.
    pub(super) fn restart(&self) -> Option<&Arc<Mutex<Restart>>> {
        self.restart.as_ref()
    }

    /// A frame of the first encoding was taken.
    pub(super) fn record_first(&self) {
        self.firsts.fetch_add(1, Ordering::Relaxed);
    }

    /// The second encoding of the next frame whose first was taken, if it is ready.
    pub(super) fn take(&self) -> Option<SecondFrame> {
        while self.taken.load(Ordering::Relaxed) < self.firsts.load(Ordering::Relaxed) {
            let next = self.frames.take()?;
            self.taken.fetch_add(1, Ordering::Relaxed);
            if next.is_some() {
                return next;
            }
        }
        None
    }

    /// Whether every frame whose first encoding was taken was taken too, or none follows.
    pub(super) fn is_finished(&self) -> bool {
        let taken = self.taken.load(Ordering::Relaxed);
        taken >= self.firsts.load(Ordering::Relaxed) || self.frames.is_finished()
    }

    pub(super) fn close(&self) {
        self.frames.close();
    }
}

impl SecondEncoder {
    /// A frame as its first encoding, in case there is no second.
    pub(super) fn first(first: &EncodedFrame) -> Option<SecondFrame> {
        let encoded = first.encoded.as_ref().ok()?;
        Some(SecondFrame {
            jpeg: encoded.jpeg.clone(),
            quality: encoded.quality,
            captured: first.times.captured,
        })
    }

    /// Encodes the frame at a position again, if that is wanted, and puts it in order.
    pub(super) fn put(
        &mut self,
        place: u64,
        first: Option<SecondFrame>,
        encode: impl FnOnce(&mut Encoder) -> Result<Encoded>,
    ) {
        let frame = first.map(|first| {
            let is_wanted = self.is_wanted.load(Ordering::Relaxed);
            // The first encoding is better than no picture.
            let second = is_wanted.then(|| encode(&mut self.encoder).ok()).flatten();
            let shorter = second.filter(|second| second.jpeg.len() < first.jpeg.len());
            match shorter {
                Some(second) => SecondFrame {
                    jpeg: second.jpeg,
                    quality: second.quality,
                    ..first
                },
                None => first,
            }
        });
        self.frames.put(place, frame);
    }

    /// What to do when the thread ends: nobody waits for its frames, nor for any after a panic.
    pub(super) fn exit(&self) -> impl Fn(bool) + use<> {
        let frames = Arc::clone(&self.frames);
        move |panicking| {
            if panicking {
                frames.close();
            }
            frames.leave();
        }
    }
}
