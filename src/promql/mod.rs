//! Text and a time grid become a value: parse, plan, execute. Means what PromQL means in Prometheus 3.14.
//!
//! ```text
//! text --parse--> Expr --plan--> Plan --exec--> Answer
//!                 (ast)          absolute times  columns over steps, series by series
//! ```
//!
//! This room reads samples through `store::SampleSource` and knows nothing of chunks, disks or the wall clock: the
//! grid of times to evaluate comes in as an argument.
//!
//! Read next: [`engine`] for the door, [`ast`] for the words of a parsed query, [`parse`] for how text becomes one,
//! `plan` for how it becomes work, `exec` for how that is done, `functions` for what each name means; [`register`] for who asks what.

pub mod features;
pub mod ast;
pub mod parse;
pub mod print;
pub mod format;
pub mod tree;
pub mod value;
pub mod interrupt;
pub mod memory;
pub mod trace;
pub mod register;
pub mod histogram;
mod annotations;
mod functions;
mod plan;
mod exec;
pub mod answers;
pub mod engine;
pub mod series_text;
#[cfg(test)]
mod tests;

pub use answers::Answers;
pub use ast::{Expr, ExprKind};
pub use engine::{EachSeries, Engine, QueryOptions, Settings};
pub use features::Features;
pub use interrupt::Interrupt;
pub use memory::MemoryPool;
pub use value::{Answer, Point, QueryError, RangeSeries, Value, VectorSample};
