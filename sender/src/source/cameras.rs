//! Lists the cameras, with names that last: the number of a device may change at a restart.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Where the system keeps the names of video devices.
const CLASS: &str = "/sys/class/video4linux";

/// Where `udev` keeps persistent links: by identity and, since two cameras of a kind may be
/// identical there, by the port they are plugged into.
const LINKS: [&str; 2] = ["/dev/v4l/by-id", "/dev/v4l/by-path"];

/// A camera.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Camera {
    /// Its name.
    pub name: String,
    /// Its present device.
    pub device: PathBuf,
    /// A persistent link to it, if there is one.
    pub link: Option<PathBuf>,
}

impl Camera {
    /// Its formats, each with the sizes and their highest frame rates.
    pub fn formats(&self) -> Vec<String> {
        let device = self.device.display().to_string();
        let Ok(camera) = rscam::new(&device) else {
            return vec!["it does not open; another program may use it, or you may not".into()];
        };
        let formats = camera.formats().flatten();
        formats.map(|format| describe(&camera, &format)).collect()
    }
}

fn describe(camera: &rscam::Camera, format: &rscam::FormatInfo) -> String {
    let code = code(format.format);
    let sizes = match camera.resolutions(&format.format) {
        Ok(rscam::ResolutionInfo::Discretes(sizes)) => {
            let size = |size: &(u32, u32)| {
                let rate = highest_rate(camera.intervals(&format.format, *size).ok());
                let rate = rate.map_or(String::new(), |rate| format!("@{rate:.4}"));
                format!("{}x{}{rate}", size.0, size.1)
            };
            sizes.iter().map(size).collect::<Vec<_>>().join(" ")
        }
        Ok(rscam::ResolutionInfo::Stepwise { min, max, .. }) => {
            format!("{}x{} to {}x{}", min.0, min.1, max.0, max.1)
        }
        Err(_) => String::new(),
    };
    format!("{code}: {sizes}")
}

/// A format as four characters. The highest bit marks big-endian samples.
///
/// <https://docs.kernel.org/userspace-api/media/v4l/pixfmt.html>
fn code([a, b, c, d]: [u8; 4]) -> String {
    let letters = String::from_utf8_lossy(&[a, b, c, d & 0x7f]).into_owned();
    let order = if d & 0x80 > 0 { "-BE" } else { "" };
    format!("{}{order}", letters.trim_end())
}

/// Frames per second at the shortest interval, given as a fraction of a second.
fn highest_rate(intervals: Option<rscam::IntervalInfo>) -> Option<f64> {
    let rate = |(over, under): (u32, u32)| f64::from(under) / f64::from(over.max(1));
    match intervals? {
        rscam::IntervalInfo::Discretes(all) => all.into_iter().map(rate).max_by(f64::total_cmp),
        rscam::IntervalInfo::Stepwise { min, .. } => Some(rate(min)),
    }
}

/// The list for a person: a line for each camera and for each of its formats.
pub fn list() -> String {
    let cameras = all();
    if cameras.is_empty() {
        return "there is no camera\n".into();
    }
    let mut text = String::new();
    for (index, camera) in cameras.iter().enumerate() {
        let number = number(&camera.device).unwrap_or(index as u32);
        text += &format!("camera:{number}  {}\n", camera.name);
        text += &format!("  {}\n", camera.device.display());
        if let Some(link) = &camera.link {
            text += &format!("  {}\n", link.display());
        }
        for format in camera.formats() {
            text += &format!("    {format}\n");
        }
    }
    text
}

/// All cameras, by device number.
pub fn all() -> Vec<Camera> {
    let mut cameras = in_folders(Path::new(CLASS), &LINKS.map(Path::new));
    cameras.sort_by_key(|camera| number(&camera.device));
    cameras
}

fn in_folders(class: &Path, links: &[&Path]) -> Vec<Camera> {
    let links = links_in(links);
    let devices = fs::read_dir(class).into_iter().flatten().flatten();
    devices
        .filter_map(|entry| {
            let device = Path::new("/dev").join(entry.file_name());
            number(&device)?;
            let read = |file: &str| fs::read_to_string(entry.path().join(file)).ok();
            // Further devices of the same camera deliver no pictures.
            let is_first = read("index").is_none_or(|index| index.trim() == "0");
            let name = read("name")?;
            is_first.then(|| Camera {
                // The name comes from the device.
                name: name
                    .trim()
                    .chars()
                    .filter(|char| !char.is_control())
                    .collect(),
                link: link_to(&device, &links),
                device,
            })
        })
        .collect()
}

/// The links in these folders, each with the device that it leads to.
fn links_in(folders: &[&Path]) -> Vec<(PathBuf, PathBuf)> {
    let entries = folders.iter().flat_map(fs::read_dir).flatten().flatten();
    entries
        .filter_map(|link| Some((link.path().canonicalize().ok()?, link.path())))
        .collect()
}

/// The first link to a device.
fn link_to(device: &Path, links: &[(PathBuf, PathBuf)]) -> Option<PathBuf> {
    let found = links.iter().find(|(target, _)| target == device);
    found.map(|(_, link)| link.clone())
}

/// The number of a video device.
pub(super) fn number(device: &Path) -> Option<u32> {
    let name = device.file_name()?.to_str()?;
    name.strip_prefix("video")?.parse().ok()
}

/// The device of the only camera whose name contains this text, in any case.
pub(super) fn find(name: &str) -> Result<PathBuf> {
    choose(name, &all())
}

fn choose(name: &str, cameras: &[Camera]) -> Result<PathBuf> {
    let wanted = name.to_lowercase();
    let has_it = |camera: &&Camera| {
        let link = camera.link.as_ref().and_then(|link| link.file_name());
        let link = link.map(|link| link.to_string_lossy().to_lowercase());
        camera.name.to_lowercase().contains(&wanted)
            || link.is_some_and(|link| link.contains(&wanted))
    };
    let found: Vec<_> = cameras.iter().filter(has_it).collect();
    let exact = found
        .iter()
        .find(|camera| camera.name.to_lowercase() == wanted);
    match (found[..].as_ref(), exact) {
        (_, Some(camera)) if found.len() > 1 => Ok(camera.device.clone()),
        ([camera], _) => Ok(camera.device.clone()),
        ([], _) => bail!(
            "there is no camera named {name:?}; see which there are with: framegram-send cameras"
        ),
        (several, _) => bail!(
            "{} cameras are named like {name:?}; see which there are with: framegram-send cameras",
            several.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn camera(name: &str, number: u32, link: Option<&str>) -> Camera {
        Camera {
            name: name.into(),
            device: format!("/dev/video{number}").into(),
            link: link.map(|link| Path::new(LINKS[0]).join(link)),
        }
    }

    #[test]
    fn formats_are_named_by_their_letters() {
        assert_eq!(code(*b"MJPG"), "MJPG");
        assert_eq!(code(*b"Y10 "), "Y10");
        assert_eq!(code([b'Y', b'1', b'6', 0xa0]), "Y16-BE");
    }

    #[test]
    fn a_unique_part_of_its_name_selects_a_camera() {
        let cameras = [
            camera(
                "HD Pro Webcam C920",
                0,
                Some("usb-046d_HD_Pro_Webcam_C920_A1-video-index0"),
            ),
            camera(
                "HD Pro Webcam C920",
                2,
                Some("usb-046d_HD_Pro_Webcam_C920_B2-video-index0"),
            ),
            camera("Integrated Camera", 4, None),
        ];
        let choose = |name: &str| choose(name, &cameras).map_err(|error| error.to_string());
        assert_eq!(choose("integrated"), Ok("/dev/video4".into()));
        assert_eq!(choose("c920_b2"), Ok("/dev/video2".into()));
        assert!(choose("C920").unwrap_err().starts_with("2 cameras"));
        assert!(choose("C270").unwrap_err().contains("no camera"));
    }

    #[test]
    fn the_second_of_two_cameras_with_one_name_has_a_link_by_its_port() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let (class, id, path) = (folder.join("class"), folder.join("id"), folder.join("path"));
        for own in [&id, &path] {
            fs::create_dir_all(own).unwrap();
        }
        // Devices that every machine has, in place of cameras.
        let link = |to: &str, from: PathBuf| std::os::unix::fs::symlink(to, from).unwrap();
        link("/dev/null", id.join("usb-Cam"));
        link("/dev/null", path.join("pci-1"));
        link("/dev/zero", path.join("pci-2"));
        let known = [&id, &path].map(PathBuf::as_path);
        let found = |device: &str| link_to(Path::new(device), &links_in(&known));
        assert_eq!(found("/dev/null"), Some(id.join("usb-Cam")));
        assert_eq!(found("/dev/zero"), Some(path.join("pci-2")));
        assert_eq!(found("/dev/full"), None);
        assert_eq!(in_folders(&class, &known), []);
    }

    #[test]
    fn camera_names_contain_no_control_characters() {
        let folder = std::env::temp_dir().join(format!("framegram-cameras-{}", std::process::id()));
        let class = folder.join("class");
        for (device, index, name) in [
            ("video0", "0\n", "Cam\x1b[2Jera\n"),
            ("video1", "1\n", "Camera\n"),
        ] {
            fs::create_dir_all(class.join(device)).unwrap();
            fs::write(class.join(device).join("index"), index).unwrap();
            fs::write(class.join(device).join("name"), name).unwrap();
        }
        let found = in_folders(&class, &[&folder.join("none")]);
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [camera("Cam[2Jera", 0, None)]);
    }
}
