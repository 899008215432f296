//! A rule as a pure step: what it was, what its expression gives now, and when that is, become what it is next.
//!
//! Nothing here queries, writes, sends or reads a clock; [`group`](super::group) does, around each step.

use std::collections::BTreeMap;

use crate::model::{Labels, METRIC_NAME, Timestamp};
use crate::promql::{Answer, Point, Value, VectorSample};

use super::alert::Alerts;

/// A sample that a rule gives; its time is that of the step.
#[derive(Clone, Debug, PartialEq)]
pub struct RuleSample {
    /// Its labels, metric name included.
    pub labels: Labels,
    /// Its value.
    pub point: Point,
}

/// What a step gives.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The samples to write, each label set once.
    pub samples: Vec<RuleSample>,
    /// The rule's alerts from now on; empty for a recording rule.
    pub alerts: Alerts,
}

/// Why a step was not taken. The rule stays as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// More results than the group's limit.
    #[error("the rule gives {found} results, over the limit of {limit}")]
    OverLimit {
        /// How many it gives.
        found: usize,
        /// How many it may give.
        limit: usize,
    },
    /// Two results have the same labels once the rule's labels are applied.
    #[error("vector contains metrics with the same labelset after applying rule labels: {0}")]
    SameLabels(Labels),
    /// A result cannot be named.
    #[error("{0}")]
    Labels(#[from] crate::model::LabelError),
    /// The expression gives something else than numbers.
    #[error("rule result is not a vector or scalar")]
    NotNumbers,
}

/// When a step happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The tick: what `for` and `keep_firing_for` are counted in, and what alerts are stamped with.
    pub at: Timestamp,
    /// The time that the expression looks at and that its samples carry: the tick less the query offset.
    pub data_at: Timestamp,
}

/// The vector that an answer stands for; a scalar is a vector of one sample without labels.
pub(super) fn vector(answer: Answer) -> Result<Vec<VectorSample>, RuleError> {
    match answer.value {
        Value::Vector(vector) => Ok(vector),
        Value::Scalar(at, value) => Ok(vec![VectorSample { labels: Labels::empty(), at, point: Point::Float(value) }]),
        Value::String(..) | Value::Matrix(_) => Err(RuleError::NotNumbers),
    }
}

/// A recording rule's step: each result under the rule's name and labels. (Prometheus: `RecordingRule.Eval`.)
///
/// # Errors
/// Where two results would be one series, or there are more than `limit` (0 = any).
pub fn record(
    name: &str,
    labels: &[(String, String)],
    limit: usize,
    vector: Vec<VectorSample>,
) -> Result<Outcome, RuleError> {
    within(limit, vector.len())?;
    let mut samples = BTreeMap::new();
    for sample in vector {
        let mut named = sample.labels.to_builder();
        named.set(METRIC_NAME, name);
        for (label, value) in labels {
            named.set(label, value);
        }
        let named = named.build()?;
        if samples.insert(named.clone(), sample.point).is_some() {
            return Err(RuleError::SameLabels(named));
        }
    }
    let samples = samples.into_iter().map(|(labels, point)| RuleSample { labels, point }).collect();
    Ok(Outcome { samples, alerts: Alerts::new() })
}

pub(super) fn within(limit: usize, found: usize) -> Result<(), RuleError> {
    match limit == 0 || found <= limit {
        true => Ok(()),
        false => Err(RuleError::OverLimit { found, limit }),
    }
}
