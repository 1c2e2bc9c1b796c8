//! The program as a process: what it prints, writes and returns.

#![allow(clippy::unwrap_used)]

mod damaged;
mod files;
mod life;
mod refusals;
mod streams;
mod support;
mod window;
