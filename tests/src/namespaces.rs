//! Network namespaces, deleted when they are dropped.

use std::fs::File;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};

use crate::hosts::ip;
use crate::program::Start;

/// Network namespaces, numbered from 0.
#[derive(Debug)]
pub(crate) struct Namespaces {
    set: u32,
    names: Vec<String>,
}

impl Namespaces {
    /// An empty set.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        Self {
            set: COUNT.fetch_add(1, Ordering::Relaxed),
            names: Vec::new(),
        }
    }

    /// Adds a namespace. Returns its number.
    pub(crate) fn add(&mut self, name: &str) -> usize {
        let name = format!("framegram-{}-net{}-{name}", std::process::id(), self.set);
        ip(&format!("netns add {name}"));
        self.names.push(name);
        self.names.len() - 1
    }

    /// Joins two namespaces by a cable whose ends have these names.
    pub(crate) fn join(&self, one: usize, one_end: &str, other: usize, other_end: &str) {
        let (one, other) = (&self.names[one], &self.names[other]);
        ip(&format!(
            "link add {one_end} netns {one} type veth peer name {other_end} netns {other}"
        ));
    }

    /// Runs `ip` with these arguments in a namespace.
    pub(crate) fn ip(&self, namespace: usize, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.names[namespace]));
    }

    /// Runs a command in a namespace. The command must succeed.
    pub(crate) fn run(&self, namespace: usize, words: &[&str]) {
        let output = Command::new("ip")
            .args(["netns", "exec", &self.names[namespace]])
            .args(words)
            .output()
            .expect("the program ip is there");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", words.join(" "));
    }

    /// Runs a function inside a namespace. Sockets that it opens belong to that
    /// namespace.
    pub(crate) fn enter<T: Send>(&self, namespace: usize, act: impl FnOnce() -> T + Send) -> T {
        enter(&self.names[namespace], act)
    }

    /// A program in a namespace.
    pub(crate) fn start(&self, namespace: usize, program: &str, arguments: &str) -> Start {
        let name = &self.names[namespace];
        Start::by(&["ip", "netns", "exec", name], program, arguments)
    }
}

/// Runs a function inside the namespace with this name. What it opens belongs to
/// that namespace.
pub(crate) fn enter<T: Send>(name: &str, act: impl FnOnce() -> T + Send) -> T {
    let path = format!("/var/run/netns/{name}");
    let act = move || {
        let file = File::open(&path).expect("a namespace has a file");
        setns(file, CloneFlags::CLONE_NEWNET).expect("root may enter namespaces");
        act()
    };
    // A thread of its own, because entering a namespace changes the thread.
    let acted = thread::scope(|scope| scope.spawn(act).join());
    acted.expect("nothing panics there")
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = Command::new("ip").args(["netns", "delete", name]).status();
        }
    }
}
