//! A window for pictures. On Wayland it draws its title bar and buttons itself
//! where the desktop (GNOME, Weston) leaves that to programs.

mod area;
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
pub use keys::ESCAPE;
pub use scaler::Scaler;

/// What a person does with a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key was pressed: what it writes, in lower case.
    Key(char),
    /// The left button of the mouse was pressed on this pixel, from the upper
    /// left corner.
    Click(usize, usize),
    /// The window is to be closed.
    Close,
    /// Some of the window has to be drawn again.
    Uncovered,
}

/// A window. It belongs to the thread that opened it.
pub struct Window {
    events: EventLoop<()>,
    on_screen: OnScreen,
    surface: Surface<Rc<Inner>, Rc<Inner>>,
    title: String,
    /// When fullscreen was asked for, until it is so.
    asked: Option<Instant>,
    /// Place and size before fullscreen, where no window manager keeps them.
    before: Option<(PhysicalPosition<i32>, PhysicalSize<u32>)>,
}

/// The window as the system's events make it.
struct OnScreen {
    name: &'static str,
    opened_at: LogicalSize<u32>,
    window: Option<Result<Rc<Inner>, OsError>>,
    size: PhysicalSize<u32>,
    pointer: PhysicalPosition<f64>,
    inputs: VecDeque<Input>,
}

impl Window {
    /// Opens a window of this width and height, in the pixels of a screen that
    /// is not scaled. Desktops group and name windows by `name`.
    ///
    /// # Errors
    /// When there is no display, or the process has opened a window before.
    pub fn open(name: &'static str, title: &str, (width, height): (u32, u32)) -> Result<Self> {
        let mut builder = EventLoop::builder();
        x11::EventLoopBuilderExtX11::with_any_thread(&mut builder, true);
        wayland::EventLoopBuilderExtWayland::with_any_thread(&mut builder, true);
        // winit's own words name its source file.
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
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        pair(self.on_screen.size)
    }

    /// How many pixels of the screen this desktop takes for one of a picture.
    #[must_use]
    pub fn scale(&self) -> f64 {
        self.inner().scale_factor()
    }

    /// Width and height of the screen in pixels.
    #[must_use]
    pub fn screen(&self) -> Option<(usize, usize)> {
        Some(pair(self.monitor()?.0))
    }

    /// What has happened since the last call, oldest first. Has to be called
    /// every few milliseconds.
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

    /// Draws the window: one word `0x00RRGGBB` a pixel, as many as its
    /// [size](Self::size) has. Pixels for another size are not drawn.
    ///
    /// # Errors
    /// When the display is gone.
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

    /// Says what stands in the title bar.
    pub fn set_title(&mut self, title: &str) {
        if self.title != title {
            self.inner().set_title(title);
            title.clone_into(&mut self.title);
        }
    }

    /// Whether nobody, person or desktop, has given the window another size.
    #[must_use]
    pub fn is_as_opened(&self) -> bool {
        let now = self.on_screen.size.to_logical(self.scale());
        self.on_screen.opened_at == now && self.inner().fullscreen().is_none()
    }

    /// Asks for another size, about the same middle. A desktop that will have it
    /// otherwise is right.
    pub fn resize(&mut self, (width, height): (usize, usize)) {
        let old = self.on_screen.size;
        let (width, height) = (saturate(width), saturate(height));
        // Wayland tells no places.
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

    /// Makes the window cover the screen, or as it was before.
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

    /// Closes the window at once, where the program goes on.
    pub fn close(self) {
        let Self {
            mut events,
            mut on_screen,
            surface,
            ..
        } = self;
        on_screen.window = None;
        drop(surface);
        // The system is told with the next events.
        events.pump_app_events(Some(Duration::ZERO), &mut on_screen);
    }

    /// An X server without a window manager, as in a kiosk, leaves fullscreen to
    /// the program.
    fn fill_unmanaged_screen(&mut self) {
        if self.asked.is_none_or(|asked| asked.elapsed() < MANAGER) {
            return;
        }
        self.asked = None;
        // Wayland tells no places, and always has a manager.
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

    /// Size and place of the screen.
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
        // A person who types faster than the window is drawn loses keys, not memory.
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

/// A window manager takes less to fill the screen.
const MANAGER: Duration = Duration::from_millis(300);

/// Inputs that wait between two polls.
const MAX_INPUTS: usize = 64;
