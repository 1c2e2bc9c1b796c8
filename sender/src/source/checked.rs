//! The door that the JPEGs of every source go through: what is sent is such as
//! every decoder takes.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use framegram_common::jpeg::{JpegHeader, clean};
use framegram_media::Vetter;
use framegram_media::limits::check_size;

use super::{Captured, Content, Request, Source};
use crate::console::Console;

/// A source of which the first frame was read, and whose JPEGs are clean and
/// whole. Those that are not are left out and counted.
pub(super) struct Checked {
    source: Box<dyn Source>,
    first: Option<Captured>,
    keep_broken: bool,
    vetter: Vetter,
    /// A frame was fit to be sent.
    any: bool,
    broken: u64,
    console: Arc<Console>,
}

impl Checked {
    /// Reads the first frame.
    ///
    /// # Errors
    /// Where there is none.
    pub(super) fn begin(source: Box<dyn Source>, request: &Request) -> Result<Self> {
        let mut checked = Self {
            source,
            first: None,
            keep_broken: request.keep_broken,
            vetter: Vetter::default(),
            any: false,
            broken: 0,
            console: Arc::clone(&request.console),
        };
        checked.first = checked.read()?;
        Ok(checked)
    }

    fn read(&mut self) -> Result<Option<Captured>> {
        let mut why = None;
        while let Some(captured) = self.source.next()? {
            let checked = match captured.content {
                Content::Jpeg(jpeg) if !self.source.is_checked() => {
                    check(&jpeg, self.keep_broken, &mut self.vetter).map(Content::Jpeg)
                }
                content => Ok(content),
            };
            match checked {
                Ok(content) => {
                    self.any = true;
                    return Ok(Some(Captured {
                        content,
                        ..captured
                    }));
                }
                Err(error) => {
                    self.broken += 1;
                    if self.broken == 1 {
                        let hint = if self.keep_broken { "" } else { HINT };
                        self.console.say(&format!(
                            "a frame of the source is left out: {error:#}{hint}"
                        ));
                    }
                    why = Some(error);
                }
            }
        }
        match why {
            Some(error) if !self.any => Err(error.context("no frame of the source can be read")),
            _ => Ok(None),
        }
    }
}

const HINT: &str = "; --keep-broken sends what ends early";

/// A JPEG as it is sent. One that ends early is, where that is wanted.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(jpeg: &Bytes, keep_broken: bool, vetter: &mut Vetter) -> Result<Bytes> {
    let jpeg = clean(jpeg)?;
    let header = JpegHeader::parse(&jpeg)?;
    check_size(header.width.into(), header.height.into())?;
    if !keep_broken {
        vetter.vet(&jpeg)?;
    }
    Ok(jpeg)
}

impl Source for Checked {
    fn next(&mut self) -> Result<Option<Captured>> {
        match self.first.take() {
            None => self.read(),
            first => Ok(first),
        }
    }

    fn is_live(&self) -> bool {
        self.source.is_live()
    }

    fn rewind(&mut self) -> Result<bool> {
        self.source.rewind()
    }

    fn is_checked(&self) -> bool {
        true
    }

    fn unreadable(&self) -> u64 {
        self.source.unreadable() + self.broken
    }

    fn frame_rate(&self) -> Option<f64> {
        self.source.frame_rate()
    }
}
