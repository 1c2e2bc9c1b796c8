//! The files that a program may open: those named on its command line, and those of
//! the system that any program needs.

use std::env;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, LandlockStatus, RestrictionStatus,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetError, RulesetStatus, make_bitflags,
    path_beneath_rules,
};

use crate::paths::{STANDARD, resolve};

/// The files that a run needs, by default only those of the system.
#[derive(Clone, Debug, Default)]
pub struct Files {
    read: Vec<PathBuf>,
    write: Vec<PathBuf>,
    /// Folders in which files can be written, but not read.
    write_only: Vec<PathBuf>,
    /// Devices and pipes, which are opened but never created.
    devices: Vec<PathBuf>,
    /// The cameras of this machine, including those connected later.
    pub has_cameras: bool,
    /// What a window needs: the display's cookie, cursors and fonts.
    pub has_window: bool,
}

impl Files {
    /// Adds a folder, or a file and all files in its folder, because a playlist
    /// names other files and a file may be replaced. Of a file directly in the
    /// home or root folder, only that file is added.
    pub fn read(mut self, path: &Path) -> Self {
        if path.as_os_str() == STANDARD {
            return self;
        }
        let Ok(real) = path.canonicalize() else {
            // A file that does not exist needs no rule.
            return self;
        };
        // The folder of a link, and the folder of its target.
        let folders = [parent(&real), parent(path)].into_iter().flatten();
        let folders = folders.filter(|folder| !real.is_dir() && !is_wide(folder));
        self.read.extend(folders);
        self.read.push(real);
        self
    }

    /// Adds a file that is read, without its folder.
    pub fn read_alone(mut self, path: &Path) -> Self {
        self.read.extend(path.canonicalize());
        self
    }

    /// Adds a file that is written. Its whole folder becomes writable, because the
    /// new file is written beside the older one and then takes its place. In the
    /// home and root folder, files can be written but not read.
    pub fn write(mut self, path: &Path) -> Self {
        if path.as_os_str() == STANDARD {
            return self;
        }
        if path
            .metadata()
            .is_ok_and(|there| !there.is_file() && !there.is_dir())
        {
            self.devices.push(path.to_owned());
            return self;
        }
        if let Some(folder) = resolve(path).parent() {
            if is_wide(folder) {
                self.write_only.push(folder.into());
            } else {
                self.write.push(folder.into());
            }
        }
        self
    }

    /// Adds the folder of new files, in which nothing can be read.
    pub fn write_new(mut self, path: &Path) -> Self {
        self.write_only.extend(parent(path));
        self
    }

    /// Whether other programs are run. Under Wayland the title bar asks programs
    /// of the desktop for its font and colours.
    pub(super) fn runs_programs(&self) -> bool {
        self.has_window && env::var_os("WAYLAND_DISPLAY").is_some()
    }

    /// Restricts the calling thread, and all threads that it starts, to these
    /// files. Returns what restricts them, or why nothing does.
    pub(super) fn restrict(&self) -> Result<String, String> {
        match self.try_restrict() {
            Ok(RestrictionStatus {
                ruleset: RulesetStatus::NotEnforced,
                ..
            }) => Err("this kernel has no Landlock".to_owned()),
            Ok(status) => Ok(match status.landlock {
                LandlockStatus::Available { effective_abi, .. } => {
                    format!("Landlock {effective_abi:?}")
                }
                _ => "Landlock".to_owned(),
            }),
            Err(error) => Err(error.to_string()),
        }
    }

    fn try_restrict(&self) -> Result<RestrictionStatus, RulesetError> {
        let device = make_bitflags!(AccessFs::{ReadFile | WriteFile | Truncate});
        let system = if self.runs_programs() {
            READ | AccessFs::Execute
        } else {
            READ
        };
        let camera = READ | AccessFs::WriteFile | AccessFs::IoctlDev;
        let cameras = self.has_cameras.then_some("/dev");
        let desktop = if self.has_window {
            desktop()
        } else {
            Vec::new()
        };
        // Paths that do not exist are ignored.
        Ruleset::default()
            .set_compatibility(CompatLevel::BestEffort)
            .handle_access(AccessFs::from_all(ABI::V5))?
            .create()?
            .add_rules(path_beneath_rules(SYSTEM, system))?
            .add_rules(path_beneath_rules(own(), READ))?
            .add_rules(path_beneath_rules(DEVICES, device))?
            .add_rules(path_beneath_rules(["/dev/shm"], READ | WRITE))?
            .add_rules(path_beneath_rules(desktop, READ))?
            .add_rules(path_beneath_rules(cameras, camera))?
            .add_rules(path_beneath_rules(&self.read, READ))?
            .add_rules(path_beneath_rules(&self.write, READ | WRITE))?
            .add_rules(path_beneath_rules(&self.write_only, WRITE))?
            .add_rules(path_beneath_rules(&self.devices, device))?
            .restrict_self()
    }
}

/// The right to read files and list folders.
const READ: BitFlags<AccessFs> = make_bitflags!(AccessFs::{ReadFile | ReadDir});

/// The right to create, write, rename and remove files in a folder.
const WRITE: BitFlags<AccessFs> =
    make_bitflags!(AccessFs::{WriteFile | Truncate | MakeReg | RemoveFile});

/// Libraries and settings that every user may read. `/etc` is here as a whole
/// because the resolver's files are replaced when the network changes.
const SYSTEM: [&str; 10] = [
    "/bin", "/lib", "/lib32", "/lib64", "/usr", "/opt", "/etc", "/run", "/proc", "/sys",
];

/// Devices that any program may use.
const DEVICES: [&str; 6] = [
    "/dev/null",
    "/dev/zero",
    "/dev/full",
    "/dev/random",
    "/dev/urandom",
    "/dev/tty",
];

/// The folders of this program and of libraries outside the system's folders.
fn own() -> Vec<PathBuf> {
    let own = env::current_exe().ok();
    let own = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let stores = ["/nix/store", "/gnu/store"].map(PathBuf::from);
    own.into_iter()
        .chain(stores)
        .chain(paths_in("LD_LIBRARY_PATH"))
        .chain(paths_in("SSL_CERT_FILE"))
        .chain(paths_in("SSL_CERT_DIR"))
        .collect()
}

/// Files that a window reads.
fn desktop() -> Vec<PathBuf> {
    let home = env::home_dir().unwrap_or_default();
    let of_home = [
        ".Xauthority",
        ".XCompose",
        ".icons",
        ".local/share/icons",
        ".fonts",
        ".local/share/fonts",
        ".config/fontconfig",
        ".cache/fontconfig",
        ".config/dconf",
    ];
    let of_home = of_home.map(|name| home.join(name));
    of_home
        .into_iter()
        .chain(["/var/cache/fontconfig".into(), "/tmp/.X11-unix".into()])
        .chain(paths_in("XAUTHORITY"))
        .chain(paths_in("XDG_RUNTIME_DIR"))
        .chain(paths_in("XCURSOR_PATH"))
        .collect()
}

/// The folder of a file.
fn parent(path: &Path) -> Option<PathBuf> {
    let folder = path.parent()?;
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    folder.canonicalize().ok()
}

/// Whether a folder holds too much to be readable as a whole.
fn is_wide(folder: &Path) -> bool {
    let home = env::home_dir().and_then(|home| home.canonicalize().ok());
    folder.parent().is_none() || Some(folder) == home.as_deref()
}

/// The absolute paths in an environment variable.
fn paths_in(variable: &str) -> Vec<PathBuf> {
    let value = env::var_os(variable).unwrap_or_default();
    // A relative or empty path would mean the current folder.
    env::split_paths(&value)
        .filter(|path| path.is_absolute())
        .collect()
}
