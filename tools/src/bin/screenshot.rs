//! Takes the README's picture: the viewer's window with its numbers, on a virtual screen.
//! `screenshot FILE.png`

use anyhow::{Context, Result};
use framegram_tests::program::{SENDER, Start, VIEWER, address, media};
use framegram_tests::screen::Screen;

fn main() -> Result<()> {
    let file = std::env::args()
        .nth(1)
        .context("usage: screenshot FILE.png")?;
    let screen = Screen::new();
    let address = address().to_string();
    let mut viewer = Start::new(VIEWER, &address)
        .environment("DISPLAY", screen.name())
        .run();
    viewer.wait_for("Waiting for a stream");
    let _sender = Start::new(SENDER, "--loop")
        .with([media("clip.mp4"), address])
        .run();
    let window = screen.window("640x360");
    screen.resize(window, 960, 540);
    screen.press(window, 'i');
    // The numbers have been drawn when the next line is written.
    viewer.wait_for("\n4.");
    let seen = screen.look(window).context("the window is gone")?;
    seen.save(&file)
        .with_context(|| format!("cannot write {file}"))
}
