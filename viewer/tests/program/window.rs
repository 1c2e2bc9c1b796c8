//! A real window on a virtual screen: what it shows, and what keys do.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use framegram_media::{Decoder, Reduction, XrgbImage};
use x11rb::connection::Connection;
use x11rb::protocol::xproto::{
    AtomEnum, ConfigureWindowAux, ConnectionExt, GetGeometryReply, ImageFormat, InputFocus,
    KEY_PRESS_EVENT, KEY_RELEASE_EVENT, Window,
};
use x11rb::protocol::xtest::ConnectionExt as _;
use x11rb::rust_connection::RustConnection;

use crate::support::{Folder, Viewer, json, picture, send, viewer};

/// A virtual screen of 1280x800, and a window on it.
struct Screen {
    server: Child,
    connection: RustConnection,
    root: Window,
    name: String,
}

impl Screen {
    fn new() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1280x800x24"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("this test needs Xvfb: apt-get install xvfb");
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap())
            .read_line(&mut number)
            .unwrap();
        let name = format!(":{}", number.trim());
        let (connection, screen) = x11rb::connect(Some(&name)).unwrap();
        let root = connection.setup().roots[screen].root;
        Self {
            server,
            connection,
            root,
            name,
        }
    }

    fn window(&self) -> Window {
        let tree = || self.connection.query_tree(self.root).unwrap().reply();
        let is_ours = |window: &Window| {
            self.text(*window, AtomEnum::WM_CLASS)
                .contains("framegram-view")
        };
        eventually("a window", || {
            tree().unwrap().children.into_iter().find(is_ours)
        })
    }

    fn text(&self, window: Window, property: AtomEnum) -> String {
        let reply = self
            .connection
            .get_property(false, window, property, AtomEnum::STRING, 0, 1024)
            .unwrap()
            .reply();
        reply.map_or_else(
            |_| String::new(),
            |reply| String::from_utf8(reply.value).unwrap(),
        )
    }

    fn place(&self, window: Window) -> GetGeometryReply {
        self.connection
            .get_geometry(window)
            .unwrap()
            .reply()
            .unwrap()
    }

    fn size(&self, window: Window) -> (usize, usize) {
        let place = self.place(window);
        (place.width.into(), place.height.into())
    }

    fn resize(&self, window: Window, width: u32, height: u32) {
        // In the corner, because pixels outside of the screen cannot be captured.
        let size = ConfigureWindowAux::new()
            .x(0)
            .y(0)
            .width(width)
            .height(height);
        self.connection.configure_window(window, &size).unwrap();
        self.connection.flush().unwrap();
    }

    /// The content of the window: `0x00RRGGBB`, row by row.
    fn pixels(&self, window: Window) -> Vec<u32> {
        let place = self.place(window);
        let image = self
            .connection
            .get_image(
                ImageFormat::Z_PIXMAP,
                window,
                0,
                0,
                place.width,
                place.height,
                !0,
            )
            .unwrap()
            .reply();
        let data = image.map_or_else(|_| Vec::new(), |image| image.data);
        data.chunks_exact(4)
            .map(|word| u32::from_le_bytes([word[0], word[1], word[2], 0]))
            .collect()
    }

    fn pixel(&self, window: Window, x: usize, y: usize) -> u32 {
        let width = self.size(window).0;
        self.pixels(window).get(y * width + x).copied().unwrap_or(0)
    }

    fn press(&self, window: Window, key: char) {
        let setup = self.connection.setup();
        let (least, most) = (setup.min_keycode, setup.max_keycode);
        let map = self
            .connection
            .get_keyboard_mapping(least, most - least + 1)
            .unwrap()
            .reply()
            .unwrap();
        let per_code = usize::from(map.keysyms_per_keycode);
        let index = map
            .keysyms
            .chunks(per_code)
            .position(|keys| keys[0] == u32::from(key));
        let detail = least + index.unwrap() as u8;
        self.connection
            .set_input_focus(InputFocus::POINTER_ROOT, window, x11rb::CURRENT_TIME)
            .unwrap();
        for event in [KEY_PRESS_EVENT, KEY_RELEASE_EVENT] {
            self.connection
                .xtest_fake_input(event, detail, x11rb::CURRENT_TIME, self.root, 0, 0, 0)
                .unwrap();
        }
        self.connection.flush().unwrap();
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "there never was {what}");
        std::thread::sleep(LOOK_AGAIN);
    }
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    eventually(what, || is_so().then_some(()));
}

/// Whether all channels of two colours are nearly equal.
fn alike(a: u32, b: u32) -> bool {
    [0, 8, 16]
        .iter()
        .all(|shift| ((a >> shift) & 255).abs_diff((b >> shift) & 255) < 8)
}

/// Red, green, blue and white in the four quarters.
fn quarters() -> Vec<u8> {
    picture(640, 360, |x, y| match (x < 320, y < 180) {
        (true, true) => [255, 0, 0],
        (false, true) => [0, 255, 0],
        (true, false) => [0, 0, 255],
        (false, false) => [255, 255, 255],
    })
}

#[test]
fn shows_the_picture_and_obeys_the_keys() {
    let folder = Folder::new();
    let (snapshot, report) = (folder.path("last.png"), folder.path("report.json"));
    let screen = Screen::new();
    let mut command = viewer(&["--snapshot", &snapshot, "--report", &report]);
    command.env("DISPLAY", &screen.name);
    let viewer = Viewer::start(command);
    let window = screen.window();
    until("a word on what it waits for", || {
        screen.pixels(window).contains(&0xf0_f0f0)
    });

    let jpeg = quarters();
    let to = viewer.address();
    let jpegs = vec![jpeg.clone(); 50];
    send(to, &jpegs, false);
    let mut decoded = XrgbImage::default();
    Decoder::new()
        .unwrap()
        .decode(&jpeg, Reduction::None, &mut decoded)
        .unwrap();
    let colours: Vec<u32> = decoded.pixels.iter().map(|word| word & 0xff_ffff).collect();
    screen.press(window, ' ');
    until("the decoded picture, pixel by pixel, frozen", || {
        // Text below the picture says that it is frozen.
        let seen = screen.pixels(window);
        screen.size(window) == (640, 360) && seen[..640 * 300] == colours[..640 * 300]
    });
    until("a title with the size", || {
        screen.text(window, AtomEnum::WM_NAME).contains("640x360")
    });

    screen.resize(window, 900, 700);
    // 900x506 in the middle, with black above and below.
    until("the picture in its proportions", || {
        screen.pixel(window, 450, 50) == 0
            && alike(screen.pixel(window, 200, 110), 0xff_0000)
            && alike(screen.pixel(window, 700, 110), 0x00_ff00)
            && alike(screen.pixel(window, 700, 590), 0xff_ffff)
            && screen.pixel(window, 450, 650) == 0
    });

    screen.press(window, 'f');
    until("a window as large as the screen", || {
        let place = screen.place(window);
        (place.x, place.y, place.width, place.height) == (0, 0, 1280, 800)
    });
    until("the picture on all of the screen", || {
        alike(screen.pixel(window, 10, 60), 0xff_0000)
            && alike(screen.pixel(window, 1270, 740), 0xff_ffff)
    });
    screen.press(window, 'f');
    until("the window as it was", || screen.size(window) == (900, 700));

    until("red without text", || {
        alike(screen.pixel(window, 4, 120), 0xff_0000)
    });
    screen.press(window, 'i');
    until("numbers over it", || {
        screen.pixel(window, 4, 120) == 0x3f_0000
    });
    screen.press(window, 'i');
    until("none any more", || {
        alike(screen.pixel(window, 4, 120), 0xff_0000)
    });
    let middle = || screen.pixel(window, 455, 270);
    until("green without text", || alike(middle(), 0x00_ff00));
    screen.press(window, 'h');
    until("a list over it", || !alike(middle(), 0x00_ff00));
    screen.press(window, 'h');
    until("none any more", || alike(middle(), 0x00_ff00));

    screen.press(window, 's');
    let first = folder.path("last-1.png");
    until("a snapshot", || std::path::Path::new(&first).exists());

    screen.press(window, ' ');
    until("a darker picture, since nothing comes", || {
        alike(screen.pixel(window, 200, 110), 0x7f_0000)
    });
    std::thread::scope(|scope| {
        scope.spawn(|| send(to, &vec![jpeg.clone(); 200], true));
        until("a bright picture again", || {
            alike(screen.pixel(window, 200, 110), 0xff_0000)
        });
    });
    until("a darker picture, since the stream ended", || {
        alike(screen.pixel(window, 200, 110), 0x7f_0000)
    });
    screen.press(window, 'q');
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(0), "{}", ended.stderr);
    let report = json(&report);
    assert_eq!(report["outcomes"]["undecodable"], 0, "{report}");
    assert_eq!(report["stream"]["followed"], 2);
    let last = image::open(snapshot).unwrap().to_rgb8();
    assert_eq!(last.dimensions(), (640, 360));
    assert_eq!(last.get_pixel(20, 20).0[1..], [0, 0]);
}

#[test]
fn a_window_continues_although_nobody_reads_the_recording() {
    let screen = Screen::new();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = viewer(&["--output", "-", "--output-format", "y4m"]);
    command.env("DISPLAY", &screen.name).stdout(writer);
    let mut viewer = Viewer::start(command);
    let window = screen.window();
    let to = viewer.address();
    let plain = |colour| vec![picture(640, 360, |_, _| colour); 100];
    // More frames are decoded than can wait for a reader.
    send(to, &plain([255, 0, 0]), true);
    viewer.wait_for("Nobody reads standard output");
    send(to, &plain([0, 0, 255]), true);
    until("the newest picture", || {
        let seen = screen.pixel(window, 600, 300);
        // Darker once nothing arrives any more.
        seen & 0xff > 0x60 && seen >> 16 < 0x10
    });
    screen.press(window, 'q');
    let ended = viewer.end();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    let told = |text: &str| ended.stderr.matches(text).count();
    assert_eq!(told("Nobody reads standard output"), 1);
    assert_eq!(told("not in standard output: nobody read them in time"), 1);
    drop(reader);
}

const PATIENCE: Duration = Duration::from_secs(30);

/// The interval between looks at the screen.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
