//! The way in: a batch of series with their samples, and what became of them.
//!
//! A batch names each series by the bytes that the sender used for its labels. The store remembers which bytes mean
//! which series, so a known series costs one hash and no parsing; only for unknown bytes does it ask the batch's
//! [`SeriesNaming`] to read them.

use std::ops::Range;
use std::sync::Arc;

use crate::model::{Histogram, Labels, Replica, Span, Timestamp};

use super::source::MetricMetadata;
use super::{Exemplar, StoreError};

/// Takes samples.
pub trait SampleSink: Send + Sync {
    /// Makes every acceptable sample of `batch` durable, then visible. Blocks until both hold.
    ///
    /// Samples that cannot be kept (too old, bad labels, ...) are counted in the result and cost their neighbours
    /// nothing. Appending the same sample twice is no error.
    ///
    /// # Errors
    /// Only where nothing of the batch may be taken as written: the caller should send all of it again.
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError>;

    /// Keeps what is known of metrics: type, help, unit. Best effort, bounded.
    ///
    /// # Errors
    /// Where the store cannot take writes.
    fn append_metadata(&self, metadata: &[(String, MetricMetadata)]) -> Result<(), StoreError>;
}

/// Series with their samples, as one request brought them.
#[derive(Clone)]
pub struct SeriesBatch<'a> {
    /// When the request arrived, by our clock: what retention and "too far ahead" are counted from.
    pub received_at: Timestamp,
    /// Reads keys that the store does not know.
    pub naming: &'a dyn SeriesNaming,
    /// The series, in the sender's order. A series may stand more than once.
    pub series: Vec<BatchSeries<'a>>,
    /// The samples of all series; each series names its range.
    pub samples: Vec<BatchSample>,
    /// Exemplars, with the index of their series.
    pub exemplars: Vec<(usize, Exemplar)>,
}

/// One series of a batch.
#[derive(Clone, Debug)]
pub struct BatchSeries<'a> {
    /// The sender's bytes for the labels. The store only compares and hashes them.
    pub key: &'a [u8],
    /// Where its samples stand in the batch.
    pub samples: Range<usize>,
}

/// One sample of a batch.
#[derive(Clone, Debug)]
pub struct BatchSample {
    /// When.
    pub at: Timestamp,
    /// When what it counts began to be counted, where the sender says so; [`Timestamp::EPOCH`] = unknown.
    pub start: Timestamp,
    /// A float, where `histogram` is `None`.
    pub value: f64,
    /// A native histogram in place of the float.
    pub histogram: Option<Arc<Histogram>>,
}

/// What a key means: read once for each key that the store does not know.
pub trait SeriesNaming: Sync {
    /// Keeps key spaces apart: the same bytes under another seed may mean another series (another protocol, other
    /// relabeling, another sender-wide label or replica).
    fn seed(&self) -> u64;

    /// The labels and the replica behind `key`.
    ///
    /// # Errors
    /// Where the labels cannot name a series, or relabeling drops them.
    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused>;

    /// Whether somebody outside sends this; what Weir itself writes never has to name a replica.
    fn is_sender(&self) -> bool {
        true
    }

    /// The series behind `key` for a report, as far as it can be read.
    fn describe(&self, key: &[u8]) -> String {
        match self.name(key) {
            Ok(name) => name.labels.to_string(),
            Err(_) => "a series without a readable name".to_owned(),
        }
    }
}

/// A series as its sender names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesName {
    /// Its labels, without the replica label.
    pub labels: Labels,
    /// Which replica of which HA group sent it, if any.
    pub replica: Option<Replica>,
}

/// Why a series or sample was not kept. The order is that of reports.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refused {
    /// A label name stands twice.
    DuplicateLabel(String),
    /// A label without a name.
    EmptyLabelName,
    /// A name or value is not valid UTF-8.
    InvalidUtf8,
    /// No label at all, or no metric name.
    NoMetricName,
    /// More labels than the limit.
    TooManyLabels {
        /// The limit.
        limit: usize,
    },
    /// A label name longer than the limit in bytes.
    LabelNameTooLong {
        /// The limit.
        limit: usize,
    },
    /// A label value longer than the limit in bytes.
    LabelValueTooLong {
        /// The limit.
        limit: usize,
    },
    /// All labels together longer than the limit in bytes.
    LabelsTooLong {
        /// The limit.
        limit: usize,
    },
    /// Relabeling dropped the series; this is no fault of the sender.
    Relabeled,
    /// Older than retention keeps.
    TooOld,
    /// Further in the future than clocks may differ.
    TooFarAhead,
    /// A new series over the limit on series in memory.
    TooManySeries {
        /// The limit.
        limit: usize,
    },
    /// A new series over the limit on series of one metric.
    TooManyOfMetric {
        /// The limit.
        limit: usize,
    },
    /// A new series over the limit on new series in a second.
    TooManyNewSeries {
        /// The limit.
        limit: usize,
    },
    /// A histogram that contradicts itself.
    BadHistogram(String),
    /// A series that breaks the rules of its protocol, where its neighbours are readable.
    Malformed(String),
}

impl Refused {
    /// The reason as a metric label and a report line name it.
    pub fn reason(&self) -> &'static str {
        match self {
            Refused::DuplicateLabel(_) => "duplicate_label_name",
            Refused::EmptyLabelName => "empty_label_name",
            Refused::InvalidUtf8 => "invalid_utf8",
            Refused::NoMetricName => "no_metric_name",
            Refused::TooManyLabels { .. } => "too_many_labels",
            Refused::LabelNameTooLong { .. } => "label_name_too_long",
            Refused::LabelValueTooLong { .. } => "label_value_too_long",
            Refused::LabelsTooLong { .. } => "labels_too_long",
            Refused::Relabeled => "relabeled",
            Refused::TooOld => "too_old",
            Refused::TooFarAhead => "too_far_in_future",
            Refused::TooManySeries { .. } => "too_many_series",
            Refused::TooManyOfMetric { .. } => "too_many_series_of_metric",
            Refused::TooManyNewSeries { .. } => "too_many_new_series",
            Refused::BadHistogram(_) => "bad_histogram",
            Refused::Malformed(_) => "malformed",
        }
    }

    /// Whether the sender should hear of it. Relabeled series are dropped on purpose.
    pub fn is_fault(&self) -> bool {
        !matches!(self, Refused::Relabeled)
    }
}

impl std::fmt::Display for Refused {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refused::DuplicateLabel(name) => write!(out, "duplicate label name {name:?}"),
            Refused::EmptyLabelName => out.write_str("empty label name"),
            Refused::InvalidUtf8 => out.write_str("a label is not valid UTF-8"),
            Refused::NoMetricName => out.write_str("no metric name"),
            Refused::TooManyLabels { limit } => write!(out, "more than {limit} labels"),
            Refused::LabelNameTooLong { limit } => write!(out, "a label name is longer than {limit} bytes"),
            Refused::LabelValueTooLong { limit } => write!(out, "a label value is longer than {limit} bytes"),
            Refused::LabelsTooLong { limit } => write!(out, "labels are longer than {limit} bytes in all"),
            Refused::Relabeled => out.write_str("dropped by relabeling"),
            Refused::TooOld => out.write_str("older than retention"),
            Refused::TooFarAhead => out.write_str("too far in the future"),
            Refused::TooManySeries { limit } => write!(out, "over the limit of {limit} series"),
            Refused::TooManyOfMetric { limit } => write!(out, "over the limit of {limit} series of one metric name"),
            Refused::TooManyNewSeries { limit } => write!(out, "over the limit of {limit} new series in a second"),
            Refused::BadHistogram(why) => write!(out, "bad histogram: {why}"),
            Refused::Malformed(why) => out.write_str(why),
        }
    }
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Appended {
    /// Float samples that are durable now, or were before; those that dedup found covered count too.
    pub samples: u64,
    /// The same for histograms.
    pub histograms: u64,
    /// The same for exemplars.
    pub exemplars: u64,
    /// What was not kept.
    pub refusals: Refusals,
    /// How much later the sender should be answered. Not zero for a replica that makes up for an outage and has got ahead
    /// of the one that leads: once the leader is past it, the leader's samples cover what it sends.
    pub pause: Span,
}

/// What was not kept: all of it by count, the first few by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Refusals {
    /// Samples by reason, in the order of first appearance.
    pub counts: Vec<(&'static str, u64)>,
    /// The first offenders.
    pub first: Vec<Offender>,
}

/// One thing that was not kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Offender {
    /// The series as far as it can be named.
    pub series: String,
    /// The sample's time, where the sample and not the series is at fault.
    pub at: Option<Timestamp>,
    /// Why.
    pub why: Refused,
}

impl Refusals {
    /// How many offenders are named.
    pub const NAMED_MAX: usize = 5;

    /// Counts `samples` refused samples; `offender` is only built while there is room for a name.
    pub fn add(&mut self, why: &Refused, samples: u64, offender: impl FnOnce() -> (String, Option<Timestamp>)) {
        match self.counts.iter_mut().find(|(reason, _)| *reason == why.reason()) {
            Some((_, count)) => *count += samples,
            None => self.counts.push((why.reason(), samples)),
        }
        if why.is_fault() && self.first.len() < Self::NAMED_MAX {
            let (series, at) = offender();
            self.first.push(Offender { series, at, why: why.clone() });
        }
    }

    /// Takes over what another part of the way refused.
    pub fn merge(&mut self, other: Refusals) {
        for (reason, samples) in other.counts {
            match self.counts.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, count)) => *count += samples,
                None => self.counts.push((reason, samples)),
            }
        }
        self.first.extend(other.first);
        self.first.truncate(Self::NAMED_MAX);
    }

    /// Whether the sender has to hear of something.
    pub fn has_faults(&self) -> bool {
        !self.first.is_empty()
    }

    /// Refused samples of all reasons.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|(_, count)| count).sum()
    }
}
