//! A key as text that can be read over the telephone: Crockford's base 32, which has no I, L, O and
//! U, in groups of four, ending in a check.

use ring::digest::{SHA256, digest};
use thiserror::Error;
use zeroize::Zeroizing;

/// Bytes of a key: 128 bits.
pub(crate) const KEY: usize = 16;

/// Bits of the check: one of 4,096 mistyped keys goes undetected.
const CHECK_BITS: u32 = 12;

/// Digits of a key with its check: 128 and 12 bits, five bits a digit.
const DIGITS: usize = 28;

/// Digits in a group.
const GROUP: usize = 4;

const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Why a text is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyTextError {
    /// It has the wrong number of digits.
    #[error("a key has {DIGITS} letters and digits, and this one has {0}")]
    Length(usize),
    /// It contains a character that no key contains.
    #[error("no key contains {0:?}")]
    Letter(char),
    /// The check does not match.
    #[error("the key is mistyped: its check does not match")]
    Check,
}

/// Returns the text of a key from random bits.
pub fn key_text(random: (u64, u64)) -> Zeroizing<String> {
    let key = u128::from(random.0) << 64 | u128::from(random.1);
    let check = u128::from(check(key));
    let mut text = Zeroizing::new(String::with_capacity(DIGITS + DIGITS / GROUP));
    for at in 0..DIGITS {
        if at > 0 && at % GROUP == 0 {
            text.push('-');
        }
        // The digits of the key, then those of the check, from its last bits on.
        let left = 5 * (DIGITS - 1 - at) as u32;
        let high = if left >= CHECK_BITS {
            key >> (left - CHECK_BITS)
        } else {
            key << (CHECK_BITS - left) | check >> left
        };
        text.push(char::from(ALPHABET[(high & 31) as usize]));
    }
    text
}

/// Parses a key: in either case, with any spaces and hyphens, and with letters in place of the
/// digits they look like.
pub(crate) fn read_key(text: &str) -> Result<Zeroizing<[u8; KEY]>, KeyTextError> {
    let (mut key, mut check_read, mut digits) = (0_u128, 0_u16, 0_usize);
    for letter in text.chars().filter(|it| !it.is_whitespace() && *it != '-') {
        let digit = digit(letter).ok_or(KeyTextError::Letter(letter))?;
        // 25 digits belong to the key alone. The next one has its last three bits.
        match digits {
            0..25 => key = key << 5 | u128::from(digit),
            25 => {
                key = key << 3 | u128::from(digit >> 2);
                check_read = u16::from(digit & 3);
            }
            26..DIGITS => check_read = check_read << 5 | u16::from(digit),
            _ => {}
        }
        digits += 1;
    }
    if digits != DIGITS {
        return Err(KeyTextError::Length(digits));
    }
    if check_read != check(key) {
        return Err(KeyTextError::Check);
    }
    Ok(Zeroizing::new(key.to_be_bytes()))
}

fn digit(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET.iter().position(|it| char::from(*it) == letter)?;
    u8::try_from(place).ok()
}

/// The first bits of a digest of the key.
fn check(key: u128) -> u16 {
    let digest = digest(&SHA256, &[CHECKED, &key.to_be_bytes()[..]].concat());
    let first = u16::from_be_bytes([digest.as_ref()[0], digest.as_ref()[1]]);
    first >> (u16::BITS - CHECK_BITS)
}

const CHECKED: &[u8] = b"framegram key check";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_is_read_as_people_write_it() {
        let text = key_text((0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210));
        assert_eq!(*text, "04HM-ASW9-NF6Y-ZZPW-QAC7-CN1J-20MB");
        let spoken = text.to_lowercase().replace('-', " ").replace('1', "l");
        let key = read_key(&spoken.replace('0', "o")).unwrap();
        assert_eq!(key, read_key(&text).unwrap());
        assert_eq!(key[..2], [0x01, 0x23]);
        assert_eq!(key[14..], [0x32, 0x10]);
        assert_eq!(read_key("04HM-ASW9"), Err(KeyTextError::Length(8)));
        assert_eq!(read_key("U"), Err(KeyTextError::Letter('U')));
        assert_eq!(
            read_key(&"0".repeat(10_000)),
            Err(KeyTextError::Length(10_000))
        );
    }

    proptest! {
        #[test]
        fn every_key_comes_back(high: u64, low: u64) {
            let key = read_key(&key_text((high, low))).unwrap();
            let all = u128::from(high) << 64 | u128::from(low);
            prop_assert_eq!(*key, all.to_be_bytes());
        }

        /// One in 4,096 such mistakes goes undetected; the seeds of this test make none of those.
        #[test]
        fn a_mistake_in_the_check_is_found(high: u64, low: u64, at in 26_usize..28, by in 1_u8..32) {
            let text: Vec<char> = key_text((high, low)).chars().filter(|it| *it != '-').collect();
            let mut wrong = text.clone();
            let place = (digit(wrong[at]).unwrap() + by) % 32;
            wrong[at] = char::from(ALPHABET[usize::from(place)]);
            let wrong: String = wrong.into_iter().collect();
            prop_assert_eq!(read_key(&wrong), Err(KeyTextError::Check));
        }
    }
}
