//! The engine through its door: scripts in Prometheus' test language, and a second opinion on random queries.

mod fuzz;
mod limits;
pub(crate) mod memory;
pub(crate) mod random;
mod script;
mod slow;
