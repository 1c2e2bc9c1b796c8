//! A window that shows the JPEGs that are sent, decoded.

use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError};
use framegram_cli::threads::{Thread, Threads};
use framegram_media::{Decoder, XrgbImage};
use framegram_window::{ESCAPE, Input, Window, WindowScaler, decode_for};

use crate::latest::{Latest, latest};

/// How long the window waits for a frame before it handles its events.
const PATIENCE: Duration = Duration::from_millis(50);

/// How long the window may take to close.
const CLOSING: Duration = Duration::from_millis(300);

/// The window's initial size in pixels. The picture keeps its aspect ratio within it.
const SIZE: (u32, u32) = (640, 360);

/// A window in a thread of its own. Closing it ends the window, not the stream.
pub(crate) struct Preview {
    newest: Option<Latest<Bytes>>,
    thread: Option<Thread<()>>,
}

impl Preview {
    /// Opens the window.
    ///
    /// # Errors
    /// If there is no display.
    pub(crate) fn open(threads: &Threads) -> Result<Self> {
        let (newest, shown) = latest();
        let decoder = Decoder::new()?;
        let (opened, is_open) = mpsc::channel();
        let thread = threads.spawn("preview", move || {
            // Only the thread that created a window may use it.
            match Window::open("framegram-send", "framegram-send", SIZE) {
                Ok(mut window) if opened.send(Ok(())).is_ok() => {
                    show(&mut window, &shown, decoder);
                    window.close();
                }
                Ok(_) => {}
                // The opener waits for it.
                Err(error) => drop(opened.send(Err(error))),
            }
        })?;
        let is_open = is_open.recv().context("the window's thread ended")?;
        is_open.context("there is no display for --preview: remove it")?;
        Ok(Self {
            newest: Some(newest),
            thread: Some(thread),
        })
    }

    /// Shows a frame. It replaces one that was not shown yet.
    pub(crate) fn show(&self, jpeg: Bytes) {
        if let Some(newest) = &self.newest {
            newest.put(jpeg);
        }
    }
}

impl Drop for Preview {
    fn drop(&mut self) {
        self.newest = None;
        // If the window system does not answer, the thread is left behind.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join_within(CLOSING);
        }
    }
}

fn show(window: &mut Window, newest: &Receiver<Bytes>, mut decoder: Decoder) {
    let (mut image, mut scaler) = (XrgbImage::default(), WindowScaler::default());
    let mut pixels = Vec::new();
    loop {
        let mut changed = match newest.recv_timeout(PATIENCE) {
            Ok(jpeg) => decode_for(&mut decoder, &jpeg, window.size(), &mut image).is_ok(),
            Err(RecvTimeoutError::Timeout) => false,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for input in window.poll() {
            match input {
                Input::Close | Input::Key('q' | ESCAPE) => return,
                Input::Uncovered => changed = true,
                Input::Key(_) | Input::Click(..) => {}
            }
        }
        if changed {
            let (width, height) = window.size();
            pixels.resize(width * height, 0);
            scaler.draw_centred(&image, &mut pixels, (width, height));
            if window.draw(&pixels).is_err() {
                return;
            }
        }
    }
}
