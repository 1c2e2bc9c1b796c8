//! `framegram-view`: frames from datagrams, in a window.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod claim;
pub mod decode;
#[cfg(test)]
mod fixture;
pub mod report;
pub mod sink;
