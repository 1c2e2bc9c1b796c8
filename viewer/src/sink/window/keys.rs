//! What the keys of the window do.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use minifb::{InputCallback, Key};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Quit,
    Fullscreen,
    Freeze,
    Snapshot,
    Overlay,
    Help,
    /// One of several senders, from 0.
    Pick(usize),
    /// All of them.
    Unpick,
}

/// The keys and what they do, as `h` lists them.
pub(super) const HELP: [&str; 6] = [
    "q, Esc   quit",
    "f        fullscreen, and back",
    "space    freeze, and go on",
    "s        write a snapshot",
    "i        show figures, and stale areas",
    "h        this list",
];

/// The keys of a window with several senders.
pub(super) const WALL_HELP: [&str; 6] = [
    "1 to 9   one sender alone, and all again; or click it",
    "0        all senders",
    "f        fullscreen, and back",
    "space    freeze, and go on",
    "h        this list",
    "q, Esc   quit",
];

/// Hears the keys of one window: every press once, however short or long.
pub(super) struct Keyboard {
    commands: SyncSender<Command>,
    /// Keys that are held: the system repeats their presses.
    held: Vec<Key>,
}

impl Keyboard {
    /// A keyboard, and where its commands come out.
    pub(super) fn new() -> (Self, Receiver<Command>) {
        let (commands, receiver) = sync_channel(MOST_COMMANDS);
        let held = Vec::new();
        (Self { commands, held }, receiver)
    }
}

impl InputCallback for Keyboard {
    fn add_char(&mut self, _: u32) {}

    fn set_key_state(&mut self, key: Key, pressed: bool) {
        if !pressed {
            self.held.retain(|&held| held != key);
            return;
        }
        let Some(command) = command(key).filter(|_| !self.held.contains(&key)) else {
            return;
        };
        self.held.push(key);
        // A person who types faster than the window redraws loses keys, not memory.
        let _ = self.commands.try_send(command);
    }
}

fn command(key: Key) -> Option<Command> {
    match key {
        Key::Q | Key::Escape => Some(Command::Quit),
        Key::F => Some(Command::Fullscreen),
        Key::Space => Some(Command::Freeze),
        Key::S => Some(Command::Snapshot),
        Key::I => Some(Command::Overlay),
        Key::H => Some(Command::Help),
        Key::Key0 | Key::NumPad0 => Some(Command::Unpick),
        _ => PICKS
            .iter()
            .position(|keys| keys.contains(&key))
            .map(Command::Pick),
    }
}

/// The keys that pick a sender.
const PICKS: [[Key; 2]; 9] = [
    [Key::Key1, Key::NumPad1],
    [Key::Key2, Key::NumPad2],
    [Key::Key3, Key::NumPad3],
    [Key::Key4, Key::NumPad4],
    [Key::Key5, Key::NumPad5],
    [Key::Key6, Key::NumPad6],
    [Key::Key7, Key::NumPad7],
    [Key::Key8, Key::NumPad8],
    [Key::Key9, Key::NumPad9],
];

/// Commands that wait between two updates of the window.
const MOST_COMMANDS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hears_a_held_key_once_and_a_short_press_too() {
        let (mut keyboard, commands) = Keyboard::new();
        for pressed in [true, true, true, false, true, false] {
            keyboard.set_key_state(Key::F, pressed);
        }
        keyboard.set_key_state(Key::A, true);
        keyboard.set_key_state(Key::Escape, true);
        let heard: Vec<Command> = commands.try_iter().collect();
        assert_eq!(
            heard,
            [Command::Fullscreen, Command::Fullscreen, Command::Quit]
        );
    }
}
