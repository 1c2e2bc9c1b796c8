//! A window for pictures. On Wayland, it draws its own title bar and buttons if
//! the desktop (GNOME, Weston) leaves that to programs.

mod area;
mod decode;
mod keys;
mod scaler;

use std::collections::VecDeque;
use std::num::NonZero;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use softbuffer::{Context, Surface};
use winit::application::ApplicationHandler;
use winit::dpi::{LogicalSize, PhysicalPosition, PhysicalSize};
use winit::error::OsError;
use winit::event::{ElementState, MouseButton, WindowEvent};
use winit::event_loop::{ActiveEventLoop, EventLoop};
use winit::platform::pump_events::{EventLoopExtPumpEvents, PumpStatus};
use winit::platform::{wayland, x11};
use winit::window::{Fullscreen, Window as Inner, WindowAttributes, WindowId};

pub use area::{Area, fit};
pub use decode::decode_for;
pub use keys::ESCAPE;
pub use scaler::WindowScaler;

/// User input to a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed; its character in lower case.
    Key(char),
    /// The left mouse button was pressed at this pixel, counted from the upper
    /// left corner.
    Click(usize, usize),
    /// The user closed the window.
    Close,
    /// A part of the window must be redrawn.
    Uncovered,
}

/// A window. It belongs to the thread that opened it.
pub struct Window {
    events: EventLoop<()>,
    on_screen: OnScreen,
    surface: Surface<Rc<Inner>, Rc<Inner>>,
    title: String,
    /// When fullscreen was requested, until it is in effect.
    asked: Option<Instant>,
    /// Position and size before fullscreen, if there is no window manager to keep
    /// them.
    before: Option<(PhysicalPosition<i32>, PhysicalSize<u32>)>,
}

/// State of the window, updated by events.
struct OnScreen {
    name: &'static str,
    opened_at: LogicalSize<u32>,
    window: Option<Result<Rc<Inner>, OsError>>,
    size: PhysicalSize<u32>,
    pointer: PhysicalPosition<f64>,
    inputs: VecDeque<Input>,
}

impl Window {
    /// Opens a window of this size in unscaled pixels. Desktops group and label
    /// windows by `name`.
    ///
    /// # Errors
    /// If there is no display, or the process has already opened a window.
    pub fn open(name: &'static str, title: &str, (width, height): (u32, u32)) -> Result<Self> {
        let mut builder = EventLoop::builder();
        x11::EventLoopBuilderExtX11::with_any_thread(&mut builder, true);
        wayland::EventLoopBuilderExtWayland::with_any_thread(&mut builder, true);
        // winit's message would name its source file.
        let events = builder.build();
        let mut events = events.map_err(|_| anyhow!("neither Wayland nor X11 answers"))?;
        let mut on_screen = OnScreen {
            name,
            opened_at: LogicalSize::new(width, height),
            window: None,
            size: PhysicalSize::default(),
            pointer: PhysicalPosition::default(),
            inputs: VecDeque::new(),
        };
        events.pump_app_events(Some(Duration::ZERO), &mut on_screen);
        let window = match on_screen.window.take() {
            Some(window) => window?,
            None => return Err(anyhow!("the display has ended")),
        };
        on_screen.size = window.inner_size();
        on_screen.window = Some(Ok(Rc::clone(&window)));
        let context = Context::new(Rc::clone(&window)).map_err(|error| explain(&error))?;
        let surface = Surface::new(&context, window).map_err(|error| explain(&error))?;
        let mut window = Self {
            events,
            on_screen,
            surface,
            title: String::new(),
            asked: None,
            before: None,
        };
        window.set_title(title);
        Ok(window)
    }

    /// Width and height in pixels of the screen.
    pub fn size(&self) -> (usize, usize) {
        pair(self.on_screen.size)
    }

    /// Screen pixels per unscaled pixel on this desktop.
    pub fn scale(&self) -> f64 {
        self.inner().scale_factor()
    }

    /// Width and height of the screen in pixels.
    pub fn screen(&self) -> Option<(usize, usize)> {
        Some(pair(self.monitor()?.0))
    }

    /// Input since the last call, oldest first. Must be called every few
    /// milliseconds.
    pub fn poll(&mut self) -> VecDeque<Input> {
        let status = self
            .events
            .pump_app_events(Some(Duration::ZERO), &mut self.on_screen);
        if let PumpStatus::Exit(_) = status {
            self.on_screen.hear(Input::Close);
        }
        self.fill_unmanaged_screen();
        std::mem::take(&mut self.on_screen.inputs)
    }

    /// Draws the window: one word `0x00RRGGBB` per pixel. Pixels for a different
    /// [size](Self::size) are not drawn.
    ///
    /// # Errors
    /// If the display is gone.
    pub fn draw(&mut self, pixels: &[u32]) -> Result<()> {
        let (width, height) = (self.on_screen.size.width, self.on_screen.size.height);
        let (Some(width), Some(height)) = (NonZero::new(width), NonZero::new(height)) else {
            return Ok(());
        };
        self.surface
            .resize(width, height)
            .map_err(|error| explain(&error))?;
        let mut buffer = self.surface.buffer_mut().map_err(|error| explain(&error))?;
        if buffer.len() == pixels.len() {
            buffer.copy_from_slice(pixels);
            buffer.present().map_err(|error| explain(&error))?;
        }
        Ok(())
    }

    /// Sets the text of the title bar.
    pub fn set_title(&mut self, title: &str) {
        if self.title != title {
            self.inner().set_title(title);
            title.clone_into(&mut self.title);
        }
    }

    /// Whether neither the user nor the desktop has changed the window's size.
    pub fn is_as_opened(&self) -> bool {
        let now = self.on_screen.size.to_logical(self.scale());
        self.on_screen.opened_at == now && self.inner().fullscreen().is_none()
    }

    /// Requests another size, with the same centre if possible. The desktop may
    /// refuse.
    pub fn resize(&mut self, (width, height): (usize, usize)) {
        let old = self.on_screen.size;
        let (width, height) = (saturate(width), saturate(height));
        // Wayland does not report positions.
        if let (Ok(place), Some((screen, _))) = (self.inner().outer_position(), self.monitor()) {
            let middle = |place: i32, old: u32, new: u32, screen: u32| {
                let (old, new, screen) = (i64::from(old), i64::from(new), i64::from(screen));
                let start = (i64::from(place) + (old - new) / 2)
                    .min(screen - new)
                    .max(0);
                i32::try_from(start).unwrap_or(0)
            };
            self.inner().set_outer_position(PhysicalPosition::new(
                middle(place.x, old.width, width, screen.width),
                middle(place.y, old.height, height, screen.height),
            ));
        }
        self.request(PhysicalSize::new(width, height));
    }

    /// Toggles fullscreen.
    pub fn toggle_fullscreen(&mut self) {
        self.asked = None;
        if self.inner().fullscreen().is_none() {
            self.inner()
                .set_fullscreen(Some(Fullscreen::Borderless(None)));
            self.asked = Some(Instant::now());
            return;
        }
        self.inner().set_fullscreen(None);
        if let Some((place, size)) = self.before.take() {
            self.inner().set_outer_position(place);
            self.request(size);
        }
    }

    /// Closes the window at once, while the program continues.
    pub fn close(self) {
        let Self {
            mut events,
            mut on_screen,
            surface,
            ..
        } = self;
        on_screen.window = None;
        drop(surface);
        // Processing events sends the request to the system.
        events.pump_app_events(Some(Duration::ZERO), &mut on_screen);
    }

    /// On an X server without a window manager, as in a kiosk, the program makes
    /// the window fullscreen itself.
    fn fill_unmanaged_screen(&mut self) {
        if self.asked.is_none_or(|asked| asked.elapsed() < MANAGER) {
            return;
        }
        self.asked = None;
        // Wayland does not report positions, but always has a window manager.
        let (Ok(place), Some((screen, corner))) = (self.inner().outer_position(), self.monitor())
        else {
            return;
        };
        if self.on_screen.size != screen {
            self.before = Some((place, self.on_screen.size));
            self.inner().set_outer_position(corner);
            self.request(screen);
        }
    }

    fn request(&mut self, size: PhysicalSize<u32>) {
        if let Some(size) = self.inner().request_inner_size(size) {
            self.on_screen.size = size;
        }
    }

    /// Size and position of the screen.
    fn monitor(&self) -> Option<(PhysicalSize<u32>, PhysicalPosition<i32>)> {
        let window = self.inner();
        let monitor = window
            .current_monitor()
            .or_else(|| window.available_monitors().next())?;
        Some((monitor.size(), monitor.position()))
    }

    fn inner(&self) -> &Inner {
        self.surface.window()
    }
}

impl OnScreen {
    fn hear(&mut self, input: Input) {
        // Input that arrives faster than it is handled is dropped, to bound
        // memory.
        if self.inputs.len() < MAX_INPUTS || input == Input::Close {
            self.inputs.push_back(input);
        }
    }
}

impl ApplicationHandler for OnScreen {
    fn resumed(&mut self, events: &ActiveEventLoop) {
        if self.window.is_some() {
            return;
        }
        let attributes = WindowAttributes::default().with_inner_size(self.opened_at);
        let attributes = x11::WindowAttributesExtX11::with_name(attributes, self.name, self.name);
        let attributes =
            wayland::WindowAttributesExtWayland::with_name(attributes, self.name, self.name);
        self.window = Some(events.create_window(attributes).map(Rc::new));
    }

    fn window_event(&mut self, _: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        match event {
            WindowEvent::CloseRequested | WindowEvent::Destroyed => self.hear(Input::Close),
            WindowEvent::Resized(size) => self.size = size,
            WindowEvent::RedrawRequested => self.hear(Input::Uncovered),
            WindowEvent::CursorMoved { position, .. } => self.pointer = position,
            WindowEvent::MouseInput {
                state: ElementState::Pressed,
                button: MouseButton::Left,
                ..
            } => self.hear(Input::Click(
                self.pointer.x as usize,
                self.pointer.y as usize,
            )),
            WindowEvent::KeyboardInput {
                event,
                is_synthetic: false,
                ..
            } if event.state.is_pressed() && !event.repeat => {
                if let Some(key) = keys::letter(&event.logical_key, event.physical_key) {
                    self.hear(Input::Key(key));
                }
            }
            _ => {}
        }
    }
}

fn explain(error: &softbuffer::SoftBufferError) -> anyhow::Error {
    anyhow!("cannot draw in the window: {error}")
}

fn pair(size: PhysicalSize<u32>) -> (usize, usize) {
    (size.width as usize, size.height as usize)
}

fn saturate(pixels: usize) -> u32 {
    u32::try_from(pixels).unwrap_or(u32::MAX).max(1)
}

/// A window manager makes a window fullscreen in less time.
const MANAGER: Duration = Duration::from_millis(300);

/// Upper bound on input that waits for a poll.
const MAX_INPUTS: usize = 64;
