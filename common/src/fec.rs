//! Forward error correction: parity over chunks, and the plan of how much to
//! send.

mod answers;
mod code;
mod decoder;
mod loss_model;
mod path;
mod planner;
mod rebuild;

pub use answers::{AnswerPlan, MAX_EXTRA};
pub use code::{ParityBlock, max_shards};
pub use loss_model::{LossEstimate, LossModel};
pub use path::{PathEstimate, retransmit_gap, retransmit_spread};
pub use planner::{Carry, Fec, MAX_FOR_ONE, Planner};
pub use rebuild::{Chunks, Rebuilder, Rebuilt};
