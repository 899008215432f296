//! A store in a `Vec`, for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::{Column, Histogram, Labels, Matcher, Sample, TimeRange, Timestamp};
use crate::promql::histogram::settle_hints;
use crate::store::{ExemplarSeries, MetricMetadata, ReadSamples, SampleSource, SelectedSeries, SeriesSet, StoreError};

/// A value of one row.
#[derive(Clone, Debug)]
pub(crate) enum MemoryValue {
    Float(f64),
    Histogram(Arc<Histogram>),
}

/// One row: value and start timestamp (0: unknown).
#[derive(Clone, Debug)]
struct Row {
    value: MemoryValue,
    start: Timestamp,
}

/// Series with their rows; whatever is loaded last at one time stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemorySource {
    series: BTreeMap<Labels, Arc<BTreeMap<Timestamp, Row>>>,
}

impl MemorySource {
    pub(crate) fn push(&mut self, labels: &Labels, at: Timestamp, value: f64) {
        self.insert(labels, at, Row { value: MemoryValue::Float(value), start: Timestamp::EPOCH });
    }

    /// With a start timestamp.
    pub(crate) fn push_row(&mut self, labels: &Labels, at: Timestamp, value: MemoryValue, start: Timestamp) {
        self.insert(labels, at, Row { value, start });
    }

    fn insert(&mut self, labels: &Labels, at: Timestamp, row: Row) {
        let rows = self.series.entry(labels.clone()).or_default();
        Arc::make_mut(rows).insert(at, row);
    }

    fn matching(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
    ) -> impl Iterator<Item = (&Labels, &Arc<BTreeMap<Timestamp, Row>>)> {
        self.series.iter().filter(move |(labels, rows)| {
            Matcher::all_match(matchers, labels) && rows.range(range.start()..=range.end()).next().is_some()
        })
    }
}

impl SampleSource for MemorySource {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let selected = |(labels, rows): (&Labels, &Arc<BTreeMap<Timestamp, Row>>)| SelectedSeries {
            labels: labels.clone(),
            samples: Arc::new(MemorySamples { rows: Arc::clone(rows), range }),
        };
        Ok(SeriesSet { series: self.matching(matchers, range).map(selected).collect(), ..SeriesSet::default() })
    }

    /// No label but those needed: who asks for too few is found out.
    fn select_projected(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        needed: &[String],
    ) -> Result<SeriesSet, StoreError> {
        let mut set = self.select(matchers, range)?;
        for series in &mut set.series {
            series.labels = series.labels.without(|name| !needed.iter().any(|kept| kept == name));
        }
        Ok(set)
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        Ok(self.matching(matchers, range).map(|(labels, _)| labels.clone()).collect())
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let names =
            self.matching(matchers, range).flat_map(|(labels, _)| labels.iter().map(|(name, _)| name.to_owned()));
        Ok(names.collect::<std::collections::BTreeSet<_>>().into_iter().collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let values = self.matching(matchers, range).filter_map(|(labels, _)| labels.get(name).map(str::to_owned));
        Ok(values.collect::<std::collections::BTreeSet<_>>().into_iter().collect())
    }

    fn metadata(&self, _metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        Ok(Vec::new())
    }

    fn exemplars(&self, _selectors: &[Vec<Matcher>], _range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        Ok(Vec::new())
    }
}

struct MemorySamples {
    rows: Arc<BTreeMap<Timestamp, Row>>,
    range: TimeRange,
}

impl ReadSamples for MemorySamples {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        into.clear();
        let mut all = Column::default();
        for (at, row) in self.rows.iter() {
            match &row.value {
                MemoryValue::Float(value) => all.push(Sample { at: *at, value: *value }),
                MemoryValue::Histogram(histogram) => all.push_histogram(*at, Arc::clone(histogram)),
            }
        }
        // As Prometheus' storage does: also the first histogram of the range is compared with the one before.
        settle_hints(&mut all);
        let mut histograms = all.histograms.into_iter().peekable();
        for (row, (at, value)) in all.at.into_iter().zip(all.values).enumerate() {
            let histogram = histograms.next_if(|(histogram_row, _)| *histogram_row == row);
            if !self.range.contains(at) {
                continue;
            }
            match histogram {
                None => into.push(Sample { at, value }),
                Some((_, histogram)) => into.push_histogram(at, histogram),
            }
            let start = self.rows[&at].start;
            if start != Timestamp::EPOCH {
                into.set_last_start(start);
            }
        }
        Ok(())
    }
}
