//! A recording instead of a stream: what the stamps in its pictures say.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use anyhow::{Context, bail};
use framegram_cli::numbers;
use framegram_cli::pipe::StandardOutput;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_common::Statistics;
use framegram_common::jpeg::Splitter;
use framegram_common::stats::Stamps;
use framegram_media::y4m::{Y4M_START, Y4mError, Y4mReader};
use framegram_net::clock;

use crate::args::Args;
use crate::gate::Condition;
use crate::report::advice::Advice;
use crate::report::files::Files;
use crate::report::text;
use crate::stamps::StampReader;

/// Reads the recording, or standard input where `path` is `-`, to its end, and
/// writes what the stamps say to standard output and to the report. What comes
/// on standard input counts as seen when it comes.
///
/// # Errors
/// When it cannot be read, is of another kind, or has no stamp in any picture.
pub fn run(path: &Path, args: &Args) -> anyhow::Result<()> {
    let files = Files::claim(&args.report, &Threads::new(&Stop::new()))?;
    let live = path.as_os_str() == "-";
    let name = if live {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    };
    let Recording {
        stamps,
        is_cut,
        broken,
    } = if live {
        read(io::stdin(), &name, StampReader::new()?)
    } else {
        let file = File::open(path).with_context(|| format!("cannot open {name}"))?;
        read(file, &name, StampReader::without_clock()?)
    }?;
    if !args.quiet {
        let line = text::stamps(&stamps);
        let lines = [line.trim_start(), CUT];
        for line in &lines[..1 + usize::from(is_cut)] {
            if files.are_piped() {
                // Nobody reading there is no reason to fail.
                let _ = writeln!(io::stderr(), "{line}");
            } else {
                writeln!(StandardOutput, "{line}")?;
            }
        }
    }
    let statistics = Statistics {
        stamps: Some(stamps.clone()),
        ..Statistics::default()
    };
    files.finish(&statistics, None, &Advice::default(), 0)?;
    if let Some(error) = broken {
        return Err(error);
    }
    if stamps.shown == 0 {
        bail!(
            "no stamp is in any of the {} pictures of {name}: give framegram-send --stamp, \
             and record the picture's upper left corner too",
            numbers::count(stamps.pictures)
        );
    }
    Ok(Condition::check_all(&args.fail_if, &statistics)?)
}

/// What was read of a recording.
#[derive(Debug)]
struct Recording {
    stamps: Stamps,
    /// Whether it ended within a picture.
    is_cut: bool,
    /// Why it was not read further.
    broken: Option<anyhow::Error>,
}

fn read(mut input: impl Read, name: &str, stamps: StampReader) -> anyhow::Result<Recording> {
    let mut start = Vec::new();
    let sniffed = input.by_ref().take(SNIFF).read_to_end(&mut start);
    sniffed.with_context(|| format!("cannot read {name}"))?;
    if start.is_empty() {
        bail!("{name} is empty");
    }
    let kind = start.clone();
    let input = io::Cursor::new(start).chain(input);
    if kind.starts_with(Y4M_START) {
        read_y4m(input, name, stamps)
    } else if kind.starts_with(JPEG_START) {
        Ok(read_jpegs(input, name, stamps))
    } else {
        bail!(
            "{name} is neither Y4M nor a stream of JPEGs: type ffmpeg -i FILE -f yuv4mpegpipe \
             -pix_fmt yuv420p - | framegram-view --analyse -"
        )
    }
}

fn read_y4m(input: impl Read, name: &str, mut stamps: StampReader) -> anyhow::Result<Recording> {
    let input = BufReader::with_capacity(READ, input);
    let mut reader = Y4mReader::new(input).with_context(|| format!("cannot take {name}"))?;
    let (width, height) = (reader.header().width, reader.header().height);
    let mut planes = vec![0; reader.header().frame_bytes()];
    let mut pictures = 0_u64;
    let mut is_cut = false;
    let broken = loop {
        match reader.read_frame(&mut planes) {
            Ok(true) => stamps.read_luma(&planes[..width * height], width, height, clock::now()),
            Ok(false) => break None,
            Err(Y4mError::CutOff(_)) => {
                is_cut = true;
                break None;
            }
            Err(error) => {
                let what = format!("picture {pictures} of {name} is broken");
                break Some(anyhow::Error::from(error).context(what));
            }
        }
        pictures += 1;
    };
    if pictures == 0
        && let Some(error) = broken
    {
        return Err(error);
    }
    Ok(Recording {
        stamps: stamps.figures(),
        is_cut,
        broken,
    })
}

fn read_jpegs(mut input: impl Read, name: &str, mut stamps: StampReader) -> Recording {
    let mut splitter = Splitter::new();
    let broken = loop {
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
            stamps.read_jpeg(&jpeg, now);
        }
    };
    let whole = splitter.broken();
    splitter.end();
    Recording {
        stamps: stamps.figures(),
        is_cut: broken.is_none() && splitter.broken() > whole,
        broken,
    }
}

/// What is said of a recording that ends within a picture.
const CUT: &str = "The recording is cut off: its last picture is not whole, and not counted.";

const JPEG_START: &[u8] = &[0xFF, 0xD8, 0xFF];

/// As many first bytes as tell the kinds apart.
const SNIFF: u64 = 10;

/// How much is read at once.
const READ: usize = 256 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use framegram_lab::timecode::Stamp;

    use super::*;
    use crate::fixture::quadrants;

    fn luma(number: u64, width: usize, height: usize) -> Vec<u8> {
        let mut luma = vec![90; width * height];
        Stamp::new(number, Duration::from_secs(1), 3, 4).draw_luma(&mut luma, width, width, height);
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

    fn recording(bytes: &[u8]) -> anyhow::Result<Recording> {
        read(bytes, "it", StampReader::without_clock().unwrap())
    }

    fn analyse(bytes: &[u8]) -> anyhow::Result<Stamps> {
        recording(bytes).map(|recording| recording.stamps)
    }

    #[test]
    fn reads_y4m_of_every_sampling() {
        for (header, chroma) in [
            ("", 2 * 81 * 50),
            ("C420jpeg Ip", 2 * 81 * 50),
            ("C422", 2 * 81 * 99),
            ("C411", 2 * 41 * 99),
            ("C444", 2 * 161 * 99),
            ("Cmono A1:1", 0),
        ] {
            let figures = analyse(&y4m(header, chroma, &[0, 1, 1, 3])).unwrap();
            assert_eq!(
                (figures.shown, figures.lost, figures.repeated),
                (3, 1, 1),
                "{header}"
            );
            assert_eq!((figures.pictures, figures.unread), (4, 0), "{header}");
        }
    }

    #[test]
    fn says_what_is_wrong_in_one_line() {
        for (bytes, words) in [
            (&b""[..], "is empty"),
            (b"\0\0\0\x20ftypisom", "-f yuv4mpegpipe"),
            (b"YUV4MPEG2 W161 H99 C420p10\n", "-pix_fmt yuv420p"),
            (b"YUV4MPEG2 W161\n", "no size"),
            (b"YUV4MPEG2 W99999 H99999\n", "99999x99999"),
            (b"YUV4MPEG2 W16 H16\nFRAMES\n", "picture 0"),
        ] {
            let error = format!("{:#}", analyse(bytes).unwrap_err());
            assert!(error.contains(words), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let endless = [b"YUV4MPEG2 ".as_slice(), &[b'x'; 5000]].concat();
        assert!(analyse(&endless).is_err());
    }

    #[test]
    fn a_recording_that_was_cut_off_is_read_as_far_as_it_goes() {
        let whole = y4m("C444", 2 * 161 * 99, &[5, 6]);
        for cut in [1, 161 * 99, 2 * 161 * 99 + 50, 3 * 161 * 99 + 4] {
            let read = recording(&whole[..whole.len() - cut]).unwrap();
            let figures = &read.stamps;
            assert_eq!((figures.pictures, figures.shown), (1, 1), "{cut}");
            assert!(read.is_cut && read.broken.is_none(), "{cut}");
        }
        assert!(!recording(&whole).unwrap().is_cut);
        let jpegs = [quadrants(160, 120), quadrants(160, 120)].concat();
        assert!(!recording(&jpegs).unwrap().is_cut);
        let read = recording(&jpegs[..jpegs.len() - 9]).unwrap();
        assert!(read.is_cut && read.stamps.pictures == 1);
    }

    #[test]
    fn what_was_good_before_the_damage_is_counted() {
        let mut bytes = y4m("Cmono", 0, &[5, 6, 8]);
        let end = bytes.len();
        let third = end - 161 * 99 - "FRAME Ip\n".len();
        bytes[third] = b'X';
        let read = recording(&bytes).unwrap();
        assert_eq!((read.stamps.pictures, read.stamps.shown), (2, 2));
        let error = format!("{:#}", read.broken.unwrap());
        assert!(error.contains("picture 2 of it"), "{error}");
    }

    #[test]
    fn a_recording_without_stamps_has_none() {
        let figures = analyse(&[quadrants(160, 120), quadrants(160, 120)].concat()).unwrap();
        assert_eq!((figures.pictures, figures.unread, figures.shown), (2, 2, 0));
    }
}
