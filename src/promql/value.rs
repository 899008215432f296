//! What a query gives, and how it can fail.

use std::sync::Arc;

use crate::model::{Histogram, Labels, Timestamp};
use crate::store::StoreError;

use super::trace::TraceNode;

/// The result of a query.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Answer {
    /// The value.
    pub value: Value,
    /// What may make the value wrong, with positions, each once.
    pub warnings: Vec<String>,
    /// What may surprise, with positions, each once.
    pub infos: Vec<String>,
    /// What it took.
    pub stats: Stats,
    /// How it was worked out, if asked for.
    pub trace: Option<Box<TraceNode>>,
}

/// The four kinds of value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A number at the time of an instant query.
    Scalar(Timestamp, f64),
    /// A text at the time of an instant query.
    String(Timestamp, String),
    /// One sample a series: an instant query's answer. Order as PromQL gives it.
    Vector(Vec<VectorSample>),
    /// Points over time: a range query's answer, or that of an instant query for `m[5m]`. Sorted by labels.
    Matrix(Vec<RangeSeries>),
}

impl Default for Value {
    fn default() -> Self {
        Value::Vector(Vec::new())
    }
}

/// A point of a vector: float or histogram.
#[derive(Clone, Debug, PartialEq)]
pub enum Point {
    /// A float.
    Float(f64),
    /// A native histogram.
    Histogram(Arc<Histogram>),
}

/// One element of an instant vector.
#[derive(Clone, Debug, PartialEq)]
pub struct VectorSample {
    /// Its labels.
    pub labels: Labels,
    /// The evaluation time.
    pub at: Timestamp,
    /// Its value.
    pub point: Point,
}

/// One series of a matrix: floats and histograms apart, each rising in time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RangeSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its float points.
    pub floats: Vec<(Timestamp, f64)>,
    /// Its histogram points.
    pub histograms: Vec<(Timestamp, Arc<Histogram>)>,
}

/// What a query took. (Prometheus: `stats.samples`.)
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// Samples looked at, summed over steps.
    pub total_queryable_samples: u64,
    /// Samples looked at in each step; empty unless asked for.
    pub per_step: Vec<(Timestamp, u64)>,
    /// Most samples held in memory at once.
    pub peak_samples: u64,
    /// Most bytes held in memory at once, samples and what is around them.
    pub peak_bytes: u64,
    /// Samples decoded from storage.
    pub samples_read: u64,
    /// Series selected from storage.
    pub series_fetched: u64,
}

/// Why a query gave no value, by what the caller can do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The text is no query. The message carries `line:col: parse error: ...` as Prometheus writes it.
    #[error("{0}")]
    Parse(String),
    /// The query is well formed and cannot be evaluated.
    #[error("{0}")]
    Execution(String),
    /// Not now: what all queries hold together leaves no room for this one.
    #[error("overloaded: {0}")]
    Overloaded(String),
    /// It took longer than it may.
    #[error("query timed out in {0}")]
    Timeout(&'static str),
    /// The asker went away.
    #[error("query was canceled in {0}")]
    Canceled(&'static str),
    /// Storage could not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}
