//! A window: the newest frame in its aspect ratio, with text over it.

mod canvas;
mod keys;
pub(crate) mod wall;

use std::mem::take;
use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use framegram_common::receiver::ReceivedFrame;
use framegram_media::{Reduction, Undecodable, XrgbImage};
use framegram_window::{Input, decode_for, fit};

use self::canvas::{Canvas, Place};
use self::keys::{HELP, KeyCommand};
use super::snapshot::Series;
use super::{Flow, Shown, Sink, Status};
use crate::conceal::Stale;
use crate::decoding::{Decoders, DecodingThread};

/// A window that shows one stream. Lives on the main thread.
pub struct StreamWindow {
    inner: framegram_window::Window,
    decoding: DecodingThread,
    canvas: Canvas,
    /// The frame on display.
    seen: Option<Seen>,
    /// Buffer for decoding the next picture. If that fails, the last picture
    /// stays intact.
    spare: XrgbImage,
    series: Series,
    /// Text before the first frame.
    greeting: Vec<String>,
    /// When the newest frame was received, shown or not.
    newest: Option<Duration>,
    frozen: bool,
    overlay: bool,
    help: bool,
    /// A temporary message, and when it disappears.
    message: Option<(String, Duration)>,
    /// What is on the screen.
    drawn: Drawn,
}

/// A decoded frame with its JPEG, which is kept for snapshots and for other
/// window sizes.
struct Seen {
    jpeg: Bytes,
    stale_units: Vec<Range<u32>>,
    coded: (usize, usize),
    reduction: Reduction,
    picture: XrgbImage,
    /// The areas filled from the frame before.
    stale: Stale,
}

/// Everything that determines a drawing, except the picture.
#[derive(Default, PartialEq)]
struct Drawn {
    size: (usize, usize),
    panels: Vec<(Place, Vec<String>)>,
    dim: bool,
}

impl StreamWindow {
    /// Opens the window with `greeting` as the text before the first frame. Frames are decoded in
    /// the decoding thread.
    ///
    /// # Errors
    /// If there is no display.
    pub fn open(
        greeting: Vec<String>,
        series: Series,
        decoding: DecodingThread,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            inner: open(FIRST_SIZE)?,
            decoding,
            canvas: Canvas::default(),
            seen: None,
            spare: XrgbImage::default(),
            series,
            greeting,
            newest: None,
            frozen: false,
            overlay: false,
            help: false,
            message: None,
            drawn: Drawn::default(),
        })
    }

    /// Decodes a frame, reduced to about the size of its display, and keeps it
    /// for display.
    fn take(&mut self, jpeg: &Bytes, stale: &[Range<u32>]) -> Result<(), Undecodable> {
        let area = self.inner.size();
        let mut picture = take(&mut self.spare);
        let (frame, units) = (jpeg.clone(), stale.to_vec());
        let decode = move |decoders: &mut Decoders| {
            let decoded = decode_for(&mut decoders.decoder, &frame, area, &mut picture);
            let mut stale = Stale::default();
            stale.read(&frame, &units);
            Ok((decoded, picture, stale, units))
        };
        let (decoded, picture, stale, stale_units) = self.decoding.run(decode)?;
        let (coded, reduction) = match decoded {
            Ok(decoded) => decoded,
            Err(error) => {
                self.spare = picture;
                return Err(error);
            }
        };
        let seen = Seen {
            jpeg: jpeg.clone(),
            stale_units,
            coded,
            reduction,
            picture,
            stale,
        };
        if let Some(before) = self.seen.replace(seen) {
            self.spare = before.picture;
        }
        Ok(())
    }

    /// Resizes the window to fit the picture, unless the user has resized it.
    fn unfold(&mut self, jpeg: &Bytes) {
        let jpeg = jpeg.clone();
        if let Ok(coded) = self
            .decoding
            .run(move |decoders| decoders.decoder.size(&jpeg))
            && let Some(screen) = self.inner.screen().filter(|_| self.inner.is_as_opened())
        {
            let size = comfortable(coded, screen, self.inner.scale());
            self.inner.resize(size);
        }
    }

    fn obey(&mut self, command: KeyCommand, status: &Status) -> Flow {
        match command {
            KeyCommand::Quit => return Flow::Quit,
            KeyCommand::Fullscreen => self.inner.toggle_fullscreen(),
            KeyCommand::Freeze => self.frozen = !self.frozen && self.seen.is_some(),
            KeyCommand::Snapshot => self.write_snapshot(status.now),
            KeyCommand::Overlay => self.overlay = !self.overlay,
            KeyCommand::Help => self.help = !self.help,
            // There is only one sender.
            KeyCommand::Pick(_) | KeyCommand::Unpick => {}
        }
        Flow::Continue
    }

    fn write_snapshot(&mut self, now: Duration) {
        let message = match &self.seen {
            None => "no frame to write yet".to_owned(),
            Some(seen) => match self.series.write(&seen.jpeg, &self.decoding) {
                Ok(path) => format!("wrote {}", path.display()),
                Err(error) => format!("{error:#}"),
            },
        };
        self.say(&message, now);
    }

    fn say(&mut self, message: &str, now: Duration) {
        self.message = Some((message.to_owned(), now + MESSAGE_TIME));
    }

    /// What should be on the screen.
    fn wanted(&self, status: &Status) -> Drawn {
        let mut panels = Vec::new();
        let silence = self.silence(status);
        if self.seen.is_none() {
            let mut lines = self.greeting.clone();
            lines.extend(status.live.unusable.clone());
            panels.push((Place::Centre, lines));
        } else if self.overlay && !self.help {
            panels.push((Place::TopLeft, status.live.overlay()));
        }
        let mut notes: Vec<String> = Vec::new();
        if self.help {
            panels.push((Place::Centre, HELP.map(str::to_owned).to_vec()));
            notes.extend(silence.clone());
        } else if let Some(silence) = &silence {
            let unusable = status.live.unusable.clone();
            let lines = std::iter::once(silence.clone()).chain(unusable);
            panels.push((Place::Centre, lines.collect()));
        }
        if self.frozen {
            notes.push("frozen: press space to continue".to_owned());
        }
        notes.extend(self.message.as_ref().map(|(message, _)| message.clone()));
        if !notes.is_empty() {
            panels.push((Place::BottomLeft, notes));
        }
        Drawn {
            size: self.inner.size(),
            panels,
            dim: silence.is_some() && !self.frozen,
        }
    }

    /// States that the stream ended or fell silent, and for how long.
    fn silence(&self, status: &Status) -> Option<String> {
        let ago = |since: Duration| status.now.saturating_sub(since).as_secs();
        if let Some(ended) = status.ended {
            return Some(format!("The sender ended the stream {} s ago", ago(ended)));
        }
        let quiet = ago(self.newest?);
        (quiet >= SILENCE.as_secs()).then(|| format!("No frame for {quiet} s"))
    }

    fn draw(&mut self, drawn: Drawn) -> anyhow::Result<()> {
        let (width, height) = drawn.size;
        if let Some((jpeg, stale)) = self.outgrown(drawn.size) {
            // Decoding worked before. If it fails now, the smaller picture stays.
            let _ = self.take(&jpeg, &stale);
        }
        let seen = self.seen.as_ref();
        let picture = seen.map(|seen| &seen.picture);
        let plain = drawn.panels.is_empty() && !drawn.dim;
        let pixels = match picture {
            Some(picture) if plain && (picture.width, picture.height) == drawn.size => {
                &picture.pixels
            }
            _ => {
                self.canvas.resize(width, height);
                match picture {
                    Some(picture) => self.canvas.draw_picture(picture),
                    None => self.canvas.clear(),
                }
                if drawn.dim {
                    self.canvas.dim();
                }
                if let Some(seen) = seen.filter(|_| self.overlay) {
                    self.canvas.outline(&seen.stale, seen.coded);
                }
                for (place, lines) in &drawn.panels {
                    self.canvas.draw_panel(*place, lines);
                }
                self.canvas.pixels()
            }
        };
        self.drawn = drawn;
        self.inner.draw(pixels)
    }

    /// The frame on display, if the window has become so large that it must be
    /// decoded at a higher resolution.
    fn outgrown(&self, size: (usize, usize)) -> Option<(Bytes, Vec<Range<u32>>)> {
        let seen = self.seen.as_ref()?;
        let area = fit(seen.coded, size);
        let needed = Reduction::towards(seen.coded, (area.width, area.height));
        (needed < seen.reduction).then(|| (seen.jpeg.clone(), seen.stale_units.clone()))
    }
}

impl Sink for StreamWindow {
    fn show(&mut self, frame: &ReceivedFrame, status: &Status) -> anyhow::Result<Shown> {
        if self.frozen {
            self.newest = Some(status.now);
            return Ok(Shown::Withheld);
        }
        if self.seen.is_none() {
            self.unfold(&frame.jpeg);
        }
        if self.take(&frame.jpeg, &frame.stale).is_err() {
            return Ok(Shown::Undecodable);
        }
        self.newest = Some(status.now);
        self.draw(self.wanted(status))?;
        Ok(Shown::Yes)
    }

    fn tend(&mut self, status: &Status) -> anyhow::Result<Flow> {
        let mut uncovered = false;
        for input in self.inner.poll() {
            let flow = match input {
                Input::Close => Flow::Quit,
                Input::Key(key) => {
                    keys::command(key).map_or(Flow::Continue, |command| self.obey(command, status))
                }
                Input::Uncovered => {
                    uncovered = true;
                    Flow::Continue
                }
                Input::Click(..) => Flow::Continue,
            };
            if flow == Flow::Quit {
                return Ok(flow);
            }
        }
        self.message.take_if(|(_, until)| *until <= status.now);
        self.inner.set_title(&status.live.title());
        let wanted = self.wanted(status);
        if uncovered || wanted != self.drawn {
            self.draw(wanted)?;
        }
        Ok(Flow::Continue)
    }

    fn patience(&self) -> Duration {
        EVENTS
    }
}

/// Opens a window, for one sender or several.
fn open(size: (u32, u32)) -> anyhow::Result<framegram_window::Window> {
    framegram_window::Window::open("framegram-view", "framegram", size)
        .context("there is no display for a window: use --headless")
}

/// A comfortable window size for a picture: its own size, unless it is tiny or
/// does not fit the screen, whose pixels may be `scale`d.
fn comfortable(picture: (usize, usize), screen: (usize, usize), scale: f64) -> (usize, usize) {
    let most = (screen.0 * 9 / 10, screen.1 * 9 / 10);
    let least = (LEAST_WIDTH * scale) as usize;
    let within = if picture.0 > most.0 || picture.1 > most.1 {
        most
    } else if picture.0 < least {
        (least.min(most.0), most.1)
    } else {
        return picture;
    };
    let area = fit(picture, within);
    (area.width.max(1), area.height.max(1))
}

/// Window size before the first frame.
const FIRST_SIZE: (u32, u32) = (960, 540);

/// Smaller pictures are enlarged to this width, in unscaled screen pixels.
const LEAST_WIDTH: f64 = 480.0;

/// Interval between checks for keys and a changed window size, when no frame
/// wakes the program. It is too short to notice and takes less than 1 % of a
/// processor.
const EVENTS: Duration = Duration::from_millis(10);

/// Silence that is reported in the window.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a message stays.
const MESSAGE_TIME: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_as_large_as_its_picture_where_that_is_comfortable() {
        let screen = (1920, 1080);
        assert_eq!(comfortable((640, 360), screen, 1.0), (640, 360));
        assert_eq!(comfortable((160, 120), screen, 1.0), (480, 360));
        assert_eq!(comfortable((3840, 2160), screen, 1.0), (1728, 972));
        assert_eq!(comfortable((100, 4000), screen, 1.0), (24, 972));
        assert_eq!(comfortable((160, 120), screen, 2.0), (960, 720));
        assert_eq!(comfortable((64, 64), (300, 200), 1.0), (180, 180));
    }
}
