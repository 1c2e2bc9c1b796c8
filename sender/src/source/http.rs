//! A camera's JPEGs over HTTP. FFmpeg reads only streams with correct multipart headers, and each
//! frame only when the next one begins. Here, the markers of the JPEGs count. For TLS, or a login
//! other than basic authentication, FFmpeg provides the bytes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64ct::{Base64, Encoding};
use framegram_cli::secrets::redacted;
use framegram_net::http::{HttpBody, HttpHeader, HttpUrl};
use percent_encoding::percent_decode_str;

use super::ffmpeg::url::UrlReader;
use super::kind;
use crate::stop::Stop;

/// Timeout of a connection, and between two bytes of the stream.
const PATIENCE: Duration = Duration::from_secs(10);

/// Upper bound on redirects.
const MAX_REDIRECTS: usize = 5;

/// Size of the read buffer.
const BUFFER: usize = 64 << 10;

/// What a server answers.
pub(super) enum HttpAnswer {
    /// JPEGs, a sequence or a single one.
    Jpegs(Body),
    /// Another kind of content, which FFmpeg may know.
    Other,
}

/// The body of an answer.
pub(super) struct Body {
    /// Not a single still.
    pub(super) is_stream: bool,
    stream: HttpBody<Incoming>,
}

/// The incoming bytes, which can be peeked at.
type Incoming = BufReader<Box<dyn Read + Send>>;

/// Requests a URL.
///
/// # Errors
/// If there is no server, or it refuses.
pub(super) fn get(url: &str, stop: &Stop) -> Result<HttpAnswer> {
    let mut url = url.to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let Some(place) = HttpUrl::of(&url) else {
            return get_by_ffmpeg(&url, stop);
        };
        let name = redacted(&url);
        let asked = ask(&place).with_context(|| format!("cannot open {name}"))?;
        let (header, mut body) = asked;
        match header.status {
            200 => {
                let kind = header.field("content-type").unwrap_or_default();
                let kind = kind.to_ascii_lowercase();
                let packing = header.field("content-encoding");
                let is_packed = packing.is_some_and(|coding| coding != "identity");
                let is_still = kind.starts_with("image/jp");
                // Some servers give their JPEGs any content type, or none.
                let is_known = is_still || kind.starts_with("multipart/");
                if is_packed {
                    return get_by_ffmpeg(&url, stop);
                }
                if !is_known && !begins_like_jpegs(&mut body) {
                    return Ok(HttpAnswer::Other);
                }
                let has_end = is_still || !is_known && header.field("content-length").is_some();
                return Ok(HttpAnswer::Jpegs(Body {
                    is_stream: !has_end,
                    stream: header.body(body),
                }));
            }
            301 | 302 | 303 | 307 | 308 => match header.field("location") {
                Some(location) => url = place.follow(location),
                None => bail!("{name} redirects to nowhere"),
            },
            401 => return get_by_ffmpeg(&url, stop),
            status => bail!("cannot open {name}: the server answers {status}"),
        }
    }
    bail!("{} redirects too often", redacted(&url))
}

/// Whether the first bytes are a JPEG or contain one: a chunk length or a boundary may precede it.
fn begins_like_jpegs(body: &mut impl BufRead) -> bool {
    let start = body.fill_buf().unwrap_or_default();
    start.starts_with(b"--") || kind::holds_jpeg(start) && !kind::is_container(start)
}

/// Requests a URL through FFmpeg's protocols.
///
/// # Errors
/// As for [`get`].
fn get_by_ffmpeg(url: &str, stop: &Stop) -> Result<HttpAnswer> {
    let is_http = url
        .get(..4)
        .is_some_and(|http| http.eq_ignore_ascii_case("http"));
    if !is_http {
        return Ok(HttpAnswer::Other);
    }
    let name = redacted(url);
    let mut reader = UrlReader::open(url, stop).with_context(|| format!("cannot open {name}"))?;
    let kind = reader.content_type();
    let is_still = kind.starts_with("image/jp");
    let is_known = is_still || kind.starts_with("multipart/");
    let has_end = reader.has_end();
    let mut stream: Incoming = BufReader::with_capacity(BUFFER, Box::new(reader));
    if !is_known && !begins_like_jpegs(&mut stream) {
        return Ok(HttpAnswer::Other);
    }
    Ok(HttpAnswer::Jpegs(Body {
        is_stream: !has_end,
        stream: HttpHeader::none().body(stream),
    }))
}

/// The header of an answer, and what follows it.
///
/// # Errors
/// If the server is not there, or does not answer.
fn ask(url: &HttpUrl) -> io::Result<(HttpHeader, Incoming)> {
    let mut stream = url.connect(PATIENCE)?;
    let login = url.user.as_deref().map(login).unwrap_or_default();
    let fields = format!("User-Agent: framegram\r\n{login}Accept: */*\r\n");
    stream.write_all(url.request(&fields).as_bytes())?;
    let mut stream: Incoming = BufReader::with_capacity(BUFFER, Box::new(stream));
    // The first JPEG may arrive together with the header before it.
    let has_header = stream.fill_buf()?.starts_with(b"HTTP/");
    if !has_header && begins_like_jpegs(&mut stream) {
        // A script that copies frames to whoever connects.
        return Ok((HttpHeader::none(), stream));
    }
    Ok((HttpHeader::read(&mut stream)?, stream))
}

/// The header field of a login: a user, or a user, a colon and a password.
fn login(user: &str) -> String {
    let user: Vec<u8> = percent_decode_str(user).collect();
    format!("Authorization: Basic {}\r\n", Base64::encode_string(&user))
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.stream.read(out)
    }
}

#[cfg(test)]
mod tests;
