//! The two programs together: what no single crate can test.
//!
//! `pair` is the two state machines over a link in virtual time, `relay` the same
//! link in real time between two programs. The rest runs
//! the programs as programs: over loopback, between two network namespaces, and
//! in a window of a virtual screen. Nothing there waits for a fixed time, but
//! for a condition, until a deadline.

pub mod concealment;
pub mod counting;
pub mod hosts;
pub mod measure;
mod namespaces;
pub mod networks;
pub mod pair;
pub mod processes;
pub mod program;
pub mod relay;
pub mod repair_table;
pub mod screen;
pub mod slices_row;
pub mod truth;
