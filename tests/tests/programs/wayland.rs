//! The window on a Wayland desktop that leaves title bars to programs.

use framegram_tests::compositor::Compositor;
use framegram_tests::program::{Program, SENDER, Start, VIEWER, address, until};
use image::RgbImage;

/// A colour that no desktop draws.
const COLOUR: [u8; 3] = [255, 0, 255];

/// The first and last columns and rows on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bounds {
    left: u32,
    top: u32,
    right: u32,
    bottom: u32,
}

impl Bounds {
    /// The bounds of the picture.
    fn of(seen: &RgbImage) -> Option<Self> {
        let is_ours =
            |pixel: &image::Rgb<u8>| pixel.0.iter().zip(COLOUR).all(|(a, b)| a.abs_diff(b) < 12);
        let ours = seen
            .enumerate_pixels()
            .filter(|(_, _, pixel)| is_ours(pixel));
        ours.map(|(x, y, _)| Self {
            left: x,
            top: y,
            right: x,
            bottom: y,
        })
        .reduce(|a, b| Self {
            left: a.left.min(b.left),
            top: a.top.min(b.top),
            right: a.right.max(b.right),
            bottom: a.bottom.max(b.bottom),
        })
    }

    fn size(&self) -> (u32, u32) {
        (self.right - self.left + 1, self.bottom - self.top + 1)
    }
}

/// A viewer on the desktop, and a sender that repeats a picture of one colour.
fn shown(desktop: &Compositor, folder: &std::path::Path) -> (Program, Program) {
    let still = folder.join("still.png");
    RgbImage::from_pixel(640, 360, image::Rgb(COLOUR))
        .save(&still)
        .unwrap();
    let address = address().to_string();
    let mut viewer = desktop
        .environment()
        .into_iter()
        .fold(Start::new(VIEWER, &address), |start, (name, value)| {
            start.environment(name, value)
        })
        .run();
    viewer.wait_for("Waiting for a stream");
    let sender = Start::new(SENDER, "--loop --fps 20 --quality 95")
        .with([still.to_str().unwrap(), &address])
        .run();
    (viewer, sender)
}

fn until_seen(desktop: &Compositor, what: &str, is_right: impl Fn(Bounds) -> bool) -> Bounds {
    until(what, || {
        Bounds::of(&desktop.look()?).filter(|bounds| is_right(*bounds))
    })
}

#[test]
fn the_window_has_a_title_bar_can_be_resized_and_is_closed_by_its_button() {
    let desktop = Compositor::new();
    let folder = tempfile::tempdir().unwrap();
    let (viewer, _sender) = shown(&desktop, folder.path());
    let picture = until_seen(&desktop, "the picture in its own size", |bounds| {
        bounds.size() == (640, 360)
    });

    // The bar has one colour below its text, and another one at its button.
    until("a title bar with a button", || {
        let seen = desktop.look()?;
        let row = |columns: std::ops::Range<u32>, y: u32| {
            let pixels = columns.map(|x| *seen.get_pixel(x, y));
            pixels.collect::<Vec<_>>()
        };
        let bar = row(picture.left + 5..picture.right - 5, picture.top - 5);
        let middle = picture.right - CLOSE;
        let button = row(middle - 10..middle + 10, picture.top - BAR / 2);
        let is_bar = bar.iter().all(|colour| *colour == bar[0]);
        (is_bar && button.iter().any(|colour| *colour != bar[0])).then_some(())
    });

    desktop.press('f');
    until_seen(&desktop, "fullscreen", |bounds| {
        bounds.size() == (1280, 720)
    });
    desktop.press('f');
    let picture = until_seen(&desktop, "the size of before", |bounds| {
        bounds.size() == picture.size()
    });

    // The desktop releases an edge that was grabbed before the window knew about the mouse. Then
    // the test tries again.
    let edge = (picture.right + EDGE, picture.bottom + EDGE);
    let there = (picture.right + 80, picture.bottom + 45);
    let larger = until("a larger picture", || {
        desktop.mouse(edge, true);
        let seen = (0..LOOKS).find_map(|look| {
            desktop.point((there.0 + look % 2, there.1));
            Bounds::of(&desktop.look()?).filter(|bounds| bounds.size().0 > 680)
        });
        desktop.mouse(there, false);
        seen
    });
    let (width, height) = larger.size();
    assert!((width * 9).abs_diff(height * 16) < 40, "{larger:?}");

    let close = (larger.right - CLOSE, larger.top - BAR / 2);
    desktop.mouse(close, true);
    desktop.mouse(close, false);
    let ended = viewer.end().well();
    assert_eq!(ended.output, b"");
    assert!(ended.count("frames.shown") > 0);
}

/// How often the test checks whether the window follows the mouse.
const LOOKS: u32 = 50;

/// Rows of the title bar.
const BAR: u32 = 35;

/// Distance from the right edge of the window to the middle of its close button.
const CLOSE: u32 = 18;

/// Distance from the picture to where the mouse grabs the window's edge.
const EDGE: u32 = 4;
