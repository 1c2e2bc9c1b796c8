//! The luma of Y4M (`YUV4MPEG2`): a header line, then each picture's planes
//! behind a line that begins with FRAME.

use std::io::{self, BufRead, Read};

use anyhow::{Context, bail, ensure};
use framegram_media::limits::MAX_PIXELS;

/// Pictures, one after another.
pub(super) struct Y4m<R> {
    input: R,
    width: usize,
    height: usize,
    /// Bytes behind the luma of each picture.
    chroma: u64,
    luma: Vec<u8>,
    cut: bool,
}

impl Y4m<io::Empty> {
    /// What such a stream begins with.
    pub(super) const START: &'static [u8] = b"YUV4MPEG2 ";
}

impl<R: BufRead> Y4m<R> {
    /// Reads the header.
    ///
    /// # Errors
    /// Where it is none, or of a kind that is not taken.
    pub(super) fn new(mut input: R) -> anyhow::Result<Self> {
        let line = read_line(&mut input)?.filter(|(_, is_whole)| *is_whole);
        let (line, _) = line.context("it ends in its header")?;
        let (mut width, mut height, mut kind) = (0, 0, "420");
        for word in line.split(' ').skip(1) {
            match word.split_at_checked(1) {
                Some(("W", value)) => width = value.parse().unwrap_or(0),
                Some(("H", value)) => height = value.parse().unwrap_or(0),
                Some(("C", value)) => kind = value,
                _ => {}
            }
        }
        ensure!(width > 0 && height > 0, "its header has no size");
        let pixels = usize::checked_mul(width, height);
        let Some(pixels) = pixels.filter(|&pixels| pixels <= MAX_PIXELS) else {
            bail!("its pictures of {width}x{height} are larger than is taken, {MAX_PIXELS} pixels");
        };
        let chroma = match kind {
            "420" | "420jpeg" | "420mpeg2" | "420paldv" => {
                2 * width.div_ceil(2) * height.div_ceil(2)
            }
            "411" => 2 * width.div_ceil(4) * height,
            "422" => 2 * width.div_ceil(2) * height,
            "444" => 2 * pixels,
            "mono" => 0,
            _ => bail!(
                "Y4M of kind C{} is not taken; with ffmpeg, type -pix_fmt yuv420p",
                kind.escape_debug()
            ),
        };
        Ok(Self {
            input,
            width,
            height,
            chroma: chroma as u64,
            luma: vec![0; pixels],
            cut: false,
        })
    }

    /// Width and height in pixels.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    /// Whether it ended within a picture.
    pub(super) fn is_cut(&self) -> bool {
        self.cut
    }

    /// The luma of the next picture, rows without padding; `None` at the end,
    /// and where a recording was cut off within a picture.
    ///
    /// # Errors
    /// Where the stream is broken.
    pub(super) fn next_luma(&mut self) -> anyhow::Result<Option<&[u8]>> {
        let Some((line, is_whole)) = read_line(&mut self.input)? else {
            return Ok(None);
        };
        if !is_whole {
            self.cut = true;
            return Ok(None);
        }
        ensure!(
            line == "FRAME" || line.starts_with("FRAME "),
            "it does not begin with FRAME"
        );
        match self.input.read_exact(&mut self.luma) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.cut = true;
                return Ok(None);
            }
            other => other.context("reading failed")?,
        }
        let mut chroma = self.input.by_ref().take(self.chroma);
        let skipped = io::copy(&mut chroma, &mut io::sink()).context("reading failed")?;
        self.cut = skipped < self.chroma;
        Ok((!self.cut).then_some(&self.luma))
    }
}

/// A line without its end, and whether it had one; `None` at the end of the
/// input.
fn read_line(input: &mut impl BufRead) -> anyhow::Result<Option<(String, bool)>> {
    let mut line = Vec::new();
    input
        .by_ref()
        .take(MAX_LINE)
        .read_until(b'\n', &mut line)
        .context("reading failed")?;
    if line.is_empty() {
        return Ok(None);
    }
    let is_whole = line.ends_with(b"\n");
    ensure!(
        is_whole || line.len() < MAX_LINE as usize,
        "a line of it does not end"
    );
    if is_whole {
        line.pop();
    }
    Ok(Some((
        String::from_utf8_lossy(&line).into_owned(),
        is_whole,
    )))
}

/// The longest line that is read: FFmpeg writes under 100 bytes.
const MAX_LINE: u64 = 1024;
