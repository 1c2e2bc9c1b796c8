//! Each test runs in a thread of its own, because a sandbox cannot be left.

use std::fs::{self, File};
use std::io;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;
use std::thread;

use super::*;

/// Runs code in a sandbox with these files.
fn within<T: Send + 'static>(files: Files, run: impl FnOnce(Sandbox) -> T + Send + 'static) -> T {
    let bound = thread::spawn(move || run(Sandbox::enter(&files)));
    bound.join().unwrap()
}

/// Whether this kernel has Landlock.
fn has_landlock() -> bool {
    let told = within(Files::default(), |sandbox| sandbox.to_string());
    told.contains("Landlock V")
}

fn is_refused<T>(result: io::Result<T>) -> bool {
    result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Folders with files to name and a secret.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in ["in/named", "in/beside", "out/older", "other/secret"] {
        let path = folder.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    folder
}

#[test]
fn files_that_nobody_named_cannot_be_opened_made_changed_or_removed() {
    if !has_landlock() {
        return;
    }
    let folder = folder();
    let path = folder.path().to_owned();
    let named = path.join("in/named");
    let output = path.join("out/report.json");
    let files = Files::default().read(&named).write(&output);
    within(files, move |_| {
        // The named file, and others in its folder.
        assert_eq!(fs::read(&named).unwrap(), b"in/named");
        assert!(File::open(path.join("in/beside")).is_ok());
        // A report replaces the older one.
        let draft = path.join("out/.draft");
        fs::write(&draft, "{}").unwrap();
        fs::rename(&draft, &output).unwrap();
        fs::rename(path.join("out/older"), path.join("out/older~")).unwrap();
        // Files of the system.
        assert!(File::open("/etc/hosts").is_ok());
        assert!(File::open("/proc/self/status").is_ok());
        // All others.
        let secret = path.join("other/secret");
        assert!(is_refused(fs::read(&secret)));
        assert!(is_refused(fs::read_dir(&path)));
        assert!(is_refused(File::create(path.join("other/new"))));
        assert!(is_refused(File::options().append(true).open(&secret)));
        assert!(is_refused(fs::remove_file(&secret)));
        assert!(is_refused(File::create(path.join("in/new"))));
        assert!(is_refused(fs::create_dir(path.join("out/folder"))));
        let way_round = path.join("out/link");
        assert!(symlink(&secret, &way_round).is_err());
        // A new thread is restricted too.
        let other = thread::spawn(move || is_refused(fs::read(secret)));
        assert!(other.join().unwrap());
    });
    assert_eq!(
        fs::read(folder.path().join("other/secret")).unwrap(),
        b"other/secret"
    );
}

/// The program is often started in the home folder.
#[test]
fn new_files_can_be_written_where_nothing_can_be_read() {
    if !has_landlock() {
        return;
    }
    let folder = folder();
    let path = folder.path().to_owned();
    within(
        Files::default().write_new(&path.join("out/framegram")),
        move |_| {
            let snapshot = path.join("out/framegram-1.jpg");
            let new = File::options().write(true).create_new(true).open(&snapshot);
            drop(new.unwrap());
            fs::write(path.join("out/draft"), "jpeg").unwrap();
            fs::rename(path.join("out/draft"), &snapshot).unwrap();
            assert!(is_refused(fs::read(path.join("out/older"))));
            assert!(is_refused(fs::read_dir(path.join("out"))));
            assert!(is_refused(File::create(path.join("other/new"))));
        },
    );
}

#[test]
fn a_link_leads_where_it_leads_and_no_further() {
    if !has_landlock() {
        return;
    }
    let folder = folder();
    let path = folder.path().to_owned();
    let link = path.join("in/link");
    symlink("../other/secret", &link).unwrap();
    within(Files::default().read(&link), move |_| {
        assert!(File::open(&link).is_ok());
        assert!(File::open(path.join("in/named")).is_ok());
        assert!(is_refused(File::open(path.join("out/older"))));
    });
}

#[test]
fn no_other_program_is_run() {
    within(Files::default(), |sandbox| {
        let told = sandbox.to_string();
        assert!(
            told.contains("; system calls restricted by seccomp"),
            "{told}"
        );
        assert!(is_refused(Command::new("/bin/true").status()));
        let status = fs::read_to_string("/proc/thread-self/status").unwrap();
        assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    });
    assert!(Command::new("/bin/true").status().unwrap().success());
}

#[test]
fn a_thread_that_receives_opens_sockets_and_no_files() {
    within(Files::default(), |sandbox| {
        assert!(File::open("/etc/hosts").is_ok());
        sandbox.confine(Work::Receiving);
        assert!(is_refused(File::open("/etc/hosts")));
        assert!(is_refused(fs::read_dir("/")));
        assert!(is_refused(fs::remove_file("/tmp/none")));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let own = socket.local_addr().unwrap();
        socket.send_to(b"frame", own).unwrap();
        let mut buffer = [0; 8];
        assert_eq!(socket.recv_from(&mut buffer).unwrap(), (5, own));
        // Memory can still be allocated.
        assert_eq!(vec![1_u8; 64 << 20].len(), 64 << 20);
        // No thread can be started.
        assert!(thread::Builder::new().spawn(|| ()).is_err());
    });
}

#[test]
fn a_thread_that_decodes_opens_nothing() {
    within(Files::default(), |sandbox| {
        sandbox.confine(Work::Decoding);
        assert!(is_refused(File::open("/etc/hosts")));
        assert!(is_refused(UdpSocket::bind("127.0.0.1:0")));
        assert_eq!(vec![1_u8; 64 << 20].len(), 64 << 20);
        let caught = std::panic::catch_unwind(|| std::panic::resume_unwind(Box::new(1)));
        assert!(caught.is_err());
    });
}

#[test]
fn without_a_sandbox_nothing_is_restricted() {
    let sandbox = Sandbox::off();
    sandbox.confine(Work::Decoding);
    assert!(Path::new("/etc/hosts").exists() && File::open("/etc/hosts").is_ok());
    assert_eq!(sandbox.to_string(), "off");
}
