//! What came through a pipe, kept so that it can be read back: the index of most
//! MP4 and MOV files is at their end.

use std::io::{self, Cursor, Read};

/// The longest file that is kept, in bytes.
const MAX_SPOOL: usize = 256 << 20;

/// What to do about a file that is longer, or cut off.
pub(super) const NAME_IT: &str = "give its name instead of piping it";

/// A whole file out of a pipe, from its start.
pub(super) type Spool = Cursor<Vec<u8>>;

/// Reads to the end; `None` where that is further than [`MAX_SPOOL`].
///
/// # Errors
/// Those of `input`.
pub(super) fn read(input: impl Read) -> io::Result<Option<Spool>> {
    let mut bytes = Vec::new();
    input.take(MAX_SPOOL as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= MAX_SPOOL).then(|| Cursor::new(bytes)))
}
