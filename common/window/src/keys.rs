//! Maps keys to letters on any keyboard layout.

use winit::keyboard::{Key, KeyCode, NamedKey, PhysicalKey};

/// The character of the Esc key.
pub const ESCAPE: char = '\u{1b}';

/// The lower-case letter, digit, space or [`ESCAPE`] of a key.
pub(crate) fn letter(written: &Key, place: PhysicalKey) -> Option<char> {
    let by_place = |keys: &[(KeyCode, char)]| {
        let found = keys.iter().find(|(code, _)| place == *code);
        found.map(|(_, letter)| *letter)
    };
    // On French layouts, digits need Shift.
    by_place(&DIGITS).or_else(|| match written {
        Key::Named(NamedKey::Escape) => Some(ESCAPE),
        Key::Named(NamedKey::Space) => Some(' '),
        Key::Character(text) if text.is_ascii() => text
            .chars()
            .next()
            .map(|letter| letter.to_ascii_lowercase()),
        // Greek and Russian layouts have other letters.
        Key::Character(_) => by_place(&LETTERS),
        _ => None,
    })
}

const DIGITS: [(KeyCode, char); 20] = [
    (KeyCode::Digit0, '0'),
    (KeyCode::Digit1, '1'),
    (KeyCode::Digit2, '2'),
    (KeyCode::Digit3, '3'),
    (KeyCode::Digit4, '4'),
    (KeyCode::Digit5, '5'),
    (KeyCode::Digit6, '6'),
    (KeyCode::Digit7, '7'),
    (KeyCode::Digit8, '8'),
    (KeyCode::Digit9, '9'),
    (KeyCode::Numpad0, '0'),
    (KeyCode::Numpad1, '1'),
    (KeyCode::Numpad2, '2'),
    (KeyCode::Numpad3, '3'),
    (KeyCode::Numpad4, '4'),
    (KeyCode::Numpad5, '5'),
    (KeyCode::Numpad6, '6'),
    (KeyCode::Numpad7, '7'),
    (KeyCode::Numpad8, '8'),
    (KeyCode::Numpad9, '9'),
];

/// Keys of the letters that the programs use, on an English layout.
const LETTERS: [(KeyCode, char); 5] = [
    (KeyCode::KeyF, 'f'),
    (KeyCode::KeyH, 'h'),
    (KeyCode::KeyI, 'i'),
    (KeyCode::KeyQ, 'q'),
    (KeyCode::KeyS, 's'),
];

#[cfg(test)]
mod tests {
    use winit::keyboard::{NativeKeyCode, SmolStr};

    use super::*;

    fn typed(text: &str, place: KeyCode) -> Option<char> {
        letter(
            &Key::Character(SmolStr::new(text)),
            PhysicalKey::Code(place),
        )
    }

    #[test]
    fn a_key_means_its_character_on_every_keyboard_layout() {
        assert_eq!(typed("f", KeyCode::KeyF), Some('f'));
        assert_eq!(typed("F", KeyCode::KeyF), Some('f'), "caps lock");
        assert_eq!(typed("q", KeyCode::KeyA), Some('q'), "French");
        assert_eq!(typed("a", KeyCode::KeyQ), Some('a'), "French");
        assert_eq!(typed("é", KeyCode::Digit2), Some('2'), "French");
        assert_eq!(typed("й", KeyCode::KeyQ), Some('q'), "Russian");
        assert_eq!(typed("ж", KeyCode::Semicolon), None, "Russian");
        let escape = Key::Named(NamedKey::Escape);
        let unknown = PhysicalKey::Unidentified(NativeKeyCode::Unidentified);
        assert_eq!(letter(&escape, unknown), Some(ESCAPE));
    }
}
