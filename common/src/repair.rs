//! What is done against loss: parity over chunks, and how much of it.

mod code;
mod decoder;
mod model;
mod plan;
mod rebuild;

pub use code::{Block, max_shards};
pub use model::{LossEstimate, LossModel, MAX_EXTRA};
pub use plan::{Fec, MAX_FOR_ONE, Owed, ParityPlan, Path, answer_gap};
pub use rebuild::{Chunks, Rebuilder};
