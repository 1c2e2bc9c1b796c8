//! Keys of the window.

use framegram_window::ESCAPE;

/// Command of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyCommand {
    Quit,
    Fullscreen,
    Freeze,
    Snapshot,
    Overlay,
    Help,
    /// Shows one sender alone; the first one is 0.
    Pick(usize),
    /// Shows all senders.
    Unpick,
}

/// List of keys, as `h` shows it.
pub(super) const HELP: [&str; 6] = [
    "q, Esc   quit",
    "f        fullscreen on or off",
    "space    freeze or continue",
    "s        write a snapshot",
    "i        figures and stale areas on or off",
    "h        this list",
];

/// List of keys of a window with several senders.
pub(super) const WALL_HELP: [&str; 6] = [
    "1 to 9   this sender alone, or all again (or click it)",
    "0        all senders",
    "f        fullscreen on or off",
    "space    freeze or continue",
    "h        this list",
    "q, Esc   quit",
];

/// The command of a key, by the character it produces.
pub(super) fn command(key: char) -> Option<KeyCommand> {
    match key {
        'q' | ESCAPE => Some(KeyCommand::Quit),
        'f' => Some(KeyCommand::Fullscreen),
        ' ' => Some(KeyCommand::Freeze),
        's' => Some(KeyCommand::Snapshot),
        'i' => Some(KeyCommand::Overlay),
        'h' => Some(KeyCommand::Help),
        '0' => Some(KeyCommand::Unpick),
        _ => Some(KeyCommand::Pick(key.to_digit(10)? as usize - 1)),
    }
}
