//! Files that are written at the end, and proved writable at the start.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;

/// A file that can be written. What is in it stays until it is; a file that
/// was not there before is taken away again if it never is.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    what: &'static str,
    file: File,
    /// Whether to take the file away.
    provisional: bool,
}

impl Claim {
    /// Opens the file for writing, without a change to what is in it. `what`
    /// names its purpose in errors.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn new(path: &Path, what: &'static str) -> anyhow::Result<Self> {
        let provisional = !path.exists();
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .with_context(|| format!("cannot write {what} {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            what,
            file,
            provisional,
        })
    }

    /// Replaces what is in the file. Returns where it is.
    ///
    /// # Errors
    /// Those of `content`, and those of the disk.
    pub fn write(
        mut self,
        content: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<PathBuf> {
        self.try_write(content)
            .with_context(|| format!("cannot write {} {}", self.what, self.path.display()))?;
        Ok(self.path.clone())
    }

    /// Empties the file, for a content that grows.
    ///
    /// # Errors
    /// Those of the disk.
    pub fn begin(mut self) -> anyhow::Result<BufWriter<File>> {
        self.try_begin()
            .with_context(|| format!("cannot write {} {}", self.what, self.path.display()))
    }

    fn try_begin(&mut self) -> anyhow::Result<BufWriter<File>> {
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        self.provisional = false;
        Ok(BufWriter::new(self.file.try_clone()?))
    }

    fn try_write(
        &mut self,
        content: impl FnOnce(&mut dyn Write) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        if self.file.metadata()?.is_file() {
            self.file.set_len(0)?;
        }
        let mut out = BufWriter::new(&self.file);
        content(&mut out)?;
        out.flush()?;
        drop(out);
        self.provisional = false;
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.provisional {
            // Nothing is lost if the empty file stays.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
