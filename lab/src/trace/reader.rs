//! Reads a trace.

use std::io::{self, Read};

use thiserror::Error;

use super::block::{self, BLOCK_HEAD, HEAD};
use super::code::CodeState;
use super::{Entry, MAGIC, MAX_BLOCK, VERSION};

/// Reads the entries of a trace one by one. It keeps one block in memory,
/// whatever the file claims.
#[derive(Debug)]
pub struct TraceReader<R> {
    input: R,
    block: Vec<u8>,
    /// Position in the block.
    at: usize,
    state: CodeState,
    /// Position and length of the block in the file.
    start: u64,
    len: usize,
    /// Whether the last entry has been read.
    ended: bool,
    /// Whether reading has ended.
    over: bool,
}

/// Why a trace cannot be read, or not further.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The file is not a trace.
    #[error("it is not a trace")]
    NoTrace,
    /// The version is unknown.
    #[error("it is a trace of version {0}, but this program reads version {VERSION}")]
    Version(u8),
    /// The file ends without a last entry.
    #[error("it was cut off after {0} bytes")]
    Cut(u64),
    /// A block is damaged.
    #[error("it is damaged after its first {0} bytes")]
    Damaged(u64),
    /// Data follows the last entry.
    #[error("it ends after {0} bytes, but more data follows")]
    Junk(u64),
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl TraceError {
    /// Whether the entries read so far are valid.
    pub fn is_partial(&self) -> bool {
        matches!(self, Self::Cut(_) | Self::Damaged(_) | Self::Junk(_))
    }
}

impl<R: Read> TraceReader<R> {
    /// Reads the file header.
    ///
    /// # Errors
    /// If the file is not a trace, or has another version.
    pub fn new(mut input: R) -> Result<Self, TraceError> {
        let mut head = Vec::with_capacity(HEAD);
        input.by_ref().take(HEAD as u64).read_to_end(&mut head)?;
        match head.strip_prefix(&MAGIC) {
            Some([VERSION]) => {}
            Some([version]) => return Err(TraceError::Version(*version)),
            Some(_) => return Err(TraceError::Cut(head.len() as u64)),
            None => return Err(TraceError::NoTrace),
        }
        Ok(Self {
            input,
            block: Vec::new(),
            at: 0,
            state: CodeState::default(),
            start: HEAD as u64,
            len: 0,
            ended: false,
            over: false,
        })
    }

    /// The next entry; `None` after the last one.
    ///
    /// # Errors
    /// If the file is incomplete or damaged, continues after its last entry, or
    /// cannot be read. Nothing more is read after an error.
    pub fn next_entry(&mut self) -> Result<Option<Entry>, TraceError> {
        if self.over {
            return Ok(None);
        }
        if self.ended {
            self.over = true;
            return self.check_end().map(|()| None);
        }
        let entry = self.read_entry();
        self.ended = matches!(entry, Ok(Some(Entry::End { .. })));
        self.over = !matches!(entry, Ok(Some(_)));
        entry
    }

    /// Checks that nothing follows the last entry.
    fn check_end(&mut self) -> Result<(), TraceError> {
        let more = self.input.by_ref().take(1).read_to_end(&mut Vec::new())?;
        if more == 0 && self.at == self.block.len() {
            return Ok(());
        }
        Err(TraceError::Junk(self.start + self.len as u64))
    }

    fn read_entry(&mut self) -> Result<Option<Entry>, TraceError> {
        while self.at == self.block.len() {
            self.read_block()?;
        }
        let mut input = &self.block[self.at..];
        let entry = self.state.take(&mut input);
        self.at = self.block.len() - input.len();
        // The checksum was right, so the writer wrote an invalid entry.
        entry.map(Some).ok_or(TraceError::Damaged(self.start))
    }

    fn read_block(&mut self) -> Result<(), TraceError> {
        self.start += std::mem::take(&mut self.len) as u64;
        (self.at, self.state) = (0, CodeState::default());
        self.block.clear();
        let mut head = [0; BLOCK_HEAD];
        self.fill(&mut head)?;
        let [a, b, c, d, checksum @ ..] = head;
        let len = u32::from_be_bytes([a, b, c, d]) as usize;
        if !(1..=MAX_BLOCK).contains(&len) {
            return Err(TraceError::Damaged(self.start));
        }
        let mut block = vec![0; len];
        self.fill(&mut block)?;
        if crc32c::crc32c(&block) != u32::from_be_bytes(checksum) {
            return Err(TraceError::Damaged(self.start));
        }
        self.len = BLOCK_HEAD + len;
        self.block = block::inflate(&block).ok_or(TraceError::Damaged(self.start))?;
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), TraceError> {
        self.input.read_exact(buffer).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                TraceError::Cut(self.start)
            } else {
                error.into()
            }
        })
    }
}
