//! What the keys of the window do.

use framegram_window::ESCAPE;

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

/// What a key asks for, by what it writes.
pub(super) fn command(key: char) -> Option<Command> {
    match key {
        'q' | ESCAPE => Some(Command::Quit),
        'f' => Some(Command::Fullscreen),
        ' ' => Some(Command::Freeze),
        's' => Some(Command::Snapshot),
        'i' => Some(Command::Overlay),
        'h' => Some(Command::Help),
        '0' => Some(Command::Unpick),
        _ => Some(Command::Pick(key.to_digit(10)? as usize - 1)),
    }
}
