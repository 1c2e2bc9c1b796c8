//! What the window library cannot do: fullscreen, another size, the screen's
//! size. Asked of the X server over a connection of its own, in the way that
//! the desktops agreed on
//! (<https://specifications.freedesktop.org/wm-spec/latest/>).

use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    Atom, AtomEnum, ClientMessageEvent, ConfigureWindowAux, ConnectionExt, EventMask, PropMode,
    StackMode,
};
use x11rb::rust_connection::RustConnection;
use x11rb::wrapper::ConnectionExt as _;

use super::area::Area;

/// The desktop around one window.
pub(super) struct Desktop {
    connection: RustConnection,
    root: u32,
    window: u32,
    /// Width and height of the screen in pixels.
    screen: (usize, usize),
    fullscreen: bool,
    /// Where the window was before, where no window manager keeps it.
    before: Option<Area>,
}

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

impl Desktop {
    /// The desktop of the window with this X identifier; `None` where the X
    /// server does not answer a second connection.
    pub(super) fn around(window: u32) -> Option<Self> {
        let (connection, screen) = x11rb::connect(None).ok()?;
        let setup = &connection.setup().roots[screen];
        let (root, screen) = (
            setup.root,
            (
                usize::from(setup.width_in_pixels),
                usize::from(setup.height_in_pixels),
            ),
        );
        let desktop = Self {
            connection,
            root,
            window,
            screen,
            fullscreen: false,
            before: None,
        };
        desktop.name_class().ok()?;
        Some(desktop)
    }

    pub(super) fn screen(&self) -> (usize, usize) {
        self.screen
    }

    /// Gives the window another size, about the same middle.
    pub(super) fn resize(&self, width: usize, height: usize) -> Outcome<()> {
        let old = self.place()?;
        let left = |old: usize, from: usize, to: usize, screen: usize| {
            (old + from / 2)
                .saturating_sub(to / 2)
                .min(screen.saturating_sub(to))
        };
        self.configure(Area {
            x: left(old.x, old.width, width, self.screen.0),
            y: left(old.y, old.height, height, self.screen.1),
            width,
            height,
        })
    }

    /// Makes the window cover the screen, or as it was before.
    pub(super) fn toggle_fullscreen(&mut self) -> Outcome<()> {
        if self.is_managed()? {
            self.ask_manager(!self.fullscreen)?;
        } else if let Some(before) = self.before.take() {
            self.configure(before)?;
        } else {
            self.before = Some(self.place()?);
            self.configure(Area {
                x: 0,
                y: 0,
                width: self.screen.0,
                height: self.screen.1,
            })?;
        }
        self.fullscreen = !self.fullscreen;
        Ok(())
    }

    pub(super) fn is_fullscreen(&self) -> bool {
        self.fullscreen
    }

    /// Whether a window manager runs that knows fullscreen windows.
    fn is_managed(&self) -> Outcome<bool> {
        let check = self.atom("_NET_SUPPORTING_WM_CHECK")?;
        let manager = self.words(self.root, check, AtomEnum::WINDOW.into())?;
        let Some(&manager) = manager.first() else {
            return Ok(false);
        };
        // A manager that is gone leaves its properties on the root window, but
        // not a window that names itself.
        let alive = self.words(manager, check, AtomEnum::WINDOW.into());
        if alive.is_ok_and(|words| words.first() != Some(&manager)) {
            return Ok(false);
        }
        let supported = self.atom("_NET_SUPPORTED")?;
        let fullscreen = self.atom("_NET_WM_STATE_FULLSCREEN")?;
        Ok(self
            .words(self.root, supported, AtomEnum::ATOM.into())?
            .contains(&fullscreen))
    }

    fn ask_manager(&self, fullscreen: bool) -> Outcome<()> {
        let state = self.atom("_NET_WM_STATE")?;
        let data = [
            u32::from(fullscreen),
            self.atom("_NET_WM_STATE_FULLSCREEN")?,
            0,
            SOURCE_APPLICATION,
            0,
        ];
        self.connection.send_event(
            false,
            self.root,
            EventMask::SUBSTRUCTURE_REDIRECT | EventMask::SUBSTRUCTURE_NOTIFY,
            ClientMessageEvent::new(32, self.window, state, data),
        )?;
        Ok(self.connection.flush()?)
    }

    /// Where the window is on the screen.
    fn place(&self) -> Outcome<Area> {
        let geometry = self.connection.get_geometry(self.window)?.reply()?;
        let origin = self
            .connection
            .translate_coordinates(self.window, self.root, 0, 0)?
            .reply()?;
        Ok(Area {
            x: usize::try_from(origin.dst_x).unwrap_or(0),
            y: usize::try_from(origin.dst_y).unwrap_or(0),
            width: usize::from(geometry.width),
            height: usize::from(geometry.height),
        })
    }

    fn configure(&self, area: Area) -> Outcome<()> {
        let change = ConfigureWindowAux::new()
            .x(i32::try_from(area.x)?)
            .y(i32::try_from(area.y)?)
            .width(u32::try_from(area.width)?)
            .height(u32::try_from(area.height)?)
            .stack_mode(StackMode::ABOVE);
        self.connection
            .configure_window(self.window, &change)?
            .check()?;
        Ok(())
    }

    /// By this name desktops group the windows of a program.
    fn name_class(&self) -> Outcome<()> {
        self.connection.change_property8(
            PropMode::REPLACE,
            self.window,
            AtomEnum::WM_CLASS,
            AtomEnum::STRING,
            b"framegram-view\0framegram-view\0",
        )?;
        Ok(self.connection.flush()?)
    }

    fn atom(&self, name: &str) -> Outcome<Atom> {
        let atom = self.connection.intern_atom(false, name.as_bytes())?;
        Ok(atom.reply()?.atom)
    }

    fn words(&self, window: u32, property: Atom, kind: Atom) -> Outcome<Vec<u32>> {
        let reply = self
            .connection
            .get_property(false, window, property, kind, 0, MOST_WORDS)?
            .reply()?;
        Ok(reply.value32().map(Iterator::collect).unwrap_or_default())
    }
}

/// In a request to the window manager: it comes from a program, not a pager.
const SOURCE_APPLICATION: u32 = 1;

/// More words than any window manager's list of what it supports.
const MOST_WORDS: u32 = 4096;
