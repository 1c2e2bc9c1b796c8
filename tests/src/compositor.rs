//! A Wayland desktop on a virtual screen. Like GNOME, Weston leaves title bars to
//! programs.

use std::process::{Child, Command, Stdio};

use image::RgbImage;
use x11rb::protocol::xproto::Window;

use crate::program::until;
use crate::screen::{SIZE, Screen};

/// A compositor that fills the screen.
#[derive(Debug)]
pub struct Compositor {
    weston: Child,
    folder: tempfile::TempDir,
    screen: Screen,
    window: Window,
}

impl Compositor {
    /// Starts a compositor.
    ///
    /// # Panics
    /// If Weston or Xvfb is missing or does not start.
    pub fn new() -> Self {
        let screen = Screen::sized(SIZE.0 + MARGIN, SIZE.1);
        let folder = tempfile::tempdir().expect("a temporary folder");
        // Renders with OpenGL: the other renderer of Weston 10 crashes when
        // programs grow their memory.
        let weston = Command::new("weston")
            .args(["--backend=x11-backend.so", "--no-config"])
            .args([
                &format!("--width={}", SIZE.0),
                &format!("--height={}", SIZE.1),
            ])
            .args(["--idle-time=0", &format!("--socket={NAME}")])
            .env("DISPLAY", screen.name())
            .env("XDG_RUNTIME_DIR", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("weston is installed");
        let window = screen.window("Weston");
        // Keys that are held when the keyboard appears may arrive before a
        // program is ready.
        screen.focus(window);
        // Weston learns the position of the mouse when it enters.
        let _ = screen.point(window, (SIZE.0 as i16 + 1, 0));
        until("the compositor", || {
            folder.path().join(NAME).exists().then_some(())
        });
        Self {
            weston,
            folder,
            screen,
            window,
        }
    }

    /// The environment variables `XDG_RUNTIME_DIR` and `WAYLAND_DISPLAY`, by
    /// which programs find the compositor.
    ///
    /// # Panics
    /// If the name of the temporary folder is not text.
    pub fn environment(&self) -> [(&str, &str); 2] {
        let folder = self.folder.path().to_str().expect("a readable name");
        [("XDG_RUNTIME_DIR", folder), ("WAYLAND_DISPLAY", NAME)]
    }

    /// The content of the screen.
    pub fn look(&self) -> Option<RgbImage> {
        self.screen.look(self.window)
    }

    /// Presses and releases a key.
    pub fn press(&self, key: char) {
        self.screen.press(self.window, key);
    }

    /// Presses or releases the left mouse button at a position of the screen.
    pub fn mouse(&self, place: (u32, u32), pressed: bool) {
        self.screen.mouse(self.window, pair(place), pressed);
    }

    /// Moves the mouse.
    pub fn point(&self, place: (u32, u32)) {
        let _ = self.screen.point(self.window, pair(place));
    }
}

fn pair((x, y): (u32, u32)) -> (i16, i16) {
    (x as i16, y as i16)
}

impl Default for Compositor {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Compositor {
    fn drop(&mut self) {
        self.screen.keep();
        let _ = self.weston.kill();
        let _ = self.weston.wait();
    }
}

/// Columns of the screen next to the compositor.
const MARGIN: u16 = 16;

const NAME: &str = "wayland-test";
