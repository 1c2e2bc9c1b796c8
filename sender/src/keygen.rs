//! `framegram-send keygen`.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use anyhow::{Context, Result, bail};
use framegram_cli::console::Console;
use framegram_cli::output::OWNER_ONLY;
use framegram_cli::pipe::StandardOutput;
use framegram_net::random_u64;
use framegram_seal::key_text;

/// Makes a key, into a new file or to standard output.
///
/// # Errors
/// If the file exists, or cannot be written.
pub(crate) fn make(path: Option<&Path>) -> Result<()> {
    let key = key_text((random_u64(), random_u64()));
    let Some(path) = path else {
        return Ok(writeln!(StandardOutput, "{}", *key)?);
    };
    let name = path.display();
    let mut options = OpenOptions::new();
    let created = options
        .write(true)
        .create_new(true)
        .mode(OWNER_ONLY)
        .open(path);
    let mut file = match created {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            bail!("{name} exists: name another file, or remove it")
        }
        created => created.with_context(|| format!("cannot write the key file {name}"))?,
    };
    let written = writeln!(file, "{}", *key).and_then(|()| file.sync_all());
    written.with_context(|| format!("cannot write the key file {name}"))?;
    Console::new(false).say(&format!(
        "The key is in {name}. Copy it to the other machine, and give both programs --key-file {name}."
    ));
    Ok(())
}
