//! Frames into a file or a pipe: the JPEGs as they came, or decoded as Y4M.

mod times;
mod y4m;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use framegram_cli::console::Console;
use framegram_cli::errors::is_reader_gone;
use framegram_cli::output::{Growing, OutputFile};
use framegram_cli::pipe::{Pipe, STANDARD};
use framegram_cli::threads::Threads;
use framegram_common::receiver::ReceivedFrame;
use framegram_media::{Decoder, Undecodable};

use self::times::Times;
use self::y4m::Y4mRecorder;
use super::{Flow, Shown, Sink, Status, TICK};

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// The JPEGs as they arrived, with their times between them
    Mjpeg,
    /// Decoded frames (YUV4MPEG2, full range)
    Y4m,
}

/// Records every frame that it is shown. A reader of standard output who goes
/// away ends it.
pub struct Recording {
    out: Out,
    name: String,
    writer: Writer,
    /// The pipe's reader is gone.
    closed: bool,
    /// How long a frame waits for a reader of a pipe, and whether the last one
    /// waited in vain.
    patience: Option<Duration>,
    unread: bool,
    /// Frames that nobody read in time.
    missed: u64,
    console: Arc<Console>,
}

/// What it is written to.
enum Out {
    File(BufWriter<Growing>),
    /// Takes whole frames, or nothing of them.
    Pipe {
        pipe: Arc<Pipe>,
        /// What is written of the present frame.
        frame: Vec<u8>,
    },
}

enum Writer {
    Mjpeg(Decoder, Times),
    Y4m(Box<Y4mRecorder>),
}

/// Why a frame is not in the recording.
#[derive(Debug)]
enum Failure {
    /// The frame itself: it is damaged, or no JPEG.
    Undecodable,
    /// It does not fit the header of a Y4M.
    Unlike,
    /// The file or pipe.
    Io(io::Error),
}

impl Format {
    /// The format that the name of a file asks for.
    ///
    /// # Errors
    /// For any extension but `.mjpeg`, `.mjpg` and `.y4m`.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.to_ascii_lowercase().as_str() {
            "mjpeg" | "mjpg" => Ok(Self::Mjpeg),
            "y4m" => Ok(Self::Y4m),
            _ => bail!(
                "the name {} does not say how to record: end it in .mjpeg or .y4m, \
                 or give --output-format",
                path.display()
            ),
        }
    }
}

impl Recording {
    /// Claims the file, or takes standard output where the path is `-`. A frame
    /// waits for the reader of a pipe for `patience`, or as long as it takes.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn create(
        path: &Path,
        format: Format,
        patience: Option<Duration>,
        console: &Arc<Console>,
        threads: &Threads,
    ) -> anyhow::Result<Self> {
        let piped = path.as_os_str() == STANDARD;
        if piped && io::stdout().is_terminal() {
            bail!(
                "pictures are no text for a terminal: pipe them to a program, as in \
                 --output - --output-format y4m | ffplay -, or record to a file"
            );
        }
        let file = OutputFile::claim(path, "output", threads)?;
        let out = match file.pipe() {
            Some(pipe) => Out::Pipe {
                pipe: Arc::clone(pipe),
                frame: Vec::new(),
            },
            None => {
                let console = Arc::clone(console);
                let file = file.grow(move |line| console.say(line));
                Out::File(BufWriter::with_capacity(BUFFER, file))
            }
        };
        let name = if piped {
            "standard output".to_owned()
        } else {
            path.display().to_string()
        };
        let decoder = Decoder::new()?;
        Ok(Self {
            out,
            name,
            writer: match format {
                Format::Mjpeg => Writer::Mjpeg(decoder, Times::default()),
                Format::Y4m => Writer::Y4m(Box::new(Y4mRecorder::new(decoder))),
            },
            closed: false,
            patience,
            unread: false,
            missed: 0,
            console: Arc::clone(console),
        })
    }

    /// Writes the frame. Returns whether it is in the recording.
    fn write(&mut self, frame: &ReceivedFrame) -> Result<bool, Failure> {
        match &mut self.writer {
            Writer::Mjpeg(decoder, times) => {
                decoder.check(&frame.jpeg)?;
                times.write(frame, &mut self.out)?;
                self.out.write_all(&frame.jpeg)?;
                if !frame.jpeg.ends_with(&END) {
                    // What follows is not to be taken for coded data.
                    self.out.write_all(&END)?;
                }
            }
            Writer::Y4m(y4m) => y4m.write(frame, &mut self.out)?,
        }
        Ok(self.hand_on()?)
    }

    /// Hands on what was written of a frame. Returns whether there was room.
    fn hand_on(&mut self) -> io::Result<bool> {
        let (pipe, frame) = match &mut self.out {
            Out::File(file) => return file.flush().map(|()| true),
            Out::Pipe { frame, .. } if frame.is_empty() => return Ok(true),
            Out::Pipe { pipe, frame } => {
                // The next one will be about as large.
                let next = Vec::with_capacity(frame.len());
                (pipe, std::mem::replace(frame, next))
            }
        };
        // Who does not read is not waited for again with every frame.
        let patience = |most| if self.unread { Duration::ZERO } else { most };
        let patience = self.patience.map(patience);
        self.unread = !pipe.put(frame, patience)?;
        Ok(!self.unread)
    }

    /// Notes that nobody read a frame in time.
    fn miss(&mut self) {
        self.missed += 1;
        if self.missed == 1 && self.patience.is_some() {
            self.console.say(&format!(
                "Nobody reads {}: frames are left out of it meanwhile.",
                self.name
            ));
        }
    }

    /// Writes what still waits, and ends the file or pipe.
    fn try_finish(&mut self) -> io::Result<()> {
        if let Writer::Y4m(y4m) = &mut self.writer
            && let Err(Failure::Io(error)) = y4m.finish(&mut self.out)
        {
            return Err(error);
        }
        if !self.hand_on()? {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.end()
    }

    /// Waits for what is written; for a reader who may not read, not where
    /// somebody looks at a window meanwhile.
    fn end(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::File(file) => file.get_mut().finish(),
            Out::Pipe { pipe, .. } if self.patience.is_some() => pipe.finish_soon(),
            Out::Pipe { pipe, .. } => pipe.finish(),
        }
    }

    /// Sorts a gone reader of standard output, which is a good end, from a full
    /// disk.
    fn ended(&mut self, error: io::Error) -> anyhow::Result<()> {
        let error = anyhow::Error::from(error);
        if is_reader_gone(&error) {
            self.closed = true;
            return Ok(());
        }
        Err(error).with_context(|| format!("cannot write output {}", self.name))
    }
}

impl Sink for Recording {
    fn take_remark(&mut self) -> Option<String> {
        match &mut self.writer {
            Writer::Mjpeg(decoder, _) => decoder.take_remark(),
            Writer::Y4m(y4m) => y4m.take_remark(),
        }
    }

    fn show(&mut self, frame: &ReceivedFrame, _: &Status) -> anyhow::Result<Shown> {
        if self.closed {
            return Ok(Shown::Withheld);
        }
        match self.write(frame) {
            Ok(true) => Ok(Shown::Yes),
            Ok(false) => {
                self.miss();
                Ok(Shown::Withheld)
            }
            Err(Failure::Undecodable | Failure::Unlike) => Ok(Shown::Undecodable),
            Err(Failure::Io(error)) => {
                self.ended(error)?;
                Ok(Shown::Withheld)
            }
        }
    }

    fn tend(&mut self, _: &Status) -> anyhow::Result<Flow> {
        Ok(if self.closed {
            Flow::Quit
        } else {
            Flow::Continue
        })
    }

    fn patience(&self) -> Duration {
        TICK
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if self.closed {
            return Ok(());
        }
        let ended = self.try_finish();
        if let Writer::Y4m(y4m) = &self.writer
            && y4m.unlike() > 0
        {
            let (unlike, name) = (y4m.unlike(), &self.name);
            self.console.say(&format!(
                "{unlike} frames are not in {name}: Y4M keeps the size and sampling of its \
                 first frame, and they have others; record as .mjpeg"
            ));
        }
        match ended {
            Err(error) if self.missed == 0 || error.kind() != io::ErrorKind::TimedOut => {
                self.ended(error)
            }
            _ if self.missed > 0 => bail!(
                "{} frames are not in {}: nobody read them in time",
                self.missed,
                self.name
            ),
            _ => Ok(()),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Pipe { frame, .. } => frame.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::File(file) => file.flush(),
            Self::Pipe { .. } => Ok(()),
        }
    }
}

impl From<Undecodable> for Failure {
    fn from(_: Undecodable) -> Self {
        Self::Undecodable
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The end of a JPEG.
const END: [u8; 2] = [0xff, 0xd9];

/// Gathers the rows of a Y4M picture; larger writes, as those of whole JPEGs,
/// go past it.
const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests {
    use framegram_cli::stop::Stop;
    use framegram_media::Subsampling;

    use super::*;
    use crate::conceal::Concealer;
    use crate::fixture::{Folder, frame, jpeg, quadrants};
    use crate::report::live::Live;

    fn create(path: &Path) -> Recording {
        let console = Arc::new(Console::new(true));
        Recording::create(
            path,
            Format::of(path).unwrap(),
            None,
            &console,
            &Threads::new(&Stop::new()),
        )
        .unwrap()
    }

    fn record(name: &str, jpegs: &[Vec<u8>]) -> (Vec<u8>, Vec<Shown>, anyhow::Result<()>) {
        let folder = Folder::new();
        let path = folder.path(name);
        let mut recording = create(&path);
        let live = Live::default();
        let status = Status {
            now: Duration::ZERO,
            live: &live,
            ended: None,
            tiles: &[],
        };
        let shown = jpegs
            .iter()
            .enumerate()
            .map(|(i, jpeg)| recording.show(&frame(i as u64, jpeg), &status).unwrap())
            .collect();
        let finished = recording.finish();
        (std::fs::read(path).unwrap(), shown, finished)
    }

    #[test]
    fn mjpeg_is_the_frames_as_they_came_without_what_is_no_picture() {
        let mut damaged = frame_of_noise();
        damaged.truncate(damaged.len() / 2);
        let jpegs = [
            quadrants(64, 48),
            b"GIF89a".to_vec(),
            damaged,
            quadrants(32, 32),
        ];
        let (bytes, shown, finished) = record("a.mjpeg", &jpegs);
        let header = "\r\n--framegram\r\nContent-Type: image/jpeg\r\nX-Timestamp: 0.100000\r\n\r\n";
        let wanted = [jpegs[0].as_slice(), header.as_bytes(), &jpegs[3]];
        assert_eq!(bytes, wanted.concat());
        let broken = Shown::Undecodable;
        assert_eq!(shown, [Shown::Yes, broken, broken, Shown::Yes]);
        finished.unwrap();
    }

    fn frame_of_noise() -> Vec<u8> {
        jpeg(160, 120, Subsampling::Yuv420, |x, y| {
            [(x * 31 + y * 17) as u8, (x * y) as u8, 128]
        })
    }

    #[test]
    fn y4m_has_a_header_and_every_picture() {
        for frames in [1, 2, 9] {
            let jpegs = vec![quadrants(63, 47); frames];
            let (bytes, shown, finished) = record("a.y4m", &jpegs);
            finished.unwrap();
            assert_eq!(shown, vec![Shown::Yes; frames]);
            let end = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
            let rate = if frames == 1 { "F25:1" } else { "F30:1" };
            assert_eq!(
                std::str::from_utf8(&bytes[..end]).unwrap(),
                format!("YUV4MPEG2 W63 H47 {rate} Ip A1:1 C420jpeg XCOLORRANGE=FULL\n")
            );
            let picture = "FRAME\n".len() + 63 * 47 + 2 * 32 * 24;
            assert_eq!(bytes.len(), end + frames * picture);
            for picture in bytes[end..].chunks(picture) {
                assert!(picture.starts_with(b"FRAME\n"));
            }
        }
    }

    #[test]
    fn y4m_fills_holes_from_the_picture_before() {
        for frames in [2, 9] {
            let mut frames: Vec<_> = (0..frames)
                .map(|number| {
                    let grey = 10 * number as u8 + 40;
                    frame(number, &jpeg(64, 48, Subsampling::Yuv420, |_, _| [grey; 3]))
                })
                .collect();
            // The upper of three rows is stale in all of them, the others never.
            for frame in &mut frames {
                frame.stale.push(0..4);
            }
            let folder = Folder::new();
            let path = folder.path("a.y4m");
            let mut recording = create(&path);
            let live = Live::default();
            let status = Status {
                now: Duration::ZERO,
                live: &live,
                ended: None,
                tiles: &[],
            };
            let (mut concealer, mut last) = (Concealer::default(), None);
            for mut frame in frames.clone() {
                concealer.conceal(&mut frame, last.as_ref());
                recording.show(&frame, &status).unwrap();
                last = Some(frame.jpeg);
            }
            recording.finish().unwrap();
            let bytes = std::fs::read(path).unwrap();
            let end = bytes.iter().position(|&b| b == b'\n').unwrap() + 1;
            let picture = "FRAME\n".len() + 64 * 48 * 3 / 2;
            let pictures = bytes[end..].chunks(picture);
            assert_eq!(pictures.len(), frames.len());
            for (number, picture) in pictures.enumerate() {
                let luma = &picture["FRAME\n".len()..][..64 * 48];
                let (upper, lower) = luma.split_at(64 * 16);
                let grey = 10 * number as u8 + 40;
                assert!(upper.iter().all(|sample| sample.abs_diff(40) < 3));
                assert!(lower.iter().all(|sample| sample.abs_diff(grey) < 3));
            }
        }
    }

    #[test]
    fn y4m_leaves_out_the_frames_that_it_cannot_take() {
        let mut jpegs = vec![quadrants(64, 48); 6];
        jpegs[2] = quadrants(32, 32);
        jpegs[5] = jpeg(64, 48, Subsampling::Yuv444, |_, _| [1, 2, 3]);
        let (bytes, shown, finished) = record("a.y4m", &jpegs);
        let found = bytes.windows(6).filter(|w| w == b"FRAME\n").count();
        assert_eq!(found, 4);
        // Others may send such frames: they are left out, and the rest is good.
        finished.unwrap();
        assert_eq!(shown[5], Shown::Undecodable);
    }

    #[test]
    fn names_say_the_format() {
        assert_eq!(Format::of(Path::new("a.MJPEG")).unwrap(), Format::Mjpeg);
        assert_eq!(Format::of(Path::new("b/a.y4m")).unwrap(), Format::Y4m);
        assert!(Format::of(Path::new("-")).is_err());
        assert!(Format::of(Path::new("a.mp4")).is_err());
    }
}
