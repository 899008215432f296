//! Text and a time grid become a value: parse, plan, execute. Means what PromQL means in Prometheus 3.14.
//!
//! This room reads samples through `store::SampleSource` and knows nothing of chunks, disks or the wall clock: the
//! grid of times to evaluate comes in as an argument.
//!
//! Read next: [`ast`] for the words of a parsed query, [`parse`] for how text becomes one, [`engine`] for the door.

pub mod ast;
pub mod value;
pub mod interrupt;

pub use ast::{Expr, ExprKind};
pub use interrupt::Interrupt;
pub use value::{Answer, Point, QueryError, RangeSeries, Value, VectorSample};
