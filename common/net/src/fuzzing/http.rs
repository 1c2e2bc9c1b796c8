//! Fuzz target for answers over HTTP.

use std::io::{BufReader, Read};

use crate::http::{HttpHeader, HttpUrl};

/// Upper bound on redirects, as for the sender.
const MAX_REDIRECTS: usize = 5;

/// Reads the bytes as an answer that arrives in pieces, compares its body with that of the answer
/// in one piece, and follows its redirect from each place it leads to.
///
/// The first byte is the length of the pieces.
///
/// # Panics
/// If the bytes reveal a bug.
pub fn http(bytes: &[u8]) {
    let [length, answer @ ..] = bytes else {
        return;
    };
    let read = |capacity: usize| {
        let mut input = BufReader::with_capacity(capacity, answer);
        let header = HttpHeader::read(&mut input).ok()?;
        let mut body = Vec::new();
        header.body(input).read_to_end(&mut body).expect("memory");
        Some((header, body))
    };
    let Some((header, body)) = read(answer.len().max(1)) else {
        return;
    };
    assert!(body.len() <= answer.len());
    let (_, again) = read(1 + usize::from(*length)).expect("the same header");
    assert_eq!(body, again);
    let Some(location) = header.field("location") else {
        return;
    };
    let mut url = "http://me:secret@camera:81/a/b".to_owned();
    for _ in 0..MAX_REDIRECTS {
        let Some(place) = HttpUrl::of(&url) else {
            return;
        };
        assert!(place.path.starts_with('/'));
        let next = place.follow(location);
        let is_elsewhere = HttpUrl::of(&next).is_some_and(|next| next.host != place.host);
        assert!(
            !is_elsewhere || location.contains("secret") || !next.contains("secret"),
            "the password goes to another host: {next}"
        );
        url = next;
    }
}
