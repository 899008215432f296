//! A store in a temporary directory, with a clock in hand.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::model::{Column, Labels, Matcher, Replica, Sample, Span, Stopwatch, TimeRange, Timestamp};
use crate::store::{
    Appended, BatchSample, BatchSeries, Refused, SampleSink, SampleSource, SeriesBatch, SeriesName, SeriesNaming,
    StoreError,
};

use super::super::catalogue::memory::Memory;
use super::super::files::Disk;
use super::super::{Metrics, Progress, Settings, Tsdb, recover};
use super::disk::Failing;

/// Noon of some day.
pub(super) const NOON: i64 = 1_700_049_600_000 - 1_700_049_600_000 % 86_400_000 + 43_200_000;

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Seconds after noon.
pub(super) fn after_noon(seconds: i64) -> Timestamp {
    at(NOON + seconds * 1000)
}

/// Keys of the tests: `a/up{job="x"}` without braces: `replica|name=value,name=value`.
pub(super) struct PlainNaming;

impl SeriesNaming for PlainNaming {
    fn seed(&self) -> u64 {
        1
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let text = std::str::from_utf8(key).map_err(|_| Refused::InvalidUtf8)?;
        let (replica, pairs) = text.split_once('|').ok_or(Refused::NoMetricName)?;
        let labels = Labels::from_pairs(pairs.split(',').filter_map(|pair| pair.split_once('=')));
        let (cluster, name) = replica.split_once('/').unwrap_or(("eu", replica));
        let replica = (!replica.is_empty()).then(|| Replica { cluster: cluster.into(), name: name.into() });
        Ok(SeriesName { labels, replica })
    }
}

/// A watch that moves on by a second at each look.
fn ticking() -> Stopwatch {
    let looks = AtomicU64::new(0);
    Stopwatch(Arc::new(move || Duration::from_secs(looks.fetch_add(1, Ordering::Relaxed))))
}

/// A store that can be closed the hard way and opened again.
pub(super) struct World {
    _directory: tempfile::TempDir,
    pub(super) catalogue: Memory,
    pub(super) settings: Settings,
    pub(super) disk: Disk,
    /// What makes the disk fail, once [`World::on_a_failing_disk`] has put it there.
    pub(super) faults: Arc<Failing>,
    /// Those of the store that is open, or was last.
    pub(super) metrics: Metrics,
    store: Option<Tsdb>,
    pub(super) now: Timestamp,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(super) fn with(change: impl FnOnce(&mut Settings)) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        // Large segments have much room written ahead, which takes time.
        let mut settings =
            Settings { data: directory.path().to_path_buf(), segment_bytes_max: 1 << 20, ..Settings::default() };
        change(&mut settings);
        let (catalogue, disk, faults) = (Memory::default(), Disk::default(), Failing::never());
        let now = after_noon(0);
        let metrics = Metrics::default();
        let mut world = World { _directory: directory, catalogue, settings, disk, faults, metrics, store: None, now };
        world.open().expect("a new store opens");
        world
    }

    /// From now on the disk can be made to fail.
    pub(super) fn on_a_failing_disk(&mut self, faults: Arc<Failing>) {
        (self.disk, self.faults) = (faults.disk(), faults);
        self.crash();
    }

    pub(super) fn open(&mut self) -> Result<(), StoreError> {
        self.store = None;
        self.metrics = Metrics::timed_by(&ticking());
        let (settings, catalogue) = (self.settings.clone(), Box::new(self.catalogue.clone()));
        let store = recover::open(
            settings,
            catalogue,
            self.metrics.clone(),
            self.disk.clone(),
            self.now,
            &Progress::default(),
        )?;
        self.store = Some(Tsdb { store: Arc::new(store) });
        Ok(())
    }

    /// No process has the store open any more.
    pub(super) fn stop(&mut self) {
        self.store = None;
    }

    /// As after `kill -9`: nothing is closed, everything is opened again.
    pub(super) fn crash(&mut self) {
        self.open().expect("a store opens after a crash");
    }

    pub(super) fn store(&self) -> &Tsdb {
        self.store.as_ref().expect("open")
    }

    /// Spills the head whatever its age.
    pub(super) fn spill(&self) -> Result<usize, StoreError> {
        let mut spilling = self.store().store.spilling.lock();
        self.store().store.spill(&mut spilling).map(|(parts, _)| parts)
    }

    pub(super) fn push(&self, samples: &[(&str, Timestamp, f64)]) -> Result<Appended, StoreError> {
        self.push_to(self.store(), samples)
    }

    /// As [`push`](Self::push), to another store.
    pub(super) fn push_to(&self, store: &Tsdb, samples: &[(&str, Timestamp, f64)]) -> Result<Appended, StoreError> {
        let rows: Vec<(&str, BatchSample)> = samples
            .iter()
            .map(|(key, at, value)| (*key, super::super::rows::float(Sample { at: *at, value: *value })))
            .collect();
        self.push_rows_to(store, &rows)
    }

    pub(super) fn push_rows(&self, rows: &[(&str, BatchSample)]) -> Result<Appended, StoreError> {
        self.push_rows_to(self.store(), rows)
    }

    fn push_rows_to(&self, store: &Tsdb, rows: &[(&str, BatchSample)]) -> Result<Appended, StoreError> {
        let series = rows.iter().enumerate();
        store.append(&SeriesBatch {
            received_at: self.now,
            naming: &PlainNaming,
            series: series
                .map(|(place, (key, _))| BatchSeries { key: key.as_bytes(), samples: place..place + 1 })
                .collect(),
            samples: rows.iter().map(|(_, row)| row.clone()).collect(),
            exemplars: Vec::new(),
        })
    }

    pub(super) fn read(&self, matchers: &[Matcher], range: TimeRange) -> BTreeMap<String, Column> {
        read(self.store(), matchers, range)
    }

    /// Every float of every series, as `(labels, time, bits)`.
    pub(super) fn everything(&self) -> Vec<(String, i64, u64)> {
        everything_of(self.store())
    }

    pub(super) fn pass(&mut self, span: Span) {
        self.now = self.now + span;
    }
}

pub(super) fn read(source: &dyn SampleSource, matchers: &[Matcher], range: TimeRange) -> BTreeMap<String, Column> {
    let mut found = BTreeMap::new();
    for series in source.select(matchers, range).expect("readable").series {
        let mut column = Column::default();
        series.samples.read(&mut column).expect("readable");
        assert!(column.at.windows(2).all(|pair| pair[0] < pair[1]), "times rise strictly");
        assert!(column.at.iter().all(|at| range.contains(*at)), "rows lie inside the range");
        if !column.is_empty() {
            assert!(found.insert(series.labels.to_string(), column).is_none(), "each label set once");
        }
    }
    found
}

/// As [`World::everything`].
pub(super) fn everything_of(source: &dyn SampleSource) -> Vec<(String, i64, u64)> {
    let mut all = Vec::new();
    for (labels, column) in read(source, &[], TimeRange::ALL) {
        let rows = column.at.iter().zip(&column.values);
        all.extend(rows.map(|(at, value)| (labels.clone(), at.as_millis(), value.to_bits())));
    }
    all
}
