//! A virtual screen, and the actions of a user: look, press keys, resize and
//! close windows.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use image::RgbImage;
use x11rb::CURRENT_TIME;
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, BUTTON_PRESS_EVENT, BUTTON_RELEASE_EVENT, ClientMessageEvent, ConfigureWindowAux,
    ConnectionExt, EventMask, ImageFormat, InputFocus, KEY_PRESS_EVENT, KEY_RELEASE_EVENT,
    MOTION_NOTIFY_EVENT, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use crate::program::until;

/// Default size of a screen in pixels.
pub const SIZE: (u16, u16) = (1_280, 800);

/// A headless X server without a window manager.
#[derive(Debug)]
pub struct Screen {
    server: Child,
    name: String,
    connection: RustConnection,
    root: Window,
}

impl Screen {
    /// Starts a screen.
    ///
    /// # Panics
    /// If Xvfb is missing or does not start.
    pub fn new() -> Self {
        Self::sized(SIZE.0, SIZE.1)
    }

    /// Starts a screen of this size in pixels.
    ///
    /// # Panics
    /// If Xvfb is missing or does not start.
    pub fn sized(width: u16, height: u16) -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-ac", "-nolisten", "tcp", "-screen", "0"])
            .arg(format!("{width}x{height}x24"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is installed");
        let mut number = String::new();
        let mut told = BufReader::new(server.stdout.take().expect("piped"));
        told.read_line(&mut number).expect("Xvfb tells its number");
        let name = format!(":{}", number.trim());
        let (connection, screen) = x11rb::connect(Some(&name)).expect("Xvfb answers");
        let root = connection.setup().roots[screen].root;
        Self {
            server,
            name,
            connection,
            root,
        }
    }

    /// The value of `DISPLAY`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits for a window whose title contains `part`.
    ///
    /// # Panics
    /// If the deadline passes.
    pub fn window(&self, part: &str) -> Window {
        until(&format!("a window titled {part:?}"), || {
            let windows = self.connection.query_tree(self.root).ok()?.reply().ok()?;
            let titled = |window: &Window| self.title(*window).contains(part);
            windows.children.into_iter().find(titled)
        })
    }

    /// Whether the window exists.
    pub fn has(&self, window: Window) -> bool {
        self.size(window).is_some()
    }

    /// The title of a window.
    pub fn title(&self, window: Window) -> String {
        let read = |name: u32| {
            let cookie = self
                .connection
                .get_property(false, window, name, AtomEnum::ANY, 0, 1_024);
            let value = cookie.ok()?.reply().ok()?.value;
            (!value.is_empty()).then(|| String::from_utf8_lossy(&value).into_owned())
        };
        let newer = || {
            let name = self.connection.intern_atom(true, b"_NET_WM_NAME").ok()?;
            read(name.reply().ok()?.atom)
        };
        let title = read(AtomEnum::WM_NAME.into()).or_else(newer);
        title.unwrap_or_default()
    }

    /// Width and height of a window; `None` if it is gone.
    pub fn size(&self, window: Window) -> Option<(u16, u16)> {
        let geometry = self.connection.get_geometry(window).ok()?.reply().ok()?;
        Some((geometry.width, geometry.height))
    }

    /// The visible content of a window; `None` if it is gone.
    pub fn look(&self, window: Window) -> Option<RgbImage> {
        let (width, height) = self.size(window)?;
        let seen = self
            .connection
            .get_image(ImageFormat::Z_PIXMAP, window, 0, 0, width, height, u32::MAX)
            .ok()?
            .reply()
            .ok()?;
        let pixels = seen.data.chunks_exact(4);
        let rgb = pixels
            .flat_map(|pixel| [pixel[2], pixel[1], pixel[0]])
            .collect();
        RgbImage::from_raw(width.into(), height.into(), rgb)
    }

    /// Gives a window the keyboard focus.
    ///
    /// # Panics
    /// If the X server is gone.
    pub fn focus(&self, window: Window) {
        let connection = &self.connection;
        connection
            .set_input_focus(InputFocus::POINTER_ROOT, window, CURRENT_TIME)
            .expect("connected");
        connection.sync().expect("connected");
    }

    /// Presses and releases a key, identified by its character (`q`, ` `).
    ///
    /// # Panics
    /// If the keyboard has no such key.
    pub fn press(&self, window: Window, key: char) {
        self.press_code(window, u32::from(key));
    }

    /// Presses and releases Esc.
    ///
    /// # Panics
    /// If the keyboard has no such key.
    pub fn press_escape(&self, window: Window) {
        self.press_code(window, 0xFF1B);
    }

    fn press_code(&self, window: Window, symbol: u32) {
        let connection = &self.connection;
        let setup = connection.setup();
        let (first, last) = (setup.min_keycode, setup.max_keycode);
        let keyboard = connection
            .get_keyboard_mapping(first, last - first + 1)
            .expect("connected")
            .reply()
            .expect("there is a keyboard");
        let row = usize::from(keyboard.keysyms_per_keycode);
        let place = keyboard
            .keysyms
            .chunks(row)
            .position(|key| key[0] == symbol);
        let place = place.expect("the keyboard has the key");
        let code = first + u8::try_from(place).expect("codes are bytes");
        self.focus(window);
        for event in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            self.fake(event, code, (0, 0));
        }
    }

    /// Presses or releases the left mouse button at a position in a window.
    ///
    /// # Panics
    /// If the X server is gone.
    pub fn mouse(&self, window: Window, place: (i16, i16), pressed: bool) {
        let place = self.point(window, place);
        let button = if pressed {
            BUTTON_PRESS_EVENT
        } else {
            BUTTON_RELEASE_EVENT
        };
        self.fake(button, 1, place);
    }

    /// Moves the mouse to a position in a window. Returns the position on the
    /// screen.
    ///
    /// # Panics
    /// If the X server is gone.
    pub fn point(&self, window: Window, (x, y): (i16, i16)) -> (i16, i16) {
        let place = self
            .connection
            .translate_coordinates(window, self.root, x, y);
        let place = place
            .expect("connected")
            .reply()
            .expect("the window is there");
        let place = (place.dst_x, place.dst_y);
        self.fake(MOTION_NOTIFY_EVENT, 0, place);
        place
    }

    fn fake(&self, event: u8, detail: u8, (x, y): (i16, i16)) {
        self.connection
            .xtest_fake_input(event, detail, CURRENT_TIME, self.root, x, y, 0)
            .expect("connected");
        self.connection.sync().expect("connected");
    }

    /// Resizes a window and moves it to the corner of the screen, because what is
    /// outside of the screen cannot be captured.
    ///
    /// # Panics
    /// If the X server is gone.
    pub fn resize(&self, window: Window, width: u32, height: u32) {
        let size = ConfigureWindowAux::new()
            .x(0)
            .y(0)
            .width(width)
            .height(height);
        self.connection
            .configure_window(window, &size)
            .expect("connected");
        self.connection.sync().expect("connected");
    }

    /// Asks a window to close, like its close button.
    ///
    /// # Panics
    /// If the X server is gone.
    pub fn close(&self, window: Window) {
        let atom = |name: &[u8]| {
            let cookie = self.connection.intern_atom(false, name).expect("connected");
            cookie.reply().expect("atoms are given").atom
        };
        let data = [atom(b"WM_DELETE_WINDOW"), CURRENT_TIME, 0, 0, 0];
        let message = ClientMessageEvent::new(32, window, atom(b"WM_PROTOCOLS"), data);
        self.connection
            .send_event(false, window, EventMask::NO_EVENT, message)
            .expect("connected");
        self.connection.sync().expect("connected");
    }
}

impl Screen {
    /// Saves a screenshot after a failed test.
    pub(crate) fn keep(&self) {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if std::thread::panicking()
            && let Some(seen) = self.look(self.root)
        {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let file = format!("framegram-screen-{}-{number}.png", std::process::id());
            let file = std::env::temp_dir().join(file);
            if seen.save(&file).is_ok() {
                eprintln!("what was on the screen is in {}", file.display());
            }
        }
    }
}

impl Default for Screen {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.keep();
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
