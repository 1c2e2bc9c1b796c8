//! The pixels of a window: a picture fitted into it, and text over it.

use std::ops::Range;

use framegram_media::XrgbImage;
use framegram_window::{Area, WindowScaler, fit};
use noto_sans_mono_bitmap::{
    FontWeight, RasterHeight, RasterizedChar, get_raster, get_raster_width,
};

use crate::conceal::Stale;

/// The content of a window, one word `0x00RRGGBB` per pixel.
#[derive(Default)]
pub(super) struct Canvas {
    pixels: Vec<u32>,
    width: usize,
    height: usize,
    scaler: WindowScaler,
}

/// Position of a text panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    TopLeft,
    BottomLeft,
    Centre,
}

impl Canvas {
    pub(super) fn pixels(&self) -> &[u32] {
        &self.pixels
    }

    /// Takes a new window size and discards the drawing.
    pub(super) fn resize(&mut self, width: usize, height: usize) {
        self.pixels.resize(width * height, BLACK);
        (self.width, self.height) = (width, height);
    }

    pub(super) fn clear(&mut self) {
        self.pixels.fill(BACKGROUND);
    }

    /// Draws the picture as large as it fits, with black borders.
    pub(super) fn draw_picture(&mut self, picture: &XrgbImage) {
        self.scaler
            .draw_centred(picture, &mut self.pixels, (self.width, self.height));
    }

    /// Draws a picture as large as it fits into an area, with lines of text below
    /// it. Without a picture, draws only the text. An outdated picture is dimmed.
    pub(super) fn draw_tile(
        &mut self,
        picture: Option<&XrgbImage>,
        area: Area,
        lines: &[String],
        dim: bool,
    ) {
        for y in area.y..(area.y + area.height).min(self.height) {
            self.pixels[y * self.width + area.x..][..area.width].fill(BLACK);
        }
        if let Some(picture) = picture {
            let inner = fit((picture.width, picture.height), (area.width, area.height));
            let inner = Area {
                x: area.x + inner.x,
                y: area.y + inner.y,
                ..inner
            };
            self.scaler
                .draw(picture, &mut self.pixels, self.width, inner);
        }
        if dim {
            self.shade(area);
        }
        let font = Font::new(RasterHeight::Size16);
        let wanted = lines.len() * font.line();
        let label = Area {
            y: area.y + area.height.saturating_sub(wanted),
            height: wanted.min(area.height),
            ..area
        };
        self.shade(label);
        let rows = area.height / font.line();
        self.write(
            &lines[..lines.len().min(rows)],
            (label.x, label.y),
            &font,
            area.width / font.advance,
        );
    }

    /// Darkens the drawing, so that text stands out.
    pub(super) fn dim(&mut self) {
        for pixel in &mut self.pixels {
            *pixel = (*pixel >> 1) & 0x7f_7f7f;
        }
    }

    /// Outlines the stale areas of the picture, whose coded size is `coded`.
    pub(super) fn outline(&mut self, stale: &Stale, coded: (usize, usize)) {
        let area = fit(coded, (self.width, self.height));
        if area.width == 0 || area.height == 0 {
            return;
        }
        // First and last pixel of a column or row of the picture.
        let column = |x: usize| area.x + x.min(coded.0) * area.width / coded.0;
        let row = |y: usize| area.y + y.min(coded.1) * area.height / coded.1;
        for unit in stale.units() {
            let (x, y) = (column(unit.x.start), row(unit.y.start));
            let right = column(unit.x.end).saturating_sub(1).max(x);
            let bottom = row(unit.y.end).saturating_sub(1).max(y);
            let sides = [(x, x, y, bottom), (right, right, y, bottom)];
            let ends = [(x, right, y, y), (x, right, bottom, bottom)];
            for ((x, right, y, bottom), edge) in sides.into_iter().chain(ends).zip(unit.edges) {
                if edge {
                    self.draw_bar(x..right + 1, y..bottom + 1);
                }
            }
        }
    }

    fn draw_bar(&mut self, x: Range<usize>, y: Range<usize>) {
        for y in y {
            if let Some(pixels) = self
                .pixels
                .get_mut(y * self.width + x.start..y * self.width + x.end)
            {
                pixels.fill(OUTLINE);
            }
        }
    }

    /// Draws lines of text in a dark box. Lines wider than the canvas are
    /// wrapped, and text higher than the canvas is cut off.
    pub(super) fn draw_panel(&mut self, place: Place, lines: &[String]) {
        let font = Font::for_panel(lines, self.width, self.height);
        let lines = wrap(lines, font.columns(self.width));
        let columns = lines.iter().map(|line| line.chars().count()).max();
        let margin = font.margin();
        let width = (columns.unwrap_or(0) * font.advance + 2 * margin).min(self.width);
        let height = (lines.len() * font.line() + 2 * margin).min(self.height);
        let area = Area {
            x: match place {
                Place::TopLeft | Place::BottomLeft => 0,
                Place::Centre => (self.width - width) / 2,
            },
            y: match place {
                Place::TopLeft => 0,
                Place::BottomLeft => self.height - height,
                Place::Centre => (self.height - height) / 2,
            },
            width,
            height,
        };
        self.shade(area);
        self.write(
            &lines,
            (area.x + margin, area.y + margin),
            &font,
            usize::MAX,
        );
    }

    /// Draws the first columns of lines of text, from a corner on.
    fn write(&mut self, lines: &[String], (x, y): (usize, usize), font: &Font, columns: usize) {
        for (row, line) in lines.iter().enumerate() {
            for (column, letter) in line.chars().take(columns).enumerate() {
                let (x, y) = (x + column * font.advance, y + row * font.line());
                self.draw_letter(x, y, &font.letter(letter));
            }
        }
    }

    fn shade(&mut self, area: Area) {
        for y in area.y..area.y + area.height {
            for pixel in &mut self.pixels[y * self.width + area.x..][..area.width] {
                *pixel = (*pixel >> 2) & 0x3f_3f3f;
            }
        }
    }

    fn draw_letter(&mut self, x: usize, y: usize, letter: &RasterizedChar) {
        if x >= self.width {
            return;
        }
        for (dy, row) in letter
            .rows()
            .enumerate()
            .take(self.height.saturating_sub(y))
        {
            let start = (y + dy) * self.width + x;
            let visible = row.len().min(self.width - x);
            for (pixel, &ink) in self.pixels[start..][..visible].iter_mut().zip(row) {
                *pixel = mix(*pixel, TEXT, u32::from(ink));
            }
        }
    }
}

/// A size of the built-in font.
struct Font {
    height: RasterHeight,
    /// Width of a character in pixels.
    advance: usize,
}

impl Font {
    /// The largest font that suits the window and needs no wrapping, but never
    /// one too small to read.
    fn for_panel(lines: &[String], width: usize, height: usize) -> Self {
        let longest = lines.iter().map(|line| line.chars().count()).max();
        SIZES
            .iter()
            .filter(|size| size.val() * LINES_A_WINDOW <= height)
            .map(|&size| Self::new(size))
            .find(|font| {
                font.columns(width) >= longest.unwrap_or(0)
                    && lines.len() * font.line() + 2 * font.margin() <= height
            })
            .unwrap_or_else(|| Self::new(RasterHeight::Size16))
    }

    fn new(height: RasterHeight) -> Self {
        Self {
            height,
            advance: get_raster_width(FontWeight::Regular, height),
        }
    }

    fn line(&self) -> usize {
        self.height.val() * 5 / 4
    }

    fn margin(&self) -> usize {
        self.height.val() / 2
    }

    fn columns(&self, width: usize) -> usize {
        (width.saturating_sub(2 * self.margin()) / self.advance).max(1)
    }

    fn letter(&self, letter: char) -> RasterizedChar {
        get_raster(letter, FontWeight::Regular, self.height)
            .or_else(|| get_raster('?', FontWeight::Regular, self.height))
            .expect("the font has a question mark")
    }
}

/// Breaks lines at spaces, and words longer than a line anywhere.
fn wrap(lines: &[String], columns: usize) -> Vec<String> {
    let mut wrapped = Vec::with_capacity(lines.len());
    for line in lines {
        let mut rest: Vec<char> = line.chars().collect();
        while rest.len() > columns {
            let at = rest[..=columns].iter().rposition(|&c| c == ' ');
            let (end, next) = match at {
                Some(space) if space > 0 => (space, space + 1),
                _ => (columns, columns),
            };
            wrapped.push(rest[..end].iter().collect());
            rest.drain(..next);
        }
        wrapped.push(rest.into_iter().collect());
    }
    wrapped
}

/// Blends two colours: `ink` / 255 of `over`, the rest of `under`.
fn mix(under: u32, over: u32, ink: u32) -> u32 {
    let channel = |shift: u32| {
        let (a, b) = ((under >> shift) & 255, (over >> shift) & 255);
        ((a * (255 - ink) + b * ink + 127) / 255) << shift
    };
    channel(16) | channel(8) | channel(0)
}

/// Minimum number of text lines that fit into a window.
const LINES_A_WINDOW: usize = 18;

/// Font sizes, largest first.
const SIZES: [RasterHeight; 4] = [
    RasterHeight::Size32,
    RasterHeight::Size24,
    RasterHeight::Size20,
    RasterHeight::Size16,
];

const BLACK: u32 = 0;
/// Background of text without a picture.
const BACKGROUND: u32 = 0x20_2428;
const TEXT: u32 = 0xf0_f0f0;
/// Outline of stale areas: visible on dark and bright ground, and rare in
/// pictures.
const OUTLINE: u32 = 0xff_a000;

#[cfg(test)]
mod tests;
