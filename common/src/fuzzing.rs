//! What the fuzzer runs: one function a target, which takes any bytes and must
//! neither panic nor come to no end.
//!
//! They are part of the tests as well, over the corpus that is kept and over
//! mutations of it, so that they never rot. `fuzz/` hands them to libFuzzer.

mod arrivals;
mod input;
mod machines;
mod parity;
mod parts;
mod rate;
mod visitors;

/// A target: its name, and what it does with bytes.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// As its folder in the corpus is called.
    pub name: &'static str,
    /// The body.
    pub run: fn(&[u8]),
}

/// All targets.
pub const TARGETS: [Target; 12] = [
    target("native", parts::native),
    target("jpeg", parts::jpeg),
    target("splice", parts::splice),
    target("rtp_jpeg", parts::rtp_jpeg),
    target("parity", parity::run),
    target("receiver", machines::receiver),
    target("formats", machines::formats),
    target("sender", machines::sender),
    target("acceptor", visitors::acceptor),
    target("plain_sender", visitors::plain_sender),
    target("grid", machines::grid),
    target("rate", rate::rate),
];

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// Runs the target with this name.
///
/// # Panics
/// Where there is none, or the bytes show a bug.
pub fn run(name: &str, bytes: &[u8]) {
    let target = TARGETS.iter().find(|target| target.name == name);
    (target.expect("a target of this name").run)(bytes);
}

#[cfg(test)]
mod tests;
