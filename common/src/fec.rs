//! What is done against loss: parity over chunks, and how much of it.

mod code;
mod decoder;
mod loss_model;
mod path;
mod planner;
mod rebuild;

pub use code::{ParityBlock, max_shards};
pub use loss_model::{LossEstimate, LossModel, MAX_EXTRA};
pub use path::{PathEstimate, retransmit_gap};
pub use planner::{Carry, Fec, MAX_FOR_ONE, Planner};
pub use rebuild::{Chunks, Rebuilder};
