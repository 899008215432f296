//! The way out: select series, read their samples, list their labels.
//!
//! The store answers with what it keeps inside a time range, and nothing else: lookback, offset, step and the
//! meaning of stale markers belong to PromQL. HA lanes are merged before anything leaves, unless asked otherwise.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::{Column, Labels, Matcher, Span, TimeRange, Timestamp};

use super::StoreError;
use super::footing::Footing;

/// Gives samples.
pub trait SampleSource: Send + Sync {
    /// The series that satisfy all matchers and may have a sample inside `range`, sorted by labels; each label set
    /// once. Samples are read lazily, series by series.
    ///
    /// # Errors
    /// Where the index cannot be read, or a limit is passed.
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError>;

    /// As [`select`](Self::select), for who needs no labels but those named. Others may be missing, so that several series
    /// have the same; their order is that of all their labels.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    fn select_projected(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        _needed: &[String],
    ) -> Result<SeriesSet, StoreError> {
        self.select(matchers, range)
    }

    /// The label sets with a sample inside `range` that satisfy all matchers, sorted.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError>;

    /// The label names of those series, sorted.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError>;

    /// The values that those series have under `name`, sorted.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError>;

    /// What senders said of metrics, by metric name, sorted; of one metric if named.
    ///
    /// # Errors
    /// Where the catalogue cannot be read.
    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError>;

    /// The exemplars inside `range` of series that satisfy one of the matcher sets.
    ///
    /// # Errors
    /// As [`select`](Self::select).
    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError>;

    /// The same store seen through another choice of lanes; `None` where this store cannot offer it.
    fn with_lanes(&self, _view: &LaneView) -> Option<Arc<dyn SampleSource>> {
        None
    }

    /// The same store, whose look-ups end with [`StoreError::Canceled`] once they are not wanted any more; `None` where
    /// they are too short to be worth it.
    fn while_wanted(&self, _wanted: &Wanted) -> Option<Arc<dyn SampleSource>> {
        None
    }

    /// What reads that begin now rest on; `None` where the store cannot tell what changes later.
    fn footing(&self) -> Option<Footing> {
        None
    }

    /// The same store, whose reads tell `footing` what may still change. `None` as above.
    fn resting_on(&self, _footing: &Footing) -> Option<Arc<dyn SampleSource>> {
        None
    }

    /// Up to when reads that rest on `footing` would give the same now: samples before this instant have neither come
    /// nor gone since.
    fn holds_before(&self, _footing: &Footing) -> Timestamp {
        Timestamp::MIN
    }
}

/// Whether an answer is still waited for. Storage asks every few hundred series.
#[derive(Clone, Default)]
pub struct Wanted(Option<Arc<dyn Fn() -> bool + Send + Sync>>);

impl Wanted {
    /// For as long as `still` says so.
    pub fn as_long_as(still: impl Fn() -> bool + Send + Sync + 'static) -> Wanted {
        Wanted(Some(Arc::new(still)))
    }

    /// # Errors
    /// [`StoreError::Canceled`] once nobody waits any more.
    pub fn check(&self) -> Result<(), StoreError> {
        match &self.0 {
            Some(still) if !still() => Err(StoreError::Canceled),
            _ => Ok(()),
        }
    }
}

/// Which lanes of an HA group a read sees.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum LaneView {
    /// One series out of each group: the normal view.
    #[default]
    Merged,
    /// Every lane as a series of its own, told apart by a replica label.
    Raw,
    /// The lane of this replica alone.
    Replica(String),
}

/// Removes what is kept.
pub trait DeleteSeries: Send + Sync {
    /// Makes the samples of matching series inside `range` invisible at once; space comes back with a later merge.
    ///
    /// # Errors
    /// Where the store cannot take writes.
    fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError>;
}

/// Series that were selected, sorted by labels.
#[derive(Default)]
pub struct SeriesSet {
    /// The series.
    pub series: Vec<SelectedSeries>,
    /// What the reader should know, e.g. that a damaged block was left out. More may come while samples are read.
    pub warnings: Warnings,
}

/// Sentences about an answer. Clones share them: who reads samples adds, and who gives the answer looks at the end.
#[derive(Clone, Debug, Default)]
pub struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    /// Most sentences of one answer; a disk that fails as a whole would say thousands.
    pub const COUNT_MAX: usize = 20;

    /// Adds a sentence, unless it is known or there are too many.
    pub fn add(&self, text: String) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() < Self::COUNT_MAX && !known.contains(&text) {
            known.push(text);
        }
    }

    /// All so far.
    pub fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// One selected series; its samples are read when asked for.
#[derive(Clone)]
pub struct SelectedSeries {
    /// Its labels.
    pub labels: Labels,
    /// Its samples inside the selected range.
    pub samples: Arc<dyn ReadSamples>,
}

/// Reads the samples of one selected series.
pub trait ReadSamples: Send + Sync {
    /// Replaces the content of `into` by the samples inside the selected range. What is damaged is left out, with a
    /// sentence among the [`SeriesSet`]'s warnings.
    ///
    /// # Errors
    /// Where a block cannot be read.
    fn read(&self, into: &mut Column) -> Result<(), StoreError>;
}

/// What a sender says of a metric.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MetricMetadata {
    /// `counter`, `gauge`, `histogram`, `gaugehistogram`, `summary`, `info`, `stateset` or `unknown`.
    pub kind: String,
    /// What it measures, in a sentence.
    pub help: String,
    /// In which unit; often empty.
    pub unit: String,
}

/// An observation kept as an example of a series' samples, usually with a trace id.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// Its own labels.
    pub labels: Labels,
    /// The observed value.
    pub value: f64,
    /// When it was observed.
    pub at: Timestamp,
}

/// The exemplars of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct ExemplarSeries {
    /// The series' labels.
    pub labels: Labels,
    /// Its exemplars, by time.
    pub exemplars: Vec<Exemplar>,
}

/// How far samples may lie ahead of the store's clock before they are refused.
pub const AHEAD_MAX: Span = Span::from_millis(10 * 60 * 1000);
