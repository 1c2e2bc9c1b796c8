//! A window that shows what is being sent: the very JPEGs, decoded again.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use framegram_cli::threads::{Thread, Threads};
use framegram_media::{Decoder, Reduction, XrgbImage};
use minifb::{InputCallback, Key, ScaleMode, Window, WindowOptions};

use crate::latest::{Latest, latest};

/// How long the window waits for a frame before it looks after its own events.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the window may take to close.
const CLOSING: Duration = Duration::from_millis(300);

/// The window's size until it is dragged to another, in pixels; the picture
/// keeps its proportions within.
const SIZE: (usize, usize) = (640, 360);

/// A window in a thread of its own. Closing it ends the window, not the stream.
pub(crate) struct Preview {
    newest: Option<Latest<Bytes>>,
    thread: Option<Thread<()>>,
}

impl Preview {
    /// Opens the window.
    ///
    /// # Errors
    /// Where there is no display.
    pub(crate) fn open(threads: &Threads) -> Result<Self> {
        let (newest, shown) = latest();
        let decoder = Decoder::new()?;
        let (opened, is_open) = mpsc::channel();
        let thread = threads.spawn("preview", move || {
            // A window belongs to the thread that made it.
            let window = open_window();
            let (window, result) = match window {
                Ok(window) => (Some(window), Ok(())),
                Err(error) => (None, Err(error)),
            };
            if opened.send(result).is_ok()
                && let Some(window) = window
            {
                show(window, &shown, decoder);
            }
        })?;
        is_open.recv().context("the window's thread ended")??;
        Ok(Self {
            newest: Some(newest),
            thread: Some(thread),
        })
    }

    /// Shows a frame in place of one that was not shown yet.
    pub(crate) fn show(&self, jpeg: Bytes) {
        if let Some(newest) = &self.newest {
            newest.put(jpeg);
        }
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        self.newest = None;
        // A window system that does not answer is left behind.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join_within(CLOSING);
        }
    }
}

fn open_window() -> Result<Window> {
    let options = WindowOptions {
        resize: true,
        scale_mode: ScaleMode::AspectRatioStretch,
        ..WindowOptions::default()
    };
    let mut window = Window::new("framegram-send", SIZE.0, SIZE.1, options)
        .map_err(|error| anyhow!("there is no display for --preview ({error}): remove it"))?;
    // Frames set the pace.
    window.set_target_fps(0);
    Ok(window)
}

fn show(mut window: Window, newest: &Receiver<Bytes>, mut decoder: Decoder) {
    let mut image = XrgbImage::default();
    let quit = Rc::new(Cell::new(false));
    window.set_input_callback(Box::new(Quit(Rc::clone(&quit))));
    while window.is_open() && !quit.get() {
        let decoded = match newest.recv_timeout(PATIENCE) {
            Ok(jpeg) => decoder.decode(&jpeg, Reduction::None, &mut image).ok(),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if decoded.is_none() {
            window.update();
        } else if window
            .update_with_buffer(&image.pixels, image.width, image.height)
            .is_err()
        {
            return;
        }
    }
}

/// Hears the keys that close the window, however shortly they are pressed.
struct Quit(Rc<Cell<bool>>);

impl InputCallback for Quit {
    fn add_char(&mut self, _: u32) {}

    fn set_key_state(&mut self, key: Key, pressed: bool) {
        if pressed && matches!(key, Key::Escape | Key::Q) {
            self.0.set(true);
        }
    }
}
