//! Frames that are written to a sender and read from its viewer: how long each was on its way, and
//! whether it is what was written.

use std::collections::HashMap;
use std::io::{BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::process::{ChildStdin, ChildStdout, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use framegram_common::jpeg::JpegHeader;
use framegram_lab::timecode::{Timecode, TimecodeReader};
use framegram_net::clock;
use framegram_tests::peer::Peer;
use framegram_tests::program::address;
use framegram_tests::relay::Relay;
use memchr::memmem;

use crate::clips::{Clip, RATE, decoded};
use crate::figures::quartile;
use crate::players::{From, Player, Show};

/// Frames written in one run.
const FRAMES: usize = 150;

/// Frames at the beginning that do not count.
const WARM_UP: usize = 30;

/// Raw pictures that are written cyclically, each time with another timecode.
const PICTURES: usize = 30;

/// How long the last frames are waited for.
const TAIL: Duration = Duration::from_millis(700);

/// The boundary between the JPEGs of a stream.
const BOUNDARY: &str = "--frame";

/// Frames on their way from one program to the other.
#[derive(Clone, Debug, Default)]
pub(crate) struct Passed {
    /// Milliseconds from the first byte written to the last byte read, in order.
    delays: Vec<f64>,
    /// How many of the counted frames were written.
    written: usize,
}

impl Passed {
    /// The median delay of the frames that arrived, in milliseconds.
    pub(crate) fn median(&self) -> Option<f64> {
        quartile(&self.delays, 2)
    }

    /// The 95th percentile of the delay, in milliseconds.
    pub(crate) fn p95(&self) -> Option<f64> {
        let mut sorted = self.delays.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        sorted.get(sorted.len() * 95 / 100).copied()
    }

    /// The share of the frames that arrived complete, in percent.
    pub(crate) fn complete(&self) -> f64 {
        100.0 * self.delays.len() as f64 / self.written as f64
    }
}

/// Raw pictures of a clip, each with a timecode of the time at which it was written.
pub(crate) struct Raw<'a> {
    clip: &'a Clip,
    pictures: Vec<Vec<u8>>,
}

/// JPEGs of a clip, all different.
pub(crate) struct Jpegs<'a> {
    clip: &'a Clip,
    jpegs: Vec<Vec<u8>>,
}

impl<'a> Raw<'a> {
    pub(crate) fn of(clip: &'a Clip) -> Result<Self> {
        let format = "-pix_fmt yuvj420p -f rawvideo";
        let bytes = decoded(clip, PICTURES, format)?;
        let pictures = bytes.chunks_exact(clip.raw_bytes()).map(<[u8]>::to_vec);
        Ok(Self {
            clip,
            pictures: pictures.collect(),
        })
    }

    /// Writes all pictures to a sender, and reads its viewer.
    pub(crate) fn pass(&self, player: Player) -> Result<Passed> {
        let (width, height) = self.clip.size;
        let is_ours = player == Player::Framegram;
        let write = |input: &mut ChildStdin, number: usize| {
            if is_ours && number == 0 {
                writeln!(
                    input,
                    "YUV4MPEG2 W{width} H{height} F{RATE}:1 Ip A1:1 C420jpeg XCOLORRANGE=FULL"
                )?;
            }
            let mut picture = self.pictures[number % self.pictures.len()].clone();
            let timecode = Timecode::new(number as u64, clock::now(), 0, 0);
            timecode.draw_luma(&mut picture, width, width, height);
            if is_ours {
                input.write_all(b"FRAME\n")?;
            }
            input.write_all(&picture)
        };
        let bytes = self.pictures.first().map_or(0, Vec::len);
        let read = move |output: ChildStdout| {
            let mut output = BufReader::with_capacity(1 << 20, output);
            let (mut reader, mut arrived) = (TimecodeReader::default(), Vec::new());
            let mut picture = vec![0; bytes];
            if is_ours {
                skip_line(&mut output)?;
            }
            loop {
                let begun = if is_ours {
                    skip_line(&mut output)
                } else {
                    Ok(())
                };
                match begun.and_then(|()| output.read_exact(&mut picture)) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(arrived),
                    Err(error) => return Err(error),
                }
                let now = clock::now();
                let code = reader.read(&picture, width, width, height);
                let delay = code.and_then(|code| Some((code.number as usize, code.age(now)?)));
                arrived.extend(delay);
            }
        };
        let arrived = run(player, From::Raw(self.clip), Show::Piped, None, write, read)?.1;
        let counted = arrived.iter().filter(|(number, _)| *number >= WARM_UP);
        Ok(Passed {
            delays: counted.map(|(_, delay)| milliseconds(*delay)).collect(),
            written: FRAMES - WARM_UP,
        })
    }
}

impl<'a> Jpegs<'a> {
    pub(crate) fn of(clip: &'a Clip) -> Result<Self> {
        let bytes = decoded(clip, FRAMES, "-c:v copy -f mjpeg")?;
        let jpegs = split(&bytes).0.into_iter().map(<[u8]>::to_vec).collect();
        Ok(Self { clip, jpegs })
    }

    /// Writes all JPEGs to a sender, and reads its viewer. A relay between them loses this share of
    /// the datagrams. A frame is complete if its coded data equals what was written.
    pub(crate) fn pass(&self, player: Player, loss: f64) -> Result<Passed> {
        ensure!(self.jpegs.len() >= FRAMES, "the clip is too short");
        let write = |input: &mut ChildStdin, number: usize| {
            let jpeg = &self.jpegs[number];
            let length = jpeg.len();
            write!(
                input,
                "{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
            )?;
            input.write_all(jpeg)?;
            input.write_all(b"\r\n")
        };
        let numbers = self.jpegs.iter().enumerate();
        let numbers: HashMap<Vec<u8>, usize> = numbers
            .filter_map(|(number, jpeg)| Some((scan(jpeg)?.to_vec(), number)))
            .collect();
        let read = move |mut output: ChildStdout| {
            let (mut waiting, mut arrived) = (Vec::new(), Vec::new());
            let mut buffer = vec![0; 1 << 16];
            loop {
                let len = output.read(&mut buffer)?;
                if len == 0 {
                    return Ok(arrived);
                }
                waiting.extend_from_slice(&buffer[..len]);
                let now = Instant::now();
                let (jpegs, used) = split(&waiting);
                let known = jpegs.into_iter().filter_map(scan);
                let known = known.filter_map(|scan| numbers.get(scan));
                arrived.extend(known.map(|number| (*number, now)));
                waiting.drain(..used);
            }
        };
        let from = From::Multipart(self.clip);
        let (written, arrived) = run(player, from, Show::Jpeg, Some(loss), write, read)?;
        let counted = arrived.iter().filter(|(number, _)| *number >= WARM_UP);
        let delay = |(number, at): &(usize, Instant)| *at - written[*number];
        Ok(Passed {
            delays: counted.map(delay).map(milliseconds).collect(),
            written: FRAMES - WARM_UP,
        })
    }
}

/// Runs a pair of sender and viewer, and writes frames at their frame rate. Returns when each frame
/// was begun and what was read.
fn run<T: Send>(
    player: Player,
    from: From<'_>,
    show: Show,
    loss: Option<f64>,
    write: impl Fn(&mut ChildStdin, usize) -> std::io::Result<()>,
    read: impl FnOnce(ChildStdout) -> std::io::Result<Vec<T>> + Send,
) -> Result<(Vec<Instant>, Vec<T>)> {
    let folder = tempfile::tempdir()?;
    let (near, far) = (address(), address());
    let line = player.viewer(show, far, folder.path())?;
    let viewer = Peer::start_with(folder.path(), &line, Stdio::null(), Stdio::piped());
    let mut viewer = viewer.listens_at(far);
    let output = viewer.take_output().context("piped")?;
    let relay = loss.map(|loss| Relay::lossy(near, far, loss));
    let to: SocketAddr = if relay.is_some() { near } else { far };
    let line = player.sender(from, to);
    let mut sender = Peer::start_with(folder.path(), &line, Stdio::piped(), Stdio::null());
    let mut input = sender.take_input().context("piped")?;
    thread::scope(|scope| {
        let reader = scope.spawn(|| read(output));
        let (begun, mut written) = (Instant::now(), Vec::with_capacity(FRAMES));
        let outcome = (0..FRAMES).try_for_each(|number| {
            let due = begun + Duration::from_secs(1) * number as u32 / RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            written.push(Instant::now());
            write(&mut input, number)
        });
        let outcome = outcome.with_context(|| format!("{} reads no more", player.name()));
        thread::sleep(TAIL);
        // When they end, the reader ends too.
        drop((sender, viewer));
        let arrived = reader.join().ok().context("the reader panicked")?;
        outcome?;
        Ok((written, arrived?))
    })
}

/// The JPEGs in what was read so far, and the number of bytes up to the end of the last one.
fn split(bytes: &[u8]) -> (Vec<&[u8]>, usize) {
    let (mut jpegs, mut used) = (Vec::new(), 0);
    while let Some(begin) = memmem::find(&bytes[used..], &[0xff, 0xd8, 0xff]) {
        let begin = used + begin;
        let Some(len) = memmem::find(&bytes[begin..], &[0xff, 0xd9]) else {
            break;
        };
        used = begin + len + 2;
        jpegs.push(&bytes[begin..used]);
    }
    (jpegs, used)
}

/// The part of a JPEG that RTP carries. The receiver may write another header.
fn scan(jpeg: &[u8]) -> Option<&[u8]> {
    let header = JpegHeader::parse(jpeg).ok()?;
    jpeg.get(header.len..jpeg.len() - 2)
}

/// Reads to the end of a line.
fn skip_line(input: &mut impl Read) -> std::io::Result<()> {
    let mut byte = [0];
    while byte[0] != b'\n' {
        input.read_exact(&mut byte)?;
    }
    Ok(())
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jpegs_are_found_between_other_bytes_and_a_begun_one_waits() {
        let bytes = [
            b"--frame".as_slice(),
            &[0xff, 0xd8, 0xff, 1, 0xff, 0xd9, 0xff, 0xd9],
            b"\r\n--frame",
            &[0xff, 0xd8, 0xff, 2, 3],
        ]
        .concat();
        let (jpegs, used) = split(&bytes);
        assert_eq!(jpegs, [&[0xff, 0xd8, 0xff, 1, 0xff, 0xd9]]);
        assert_eq!(used, 13);
    }
}
