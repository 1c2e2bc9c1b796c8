//! A window with one tile per sender. One sender can be shown alone.

use std::time::Duration;

use framegram_media::XrgbImage;
use framegram_window::{Area, Input};

use super::canvas::{Canvas, Place};
use super::keys::{self, KeyCommand, WALL_HELP};
use crate::report::live::Live;
use crate::sink::Flow;

/// State of the sender in a tile.
pub(crate) struct TileLabel<'a> {
    /// Its statistics.
    pub(crate) live: &'a Live,
    /// Whether it said bye.
    pub(crate) ended: bool,
    /// Time since its last datagram.
    pub(crate) silence: Duration,
}

/// A window that shows several senders. Lives on the main thread.
pub(crate) struct Wall {
    inner: framegram_window::Window,
    canvas: Canvas,
    faces: Vec<Face>,
    greeting: Vec<String>,
    /// The sender that is shown alone.
    picked: Option<usize>,
    frozen: bool,
    help: bool,
    drawn: DrawnWall,
}

/// Content of a tile: picture and text.
#[derive(Default)]
struct Face {
    picture: Option<XrgbImage>,
    lines: Vec<String>,
    dim: bool,
    /// Whether it changed since it was drawn.
    changed: bool,
}

/// Everything that determines a drawing, except the tiles.
#[derive(Default, PartialEq)]
struct DrawnWall {
    size: (usize, usize),
    faces: usize,
    picked: Option<usize>,
    help: bool,
    frozen: bool,
    /// What arrives and cannot be shown.
    unusable: Option<String>,
}

impl Wall {
    /// Opens the window with `greeting` as the text before the first sender
    /// appears.
    ///
    /// # Errors
    /// If there is no display.
    pub(crate) fn open(greeting: Vec<String>) -> anyhow::Result<Self> {
        Ok(Self {
            inner: super::open((SIZE.0 as u32, SIZE.1 as u32))?,
            canvas: Canvas::default(),
            faces: Vec::new(),
            greeting,
            picked: None,
            frozen: false,
            help: false,
            drawn: DrawnWall::default(),
        })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.inner.size()
    }

    /// Width and height of the area for a sender's picture.
    pub(crate) fn area(&mut self, place: usize) -> (usize, usize) {
        while self.faces.len() <= place {
            self.faces.push(Face::default());
        }
        if self.picked == Some(place) {
            return self.inner.size();
        }
        let area = tile(place, self.faces.len(), self.inner.size());
        (area.width, area.height)
    }

    /// Takes a new picture of a sender.
    pub(crate) fn put(&mut self, place: usize, picture: XrgbImage) {
        if let Some(face) = self.faces.get_mut(place).filter(|_| !self.frozen) {
            face.picture = Some(picture);
            face.changed = true;
        }
    }

    /// Draws what has changed, handles keys and clicks, and returns whether to
    /// continue.
    ///
    /// # Errors
    /// If drawing fails.
    pub(crate) fn tend(&mut self, tiles: &[TileLabel<'_>], all: &Live) -> anyhow::Result<Flow> {
        while self.faces.len() < tiles.len() {
            self.faces.push(Face::default());
        }
        for (place, (face, tile)) in self.faces.iter_mut().zip(tiles).enumerate() {
            let lines = label(place, tile);
            let dim = tile.ended || tile.silence >= SILENCE;
            face.changed |= face.lines != lines || face.dim != dim;
            (face.lines, face.dim) = (lines, dim);
        }
        let title = format!("{} senders | {}", tiles.len(), all.title());
        self.inner.set_title(&title);
        let mut uncovered = false;
        for input in self.inner.poll() {
            match input {
                Input::Close => return Ok(Flow::Quit),
                Input::Click(x, y) => self.click(x, y),
                Input::Uncovered => uncovered = true,
                Input::Key(key) => match keys::command(key) {
                    Some(KeyCommand::Quit) => return Ok(Flow::Quit),
                    Some(KeyCommand::Fullscreen) => self.inner.toggle_fullscreen(),
                    Some(KeyCommand::Freeze) => self.frozen = !self.frozen,
                    Some(KeyCommand::Help) => self.help = !self.help,
                    Some(KeyCommand::Pick(place)) => self.pick(place),
                    Some(KeyCommand::Unpick) => self.picked = None,
                    Some(KeyCommand::Snapshot | KeyCommand::Overlay) | None => {}
                },
            }
        }
        self.draw(uncovered, all.unusable.as_ref())?;
        Ok(Flow::Continue)
    }

    /// Shows one sender alone, or all senders if it was already alone.
    fn pick(&mut self, place: usize) {
        let other = place < self.faces.len() && self.picked != Some(place);
        self.picked = other.then_some(place);
    }

    fn click(&mut self, x: usize, y: usize) {
        let size = self.inner.size();
        let count = self.faces.len();
        let hit = (0..count).find(|&place| {
            let area = tile(place, count, size);
            (area.x..area.x + area.width).contains(&x)
                && (area.y..area.y + area.height).contains(&y)
        });
        match (self.picked, hit) {
            (Some(_), _) => self.picked = None,
            (None, Some(place)) => self.pick(place),
            (None, None) => {}
        }
    }

    fn draw(&mut self, uncovered: bool, unusable: Option<&String>) -> anyhow::Result<()> {
        let wanted = DrawnWall {
            size: self.inner.size(),
            faces: self.faces.len(),
            picked: self.picked,
            help: self.help,
            frozen: self.frozen,
            unusable: unusable.cloned(),
        };
        let redraw_all = wanted != self.drawn || uncovered;
        let covered = self.help || self.frozen || unusable.is_some();
        if !redraw_all && !self.faces.iter().any(|face| face.changed) {
            return Ok(());
        }
        let (width, height) = wanted.size;
        if redraw_all || covered {
            self.canvas.resize(width, height);
            self.canvas.clear();
        }
        let count = self.faces.len();
        for (place, face) in self.faces.iter_mut().enumerate() {
            let area = match self.picked {
                None => tile(place, count, wanted.size),
                Some(picked) if picked == place => Area {
                    x: 0,
                    y: 0,
                    width,
                    height,
                },
                Some(_) => continue,
            };
            if face.changed || redraw_all || covered {
                let picture = face.picture.as_ref();
                self.canvas.draw_tile(picture, area, &face.lines, face.dim);
                face.changed = false;
            }
        }
        if count == 0 {
            self.canvas.draw_panel(Place::Centre, &self.greeting);
        }
        if self.help {
            let lines = WALL_HELP.map(str::to_owned);
            self.canvas.draw_panel(Place::Centre, &lines);
        }
        let frozen = "frozen: press space to continue".to_owned();
        let frozen = self.frozen.then_some(frozen);
        let notes: Vec<_> = frozen.into_iter().chain(wanted.unusable.clone()).collect();
        if !notes.is_empty() {
            self.canvas.draw_panel(Place::BottomLeft, &notes);
        }
        self.drawn = wanted;
        self.inner.draw(self.canvas.pixels())
    }
}

/// One picture with all tiles.
pub(crate) fn compose(
    pictures: &[Option<XrgbImage>],
    tiles: &[TileLabel<'_>],
    size: (usize, usize),
) -> XrgbImage {
    let mut canvas = Canvas::default();
    canvas.resize(size.0, size.1);
    canvas.clear();
    for (place, (picture, what)) in pictures.iter().zip(tiles).enumerate() {
        let area = tile(place, tiles.len(), size);
        canvas.draw_tile(picture.as_ref(), area, &label(place, what), false);
    }
    XrgbImage {
        pixels: canvas.pixels().to_vec(),
        width: size.0,
        height: size.1,
    }
}

/// Text of a tile: its sender, and a summary.
fn label(place: usize, tile: &TileLabel<'_>) -> Vec<String> {
    let stream = &tile.live.statistics.stream;
    let wire = stream.wire.unwrap_or_default();
    let name = format!("{} {} {wire}", place + 1, stream.addresses.join(", "));
    let state = if tile.ended {
        "ended".to_owned()
    } else if tile.silence >= SILENCE {
        format!("nothing for {} s", tile.silence.as_secs())
    } else {
        tile.live.brief()
    };
    vec![name, state]
}

/// Position of a tile: rows of equal tiles, about as many rows as columns.
fn tile(place: usize, count: usize, (width, height): (usize, usize)) -> Area {
    let columns = (1..)
        .find(|columns| columns * columns >= count)
        .unwrap_or(1);
    let rows = count.div_ceil(columns).max(1);
    let (column, row) = (place % columns, place / columns);
    let (left, right) = (column * width / columns, (column + 1) * width / columns);
    let (top, bottom) = (row * height / rows, (row + 1) * height / rows);
    Area {
        x: left,
        y: top,
        width: right - left,
        height: bottom - top,
    }
}

/// Initial size of the window.
pub(crate) const SIZE: (usize, usize) = (1_280, 720);

/// Silence that is reported in the tile.
const SILENCE: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_the_window_and_never_each_other() {
        for count in 1..=64 {
            for size in [(1_280, 720), (7, 5), (101, 99)] {
                let mut covered = vec![0; size.0 * size.1];
                for place in 0..count {
                    let area = tile(place, count, size);
                    for y in area.y..area.y + area.height {
                        for x in area.x..area.x + area.width {
                            covered[y * size.0 + x] += 1;
                        }
                    }
                }
                assert!(covered.iter().all(|times| *times <= 1), "{count} {size:?}");
                let square = (1..=8).any(|side| side * side == count);
                assert!(!square || covered.iter().all(|times| *times == 1));
            }
        }
    }
}
