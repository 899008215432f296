//! A store in memory: what the test feeds, and what the rules give.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::RwLock;

use crate::model::{Column, Labels, Matcher, Sample, TimeRange, Timestamp};
use crate::promql::Point;
use crate::promql::histogram::settle_hints;
use crate::store::{
    Appended, ExemplarSeries, Journal, JournalChange, JournalEntry, MetricMetadata, ReadSamples, SampleSink,
    SampleSource, SelectedSeries, SeriesBatch, SeriesSet, StoreError,
};

/// Series with their samples, rising in time.
pub(super) struct MemoryStore {
    samples_max: usize,
    kept: RwLock<Kept>,
}

#[derive(Default)]
struct Kept {
    series: BTreeMap<Labels, Arc<Column>>,
    samples: usize,
}

impl MemoryStore {
    /// An empty store that takes at most so many samples.
    pub(super) fn new(samples_max: usize) -> Self {
        MemoryStore { samples_max, kept: RwLock::default() }
    }

    /// Adds a sample. Of two at one time the first stays, as in Prometheus; older ones than the newest are left out.
    ///
    /// # Errors
    /// Where the store is full.
    pub(super) fn push(&self, labels: &Labels, at: Timestamp, point: &Point) -> Result<(), StoreError> {
        let mut kept = self.kept.write();
        if kept.samples >= self.samples_max {
            let most = self.samples_max;
            return Err(StoreError::TooLarge(format!("a test may keep {most} samples, its rules' results included")));
        }
        kept.samples += 1;
        let column = Arc::make_mut(kept.series.entry(labels.clone()).or_default());
        if column.at.last().is_some_and(|last| *last >= at) {
            return Ok(());
        }
        match point {
            Point::Float(value) => column.push(Sample { at, value: *value }),
            Point::Histogram(histogram) => column.push_histogram(at, Arc::clone(histogram)),
        }
        Ok(())
    }

    fn matching<T>(&self, matchers: &[Matcher], range: TimeRange, of: impl Fn(&Labels, &Arc<Column>) -> T) -> Vec<T> {
        let kept = self.kept.read();
        let found = kept
            .series
            .iter()
            .filter(|(labels, column)| Matcher::all_match(matchers, labels) && !rows(column, range).is_empty());
        found.map(|(labels, column)| of(labels, column)).collect()
    }
}

fn rows(column: &Column, range: TimeRange) -> std::ops::Range<usize> {
    let first = column.at.partition_point(|at| *at < range.start());
    first..first.max(column.at.partition_point(|at| *at <= range.end()))
}

impl SampleSource for MemoryStore {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        let series = self.matching(matchers, range, |labels, column| SelectedSeries {
            labels: labels.clone(),
            samples: Arc::new(Rows { column: Arc::clone(column), range }),
        });
        Ok(SeriesSet { series, ..SeriesSet::default() })
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        Ok(self.matching(matchers, range, |labels, _| labels.clone()))
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let names =
            self.matching(matchers, range, |labels, _| labels.iter().map(|(name, _)| name.to_owned()).collect());
        let names: BTreeSet<String> = names.into_iter().flat_map(|names: Vec<String>| names).collect();
        Ok(names.into_iter().collect())
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        let values = self.matching(matchers, range, |labels, _| labels.get(name).map(str::to_owned));
        let values: BTreeSet<String> = values.into_iter().flatten().collect();
        Ok(values.into_iter().collect())
    }

    fn metadata(&self, _metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        Ok(Vec::new())
    }

    fn exemplars(&self, _selectors: &[Vec<Matcher>], _range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        Ok(Vec::new())
    }
}

/// The samples of one series, as they were when it was selected.
struct Rows {
    column: Arc<Column>,
    range: TimeRange,
}

impl ReadSamples for Rows {
    fn read(&self, into: &mut Column) -> Result<(), StoreError> {
        into.clear();
        let rows = rows(&self.column, self.range);
        if self.column.histograms.is_empty() {
            into.at.extend_from_slice(&self.column.at[rows.clone()]);
            into.values.extend_from_slice(&self.column.values[rows]);
            return Ok(());
        }
        // The hint of the first histogram in the range comes of the one before it.
        let mut all = (*self.column).clone();
        settle_hints(&mut all);
        let mut histograms = all.histograms.into_iter().peekable();
        for row in 0..rows.end {
            let histogram = histograms.next_if(|(at, _)| *at == row);
            match histogram {
                _ if row < rows.start => {}
                None => into.push(Sample { at: all.at[row], value: all.values[row] }),
                Some((_, histogram)) => into.push_histogram(all.at[row], histogram),
            }
        }
        Ok(())
    }
}

impl SampleSink for MemoryStore {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        let mut appended = Appended::default();
        for series in &batch.series {
            let samples = &batch.samples[series.samples.clone()];
            match batch.naming.name(series.key) {
                Ok(name) => {
                    for sample in samples {
                        let point = match &sample.histogram {
                            Some(histogram) => Point::Histogram(Arc::clone(histogram)),
                            None => Point::Float(sample.value),
                        };
                        self.push(&name.labels, sample.at, &point)?;
                        appended.samples += 1;
                    }
                }
                Err(why) => {
                    let name = || (batch.naming.describe(series.key), None);
                    appended.refusals.add(&why, samples.len() as u64, name);
                }
            }
        }
        Ok(appended)
    }

    fn append_metadata(&self, _: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Keeps nothing: a test ends with its process.
pub(in crate::rules) struct NoJournal;

impl Journal for NoJournal {
    fn write(&self, _: &[JournalChange]) -> Result<(), StoreError> {
        Ok(())
    }

    fn scan(&self, _: &[u8]) -> Result<Vec<JournalEntry>, StoreError> {
        Ok(Vec::new())
    }
}
