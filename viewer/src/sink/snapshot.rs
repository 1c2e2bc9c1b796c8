//! One frame as an image file: `.jpg` as received, `.png` decoded.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use bytes::Bytes;
use framegram_cli::output::OutputFile;
use framegram_cli::stop::Stop;
use framegram_cli::threads::Threads;
use framegram_media::{Subsampling, XrgbImage};
use image::ImageEncoder;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use crate::decoding::DecodingThread;

/// The format of an image file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SnapshotKind {
    /// The JPEG's bytes, exactly as received.
    Jpeg,
    /// Decoded and compressed without loss.
    Png,
}

/// The file for the last frame shown, claimed before the first.
pub struct Snapshot {
    file: OutputFile,
    kind: SnapshotKind,
}

/// Numbered file names for snapshots taken with a key.
pub struct Series {
    stem: PathBuf,
    kind: SnapshotKind,
    next: u32,
}

impl SnapshotKind {
    /// The format that the extension of a file name selects.
    ///
    /// # Errors
    /// For any extension but `.jpg`, `.jpeg` and `.png`.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        match extension.to_ascii_lowercase().as_str() {
            "jpg" | "jpeg" => Ok(Self::Jpeg),
            "png" => Ok(Self::Png),
            _ => bail!("a snapshot is a .png or .jpg file, not {}", path.display()),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Jpeg => "jpg",
            Self::Png => "png",
        }
    }

    fn write_picture(self, picture: &XrgbImage, mut out: impl Write) -> anyhow::Result<()> {
        match self {
            Self::Png => write_png(picture, out),
            Self::Jpeg => {
                let jpeg = picture.to_jpeg(QUALITY, Subsampling::Yuv444)?;
                Ok(out.write_all(&jpeg)?)
            }
        }
    }

    fn write(self, jpeg: &Bytes, decoding: &DecodingThread, out: impl Write) -> anyhow::Result<()> {
        match self {
            Self::Jpeg => {
                let mut out = out;
                out.write_all(jpeg)?;
                Ok(out.flush()?)
            }
            Self::Png => write_png(&decoding.decode_whole(jpeg)?, out),
        }
    }
}

impl Snapshot {
    /// Claims the file.
    ///
    /// # Errors
    /// If it cannot be written, or its extension selects another format.
    pub fn claim(path: &Path, threads: &Threads) -> anyhow::Result<Self> {
        let kind = SnapshotKind::of(path)?;
        let file = OutputFile::claim(path, "snapshot", threads)?;
        Ok(Self { file, kind })
    }

    /// Writes the frame. Returns the path.
    ///
    /// # Errors
    /// If the frame cannot be decoded or the disk is full.
    pub fn write(self, jpeg: &Bytes, decoding: &DecodingThread) -> anyhow::Result<PathBuf> {
        let kind = self.kind;
        self.file.replace(|out| kind.write(jpeg, decoding, out))
    }

    /// Writes an image that is not a received frame. Returns the path.
    ///
    /// # Errors
    /// If the disk is full.
    pub fn write_picture(self, picture: &XrgbImage) -> anyhow::Result<PathBuf> {
        let kind = self.kind;
        self.file.replace(|out| kind.write_picture(picture, out))
    }
}

impl Series {
    /// File names next to that of `--snapshot`, otherwise `framegram-1.jpg` and so on in the
    /// current folder.
    pub fn new(beside: Option<&Path>) -> Self {
        let kind = beside.and_then(|path| SnapshotKind::of(path).ok());
        Self {
            stem: beside.map_or_else(
                || PathBuf::from("framegram"),
                |path| path.with_extension(""),
            ),
            kind: kind.unwrap_or(SnapshotKind::Jpeg),
            next: 1,
        }
    }

    /// Writes the frame under the first free name. Returns the path.
    ///
    /// # Errors
    /// If the folder cannot be written to.
    pub fn write(&mut self, jpeg: &Bytes, decoding: &DecodingThread) -> anyhow::Result<PathBuf> {
        let path = self.reserve()?;
        let written = OutputFile::claim(&path, "snapshot", &Threads::new(&Stop::new()))
            .and_then(|file| file.replace(|out| self.kind.write(jpeg, decoding, out)));
        if written.is_err() {
            // An empty file is of no use.
            let _ = fs::remove_file(&path);
        }
        written
    }

    /// Claims the first free name.
    fn reserve(&mut self) -> anyhow::Result<PathBuf> {
        loop {
            let mut name = self.stem.clone().into_os_string();
            name.push(format!("-{}.{}", self.next, self.kind.extension()));
            let path = PathBuf::from(name);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => return Ok(path),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    self.next = self.next.checked_add(1).context("no name is free")?;
                }
                Err(error) => {
                    bail!("cannot write snapshot {}: {error}", path.display())
                }
            }
        }
    }
}

fn rgb(picture: &XrgbImage) -> Vec<u8> {
    let words = picture.pixels.iter();
    words
        .flat_map(|word| word.to_be_bytes().into_iter().skip(1))
        .collect()
}

fn write_png(picture: &XrgbImage, out: impl Write) -> anyhow::Result<()> {
    let (width, height) = (
        u32::try_from(picture.width)?,
        u32::try_from(picture.height)?,
    );
    PngEncoder::new_with_quality(out, CompressionType::Fast, FilterType::Adaptive).write_image(
        &rgb(picture),
        width,
        height,
        image::ExtendedColorType::Rgb8,
    )?;
    Ok(())
}

/// Quality of a JPEG that is encoded here: text stays sharp.
const QUALITY: u8 = 92;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Folder, decoding, quadrants};

    fn claim(path: &Path) -> anyhow::Result<Snapshot> {
        Snapshot::claim(path, &Threads::new(&Stop::new()))
    }

    #[test]
    fn a_jpg_is_the_frame_byte_for_byte() {
        let folder = Folder::new();
        let path = folder.path("last.jpg");
        let jpeg = Bytes::from(quadrants(64, 48));
        let written = claim(&path).unwrap().write(&jpeg, &decoding()).unwrap();
        assert_eq!(written, path);
        assert_eq!(std::fs::read(path).unwrap(), jpeg);
    }

    #[test]
    fn a_png_has_the_decoded_pixels() {
        let folder = Folder::new();
        let path = folder.path("last.PNG");
        let jpeg = Bytes::from(quadrants(64, 48));
        let decoding = decoding();
        claim(&path).unwrap().write(&jpeg, &decoding).unwrap();
        let png = image::load_from_memory(&std::fs::read(path).unwrap()).unwrap();
        let picture = decoding.decode_whole(&jpeg).unwrap();
        for (x, y, pixel) in png.to_rgb8().enumerate_pixels() {
            let word = picture.pixels[y as usize * 64 + x as usize];
            assert_eq!(pixel.0, word.to_be_bytes()[1..], "at {x}, {y}");
        }
    }

    #[test]
    fn a_snapshot_never_taken_leaves_no_file() {
        let folder = Folder::new();
        let path = folder.path("never.jpg");
        drop(claim(&path).unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn refuses_other_formats_and_missing_folders() {
        let folder = Folder::new();
        assert!(claim(&folder.path("a.gif")).is_err());
        assert!(claim(&folder.path("no/such/folder.png")).is_err());
    }

    #[test]
    fn snapshot_numbers_continue_after_existing_files() {
        let folder = Folder::new();
        let mut series = Series::new(Some(&folder.path("shot.jpg")));
        std::fs::write(folder.path("shot-1.jpg"), b"mine").unwrap();
        let jpeg = Bytes::from(quadrants(32, 32));
        let decoding = decoding();
        for name in ["shot-2.jpg", "shot-3.jpg"] {
            assert_eq!(series.write(&jpeg, &decoding).unwrap(), folder.path(name));
        }
        assert_eq!(std::fs::read(folder.path("shot-1.jpg")).unwrap(), b"mine");
        assert_eq!(std::fs::read(folder.path("shot-3.jpg")).unwrap(), jpeg);
    }
}
