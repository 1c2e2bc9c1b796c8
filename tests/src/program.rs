//! Runs the programs as processes: builds, starts, watches and ends them.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Longest time that any step may take on a busy machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Interval between checks of a condition.
const LOOK: Duration = Duration::from_millis(5);

/// Name of the sender's program.
pub const SENDER: &str = "framegram-send";

/// Name of the viewer's program.
pub const VIEWER: &str = "framegram-view";

/// Name of the laboratory's program.
pub const LAB: &str = "framegram-lab";

/// For viewers in tests that are not about time: on busy processors, a sender may
/// pause within a frame for longer than the default latency.
pub const PATIENT: &str = "--latency 400ms";

/// Path of a program, built in the same profile as this one. All programs are
/// built on the first call.
///
/// # Panics
/// If cargo cannot build them.
pub fn executable(name: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let own = std::env::current_exe().expect("a program knows its path");
        let mut folder = own.parent().expect("a file is in a folder").to_owned();
        if folder.ends_with("deps") {
            folder.pop();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--quiet", "--workspace", "--bins"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        let built = build.current_dir(root()).status();
        assert!(
            built.is_ok_and(|status| status.success()),
            "cargo build failed"
        );
        folder
    });
    folder.join(name)
}

/// The project's root folder.
pub fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
}

/// A file in `sample-media/`.
pub fn media(name: &str) -> String {
    root().join("sample-media").join(name).display().to_string()
}

/// Test footage: the videos in the folder that `FRAMEGRAM_FOOTAGE` names,
/// otherwise the project's own clip.
///
/// # Panics
/// If that folder has no videos.
pub fn footage() -> Vec<String> {
    let Some(folder) = std::env::var_os("FRAMEGRAM_FOOTAGE") else {
        return vec![media("clip.mp4")];
    };
    let files = fs::read_dir(&folder).into_iter().flatten().flatten();
    let video = |path: &PathBuf| {
        path.extension()
            .is_some_and(|kind| kind == "mp4" || kind == "mkv")
    };
    let videos = files.map(|file| file.path()).filter(video);
    let mut paths: Vec<_> = videos.map(|path| path.display().to_string()).collect();
    assert!(!paths.is_empty(), "no video in {}", folder.display());
    paths.sort();
    paths
}

/// An address of this machine that no other test uses. Each test process has its
/// own host in 127/8, derived from its process ID, and counts the ports. The next
/// port is for RTCP.
pub fn address() -> SocketAddr {
    static PORT: AtomicU16 = AtomicU16::new(5_005);
    let [_, high, middle, low] = std::process::id().to_be_bytes();
    let host = Ipv4Addr::new(127, high.max(1), middle, low);
    (host, PORT.fetch_add(2, Ordering::Relaxed)).into()
}

/// Waits until `condition` returns a value.
///
/// # Panics
/// With `what`, if the deadline passes.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        thread::sleep(LOOK);
    }
}

/// A program to be started, with its own folder and report file.
#[derive(Debug)]
pub struct Start {
    command: Command,
    name: String,
    folder: TempDir,
}

impl Start {
    /// The program `name` with these arguments, separated by blanks.
    ///
    /// # Panics
    /// If no temporary folder can be created.
    pub fn new(name: &str, arguments: &str) -> Self {
        Self::within(Command::new(executable(name)), name).with(arguments.split_whitespace())
    }

    /// The program `name`, started through another one, such as `ip netns exec`.
    ///
    /// # Panics
    /// If no temporary folder can be created.
    pub fn by(starter: &[&str], name: &str, arguments: &str) -> Self {
        let mut command = Command::new(starter[0]);
        command.args(&starter[1..]).arg(executable(name));
        Self::within(command, name).with(arguments.split_whitespace())
    }

    fn within(mut command: Command, name: &str) -> Self {
        let folder = tempfile::tempdir().expect("no place for temporary files");
        // No display, unless a test sets one.
        command
            .env_remove("DISPLAY")
            .env_remove("WAYLAND_DISPLAY")
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Self {
            command,
            name: name.to_owned(),
            folder,
        }
    }

    /// Adds arguments, which may contain blanks.
    pub fn with<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Makes standard input a pipe ([`Program::input`]).
    pub fn piped(mut self) -> Self {
        self.command.stdin(Stdio::piped());
        self
    }

    /// Connects standard output to the standard input of another program.
    ///
    /// # Panics
    /// If no pipe can be created.
    pub fn into_input_of(&mut self, other: &mut Self) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        self.command.stdout(writer);
        other.command.stdin(reader);
    }

    /// Starts the program with a report file.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn run(self) -> Program {
        self.with(["--report", "report.json"]).run_plain()
    }

    /// Starts the program without further arguments.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn run_plain(mut self) -> Program {
        let mut child = self.command.spawn().expect("the program does not start");
        let said = Arc::new(Mutex::new(String::new()));
        let listener = listen(child.stderr.take().expect("piped"), &said);
        let output = child.stdout.take();
        let reader = thread::spawn(move || {
            let mut bytes = Vec::new();
            let read = output.map(|mut output| output.read_to_end(&mut bytes));
            read.and_then(Result::ok).map(|_| bytes).unwrap_or_default()
        });
        Program {
            child,
            name: self.name,
            folder: Arc::new(self.folder),
            said,
            threads: Some((listener, reader)),
        }
    }
}

fn listen(errors: impl Read + Send + 'static, said: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let said = Arc::clone(said);
    thread::spawn(move || {
        let mut errors = BufReader::new(errors);
        let mut line = Vec::new();
        while errors
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            let mut said = said.lock().expect("nobody panics with it");
            said.push_str(&String::from_utf8_lossy(&line));
            line.clear();
        }
    })
}

/// A running program. Dropping it kills it.
#[derive(Debug)]
pub struct Program {
    child: Child,
    name: String,
    folder: Arc<TempDir>,
    said: Arc<Mutex<String>>,
    threads: Option<(JoinHandle<()>, JoinHandle<Vec<u8>>)>,
}

impl Program {
    /// Its process ID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The folder it runs in.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Its output on standard error so far.
    ///
    /// # Panics
    /// Never.
    pub fn said(&self) -> String {
        self.said.lock().expect("nobody panics with it").clone()
    }

    /// Its standard input, if it is a pipe.
    pub fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Waits until it has written `text` to standard error.
    ///
    /// # Panics
    /// If the program ends first, or the deadline passes.
    pub fn wait_for(&mut self, text: &str) {
        until(&format!("{} to say {text:?}", self.name), || {
            let ended = self.child.try_wait().is_ok_and(|status| status.is_some());
            let said = self.said();
            if said.contains(text) {
                return Some(());
            }
            assert!(
                !ended,
                "{} ended without saying {text:?}:\n{said}",
                self.name
            );
            None
        });
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// If the program has ended.
    pub fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.pid()).expect("process numbers are small");
        kill(Pid::from_raw(pid), signal).expect("the program is there");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If the deadline passes.
    pub fn end(mut self) -> Ended {
        let status = until(&format!("the end of {}", self.name), || {
            self.child.try_wait().expect("it is our child")
        });
        let (listener, reader) = self.threads.take().expect("it ends once");
        listener.join().expect("the listener does not panic");
        let output = reader.join().expect("the reader does not panic");
        Ended {
            code: status.code(),
            said: self.said(),
            output,
            report: fs::read(self.folder().join("report.json"))
                .ok()
                .and_then(|bytes| serde_json::from_slice(&bytes).ok())
                .unwrap_or(Value::Null),
            folder: Arc::clone(&self.folder),
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("--- {} said:\n{}", self.name, self.said());
        }
    }
}

/// An ended program.
#[derive(Debug)]
pub struct Ended {
    /// The exit status; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Its output on standard error.
    pub said: String,
    /// Its output on standard output.
    pub output: Vec<u8>,
    /// Its report; null if it wrote none.
    pub report: Value,
    folder: Arc<TempDir>,
}

impl Ended {
    /// Asserts exit status 0. Returns the ended program.
    ///
    /// # Panics
    /// With its output, if it failed.
    pub fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "it said:\n{}", self.said);
        self
    }

    /// A count in the report, such as `frames.shown`.
    ///
    /// # Panics
    /// If it is not a number.
    pub fn count(&self, name: &str) -> u64 {
        let value = self.value(name);
        value
            .as_u64()
            .unwrap_or_else(|| panic!("{name} is {value} in {:#}", self.report))
    }

    /// A value in the report, such as `stream.number`; null if it is missing.
    pub fn value(&self, name: &str) -> &Value {
        let pointer = format!("/{}", name.replace('.', "/"));
        self.report.pointer(&pointer).unwrap_or(&Value::Null)
    }

    /// When the first frame captured at `after` or later was shown, from the
    /// viewer's table `frames.csv`. Sender and viewer must share a clock.
    ///
    /// # Panics
    /// If there is no such table.
    pub fn first_picture(&self, after: Duration) -> Option<Duration> {
        let table = String::from_utf8(self.file("frames.csv")).expect("text");
        let mut rows = table.lines().map(|row| row.split(',').collect::<Vec<_>>());
        let head = rows.next().expect("a head");
        let column = |name| head.iter().position(|it| *it == name).expect("a column");
        let (captured, shown) = (column("captured_s"), column("shown_s"));
        let seconds = |cell: &str| cell.parse().ok().map(Duration::from_secs_f64);
        let shown = rows.filter_map(|row| {
            let captured = seconds(row[captured])?;
            seconds(row[shown]).filter(|_| captured >= after)
        });
        shown.min()
    }

    /// Path of a file in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Content of a file in its folder.
    ///
    /// # Panics
    /// If the file is missing.
    pub fn file(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect(name)
    }
}
