//! The two programs together: what no single crate can test.

pub mod pair;
pub mod repair_table;
