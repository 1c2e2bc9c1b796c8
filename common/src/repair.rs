//! What is done against loss: parity over chunks, and how much of it.

mod code;
mod decoder;
mod model;
mod plan;
mod rebuild;

pub use code::{Block, max_shards};
pub use model::{LossEstimate, LossModel};
pub use plan::{Fec, ParityPlan, Path};
pub use rebuild::{Chunks, Rebuilder};
