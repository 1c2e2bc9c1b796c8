//! The log of an impairment: what really happened to each datagram. It is a text
//! file that a spreadsheet can read.
//!
//! ```text
//! # framegram impairment log, version 1, viewer, loss=5%,seed=7
//! time_s,stream,destination,channel,number,frame,chunk,chunks,bytes,copy,decision,delay_ms
//! 8150.020117250,00f3a2c4d5e6b718,0,media,0,0,0,8,1452,1,delivered,20.000000
//! 8150.020118121,00f3a2c4d5e6b718,0,media,1,0,1,8,1452,0,lost,
//! # end, 2 rows
//! ```
//!
//! There is one row for each dropped datagram, written when it is dropped, and
//! one for each copy that is handed on, written then. So the rows are in order of
//! arrival behind the link. If the last line is missing, the program was killed
//! and rows are missing.
//!
//! - `time_s`: when the datagram reached the link, on the machine's monotonic
//!   clock.
//! - `stream` to `chunks`: for the native format, which packet it is, and which
//!   chunk of how many it carries (parity and control packets carry none). Empty
//!   if unreadable, and for RTP and bare JPEG. `stream` has 16 hexadecimal
//!   digits. Numbers are the low bits, as in the datagram.
//! - `bytes`: UDP payload.
//! - `copy`: 1 or, for the second copy of a duplicated datagram, 2; 0 if the
//!   datagram was dropped before it was copied.
//! - `decision`: an [`Act`].
//! - `delay_ms`: from `time_s` until it was handed on; empty if it was not.

mod read;
mod write;

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use framegram_common::stats::Side;
use framegram_common::wire::WireError;
use framegram_common::wire::native::{Channel, Packet};

pub use read::{LogReader, ReadError};
pub use write::Log;

/// What happened to a datagram or to a copy of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// Handed on as received.
    Delivered,
    /// Handed on as received, but it was already corrupt.
    Damaged,
    /// Handed on with one bit flipped.
    Corrupt,
    /// Independent loss.
    Lost,
    /// Loss in a burst.
    Burst,
    /// Dropped: the queue in front of the bottleneck was full.
    Queue,
    /// Dropped: it was larger than the MTU.
    Mtu,
    /// Dropped: the simulator's own limit of datagrams in transit was reached.
    Overflow,
    /// Still in transit when the program ended.
    Pending,
    /// Handed on, but rejected by the operating system.
    Refused,
}

impl Act {
    const NAMES: [(Self, &str); 10] = [
        (Self::Delivered, "delivered"),
        (Self::Damaged, "damaged"),
        (Self::Corrupt, "corrupt"),
        (Self::Lost, "lost"),
        (Self::Burst, "burst"),
        (Self::Queue, "queue"),
        (Self::Mtu, "mtu"),
        (Self::Overflow, "overflow"),
        (Self::Pending, "pending"),
        (Self::Refused, "refused"),
    ];

    /// Its name in the log.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].1
    }

    /// Whether a datagram was handed on.
    pub fn is_handed_on(self) -> bool {
        matches!(self, Self::Delivered | Self::Damaged | Self::Corrupt)
    }
}

/// Identifies a packet of the native format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PacketName {
    /// The sender's stream number.
    pub stream: u64,
    /// Number of the sender's destination.
    pub destination: u16,
    /// Its channel.
    pub channel: Channel,
    /// Its packet number.
    pub number: u64,
    /// The chunk that it carries, if any.
    pub place: Option<LoggedChunk>,
}

/// Identifies a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedChunk {
    /// The frame number, as on the wire.
    pub frame: u32,
    /// Index of the chunk in its frame.
    pub chunk: u16,
    /// Number of chunks of the frame.
    pub chunks: u16,
}

impl PacketName {
    /// The packet that a datagram contains, if it can be decoded, and whether the
    /// datagram is corrupt.
    pub fn of(datagram: &[u8]) -> (Option<Self>, bool) {
        match Packet::decode(datagram) {
            Ok((header, packet)) => {
                let place = match packet {
                    Packet::Chunk(chunk) | Packet::Retransmission(chunk) => Some(LoggedChunk {
                        frame: chunk.frame.bits(),
                        chunk: chunk.index,
                        chunks: chunk.count,
                    }),
                    _ => None,
                };
                let name = Self {
                    stream: header.stream.into(),
                    destination: header.destination,
                    channel: header.channel,
                    number: header.number.0.into(),
                    place,
                };
                (Some(name), false)
            }
            Err(error) => (None, matches!(error, WireError::Checksum { .. })),
        }
    }
}

/// A row of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// When the datagram reached the link.
    pub time: Duration,
    /// The packet, if known.
    pub name: Option<PacketName>,
    /// Length in bytes.
    pub bytes: u32,
    /// Number of the copy, from 1; 0 if it was dropped before it was copied.
    pub copy: u8,
    /// What happened.
    pub act: Act,
    /// From `time` until it was handed on.
    pub delay: Option<Duration>,
}

impl fmt::Display for LogRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time;
        write!(f, "{}.{:09},", time.as_secs(), time.subsec_nanos())?;
        match &self.name {
            None => f.write_str(",,,,,,,")?,
            Some(name) => {
                let channel = name.channel.name();
                let (stream, destination, number) = (name.stream, name.destination, name.number);
                write!(f, "{stream:016x},{destination},{channel},{number},")?;
                match name.place {
                    Some(place) => write!(f, "{},{},{},", place.frame, place.chunk, place.chunks)?,
                    None => f.write_str(",,,")?,
                }
            }
        }
        write!(f, "{},{},{},", self.bytes, self.copy, self.act.name())?;
        match self.delay.map(|delay| delay.as_nanos()) {
            Some(nanos) => write!(f, "{}.{:06}", nanos / 1_000_000, nanos % 1_000_000),
            None => Ok(()),
        }
    }
}

/// The line is not a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRow;

impl FromStr for LogRow {
    type Err = NoRow;

    fn from_str(line: &str) -> Result<Self, NoRow> {
        let mut fields = line.split(',');
        let fields: [&str; COLUMNS] = std::array::from_fn(|_| fields.next().unwrap_or_default());
        let [
            time,
            stream,
            destination,
            channel,
            number,
            place @ ..,
            bytes,
            copy,
            act,
            delay,
        ] = fields;
        let act = Act::NAMES.into_iter().find(|(_, name)| *name == act);
        let delay = match delay {
            "" => None,
            delay => Some(decimal(delay, 6).ok_or(NoRow)?),
        };
        let name = if stream.is_empty() {
            None
        } else {
            let place = match place {
                ["", "", ""] => None,
                [frame, chunk, chunks] => Some(LoggedChunk {
                    frame: whole(frame)?,
                    chunk: whole(chunk)?,
                    chunks: whole(chunks)?,
                }),
            };
            let named = Channel::ALL.into_iter().find(|it| it.name() == channel);
            Some(PacketName {
                stream: u64::from_str_radix(stream, 16).map_err(|_| NoRow)?,
                destination: whole(destination)?,
                channel: named.ok_or(NoRow)?,
                number: whole(number)?,
                place,
            })
        };
        let row = Self {
            time: decimal(time, 9).ok_or(NoRow)?,
            name,
            bytes: whole(bytes)?,
            copy: whole(copy)?,
            act: act.ok_or(NoRow)?.0,
            delay,
        };
        // Only a complete row prints as the same line.
        if row.to_string() == line {
            Ok(row)
        } else {
            Err(NoRow)
        }
    }
}

/// The column names.
pub const HEADER: &str =
    "time_s,stream,destination,channel,number,frame,chunk,chunks,bytes,copy,decision,delay_ms";

/// Start of the first line; side and impairment follow.
const TITLE: &str = "# framegram impairment log, version 1, ";

/// Start of the last line; the number of rows follows.
const END: &str = "# end, ";

const COLUMNS: usize = 12;

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Sender => "sender",
        Side::Viewer => "viewer",
    }
}

fn whole<T: FromStr>(text: &str) -> Result<T, NoRow> {
    text.parse().map_err(|_| NoRow)
}

/// Parses a decimal number with `places` decimal places. Returns it in units of
/// the last place, as nanoseconds.
fn decimal(text: &str, places: usize) -> Option<Duration> {
    let (whole, part) = text.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if part.len() != places || !digits(whole) || !digits(part) {
        return None;
    }
    let unit = 10_u64.checked_pow(u32::try_from(places).ok()?)?;
    let whole = whole.parse::<u64>().ok()?.checked_mul(unit)?;
    Some(Duration::from_nanos(whole.checked_add(part.parse().ok()?)?))
}

#[cfg(test)]
mod tests;
