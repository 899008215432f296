//! The algebra of native histograms: add, subtract, scale, compare, estimate, cut, print.
//!
//! Everything here is a plain function over [`Histogram`] values and means what it means in Prometheus 3.14; its
//! `model/histogram` and `promql/quantile.go` are the source of each behaviour. Classic histograms (series with an
//! `le` label) are estimated here too, in [`classic`], because their rules are the same story.
//!
//! What is not here: matching series, writing annotations, walking over samples. Where Prometheus would annotate,
//! these functions say so in what they return ([`Merge`], [`NanNote`], [`classic::Forced`]), and the caller, who
//! knows position and metric name, writes the text.
//!
//! Invariant: operands may differ in resolution, zero bucket and custom bounds; results are always well formed
//! (spans and counts of the same length, indices rising). Results may hold empty buckets until [`compact`] is called.
//!
//! Read next: [`buckets`] for what an index means, [`tally`] for how two histograms meet, [`quantile`].

pub mod buckets;
pub mod arithmetic;
pub mod tally;
mod layout;
pub mod compact;
pub mod resets;
pub mod quantile;
pub mod fraction;
pub mod classic;
pub mod stddev;
pub mod trim;
pub mod text;
pub mod notation;
#[cfg(test)]
mod tests;

pub use crate::model::Histogram;
pub use arithmetic::{HistogramError, Merge, add, div, equal, has_overflow, mul, negate, reduce_resolution, sub};
pub use buckets::{Bucket, ascending};
pub use compact::compact;
pub use fraction::fraction;
pub use quantile::{NanNote, quantile};
pub use resets::{ResetsSeen, is_reset, settle_hints};
pub use stddev::variance;
pub use tally::{CompensatedMean, CompensatedSum};
pub use text::Shown;
pub use trim::{trim_lower, trim_upper};
