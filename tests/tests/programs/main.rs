//! The programs on this machine: over loopback, and in a window of a virtual screen.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod bombs;
mod clock;
mod delay;
mod grid;
mod inputs;
mod keys;
mod loopback;
mod measuring;
mod over_a_relay;
mod pull;
mod sandbox;
mod srtp;
mod standing_still;
mod tap;
mod tcp;
mod wayland;
mod window;
