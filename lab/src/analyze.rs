//! The subcommand `analyze`: reads the timecodes of a recording.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use framegram_cli::numbers::count;
use framegram_cli::output::{OutputFile, write_json};
use framegram_cli::pipe::StandardOutput;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_common::Statistics;
use framegram_common::jpeg::Splitter;
use framegram_common::stats::{ReportFile, TimecodeCounts};
use framegram_media::y4m::{Y4M_START, Y4mError, Y4mReader};
use framegram_net::clock;

use crate::args::Analyze;
use crate::thresholds::Condition;
use crate::timecode::{self, TimecodeMeter, summary};

/// Reads the recording to its end, and writes the figures of its timecodes to
/// standard output and to the report. Frames on standard input count as seen when
/// they arrive.
///
/// # Errors
/// If the recording cannot be read, has another format or no timecode.
pub fn run(args: &Analyze) -> anyhow::Result<()> {
    let threads = Threads::new(&Stop::new());
    let report = args.report.as_deref();
    let report = report
        .map(|path| OutputFile::claim(path, "report", &threads))
        .transpose()?;
    let is_live = args.recording.as_os_str() == STDIN;
    let name = if is_live {
        "standard input".to_owned()
    } else {
        args.recording.display().to_string()
    };
    let RecordingSummary {
        counts,
        is_cut,
        error,
    } = if is_live {
        read(io::stdin(), &name, TimecodeMeter::new(timecode::clock())?)
    } else {
        let file = File::open(&args.recording).with_context(|| format!("cannot open {name}"))?;
        read(file, &name, TimecodeMeter::new(None)?)
    }?;
    if !args.quiet {
        let text = summary(&counts);
        let lines = [text.as_str(), CUT];
        for line in &lines[..1 + usize::from(is_cut)] {
            if args.report.as_deref() == Some(Path::new(STDIN)) {
                // Closed standard error is no reason to fail.
                let _ = writeln!(io::stderr(), "{line}");
            } else {
                writeln!(StandardOutput, "{line}")?;
            }
        }
    }
    let images = counts.images;
    let is_without = counts.shown == 0;
    let statistics = Statistics {
        timecode: Some(counts),
        ..Statistics::default()
    };
    if let Some(report) = report {
        report.replace(|out| write_json(out, &ReportFile::new(&statistics)))?;
    }
    if let Some(error) = error {
        return Err(error);
    }
    if is_without {
        bail!(
            "none of the {} frames of {name} has a timecode: start framegram-send with \
             --timecode, and record the upper left corner of the frame",
            count(images)
        );
    }
    Ok(Condition::check_all(&args.fail_if, &statistics)?)
}

/// What was read of a recording.
#[derive(Debug)]
struct RecordingSummary {
    counts: TimecodeCounts,
    /// Whether it ended within a frame.
    is_cut: bool,
    /// Why reading stopped early.
    error: Option<anyhow::Error>,
}

fn read(
    mut input: impl Read,
    name: &str,
    meter: TimecodeMeter,
) -> anyhow::Result<RecordingSummary> {
    let mut start = Vec::new();
    let sniffed = input.by_ref().take(SNIFF).read_to_end(&mut start);
    sniffed.with_context(|| format!("cannot read {name}"))?;
    if start.is_empty() {
        bail!("{name} is empty");
    }
    let kind = start.clone();
    let input = io::Cursor::new(start).chain(input);
    if kind.starts_with(Y4M_START) {
        read_y4m(input, name, meter)
    } else if kind.starts_with(JPEG_START) {
        Ok(read_jpegs(input, name, meter))
    } else {
        bail!(
            "{name} is neither Y4M nor Motion JPEG: convert it, ffmpeg -i FILE -f yuv4mpegpipe \
             -pix_fmt yuv420p - | framegram-lab analyze -"
        )
    }
}

fn read_y4m(
    input: impl Read,
    name: &str,
    mut meter: TimecodeMeter,
) -> anyhow::Result<RecordingSummary> {
    let input = BufReader::with_capacity(READ, input);
    let mut reader = Y4mReader::new(input).with_context(|| format!("cannot read {name}"))?;
    let mut planes = Vec::new();
    let mut frames = 0_u64;
    let mut is_cut = false;
    let error = loop {
        let read = reader.next_frame().and_then(|more| {
            planes.resize(reader.header().frame_bytes(), 0);
            more.then(|| reader.read_planes(&mut planes)).transpose()
        });
        match read {
            Ok(Some(())) => {
                let header = reader.header();
                let (width, height) = (header.width, header.height);
                header.to_planes(&mut planes);
                meter.read_luma(&planes[..width * height], width, height, clock::now());
            }
            Ok(None) => break None,
            Err(Y4mError::CutOff(_)) => {
                is_cut = true;
                break None;
            }
            Err(error) => {
                let what = format!("frame {frames} of {name} is damaged");
                break Some(anyhow::Error::from(error).context(what));
            }
        }
        frames += 1;
    };
    if frames == 0
        && let Some(error) = error
    {
        return Err(error);
    }
    Ok(RecordingSummary {
        counts: meter.figures(),
        is_cut,
        error,
    })
}

fn read_jpegs(mut input: impl Read, name: &str, mut meter: TimecodeMeter) -> RecordingSummary {
    let mut splitter = Splitter::new();
    let error = loop {
        match splitter.read_from(&mut input) {
            Ok(0) => break None,
            Ok(_) => {}
            Err(error) => {
                let error = anyhow::Error::new(error);
                break Some(error.context(format!("cannot read {name}")));
            }
        }
        let now = clock::now();
        while let Some(jpeg) = splitter.next_jpeg() {
            meter.read_jpeg(&jpeg, now);
        }
    };
    let broken = splitter.broken();
    splitter.end();
    RecordingSummary {
        counts: meter.figures(),
        // A JPEG that is complete only after the end of input has no end of its
        // own.
        is_cut: error.is_none() && (splitter.next_jpeg().is_some() || splitter.broken() > broken),
        error,
    }
}

const CUT: &str = "The recording is incomplete: its last frame is cut off and not counted.";

/// Name of standard input and output on the command line.
const STDIN: &str = "-";

const JPEG_START: &[u8] = &[0xFF, 0xD8, 0xFF];

/// Number of leading bytes that identify the format.
const SNIFF: u64 = 10;

/// Size of the read buffer in bytes.
const READ: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timecode::{Timecode, meter::tests::jpeg};

    fn luma(number: u64, width: usize, height: usize) -> Vec<u8> {
        let mut luma = vec![90; width * height];
        Timecode::new(number, Duration::from_secs(1), 3, 4)
            .draw_luma(&mut luma, width, width, height);
        luma
    }

    fn y4m(header: &str, chroma: usize, numbers: &[u64]) -> Vec<u8> {
        let mut bytes = format!("YUV4MPEG2 W161 H99 F30:1 {header}\n").into_bytes();
        for &number in numbers {
            bytes.extend_from_slice(b"FRAME Ip\n");
            bytes.extend_from_slice(&luma(number, 161, 99));
            bytes.resize(bytes.len() + chroma, 128);
        }
        bytes
    }

    fn recording(bytes: &[u8]) -> anyhow::Result<RecordingSummary> {
        read(bytes, "it", TimecodeMeter::new(None).unwrap())
    }

    fn analyze(bytes: &[u8]) -> anyhow::Result<TimecodeCounts> {
        recording(bytes).map(|recording| recording.counts)
    }

    #[test]
    fn reads_y4m_of_every_subsampling() {
        for (header, chroma) in [
            ("", 2 * 81 * 50),
            ("C420jpeg Ip", 2 * 81 * 50),
            ("C422", 2 * 81 * 99),
            ("C411", 2 * 41 * 99),
            ("C444", 2 * 161 * 99),
            ("Cmono A1:1", 0),
        ] {
            let figures = analyze(&y4m(header, chroma, &[0, 1, 1, 3])).unwrap();
            assert_eq!(
                (figures.shown, figures.lost, figures.repeated),
                (3, 1, 1),
                "{header}"
            );
            assert_eq!((figures.images, figures.unread), (4, 0), "{header}");
        }
    }

    #[test]
    fn says_what_is_wrong_in_one_line() {
        for (bytes, words) in [
            (&b""[..], "is empty"),
            (b"\0\0\0\x20ftypisom", "-f yuv4mpegpipe"),
            (b"YUV4MPEG2 W161 H99 C412\n", "-pix_fmt yuv420p"),
            (b"YUV4MPEG2 W161\n", "no size"),
            (b"YUV4MPEG2 W99999 H99999\n", "99999x99999"),
            (b"YUV4MPEG2 W16 H16\nFRAMES\n", "frame 0"),
        ] {
            let error = format!("{:#}", analyze(bytes).unwrap_err());
            assert!(error.contains(words), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let endless = [b"YUV4MPEG2 ".as_slice(), &[b'x'; 5000]].concat();
        assert!(analyze(&endless).is_err());
    }

    #[test]
    fn a_recording_that_was_cut_off_is_read_as_far_as_it_goes() {
        let uncut = y4m("C444", 2 * 161 * 99, &[5, 6]);
        for cut in [1, 161 * 99, 2 * 161 * 99 + 50, 3 * 161 * 99 + 4] {
            let read = recording(&uncut[..uncut.len() - cut]).unwrap();
            let figures = &read.counts;
            assert_eq!((figures.images, figures.shown), (1, 1), "{cut}");
            assert!(read.is_cut && read.error.is_none(), "{cut}");
        }
        assert!(!recording(&uncut).unwrap().is_cut);
        let jpegs = [jpeg(None), jpeg(None)].concat();
        assert!(!recording(&jpegs).unwrap().is_cut);
        let read = recording(&jpegs[..jpegs.len() - 9]).unwrap();
        assert!(read.is_cut && read.counts.images == 1);
    }

    #[test]
    fn images_before_the_damage_are_counted() {
        let mut bytes = y4m("Cmono", 0, &[5, 6, 8]);
        let end = bytes.len();
        let third = end - 161 * 99 - "FRAME Ip\n".len();
        bytes[third] = b'X';
        let read = recording(&bytes).unwrap();
        assert_eq!((read.counts.images, read.counts.shown), (2, 2));
        let error = format!("{:#}", read.error.unwrap());
        assert!(error.contains("frame 2 of it"), "{error}");
    }

    #[test]
    fn a_recording_without_timecodes_has_none() {
        let figures = analyze(&[jpeg(None), jpeg(None)].concat()).unwrap();
        assert_eq!((figures.images, figures.unread, figures.shown), (2, 2, 0));
    }
}
