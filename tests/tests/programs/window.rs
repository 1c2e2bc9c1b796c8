//! A real window on a virtual screen.

use image::RgbImage;
use nix::sys::signal::Signal;
use x11rb::protocol::xproto::Window;

use framegram_tests::program::{Program, SENDER, Start, VIEWER, address, media, until};
use framegram_tests::screen::Screen;

/// A viewer with a window, and a sender that repeats one picture.
struct Shown {
    screen: Screen,
    window: Window,
    viewer: Program,
    _sender: Program,
}

impl Shown {
    fn still(name: &str) -> Self {
        let source = media(name);
        Self::source(&source, "--loop --fps 20 --quality 95")
    }

    fn source(source: &str, arguments: &str) -> Self {
        let screen = Screen::new();
        let address = address();
        let mut viewer = Start::new(VIEWER, &address.to_string())
            .environment("DISPLAY", screen.name())
            .run();
        viewer.wait_for("Waiting for a stream");
        let sender = Start::new(SENDER, arguments)
            .with([source, &address.to_string()])
            .run();
        let window = screen.window("framegram");
        viewer.wait_for("frames");
        Self {
            screen,
            window,
            viewer,
            _sender: sender,
        }
    }

    /// Waits until the window looks like `wanted`, which returns the difference. A mean difference
    /// of `most` out of 255 is permitted.
    fn until_seen(&self, what: &str, most: f64, wanted: impl Fn(&RgbImage) -> f64) {
        let mut last = f64::NAN;
        until(what, || {
            last = wanted(&self.screen.look(self.window)?);
            (last <= most).then_some(())
        });
    }
}

/// The mean difference of two pictures; infinite if their sizes differ.
fn difference(one: &RgbImage, other: &RgbImage) -> f64 {
    if one.dimensions() != other.dimensions() {
        return f64::INFINITY;
    }
    let sum: u64 = one
        .iter()
        .zip(other.iter())
        .map(|(a, b)| u64::from(a.abs_diff(*b)))
        .sum();
    sum as f64 / one.len() as f64
}

fn still(name: &str) -> RgbImage {
    image::open(media(name)).expect("a still").to_rgb8()
}

#[test]
fn the_window_shows_the_picture_in_its_colours() {
    let shown = Shown::still("stills/scene-1.jpg");
    let wanted = still("stills/scene-1.jpg");
    shown.until_seen("the picture in the window", 3.0, |seen| {
        difference(seen, &wanted)
    });
}

#[test]
fn the_title_has_size_rate_frames_lost_and_delay() {
    let shown = Shown::still("stills/scene-1.jpg");
    until("figures in the title", || {
        let title = shown.screen.title(shown.window);
        ["640x360", "fps", "frames lost", "delay"]
            .iter()
            .all(|part| title.contains(part))
            .then_some(())
    });
}

#[test]
fn a_window_of_another_shape_keeps_the_proportions() {
    let shown = Shown::still("stills/scene-1.jpg");
    shown.screen.resize(shown.window, 480, 480);
    let wanted = image::imageops::resize(
        &still("stills/scene-1.jpg"),
        480,
        270,
        image::imageops::FilterType::Triangle,
    );
    shown.until_seen("the picture between two bars", 5.0, |seen| {
        if seen.dimensions() != (480, 480) {
            return f64::INFINITY;
        }
        let bars = [(240, 20), (240, 460)].map(|(x, y)| {
            let pixel = seen.get_pixel(x, y).0;
            pixel.iter().map(|&part| f64::from(part)).sum::<f64>()
        });
        let picture = image::imageops::crop_imm(seen, 0, 105, 480, 270).to_image();
        difference(&picture, &wanted) + bars.iter().sum::<f64>()
    });
}

#[test]
fn space_freezes_and_unfreezes_the_picture() {
    let shown = Shown::source("pattern:320x180@30", "");
    let look = || shown.screen.look(shown.window).unwrap();
    let moves = || {
        let before = look();
        until("the picture to move", || {
            (difference(&look(), &before) > 3.0).then_some(())
        });
    };
    moves();
    shown.screen.press(shown.window, ' ');
    // The picture is frozen once two looks with several frames between them are equal.
    until("the picture to stand", || {
        let before = look();
        let shown_before = shown.viewer.said().lines().count();
        until("another second", || {
            (shown.viewer.said().lines().count() > shown_before).then_some(())
        });
        (difference(&look(), &before) < 0.5).then_some(())
    });
    shown.screen.press(shown.window, ' ');
    moves();
}

#[test]
fn i_and_h_lay_text_over_the_picture_and_take_it_away() {
    let shown = Shown::still("stills/scene-1.jpg");
    let wanted = still("stills/scene-1.jpg");
    for key in ['i', 'h'] {
        shown.until_seen("the picture alone", 3.0, |seen| difference(seen, &wanted));
        shown.screen.press(shown.window, key);
        shown.until_seen("text over it", 0.0, |seen| {
            if difference(seen, &wanted) > 5.0 {
                0.0
            } else {
                1.0
            }
        });
        shown.screen.press(shown.window, key);
    }
    shown.until_seen("the picture alone again", 3.0, |seen| {
        difference(seen, &wanted)
    });
}

#[test]
fn s_writes_a_snapshot_of_the_frame_shown() {
    let shown = Shown::still("stills/scene-1.jpg");
    shown.screen.press(shown.window, 's');
    let wanted = still("stills/scene-1.jpg");
    // The file exists before it is complete.
    until("a snapshot of the picture", || {
        let mut files = std::fs::read_dir(shown.viewer.folder()).ok()?.flatten();
        let snapshot = files.find_map(|file| image::open(file.path()).ok())?;
        (difference(&snapshot.to_rgb8(), &wanted) < 3.0).then_some(())
    });
}

#[test]
fn f_fills_the_screen_and_gives_it_back() {
    let shown = Shown::still("stills/scene-1.jpg");
    let size = || shown.screen.size(shown.window);
    let before = size();
    shown.screen.press(shown.window, 'f');
    until("fullscreen", || {
        (size() == Some(framegram_tests::screen::SIZE)).then_some(())
    });
    shown.screen.press(shown.window, 'f');
    until("the size of before", || (size() == before).then_some(()));
}

#[test]
fn q_esc_and_the_cross_end_the_viewer_in_order() {
    type Way = fn(&Screen, Window);
    let ways: [Way; 3] = [
        |screen, window| screen.press(window, 'q'),
        Screen::press_escape,
        Screen::close,
    ];
    for end in ways {
        let shown = Shown::still("stills/scene-1.jpg");
        end(&shown.screen, shown.window);
        let ended = shown.viewer.end().well();
        assert!(ended.count("frames.shown") > 0);
    }
}

#[test]
fn a_window_without_new_frames_says_so() {
    let shown = Shown::still("stills/scene-1.jpg");
    let wanted = still("stills/scene-1.jpg");
    shown.until_seen("the picture in the window", 3.0, |seen| {
        difference(seen, &wanted)
    });
    drop(shown._sender);
    until("a word over the picture", || {
        let seen = shown.screen.look(shown.window)?;
        (difference(&seen, &wanted) > 3.0).then_some(())
    });
}

#[test]
fn a_window_that_waits_says_where() {
    let screen = Screen::new();
    let address = address();
    let mut viewer = Start::new(VIEWER, &address.to_string())
        .environment("DISPLAY", screen.name())
        .run();
    viewer.wait_for("Waiting for a stream");
    let window = screen.window("framegram");
    until("text in the window", || {
        let seen = screen.look(window)?;
        let light = seen
            .pixels()
            .filter(|pixel| pixel.0.iter().all(|&part| part > 150))
            .count();
        (light > 200).then_some(())
    });
}

#[test]
fn the_preview_shows_what_is_sent_and_closing_it_does_not_end_the_stream() {
    let screen = Screen::new();
    let to = address().to_string();
    let source = media("stills/scene-1.jpg");
    let sender = Start::new(SENDER, "--loop --fps 20 --quality 95 --preview")
        .with([&*source, &to])
        .environment("DISPLAY", screen.name())
        .run();
    let window = screen.window("framegram-send");
    let wanted = still("stills/scene-1.jpg");
    until("the picture in the preview", || {
        (difference(&screen.look(window)?, &wanted) <= 3.0).then_some(())
    });
    screen.press(window, 'q');
    until("the preview to close", || {
        (!screen.has(window)).then_some(())
    });
    let lines = sender.said().lines().count();
    until("the stream to go on", || {
        (sender.said().lines().count() > lines).then_some(())
    });
    sender.signal(Signal::SIGINT);
    assert_eq!(sender.end().code, Some(0));
}
