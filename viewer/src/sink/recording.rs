//! Records frames in a file or a pipe: JPEGs as received, or decoded as Y4M.

mod times;
mod y4m;

use std::io::{self, BufWriter, IsTerminal, Write};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use framegram_cli::console::Console;
use framegram_cli::errors::is_reader_gone;
use framegram_cli::output::{Growing, OutputFile};
use framegram_cli::paths::STANDARD;
use framegram_cli::pipe::{Pipe, widen};
use framegram_cli::threads::Threads;
use framegram_common::receiver::ReceivedFrame;
use framegram_media::y4m::{FRAME, write_frame};
use framegram_media::{Planes, Undecodable};

use self::times::PartTimes;
use self::y4m::Y4mRecorder;
use super::{Flow, Shown, Sink, Status};
use crate::decoding::DecodingThread;

/// The format of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum RecordingFormat {
    /// The JPEGs as they arrived, with their times between them
    Mjpeg,
    /// Decoded frames (YUV4MPEG2, full range)
    Y4m,
}

/// Records every frame. If the reader of standard output goes away, the recording ends.
pub struct Recording {
    out: Out,
    name: String,
    writer: Writer,
    /// The pipe's reader is gone.
    closed: bool,
    /// Why recording stopped, while the stream goes on.
    failed: Option<anyhow::Error>,
    /// How long a frame waits for the reader of a pipe, and whether the last wait was in vain.
    patience: Option<Duration>,
    unread: bool,
    /// Frames that were not read in time.
    missed: u64,
    decoding: DecodingThread,
    console: Arc<Console>,
}

/// The output of a recording.
enum Out {
    File(BufWriter<Growing>),
    /// Takes a complete frame, or nothing of it.
    Pipe {
        pipe: Arc<Pipe>,
        /// The bytes of the present frame.
        frame: Vec<u8>,
        /// The planes that follow them, passed on without a copy.
        planes: Vec<u8>,
    },
}

enum Writer {
    Mjpeg(PartTimes),
    Y4m(Box<Y4mRecorder>),
}

/// Why a frame is not recorded.
#[derive(Debug)]
enum Failure {
    /// The frame is damaged, or no JPEG.
    Undecodable,
    /// The file or pipe failed.
    Io(io::Error),
}

impl RecordingFormat {
    /// The format that the extension of a file name selects.
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
    /// Claims the file, or takes standard output if the path is `-`. A frame waits for the reader
    /// of a pipe for `patience`, or without limit.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn create(
        path: &Path,
        format: RecordingFormat,
        patience: Option<Duration>,
        console: &Arc<Console>,
        (decoding, threads): (&DecodingThread, &Threads),
    ) -> anyhow::Result<Self> {
        let piped = path.as_os_str() == STANDARD;
        if piped && io::stdout().is_terminal() {
            bail!(
                "pictures are no text for a terminal: pipe them to a program, as in \
                 --output - --output-format y4m | ffplay -, or record to a file"
            );
        }
        if piped {
            widen(io::stdout());
        }
        let file = OutputFile::claim(path, "output", threads)?;
        let out = match file.pipe() {
            Some(pipe) => Out::Pipe {
                pipe: Arc::clone(pipe),
                frame: Vec::new(),
                planes: Vec::new(),
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
        let decoding = decoding.clone();
        if format == RecordingFormat::Y4m && (piped || is_fifo(path)) {
            // Its reader waits for each frame; nobody waits for those of a file.
            decoding.divide(threads)?;
        }
        Ok(Self {
            out,
            name,
            writer: match format {
                RecordingFormat::Mjpeg => Writer::Mjpeg(PartTimes::default()),
                RecordingFormat::Y4m => Writer::Y4m(Box::new(Y4mRecorder::new(decoding.clone()))),
            },
            decoding,
            closed: false,
            failed: None,
            patience,
            unread: false,
            missed: 0,
            console: Arc::clone(console),
        })
    }

    /// Whether it goes to a pipe or a device.
    pub(super) fn is_piped(&self) -> bool {
        matches!(self.out, Out::Pipe { .. })
    }

    /// Writes the frame. Returns whether it was recorded.
    fn write(&mut self, frame: &ReceivedFrame) -> Result<bool, Failure> {
        match &mut self.writer {
            Writer::Mjpeg(times) => {
                self.decoding.check(frame.tile, &frame.jpeg)?;
                times.write(frame, &mut self.out)?;
                self.out.write_all(&frame.jpeg)?;
                if !frame.jpeg.ends_with(&END) {
                    // Without it, the next frame's bytes would count as coded data.
                    self.out.write_all(&END)?;
                }
            }
            Writer::Y4m(y4m) => y4m.write(frame, &mut self.out)?,
        }
        Ok(self.hand_on()?)
    }

    /// Passes on the bytes of a frame. Returns whether there was room.
    fn hand_on(&mut self) -> io::Result<bool> {
        let (pipe, items) = match &mut self.out {
            Out::File(file) => return file.flush().map(|()| true),
            Out::Pipe { frame, .. } if frame.is_empty() => return Ok(true),
            Out::Pipe {
                pipe,
                frame,
                planes,
            } => (pipe, [frame, planes].map(std::mem::take)),
        };
        // If the last wait was in vain, the next frame does not wait.
        let patience = |most| if self.unread { Duration::ZERO } else { most };
        let patience = self.patience.map(patience);
        self.unread = !pipe.put_together(items, patience)?;
        Ok(!self.unread)
    }

    /// Records that a frame was not read in time.
    fn miss(&mut self) {
        self.missed += 1;
        if self.missed == 1 && self.patience.is_some() {
            self.console.say(&format!(
                "Nobody reads {}: it lacks the frames of this time.",
                self.name
            ));
        }
    }

    /// Writes what is still buffered, and ends the file or pipe.
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

    /// Waits until everything is written. Does not wait for the reader of a pipe if a window is
    /// open.
    fn end(&mut self) -> io::Result<()> {
        match &mut self.out {
            Out::File(file) => file.get_mut().finish(),
            Out::Pipe { pipe, .. } if self.patience.is_some() => pipe.finish_soon(),
            Out::Pipe { pipe, .. } => pipe.finish(),
        }
    }

    /// Distinguishes a reader of standard output that has gone, which is a regular end, from a full
    /// disk.
    fn failure(&mut self, error: io::Error) -> Option<anyhow::Error> {
        let error = anyhow::Error::from(error);
        self.closed = is_reader_gone(&error);
        (!self.closed).then(|| error.context(format!("cannot write output {}", self.name)))
    }

    /// Ends the recording, and not the stream.
    ///
    /// # Errors
    /// If nobody is left who sees the stream: the reader of a FIFO has gone, and there is no window.
    fn fail(&mut self, error: io::Error) -> anyhow::Result<()> {
        let is_unread = error.kind() == io::ErrorKind::BrokenPipe && self.patience.is_none();
        match self.failure(error) {
            Some(error) if is_unread => return Err(error),
            Some(error) => {
                self.console
                    .say(&format!("{error:#}; the recording ends here."));
                self.failed = Some(error);
            }
            None => {}
        }
        Ok(())
    }

    /// What becomes of a frame behind the end: a window shows it, and without one it counts as if
    /// nothing were recorded.
    fn count(&self, frame: &ReceivedFrame) -> Shown {
        if self.closed || self.patience.is_some() {
            return Shown::Withheld;
        }
        match self.decoding.check(frame.tile, &frame.jpeg) {
            Ok(()) => Shown::Yes,
            Err(_) => Shown::Undecodable,
        }
    }
}

impl Sink for Recording {
    fn show(&mut self, frame: &ReceivedFrame, _: &Status) -> anyhow::Result<Shown> {
        if self.closed || self.failed.is_some() {
            return Ok(self.count(frame));
        }
        match self.write(frame) {
            Ok(true) => Ok(Shown::Yes),
            Ok(false) => {
                self.miss();
                Ok(Shown::Withheld)
            }
            Err(Failure::Undecodable) => Ok(Shown::Undecodable),
            Err(Failure::Io(error)) => {
                self.fail(error)?;
                Ok(self.count(frame))
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

    fn finish(&mut self) -> anyhow::Result<()> {
        if self.closed {
            return Ok(());
        }
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let ended = self.try_finish();
        if let Writer::Y4m(y4m) = &self.writer
            && y4m.converted() > 0
        {
            let (converted, name) = (y4m.converted(), &self.name);
            self.console.say(&format!(
                "{converted} frames in {name} are converted: Y4M keeps the size and sampling of its \
                 first frame, and they have others; .mjpeg keeps theirs"
            ));
        }
        match ended {
            Err(error) if self.missed == 0 || error.kind() != io::ErrorKind::TimedOut => {
                self.failure(error).map_or(Ok(()), Err)
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

impl Out {
    /// Writes the planes of an image as a Y4M frame, and takes them if that saves a copy.
    fn write_picture(&mut self, image: &mut Planes) -> io::Result<()> {
        let Self::Pipe {
            pipe,
            frame,
            planes,
        } = self
        else {
            return write_frame(image, self);
        };
        frame.append(planes);
        match image.take_packed(pipe.buffer()) {
            Ok(samples) => {
                frame.extend_from_slice(FRAME);
                *planes = samples;
                Ok(())
            }
            Err(_) => write_frame(image, frame),
        }
    }
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.write(bytes),
            Self::Pipe { frame, planes, .. } => {
                frame.append(planes);
                frame.write(bytes)
            }
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

fn is_fifo(path: &Path) -> bool {
    let metadata = path.metadata();
    metadata.is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// The end of a JPEG.
const END: [u8; 2] = [0xff, 0xd9];

/// Collects the rows of a Y4M picture. Larger writes, such as complete JPEGs, bypass it.
const BUFFER: usize = 64 << 10;

#[cfg(test)]
mod tests;
