//! Parses SOURCE.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use framegram_media::limits::check_size;
use percent_encoding::percent_decode_str;

/// A source as the command line names it.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// A V4L2 device.
    Camera(PathBuf),
    /// A camera by its name, or a part of it.
    CameraNamed(String),
    /// A file or a folder.
    Path(PathBuf),
    /// A URL that FFmpeg opens.
    Url(String),
    /// The test picture.
    Pattern {
        /// Width and height in pixels, if given.
        size: Option<(usize, usize)>,
        /// Frames per second, if given.
        rate: Option<f64>,
    },
    /// Standard input.
    Stdin,
}

impl Spec {
    /// Parses SOURCE, which may be a file name of any bytes.
    ///
    /// # Errors
    /// A line that says what is wrong with it.
    pub fn parse_os(text: OsString) -> Result<Self, String> {
        match text.into_string() {
            Ok(text) => Self::parse(&text),
            Err(name) => Ok(Self::Path(name.into())),
        }
    }

    /// Parses SOURCE.
    ///
    /// # Errors
    /// A line that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("SOURCE is empty".into());
        }
        if text == "-" {
            return Ok(Self::Stdin);
        }
        if text == "camera" {
            return Ok(Self::Camera("/dev/video0".into()));
        }
        match text.strip_prefix("camera:") {
            Some("") => return Err("give the number or name of a camera, such as camera:0".into()),
            Some(name) if name.bytes().all(|byte| byte.is_ascii_digit()) => {
                return Ok(Self::Camera(format!("/dev/video{name}").into()));
            }
            Some(name) => return Ok(Self::CameraNamed(name.into())),
            None => {}
        }
        if text.starts_with("/dev/video") || text.starts_with("/dev/v4l/") {
            return Ok(Self::Camera(text.into()));
        }
        if text == "pattern" {
            return Ok(Self::Pattern {
                size: None,
                rate: None,
            });
        }
        if let Some(rest) = text.strip_prefix("pattern:") {
            return parse_pattern(rest);
        }
        if let Some(rate) = text.strip_prefix("pattern@") {
            return Err(format!(
                "the rate of a pattern follows its size: pattern:1280x720@{rate}"
            ));
        }
        if PathBuf::from(text).exists() {
            return Ok(Self::Path(text.into()));
        }
        if let Some(path) = of_file_url(text) {
            return Ok(Self::Path(path));
        }
        Ok(match is_url(text) {
            true => Self::Url(text.into()),
            false => Self::Path(text.into()),
        })
    }
}

/// The path that a URL of a file names, as file managers copy it
/// (<https://www.rfc-editor.org/rfc/rfc8089>).
fn of_file_url(text: &str) -> Option<PathBuf> {
    let (scheme, rest) = text.split_once(':')?;
    if !scheme.eq_ignore_ascii_case("file") {
        return None;
    }
    let path = match rest.strip_prefix("//") {
        Some(behind) => behind.strip_prefix("localhost").unwrap_or(behind),
        None => rest,
    };
    let path = PathBuf::from(OsString::from_vec(percent_decode_str(path).collect()));
    path.is_absolute().then_some(path)
}

/// Whether it begins as a URL does: with a scheme.
fn is_url(text: &str) -> bool {
    let scheme = text.split_once("://").map(|(scheme, _)| scheme);
    let may_be_in_it = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    scheme.is_some_and(|scheme| !scheme.is_empty() && scheme.bytes().all(may_be_in_it))
}

/// Parses `WxH`, both in pixels.
///
/// # Errors
/// A line that says what is wrong with it.
pub fn parse_size(text: &str) -> Result<(usize, usize), String> {
    let size = text
        .split_once(['x', 'X'])
        .and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let (width, height) =
        size.ok_or_else(|| format!("'{text}' is not a size, such as 1280x720"))?;
    check_size(width, height).map_err(|error| error.to_string())?;
    Ok((width, height))
}

/// Parses frames per second: 0.001 to 1000.
///
/// # Errors
/// A line that says what is wrong with it.
pub fn parse_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.001..=1000.0).contains(&rate) => Ok(rate),
        _ => Err(format!("'{text}' is not a frame rate from 0.001 to 1000")),
    }
}

fn parse_pattern(text: &str) -> Result<Spec, String> {
    let (size, rate) = match text.split_once('@') {
        Some((size, rate)) => (size, Some(parse_rate(rate)?)),
        None => (text, None),
    };
    Ok(Spec::Pattern {
        size: Some(parse_size(size)?),
        rate,
    })
}
