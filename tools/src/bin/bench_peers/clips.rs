//! The clips that all programs send: the scene of `sample-media/`, seen through grain.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use framegram_tests::program::executable;

/// Frames per second.
pub(crate) const RATE: u32 = 30;

/// Grain that FFmpeg's filter adds, the same in each frame, so that JPEGs are as large as those of a
/// camera. Grain that changed with each frame would make the decoding of H.264, which costs all
/// programs the same, 0.8 to 0.9 of their processor time; of files from cameras it is about 0.6.
const GRAIN: &str = "noise=all_seed=1:alls=9";

/// The peers' JPEG quality.
pub(crate) const QUALITY: u8 = 80;

/// How a clip is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    /// A file that is decoded and then encoded as JPEGs.
    H264,
    /// JPEGs that are sent unchanged.
    MotionJpeg,
}

/// What framegram's JPEGs have in common with those of GStreamer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Equal {
    /// All: they are passed through.
    Jpegs,
    /// How similar they are to the original according to SSIMULACRA2.
    Similarity,
    /// Their size.
    Bytes,
}

/// A file, and the quality at which framegram encodes it.
#[derive(Clone, Debug)]
pub(crate) struct Clip {
    pub(crate) name: &'static str,
    pub(crate) coding: Coding,
    pub(crate) equal: Equal,
    pub(crate) quality: u8,
    pub(crate) size: (usize, usize),
    pub(crate) frames: u32,
    pub(crate) path: PathBuf,
}

impl Clip {
    /// Its size and what is equal, for tables.
    pub(crate) fn title(&self) -> String {
        let name = self.name;
        match self.equal {
            Equal::Jpegs => name.to_owned(),
            Equal::Similarity => format!("{name} at equal SSIMULACRA2"),
            Equal::Bytes => format!("{name} at equal bytes"),
        }
    }

    /// Whether the targets apply to it.
    pub(crate) fn is_judged(&self) -> bool {
        self.equal != Equal::Bytes
    }

    /// Bytes of a 4:2:0 picture in planes.
    pub(crate) fn raw_bytes(&self) -> usize {
        self.size.0 * self.size.1 * 3 / 2
    }

    /// Bytes of the file.
    pub(crate) fn bytes(&self) -> Result<u64> {
        Ok(fs::metadata(&self.path)?.len())
    }
}

/// The clips in both sizes and both codings. Those that do not exist yet are made.
pub(crate) fn clips(folder: &Path) -> Result<Vec<Clip>> {
    fs::create_dir_all(folder)?;
    let sizes = [("360p", (640, 360), 600), ("1080p", (1920, 1080), 300)];
    let mut clips = Vec::new();
    for (name, size, frames) in sizes {
        for (coding, file) in [(Coding::H264, "mp4"), (Coding::MotionJpeg, "avi")] {
            let clip = Clip {
                name,
                coding,
                equal: Equal::Jpegs,
                quality: QUALITY,
                size,
                frames,
                path: folder.join(format!("{name}.{file}")),
            };
            if !clip.path.exists() {
                eprintln!("making {}", clip.path.display());
                make(&clip)?;
            }
            clips.push(clip);
        }
    }
    Ok(clips)
}

/// The first frames of a clip, as FFmpeg writes them.
pub(crate) fn decoded(clip: &Clip, frames: usize, format: &str) -> Result<Vec<u8>> {
    let frames = frames.to_string();
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-i"])
        .arg(&clip.path)
        .args(["-an", "-frames:v", &frames])
        .args(format.split(' '))
        .arg("-")
        .output()
        .context("ffmpeg is missing")?;
    ensure!(
        output.status.success(),
        "cannot read {}",
        clip.path.display()
    );
    Ok(output.stdout)
}

fn make(clip: &Clip) -> Result<()> {
    let (width, height) = clip.size;
    let mut scene = Command::new(executable("scene"))
        .arg(format!("{width}x{height}@{RATE}"))
        .arg(clip.frames.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot draw the scene")?;
    let pictures = scene.stdout.take().context("piped")?;
    // Only a complete clip has this name.
    let unfinished = clip.path.with_extension("part");
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-i", "-", "-vf", GRAIN]);
    ffmpeg.args(match clip.coding {
        Coding::H264 => "-c:v libx264 -preset medium -crf 18 -pix_fmt yuv420p -f mp4".split(' '),
        Coding::MotionJpeg => {
            "-c:v mjpeg -huffman default -q:v 4 -pix_fmt yuvj420p -f avi".split(' ')
        }
    });
    let status = ffmpeg.arg(&unfinished).stdin(pictures).status();
    ensure!(
        status.context("ffmpeg is missing")?.success() && scene.wait()?.success(),
        "cannot make {}",
        clip.path.display()
    );
    Ok(fs::rename(unfinished, &clip.path)?)
}
