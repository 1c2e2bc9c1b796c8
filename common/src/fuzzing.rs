//! Fuzz targets: one function per target, which accepts any bytes and must neither panic nor loop
//! for ever.
//!
//! The tests run them too, over the kept corpus and mutations of it, so that they stay in working
//! order. `fuzz/` runs them under libFuzzer.

mod arrivals;
mod bounds;
mod input;
mod jpegs;
mod packets;
mod parity;
mod parts;
mod rate;
mod receivers;
mod senders;
mod visitors;

/// A target: its name and its function.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name of its folder in the corpus.
    pub name: &'static str,
    /// The function.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 14] = [
    target("native", parts::native),
    target("jpeg", parts::jpeg),
    target("splitter", jpegs::splitter),
    target("requantise", jpegs::requantise),
    target("splice", parts::splice),
    target("rtp_jpeg", parts::rtp_jpeg),
    target("parity", parity::run),
    target("receiver", receivers::receiver),
    target("formats", receivers::formats),
    target("sender", senders::sender),
    target("acceptor", visitors::acceptor),
    target("plain_sender", visitors::plain_sender),
    target("grid", receivers::grid),
    target("rate", rate::rate),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Runs the target with this name.
///
/// # Panics
/// If there is no such target, or if the bytes reveal a bug.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(bytes);
}

#[cfg(test)]
mod tests;
