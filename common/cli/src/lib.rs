//! What framegram's programs share: signals, threads and their panics, the word
//! to stop, what is told to a person or written for
//! another program, exit codes.
//!
//! Knows nothing of frames, datagrams or pictures.

pub mod console;
pub mod exit;
pub mod input;
pub mod invitation;
pub mod numbers;
pub mod output;
pub mod pipe;
pub mod quantities;
pub mod signals;
pub mod stop;
pub mod threads;
