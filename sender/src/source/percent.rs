//! The percent signs of a URL (<https://www.rfc-editor.org/rfc/rfc3986#section-2.1>).

/// The bytes that are meant.
pub(super) fn decoded(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, behind)) = rest.split_first() {
        let digits = behind.get(..2);
        let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let code = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let code = code.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match code.filter(|_| *byte == b'%') {
            Some(code) => {
                bytes.push(code);
                rest = &behind[2..];
            }
            None => {
                bytes.push(*byte);
                rest = behind;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_two_hexadecimal_digits_are_a_byte() {
        assert_eq!(decoded("a%20b%2f%C3%a4"), "a b/ä".as_bytes());
        for other in ["%", "100%", "%4", "%+f", "% 1", "%zz"] {
            assert_eq!(decoded(other), other.as_bytes());
        }
    }
}
