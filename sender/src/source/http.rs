//! A camera's JPEGs over HTTP. FFmpeg reads only streams with correct multipart headers, and each
//! frame only when the next one begins. Here, the markers of the JPEGs count. For TLS, or a login
//! other than basic authentication, FFmpeg provides the bytes.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64ct::{Base64, Encoding};
use framegram_cli::secrets::redacted;
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

/// Upper bounds on the length of a header line, and on the lines of a header.
const MAX_LINE: u64 = 8 << 10;
const MAX_LINES: usize = 100;

/// Upper bound on empty lines before the length of a chunk. One ends the chunk before it.
const MAX_EMPTY_LINES: usize = 16;

/// The most headers before the answer's own.
const MAX_HEADERS: usize = 8;

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
    stream: Incoming,
    /// Remaining bytes of the present chunk; `None` without chunked encoding.
    chunk: Option<u64>,
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
        let asked = place.ask().with_context(|| format!("cannot open {name}"))?;
        let (status, headers, mut body) = asked;
        let header = |wanted: &str| {
            let named = headers
                .iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted));
            named.map(|(_, value)| value.as_str())
        };
        match status {
            200 => {
                let kind = header("content-type")
                    .unwrap_or_default()
                    .to_ascii_lowercase();
                let is_chunked = header("transfer-encoding")
                    .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
                let is_packed =
                    header("content-encoding").is_some_and(|coding| coding != "identity");
                let is_still = kind.starts_with("image/jp");
                // Some servers give their JPEGs any content type, or none.
                let is_known = is_still || kind.starts_with("multipart/");
                if is_packed {
                    return get_by_ffmpeg(&url, stop);
                }
                if !is_known && !begins_like_jpegs(&mut body) {
                    return Ok(HttpAnswer::Other);
                }
                let has_end = is_still || !is_known && header("content-length").is_some();
                return Ok(HttpAnswer::Jpegs(Body {
                    is_stream: !has_end,
                    stream: body,
                    chunk: is_chunked.then_some(0),
                }));
            }
            301 | 302 | 303 | 307 | 308 => match header("location") {
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
        stream,
        chunk: None,
    }))
}

/// The target of a URL.
struct HttpUrl {
    user: Option<String>,
    /// Including the port.
    host: String,
    path: String,
}

type Headers = Vec<(String, String)>;

impl HttpUrl {
    /// `None` for any scheme but unencrypted HTTP.
    fn of(url: &str) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") {
            return None;
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user.to_owned()), host),
            None => (None, authority),
        };
        let path = path.split('#').next().unwrap_or_default();
        Some(Self {
            user,
            host: host.to_owned(),
            path: match path.starts_with('/') {
                true => path.to_owned(),
                false => format!("/{path}"),
            },
        })
    }

    /// The URL of a redirect. The password is for this host only.
    fn follow(&self, location: &str) -> String {
        let url = if location.contains("://") {
            location.to_owned()
        } else if location.starts_with("//") {
            format!("http:{location}")
        } else if location.starts_with('/') {
            format!("http://{}{location}", self.host)
        } else {
            let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
            format!("http://{}{folder}/{location}", self.host)
        };
        match (&self.user, Self::of(&url)) {
            (Some(user), Some(place)) if place.user.is_none() && place.host == self.host => {
                format!("http://{user}@{}{}", place.host, place.path)
            }
            _ => url,
        }
    }

    fn ask(&self) -> Result<(u16, Headers, Incoming)> {
        let has_port = self
            .host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port {
            self.host.clone()
        } else {
            format!("{}:80", self.host)
        };
        let addresses = host.to_socket_addrs().context("unknown host")?;
        let mut stream = Err(io::Error::from(io::ErrorKind::AddrNotAvailable));
        for address in addresses {
            stream = TcpStream::connect_timeout(&address, PATIENCE);
            if stream.is_ok() {
                break;
            }
        }
        let mut stream = stream?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let login = self.user.as_deref().map(login).unwrap_or_default();
        let (path, host) = (&self.path, &self.host);
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: framegram\r\n{login}Accept: */*\r\nConnection: close\r\n\r\n"
        )?;
        let mut stream: Incoming = BufReader::with_capacity(BUFFER, Box::new(stream));
        // The first JPEG may arrive together with the header before it.
        let has_header = stream.fill_buf()?.starts_with(b"HTTP/");
        if !has_header && begins_like_jpegs(&mut stream) {
            // A script that copies frames to whoever connects.
            return Ok((200, Headers::new(), stream));
        }
        for _ in 0..MAX_HEADERS {
            let (status, headers) = read_header(&mut stream)?;
            // Before the answer, a server may say that it is at work.
            if !(100..200).contains(&status) {
                return Ok((status, headers, stream));
            }
        }
        bail!("its answer does not come")
    }
}

/// The header field of a login: a user, or a user, a colon and a password.
fn login(user: &str) -> String {
    let user: Vec<u8> = percent_decode_str(user).collect();
    format!("Authorization: Basic {}\r\n", Base64::encode_string(&user))
}

/// Reads the status and the headers of an answer.
fn read_header(stream: &mut Incoming) -> Result<(u16, Headers)> {
    let first = line(stream)?;
    let status = first.split(' ').nth(1);
    let status = status.and_then(|status| status.parse().ok());
    let status = status.context("it does not speak HTTP")?;
    let mut headers = Headers::new();
    for _ in 0..MAX_LINES {
        let line = line(stream)?;
        if line.is_empty() {
            return Ok((status, headers));
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.push((name.trim().into(), value.trim().into()));
        }
    }
    bail!("its header does not end")
}

impl Read for Body {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(left) = &mut self.chunk else {
            return self.stream.read(out);
        };
        let mut empty_lines = 0;
        while *left == 0 {
            let size = line(&mut self.stream)?;
            if size.is_empty()
                && empty_lines < MAX_EMPTY_LINES
                && !self.stream.fill_buf()?.is_empty()
            {
                empty_lines += 1;
                continue;
            }
            let digits = size.split(';').next().unwrap_or_default().trim();
            *left = u64::from_str_radix(digits, 16).unwrap_or(0);
            if *left == 0 {
                return Ok(0);
            }
        }
        let most = out.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
        let read = self.stream.read(&mut out[..most])?;
        *left -= read as u64;
        Ok(read)
    }
}

/// A line without its line end.
fn line(input: &mut impl BufRead) -> io::Result<String> {
    let mut bytes = Vec::new();
    input
        .by_ref()
        .take(MAX_LINE)
        .read_until(b'\n', &mut bytes)?;
    while bytes.last().is_some_and(|byte| b"\r\n".contains(byte)) {
        bytes.pop();
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests;
