//! A window: the newest frame in its proportions, and what is to be told over it.

mod canvas;
mod keys;
pub(crate) mod wall;

use std::mem::swap;
use std::ops::Range;
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use framegram_common::receiver::ReceivedFrame;
use framegram_media::{Decoder, Reduction, Undecodable, XrgbImage};
use framegram_window::{Input, fit};

use self::canvas::{Canvas, Place};
use self::keys::{Command, HELP};
use super::snapshot::Series;
use super::{Flow, Shown, Sink, Status};
use crate::conceal::Stale;

/// A window with a picture. Lives on the main thread.
pub struct Window {
    inner: framegram_window::Window,
    decoder: Decoder,
    canvas: Canvas,
    /// The frame that is seen.
    seen: Option<Seen>,
    /// Memory for the next picture; so a broken one leaves the last one whole.
    spare: XrgbImage,
    series: Series,
    /// What is said before the first frame.
    greeting: Vec<String>,
    /// When the newest frame came, seen or not.
    newest: Option<Duration>,
    frozen: bool,
    overlay: bool,
    help: bool,
    /// Something to be told for a while, and until when.
    message: Option<(String, Duration)>,
    /// What is on the screen now.
    drawn: Drawn,
}

/// A decoded frame and the JPEG it came as, for snapshots and other sizes.
struct Seen {
    jpeg: Bytes,
    stale_units: Vec<Range<u32>>,
    coded: (usize, usize),
    reduction: Reduction,
    picture: XrgbImage,
    /// What of it was filled from the frame before.
    stale: Stale,
}

/// All that a drawing depends on, but the picture itself.
#[derive(Default, PartialEq)]
struct Drawn {
    size: (usize, usize),
    panels: Vec<(Place, Vec<String>)>,
    dim: bool,
}

impl Window {
    /// Opens the window. `greeting` is what it says until a frame comes.
    ///
    /// # Errors
    /// When there is no display.
    pub fn open(greeting: Vec<String>, series: Series) -> anyhow::Result<Self> {
        Ok(Self {
            inner: open(FIRST_SIZE)?,
            decoder: Decoder::new()?,
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

    /// Decodes a frame no larger than it will be seen, and keeps it as seen.
    fn take(&mut self, jpeg: &Bytes, stale: &[Range<u32>]) -> Result<(), Undecodable> {
        let coded = self.decoder.size(jpeg)?;
        let area = fit(coded, self.inner.size());
        let reduction = Reduction::towards(coded, (area.width, area.height));
        self.decoder.decode(jpeg, reduction, &mut self.spare)?;
        let seen = self.seen.get_or_insert_with(|| Seen {
            jpeg: Bytes::new(),
            stale_units: Vec::new(),
            coded,
            reduction,
            picture: XrgbImage::default(),
            stale: Stale::default(),
        });
        seen.stale.read(jpeg, stale);
        swap(&mut seen.picture, &mut self.spare);
        seen.jpeg = jpeg.clone();
        seen.stale_units.clear();
        seen.stale_units.extend_from_slice(stale);
        (seen.coded, seen.reduction) = (coded, reduction);
        Ok(())
    }

    /// Opens the picture out to its own size, once, unless a person has chosen
    /// another.
    fn unfold(&mut self, jpeg: &Bytes) {
        if let Ok(coded) = self.decoder.size(jpeg)
            && let Some(screen) = self.inner.screen().filter(|_| self.inner.is_as_opened())
        {
            let size = comfortable(coded, screen, self.inner.scale());
            self.inner.resize(size);
        }
    }

    fn obey(&mut self, command: Command, status: &Status) -> Flow {
        match command {
            Command::Quit => return Flow::Quit,
            Command::Fullscreen => self.inner.toggle_fullscreen(),
            Command::Freeze => self.frozen = !self.frozen && self.seen.is_some(),
            Command::Snapshot => self.write_snapshot(status.now),
            Command::Overlay => self.overlay = !self.overlay,
            Command::Help => self.help = !self.help,
            // There is one picture to pick.
            Command::Pick(_) | Command::Unpick => {}
        }
        Flow::Continue
    }

    fn write_snapshot(&mut self, now: Duration) {
        let message = match &self.seen {
            None => "no frame to write yet".to_owned(),
            Some(seen) => match self.series.write(&seen.jpeg) {
                Ok(path) => format!("wrote {}", path.display()),
                Err(error) => format!("{error:#}"),
            },
        };
        self.say(&message, now);
    }

    fn say(&mut self, message: &str, now: Duration) {
        self.message = Some((message.to_owned(), now + MESSAGE_TIME));
    }

    /// What is to be on the screen.
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
            panels.push((Place::Centre, vec![silence.clone()]));
        }
        if self.frozen {
            notes.push("frozen: press space to go on".to_owned());
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

    /// That nothing comes any more, and for how long.
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
            // It was decoded before, so it will be again.
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

    /// The seen frame, if the window is now so large that more of it shows.
    fn outgrown(&self, size: (usize, usize)) -> Option<(Bytes, Vec<Range<u32>>)> {
        let seen = self.seen.as_ref()?;
        let area = fit(seen.coded, size);
        let needed = Reduction::towards(seen.coded, (area.width, area.height));
        (needed < seen.reduction).then(|| (seen.jpeg.clone(), seen.stale_units.clone()))
    }
}

impl Sink for Window {
    fn take_remark(&mut self) -> Option<String> {
        self.decoder.take_remark()
    }

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

    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Opens a window, the same for one stream and for several.
fn open(size: (u32, u32)) -> anyhow::Result<framegram_window::Window> {
    framegram_window::Window::open("framegram-view", "framegram", size)
        .context("there is no display for a window: use --headless")
}

/// The size for a window that a picture looks well in: its own, unless that is
/// tiny or does not fit the screen, which may be `scale`d.
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

/// The window before the first frame says how large it should be.
const FIRST_SIZE: (u32, u32) = (960, 540);

/// Pictures that are smaller are stretched to this width, in pixels of a screen
/// that is not scaled.
const LEAST_WIDTH: f64 = 480.0;

/// Frames wake the program; keys and a new size of the window are looked for
/// this often. Not noticed by a person, and below a hundredth of a processor.
const EVENTS: Duration = Duration::from_millis(10);

/// So long without a frame is worth a word.
const SILENCE: Duration = Duration::from_secs(1);

/// How long a message can be read.
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
