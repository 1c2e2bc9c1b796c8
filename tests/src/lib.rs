//! Tests of the programs together, which no single crate can make.
//!
//! `pair` joins the two state machines in virtual time, and `relay` joins two
//! programs in real time, over the same kind of link. The other modules run the
//! programs: over loopback, between network namespaces, and in a window of a
//! virtual screen. They wait for conditions, up to a deadline.
//!
//! The tests are in tiers: `virtual_time` and `hostile` start no process,
//! `programs` need only this machine, `hosts` need root, and `peers` need other
//! programs.

pub mod adapting;
pub mod clocks;
pub mod compositor;
pub mod concealment;
pub mod congestion;
pub mod counting;
pub mod encoding;
pub mod flood;
pub mod frame_table;
pub mod hosts;
pub mod measure;
pub mod measuring;
mod namespaces;
pub mod networks;
pub mod odd_avi;
pub mod odd_jpeg;
pub mod odd_rtp;
pub mod outage;
pub mod pair;
pub mod path_meter;
pub mod peer;
pub mod processes;
pub mod program;
pub mod relay;
pub mod repair_bound;
pub mod repair_table;
pub mod screen;
pub mod similarity;
pub mod slices_row;
pub mod standard_jpeg;
pub mod truth;
pub mod tun;
