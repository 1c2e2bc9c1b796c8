//! What a client needs of HTTP/1.1 to read a camera's stream: the parts of a URL, the request,
//! the header of an answer and its body. Any bytes are accepted from a server; those that are no
//! HTTP are an error.

use std::io::{self, BufRead, ErrorKind, Read};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Upper bounds on the length of a header line, and on the lines of a header.
const MAX_LINE: u64 = 8 << 10;
const MAX_LINES: usize = 100;

/// The most headers before the answer's own.
const MAX_HEADERS: usize = 8;

/// Upper bound on empty lines before the length of a chunk. One ends the chunk before it.
const MAX_EMPTY_LINES: usize = 16;

/// The target of an unencrypted URL.
///
/// ```
/// use framegram_net::http::HttpUrl;
///
/// let url = HttpUrl::of("http://camera:8080/a/b").unwrap();
/// assert_eq!(url.follow("c"), "http://camera:8080/a/c");
/// ```
#[derive(Clone, Debug)]
pub struct HttpUrl {
    /// A user, or a user, a colon and a password: percent-encoded.
    pub user: Option<String>,
    /// Name or address, with the port where the URL has one.
    pub host: String,
    /// Path and query. Begins with a slash.
    pub path: String,
}

impl HttpUrl {
    /// `None` for any scheme but unencrypted HTTP.
    pub fn of(url: &str) -> Option<Self> {
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
    pub fn follow(&self, location: &str) -> String {
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

    /// Connects to the server. `patience` bounds the connection's time per address, and the time
    /// between two bytes of the answer.
    ///
    /// # Errors
    /// If the host is unknown, or does not answer.
    pub fn connect(&self, patience: Duration) -> io::Result<TcpStream> {
        let has_port = self
            .host
            .rsplit_once(':')
            .is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let host = if has_port {
            self.host.clone()
        } else {
            format!("{}:80", self.host)
        };
        let mut stream = Err(ErrorKind::AddrNotAvailable.into());
        let addresses = host.to_socket_addrs();
        let unknown =
            |error: io::Error| io::Error::new(error.kind(), format!("unknown host: {error}"));
        for address in addresses.map_err(unknown)? {
            stream = TcpStream::connect_timeout(&address, patience);
            if stream.is_ok() {
                break;
            }
        }
        let stream = stream?;
        stream.set_read_timeout(Some(patience))?;
        Ok(stream)
    }

    /// The request of this URL. `fields` are header fields, each with its line end.
    pub fn request(&self, fields: &str) -> String {
        let Self { host, path, .. } = self;
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n")
    }
}

/// The header of an answer.
#[derive(Clone, Debug)]
pub struct HttpHeader {
    /// The status code.
    pub status: u16,
    /// Names and values.
    fields: Vec<(String, String)>,
}

impl HttpHeader {
    /// The header of bytes that come without one.
    pub const fn none() -> Self {
        Self {
            status: 200,
            fields: Vec::new(),
        }
    }

    /// Reads the header of an answer. Those that only say that the server is at work are skipped.
    ///
    /// # Errors
    /// Of [`ErrorKind::InvalidData`] if the bytes are not HTTP, or the header has no end; those of
    /// reading.
    pub fn read(input: &mut impl BufRead) -> io::Result<Self> {
        for _ in 0..MAX_HEADERS {
            let header = Self::read_one(input)?;
            if !(100..200).contains(&header.status) {
                return Ok(header);
            }
        }
        Err(invalid("its answer does not come"))
    }

    fn read_one(input: &mut impl BufRead) -> io::Result<Self> {
        let first = line(input)?;
        let status = first.split(' ').nth(1);
        let status = status.and_then(|status| status.parse().ok());
        let status = status.ok_or_else(|| invalid("it does not speak HTTP"))?;
        let mut fields = Vec::new();
        for _ in 0..MAX_LINES {
            let line = line(input)?;
            if line.is_empty() {
                return Ok(Self { status, fields });
            }
            if let Some((name, value)) = line.split_once(':') {
                fields.push((name.trim().into(), value.trim().into()));
            }
        }
        Err(invalid("its header does not end"))
    }

    /// The value of the first field of this name, in any case.
    pub fn field(&self, name: &str) -> Option<&str> {
        let named = self
            .fields
            .iter()
            .find(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }

    /// The body that follows this header.
    pub fn body<R: BufRead>(&self, input: R) -> HttpBody<R> {
        let is_chunked = self
            .field("transfer-encoding")
            .is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
        HttpBody {
            input,
            chunk: is_chunked.then_some(0),
        }
    }
}

/// The body of an answer: the bytes as they come, or those of its chunks
/// ([RFC 9112, section 7.1](https://www.rfc-editor.org/rfc/rfc9112#section-7.1)).
#[derive(Debug)]
pub struct HttpBody<R> {
    input: R,
    /// Remaining bytes of the present chunk; `None` without chunked encoding.
    chunk: Option<u64>,
}

impl<R: BufRead> Read for HttpBody<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let Some(left) = &mut self.chunk else {
            return self.input.read(out);
        };
        let mut empty_lines = 0;
        while *left == 0 {
            let size = line(&mut self.input)?;
            if size.is_empty()
                && empty_lines < MAX_EMPTY_LINES
                && !self.input.fill_buf()?.is_empty()
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
        let read = self.input.read(&mut out[..most])?;
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

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests;
