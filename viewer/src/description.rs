//! The session description of an RTP stream (`--sdp`).

use std::path::Path;

use anyhow::{Context, Result, bail};
use framegram_cli::input::read_text;
use framegram_cli::key;
use framegram_common::wire::sdp;
use framegram_seal::SrtpKey;
use zeroize::Zeroizing;

/// The longest session description that is read, in bytes: one takes some hundred.
const MAX_SDP: u64 = 64 << 10;

/// What a description tells of its stream.
#[derive(Clone, Debug)]
pub(crate) struct Description {
    /// Width and height in pixels.
    pub(crate) size: Option<(u16, u16)>,
    /// What its packets are sealed with.
    pub(crate) key: Option<SrtpKey>,
}

impl Description {
    /// Reads a file. `warn` is told of one with a key that others can read.
    ///
    /// # Errors
    /// When it cannot be read, or tells neither size nor key.
    pub(crate) fn read(path: &Path, warn: impl Fn(&str)) -> Result<Self> {
        let text = read_text(path, MAX_SDP).map(Zeroizing::new);
        let text = text.context("cannot use the session description")?;
        let name = path.display();
        let key = key(&text).with_context(|| format!("cannot use the key in {name}"))?;
        let size = sdp::size(&text);
        if size.is_none() && key.is_none() {
            bail!(
                "{name} has neither a size nor a key: it needs a line like \
                 a=x-dimensions:2560,1440, or a=crypto:... for SRTP"
            );
        }
        if key.is_some() {
            key::warn_of_others(path, "session description", warn);
        }
        Ok(Self { size, key })
    }
}

/// The first key that can be used.
///
/// # Errors
/// Why the first one cannot be used, if none can.
fn key(text: &str) -> Result<Option<SrtpKey>> {
    let mut refused = None;
    for attribute in sdp::cryptos(text) {
        match SrtpKey::of_attribute(attribute) {
            Ok(key) => return Ok(Some(key)),
            Err(error) => refused = refused.or(Some(error)),
        }
    }
    refused.map_or(Ok(None), |error| Err(error.into()))
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use framegram_seal::SrtpSuite;

    use super::*;

    const KEY: &str = "inline:4fl6DT4Bi+DWT6MsBt5BOQ7Gda1Jiv7rtpYLOqvm";

    #[test]
    fn the_first_key_that_can_be_used_is_taken() {
        let of = |text: &str| key(text).map(|key| key.map(|key| key.suite()));
        let (good, other) = (
            format!("a=crypto:2 AES_CM_128_HMAC_SHA1_32 {KEY}\r\n"),
            format!("a=crypto:1 F8_128_HMAC_SHA1_80 {KEY}\r\n"),
        );
        let expected = Some(SrtpSuite::AesCm128HmacSha1_32);
        assert_eq!(of(&good).unwrap(), expected);
        assert_eq!(of(&format!("v=0\r\n{other}{good}")).unwrap(), expected);
        assert_eq!(of("v=0\r\na=x-dimensions:1,2\r\n").unwrap(), None);
        let error = of(&other).unwrap_err().to_string();
        assert!(
            error.starts_with("the cipher suite F8_128_HMAC_SHA1_80 is not"),
            "{error}"
        );
    }

    #[test]
    fn a_description_has_a_size_or_a_key_and_a_key_is_kept_from_others() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sdp");
        let told = RefCell::new(Vec::new());
        let read = |text: &str| {
            fs::write(&path, text).unwrap();
            Description::read(&path, |line| told.borrow_mut().push(line.to_owned()))
        };
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let sized = read("a=x-dimensions:2560,16\n").unwrap();
        assert_eq!((sized.size, sized.key.is_some()), (Some((2560, 16)), false));
        assert!(told.borrow().is_empty());
        let error = read("v=0\n").unwrap_err().to_string();
        assert!(error.contains("neither a size nor a key"), "{error}");
        let sealed = read(&format!("a=crypto:1 AES_CM_128_HMAC_SHA1_80 {KEY}\n")).unwrap();
        assert_eq!((sealed.size, sealed.key.is_some()), (None, true));
        assert!(told.borrow()[0].ends_with(&format!("type chmod 600 {}", path.display())));
    }
}
