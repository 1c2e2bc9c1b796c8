//! The key of a program: from a file, from the environment or from a prompt, and
//! never on the command line, which every process of the machine can read.

use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use framegram_seal::{Secret, Suite};
use zeroize::Zeroizing;

/// The environment variable that holds a passphrase.
pub const PASSPHRASE: &str = "FRAMEGRAM_PASSPHRASE";

/// The environment variable that names a cipher, for measurements.
pub const CIPHER: &str = "FRAMEGRAM_CIPHER";

/// The longest file that holds a key or a passphrase, in bytes.
const MAX_FILE: u64 = 4 << 10;

/// The permissions of users other than a file's owner.
const OF_OTHERS: u32 = 0o077;

/// The flags.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct KeyArgs {
    /// Encrypt with the key in this file, and accept only what is encrypted with it
    ///
    /// framegram-send keygen FILE makes one. Copy it to the other machine: both
    /// programs need the same key. With --wire rtp it makes SRTP: receivers take the
    /// key of each start from the session description (--sdp).
    #[arg(long, value_name = "FILE", help_heading = KEY, conflicts_with_all = ["passphrase_file", "passphrase"])]
    pub key_file: Option<PathBuf>,

    /// Encrypt with the passphrase in this file: its first line, 12 characters or
    /// more
    ///
    /// Without it, the environment variable FRAMEGRAM_PASSPHRASE can hold the
    /// passphrase. A key of keygen is safer: passphrases can be guessed.
    #[arg(long, value_name = "FILE", help_heading = KEY, conflicts_with = "passphrase")]
    pub passphrase_file: Option<PathBuf>,

    /// Ask for a passphrase on the terminal
    #[arg(long, help_heading = KEY)]
    pub passphrase: bool,

    /// The answer to the prompt.
    #[arg(skip)]
    answer: Option<Zeroizing<String>>,
}

impl KeyArgs {
    /// The flag or variable that names a secret, if any.
    pub fn given(&self) -> Option<&'static str> {
        if self.key_file.is_some() {
            Some("--key-file")
        } else if self.passphrase_file.is_some() {
            Some("--passphrase-file")
        } else if self.passphrase {
            Some("--passphrase")
        } else {
            std::env::var_os(PASSPHRASE).map(|_| PASSPHRASE)
        }
    }

    /// What a person types at the other program to use the same secret, if there is one.
    pub fn invited(&self) -> Option<&'static str> {
        self.given().map(|given| match given {
            "--key-file" => "--key-file FILE",
            "--passphrase-file" => "--passphrase-file FILE",
            _ => "--passphrase",
        })
    }

    /// Asks for a passphrase, if requested. Call it before signals are handled, so that
    /// they end the prompt.
    ///
    /// # Errors
    /// If there is no terminal.
    pub fn ask(&mut self) -> Result<()> {
        if self.passphrase && self.answer.is_none() {
            let answer = rpassword::prompt_password("Passphrase: ").context(
                "cannot ask for a passphrase without a terminal: use --passphrase-file FILE",
            )?;
            self.answer = Some(Zeroizing::new(answer));
        }
        Ok(())
    }

    /// The secret, if one is given. Calls `warn` about a file that others can read.
    ///
    /// # Errors
    /// When it cannot be read, or is none.
    pub fn secret(&self, warn: impl Fn(&str)) -> Result<Option<Secret>> {
        if let Some(path) = &self.key_file {
            let text = read(path, "key file", warn)?;
            let secret = Secret::from_key(&text).with_context(|| {
                format!(
                    "{} holds no key: framegram-send keygen FILE makes one",
                    path.display()
                )
            });
            return secret.map(Some);
        }
        if let Some(path) = &self.passphrase_file {
            let text = read(path, "passphrase file", warn)?;
            let line = text.lines().next().unwrap_or_default();
            let secret = Secret::from_passphrase(line);
            return secret.with_context(|| unusable(&path.display())).map(Some);
        }
        if let Some(answer) = &self.answer {
            let secret = Secret::from_passphrase(answer);
            return secret.context("cannot use this passphrase").map(Some);
        }
        match std::env::var(PASSPHRASE).map(Zeroizing::new) {
            Ok(passphrase) => {
                let secret = Secret::from_passphrase(&passphrase);
                secret.with_context(|| unusable(&PASSPHRASE)).map(Some)
            }
            Err(std::env::VarError::NotPresent) => Ok(None),
            Err(error) => Err(error).with_context(|| unusable(&PASSPHRASE)),
        }
    }
}

/// The cipher that a program seals its packets with: the one that this processor is good at, unless
/// the environment names another one.
///
/// # Errors
/// If the environment names no cipher.
pub fn suite() -> Result<Suite> {
    let Some(name) = std::env::var_os(CIPHER) else {
        return Ok(Suite::best());
    };
    let is_named = |suite: &Suite| name.eq_ignore_ascii_case(suite.name());
    Suite::ALL.into_iter().find(is_named).with_context(|| {
        let known = Suite::ALL.map(Suite::name).join(" or ");
        format!("{CIPHER} names no cipher: set it to {known}, or unset it")
    })
}

fn unusable(place: &dyn std::fmt::Display) -> String {
    format!("cannot use the passphrase in {place}")
}

/// Warns of a file with a secret that others than its owner can read.
pub fn warn_of_others(path: &Path, what: &str, warn: impl Fn(&str)) {
    let metadata = path.metadata().ok().filter(Metadata::is_file);
    if metadata.is_some_and(|metadata| metadata.mode() & OF_OTHERS != 0) {
        let name = path.display();
        warn(&format!(
            "Others on this machine can read the {what} {name}: type chmod 600 {name}"
        ));
    }
}

/// The text of a small file, and a warning where others can read it.
fn read(path: &Path, what: &str, warn: impl Fn(&str)) -> Result<Zeroizing<String>> {
    let name = path.display();
    let file = File::open(path).with_context(|| format!("cannot open the {what} {name}"))?;
    warn_of_others(path, what, warn);
    // Of one size from the start, so that no copy stays behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    let read = file.take(MAX_FILE + 1).read_to_end(&mut bytes);
    read.with_context(|| format!("cannot read the {what} {name}"))?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("{name} is not a {what}: it is larger than {MAX_FILE} bytes");
    }
    let text = std::str::from_utf8(&bytes).with_context(|| format!("{name} is not a {what}"))?;
    Ok(Zeroizing::new(text.to_owned()))
}

const KEY: &str = "Key";

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn with(key: Option<PathBuf>, passphrase: Option<PathBuf>) -> KeyArgs {
        KeyArgs {
            key_file: key,
            passphrase_file: passphrase,
            ..KeyArgs::default()
        }
    }

    #[test]
    fn a_key_file_is_read_with_a_warning_if_others_can_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        fs::write(&path, "04hm asw9 nf6y zzpw qac7 cn1j 20mb\n").unwrap();
        let args = with(Some(path.clone()), None);
        assert_eq!(args.given(), Some("--key-file"));
        assert_eq!(args.invited(), Some("--key-file FILE"));
        let told = RefCell::new(Vec::new());
        let read = || args.secret(|line| told.borrow_mut().push(line.to_owned()));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(read().unwrap().is_some());
        assert!(told.borrow().is_empty());
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert!(read().unwrap().is_some());
        assert!(told.borrow()[0].ends_with(&format!("type chmod 600 {}", path.display())));
        fs::write(&path, "04hm asw9 nf6y zzpw qac7 cn1j 20mc\n").unwrap();
        let error = format!("{:#}", read().unwrap_err());
        assert!(
            error.contains("holds no key: framegram-send keygen"),
            "{error}"
        );
        assert!(error.ends_with("its check does not match"), "{error}");
        assert!(!error.contains("asw9"), "a key is not shown");
        fs::remove_file(&path).unwrap();
        let error = format!("{:#}", read().unwrap_err());
        assert!(error.starts_with("cannot open the key file"), "{error}");
        let endless = with(Some("/dev/zero".into()), None);
        let error = format!("{:#}", endless.secret(|_| {}).unwrap_err());
        assert!(error.contains("larger than 4096 bytes"), "{error}");
    }

    #[test]
    fn a_passphrase_is_the_first_line_and_a_short_one_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("phrase");
        let args = with(None, Some(path.clone()));
        fs::write(&path, "short\n").unwrap();
        let error = format!("{:#}", args.secret(|_| {}).unwrap_err());
        assert!(
            error.ends_with("at least 12 characters, and this one has 5"),
            "{error}"
        );
        fs::write(&path, "correct horse battery staple\r\nmore\n").unwrap();
        assert!(args.secret(|_| {}).unwrap().is_some());
        assert!(with(None, None).secret(|_| {}).unwrap().is_none());
    }
}
