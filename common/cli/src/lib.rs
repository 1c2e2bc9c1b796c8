//! Code that framegram's programs share: signals, threads and their panics,
//! console, log, output files, sandbox, exit status.
//!
//! Knows nothing about frames or datagrams.

pub mod console;
pub mod errors;
pub mod exit;
pub mod input;
pub mod invitation;
pub mod key;
pub mod locks;
pub mod logging;
pub mod numbers;
pub mod output;
pub mod paths;
pub mod pipe;
pub mod quantities;
pub mod sandbox;
pub mod secrets;
pub mod signals;
pub mod stop;
pub mod threads;
