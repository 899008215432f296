//! What may make a result wrong (warnings) or surprise (infos), with the place in the query that caused it.
//!
//! Texts are part of compatibility: they are Prometheus 3.14's. As there, an annotation is told apart by its text
//! alone: the same text from two places is shown once, with the place that stands last.

use crate::model::labels::Quoted;
use crate::model::number::write_exponent;
use crate::model::{Span, Timestamp};

use super::ast::Position;

/// Something to tell about a result.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Note {
    InvalidRatio {
        got: f64,
        capped: f64,
    },
    InvalidQuantile(f64),
    BadBucketLabel {
        value: String,
        metric: String,
    },
    MixedFloatsHistograms(String),
    MixedFloatsHistogramsInAggregation,
    MixedClassicNative(String),
    NotACounter(String),
    NotAGauge(String),
    MixedExponentialCustom(String),
    IncompatibleBucketLayout(&'static str),
    CounterResetCollision(Operation),
    StartTimeOverlap(String),
    IneffectiveSort,
    PossibleNonCounter(String),
    PossibleNonCounterType {
        metric: String,
        kind: String,
    },
    ForcedMonotonicity {
        metric: String,
        seen: Monotonicity,
    },
    IncompatibleTypes {
        left: &'static str,
        op: &'static str,
        right: &'static str,
    },
    HistogramIgnoredInAggregation(&'static str),
    HistogramIgnoredInRange(String),
    NanObservationsNan(String),
    NanObservationsSkew(String),
    NanObservationsFraction(String),
    ReconciledBuckets(Operation),
    /// What storage had to say.
    Storage(String),
}

/// The operation on histograms that an annotation speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Operation::Addition => "addition",
            Operation::Subtraction => "subtraction",
            Operation::Aggregation => "aggregation",
        }
    }
}

/// How far the buckets of classic histograms had to be bent to rise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Monotonicity {
    pub(crate) first: Timestamp,
    pub(crate) last: Timestamp,
    pub(crate) lowest_bucket: f64,
    pub(crate) highest_bucket: f64,
    pub(crate) largest_difference: f64,
    pub(crate) samples: u64,
}

impl Monotonicity {
    fn merge(self, other: Self) -> Self {
        Monotonicity {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            lowest_bucket: self.lowest_bucket.min(other.lowest_bucket),
            highest_bucket: self.highest_bucket.max(other.highest_bucket),
            largest_difference: self.largest_difference.max(other.largest_difference),
            samples: self.samples + other.samples,
        }
    }
}

impl Note {
    fn is_info(&self) -> bool {
        matches!(
            self,
            Note::PossibleNonCounter(_)
                | Note::PossibleNonCounterType { .. }
                | Note::ForcedMonotonicity { .. }
                | Note::IncompatibleTypes { .. }
                | Note::HistogramIgnoredInAggregation(_)
                | Note::HistogramIgnoredInRange(_)
                | Note::NanObservationsNan(_)
                | Note::NanObservationsSkew(_)
                | Note::NanObservationsFraction(_)
                | Note::ReconciledBuckets(_)
        )
    }

    /// The text by which annotations are told apart.
    fn text(&self) -> String {
        let for_metric = |text: &str, metric: &str| match metric {
            "" => text.to_owned(),
            _ => format!("{text} for metric name {}", Quoted(metric)),
        };
        let text = match self {
            Note::Storage(text) => return text.clone(),
            Note::InvalidRatio { got, capped } => format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                general(*got),
                general(*capped)
            ),
            Note::InvalidQuantile(got) => format!("quantile value should be between 0 and 1, got {}", general(*got)),
            Note::BadBucketLabel { value, metric } => for_metric(
                &format!("bucket label \"le\" is missing or has a malformed value of {}", Quoted(value)),
                metric,
            ),
            Note::MixedFloatsHistograms(metric) => {
                format!("encountered a mix of histograms and floats for metric name {}", Quoted(metric))
            }
            Note::MixedFloatsHistogramsInAggregation => {
                "encountered a mix of histograms and floats for aggregation".to_owned()
            }
            Note::MixedClassicNative(metric) => {
                for_metric("vector contains a mix of classic and native histograms", metric)
            }
            Note::NotACounter(metric) => {
                format!("this native histogram metric is not a counter: {}", Quoted(metric))
            }
            Note::NotAGauge(metric) => format!("this native histogram metric is not a gauge: {}", Quoted(metric)),
            Note::MixedExponentialCustom(metric) => format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                Quoted(metric)
            ),
            Note::IncompatibleBucketLayout(op) => {
                format!("incompatible bucket layout encountered for binary operator {op}")
            }
            Note::CounterResetCollision(operation) => {
                format!("conflicting counter resets during histogram {}", operation.as_str())
            }
            Note::StartTimeOverlap(metric) => format!(
                "sample has start time that overlaps with previous sample timestamp for metric {}",
                Quoted(metric)
            ),
            Note::IneffectiveSort => {
                "sort is ineffective for range queries since results are always ordered by labels".to_owned()
            }
            Note::PossibleNonCounter(metric) => format!("{NO_NAME_OF_A_COUNTER}: {}", Quoted(metric)),
            Note::PossibleNonCounterType { metric, kind } => format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                Quoted(kind),
                Quoted(metric)
            ),
            Note::ForcedMonotonicity { metric, .. } => for_metric(
                "input to histogram_quantile needed to be fixed for monotonicity (see \
                 https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)",
                metric,
            ),
            Note::IncompatibleTypes { left, op, right } => {
                format!("incompatible sample types encountered for binary operator {}: {left} {op} {right}", Quoted(op))
            }
            Note::HistogramIgnoredInAggregation(op) => format!("ignored histogram in {op} aggregation"),
            Note::HistogramIgnoredInRange(metric) => format!(
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                Quoted(metric)
            ),
            Note::NanObservationsNan(metric) => {
                for_metric("input to histogram_quantile has NaN observations, result is NaN", metric)
            }
            Note::NanObservationsSkew(metric) => {
                for_metric("input to histogram_quantile has NaN observations, result is skewed higher", metric)
            }
            Note::NanObservationsFraction(metric) => for_metric(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions",
                metric,
            ),
            Note::ReconciledBuckets(operation) => {
                format!("mismatched custom buckets were reconciled during {}", operation.as_str())
            }
        };
        format!("PromQL {}: {text}", if self.is_info() { "info" } else { "warning" })
    }

    /// What is added to the text when it is shown.
    fn details(&self) -> String {
        match self {
            Note::ForcedMonotonicity { seen, .. } => format!(
                ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
                general(seen.lowest_bucket),
                general(seen.highest_bucket),
                general_2(seen.largest_difference),
                seen.samples,
                rfc3339_seconds(seen.first),
                rfc3339_seconds(seen.last)
            ),
            _ => String::new(),
        }
    }
}

/// The notes of one query or of one worker's share of it, each text once.
#[derive(Debug, Default)]
pub(crate) struct Annotations {
    notes: Vec<(Note, Position)>,
}

impl Annotations {
    /// Adds a note that was caused at `position`.
    pub(crate) fn add(&mut self, note: Note, position: Position) {
        let same = |known: &Note| match (known, &note) {
            (Note::ForcedMonotonicity { metric: a, .. }, Note::ForcedMonotonicity { metric: b, .. }) => a == b,
            // NaN must equal itself here, or a NaN quantile would be told again at each step.
            (Note::InvalidQuantile(a), Note::InvalidQuantile(b)) => a.to_bits() == b.to_bits(),
            (a, b) => a == b,
        };
        let Some((known, at)) = self.notes.iter_mut().find(|(known, _)| same(known)) else {
            self.notes.push((note, position));
            return;
        };
        if position.start > at.start {
            *at = position;
        }
        if let (Note::ForcedMonotonicity { seen, .. }, Note::ForcedMonotonicity { seen: more, .. }) = (known, &note) {
            *seen = seen.merge(*more);
        }
    }

    /// Whether there is nothing to tell.
    pub(crate) fn is_empty(&self) -> bool {
        self.notes.is_empty()
    }

    /// Adds all of `other`, in its order.
    pub(crate) fn merge(&mut self, other: Annotations) {
        for (note, position) in other.notes {
            self.add(note, position);
        }
    }

    /// The texts with positions in `query`: warnings, then infos, each in the order of the text.
    pub(crate) fn render(&self, query: &str) -> (Vec<String>, Vec<String>) {
        let mut texts = (Vec::new(), Vec::new());
        let mut notes: Vec<&(Note, Position)> = self.notes.iter().collect();
        notes.sort_by_key(|(_, position)| position.start);
        for (note, position) in notes {
            let text = match note {
                Note::Storage(text) => text.clone(),
                _ => format!("{}{} ({})", note.text(), note.details(), line_and_column(query, *position)),
            };
            if note.is_info() { texts.1.push(text) } else { texts.0.push(text) }
        }
        texts
    }
}

const NO_NAME_OF_A_COUNTER: &str = "metric might not be a counter, name does not end in _total/_sum/_count/_bucket";

/// Whether a note among an answer's infos follows from the query's text alone, as long as there are samples.
pub(crate) fn is_of_names(info: &str) -> bool {
    info.contains(NO_NAME_OF_A_COUNTER)
}

/// `line:column` of a position's start, both from 1, columns in bytes.
fn line_and_column(query: &str, position: Position) -> String {
    let Some(before) = query.as_bytes().get(..position.start) else { return "unknown position".to_owned() };
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let column = before.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
    format!("{line}:{column}")
}

/// A float as Go's `%g` writes it.
pub(crate) fn general(value: f64) -> String {
    if value.is_finite() && value != 0.0 {
        let mut text = String::new();
        write_exponent(&mut text, value);
        let exponent: i32 = text.split_once('e').and_then(|(_, exponent)| exponent.parse().ok()).unwrap_or(0);
        if !(-4..6).contains(&exponent) {
            return text;
        }
    }
    crate::model::number::format_float(value)
}

/// A float as Go's `%.2g` writes it.
fn general_2(value: f64) -> String {
    if !value.is_finite() || value == 0.0 {
        return general(value);
    }
    let text = format!("{value:.1e}");
    let (digits, exponent) = text.split_once('e').expect("LowerExp always writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a decimal exponent");
    let digits = digits.trim_end_matches('0').trim_end_matches('.');
    if (-4..2).contains(&exponent) {
        let rounded: f64 = text.parse().expect("what LowerExp writes reads back");
        return format!("{rounded}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

/// UTC time in whole seconds, as Go's RFC 3339 layout writes it.
fn rfc3339_seconds(at: Timestamp) -> String {
    let seconds = at.as_millis() / Span::SECOND.as_millis();
    let date = super::functions::date::Civil::from_seconds(seconds);
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year, date.month, date.day, date.hour, date.minute, date.second
    )
}
