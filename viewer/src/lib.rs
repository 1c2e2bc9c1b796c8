//! `framegram-view`: frames from datagrams, in a window.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod decode;
#[cfg(test)]
mod test_picture;
