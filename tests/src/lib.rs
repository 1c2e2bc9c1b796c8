//! The two programs together: what no single crate can test.
//!
//! `pair` is the two state machines over a link in virtual time, `relay` the same
//! link in real time between two programs. The rest runs the programs: over
//! loopback, between network namespaces, and in a window of a virtual screen.
//! They wait for conditions, until a deadline.
//!
//! The tests are in tiers: `virtual_time` and `hostile` start no process,
//! `programs` need nothing but this machine, `hosts` need root, `peers` other
//! programs.

pub mod clocks;
pub mod compositor;
pub mod concealment;
pub mod congestion;
pub mod counting;
pub mod hosts;
pub mod measure;
pub mod measuring;
mod namespaces;
pub mod networks;
pub mod odd_jpeg;
pub mod outage;
pub mod pair;
pub mod path_meter;
pub mod processes;
pub mod program;
pub mod relay;
pub mod repair_bound;
pub mod repair_table;
pub mod screen;
pub mod slices_row;
pub mod truth;
