//! A world small enough to see through: a store that is a list, a journal that is a map, and queries that are names.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::model::sample::is_stale;
use crate::model::{Labels, Span, Timestamp};
use crate::promql::{Answer, Features, Point, QueryError, Value, VectorSample};
use crate::rules::file::Defaults;
use crate::rules::journal::AlertJournal;
use crate::rules::notify::{Message, Receipts};
use crate::rules::{Metrics, World};
use crate::store::{
    Appended, Journal, JournalChange, JournalEntry, MetricMetadata, SampleSink, SeriesBatch, StoreError,
};

/// How far back a query finds a sample.
const LOOKBACK: Span = Span::from_millis(5 * 60 * 1000);

/// Every sample ever written, in order of arrival.
#[derive(Default)]
pub(super) struct Samples(pub(super) Mutex<Vec<(Labels, Timestamp, f64)>>);

impl SampleSink for Samples {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        let mut written = Appended::default();
        for series in &batch.series {
            let name = batch.naming.name(series.key).expect("rules name their series");
            for sample in &batch.samples[series.samples.clone()] {
                self.0.lock().push((name.labels.clone(), sample.at, sample.value));
                written.samples += 1;
            }
        }
        Ok(written)
    }

    fn append_metadata(&self, _: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Samples {
    pub(super) fn put(&self, labels: &Labels, at: Timestamp, value: f64) {
        self.0.lock().push((labels.clone(), at, value));
    }

    /// What `labels` got written at exactly `at`.
    pub(super) fn at(&self, labels: &Labels, at: Timestamp) -> Option<f64> {
        let samples = self.0.lock();
        samples.iter().rev().find(|(known, when, _)| known == labels && *when == at).map(|(_, _, value)| *value)
    }

    /// A query is a metric's name: the latest sample of each of its series. `fail` fails, `seven` is a scalar.
    pub(super) fn query(&self, expr: &str, at: Timestamp) -> Result<Answer, QueryError> {
        // `last_over_time(name{...}[1h])` is the name, too.
        let expr = expr.strip_prefix("last_over_time(").and_then(|rest| rest.split('{').next()).unwrap_or(expr);
        match expr {
            "fail" => return Err(QueryError::Execution("it fails".to_owned())),
            "seven" => return Ok(Answer { value: Value::Scalar(at, 7.0), ..Answer::default() }),
            _ => {}
        }
        let mut latest: BTreeMap<Labels, (Timestamp, f64)> = BTreeMap::new();
        for (labels, when, value) in self.0.lock().iter() {
            let newer = latest.get(labels).is_none_or(|(known, _)| known <= when);
            if labels.metric_name() == Some(expr) && *when <= at && *when > at - LOOKBACK && newer {
                latest.insert(labels.clone(), (*when, *value));
            }
        }
        latest.retain(|_, (_, value)| !is_stale(*value));
        let vector =
            latest.into_iter().map(|(labels, (_, value))| VectorSample { labels, at, point: Point::Float(value) });
        Ok(Answer { value: Value::Vector(vector.collect()), ..Answer::default() })
    }
}

/// A journal that lives as long as its `Arc`, and refuses while `broken`.
#[derive(Default)]
pub(super) struct Memory {
    pub(super) entries: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
    pub(super) broken: Mutex<bool>,
}

impl Journal for Memory {
    fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError> {
        if *self.broken.lock() {
            return Err(StoreError::ReadOnly("no room".to_owned()));
        }
        let mut entries = self.entries.lock();
        for (key, value) in changes {
            match value {
                Some(value) => entries.insert(key.clone(), value.clone()),
                None => entries.remove(key),
            };
        }
        Ok(())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<JournalEntry>, StoreError> {
        let entries = self.entries.lock();
        let found = entries.iter().filter(|(key, _)| key.starts_with(prefix));
        Ok(found.map(|(key, value)| (key.clone(), value.clone())).collect())
    }
}

/// What outlives a restart of the rules.
#[derive(Clone, Default)]
pub(super) struct Outside {
    pub(super) samples: Arc<Samples>,
    pub(super) journal: Arc<Memory>,
    /// Every message ever sent.
    pub(super) sent: Arc<Mutex<Vec<Message>>>,
    /// Whether the Alertmanager is away.
    pub(super) away: Arc<Mutex<bool>>,
    pub(super) now: Arc<Mutex<Timestamp>>,
}

impl Outside {
    /// A world around fresh rules.
    pub(super) fn world(&self) -> World {
        let (samples, sent, away, now) = (self.samples.clone(), self.sent.clone(), self.away.clone(), self.now.clone());
        let receipts = Arc::new(Receipts::default());
        let back = receipts.clone();
        World {
            query: Arc::new(move |expr, at, _| samples.query(expr, at)),
            sink: self.samples.clone(),
            lane: None,
            journal: AlertJournal::new(self.journal.clone()),
            send: Arc::new(move |messages| {
                sent.lock().extend_from_slice(messages);
                if !*away.lock() {
                    back.note(messages.iter().map(|message| (message.key.clone(), message.said_at)));
                }
            }),
            receipts,
            clock: Arc::new(move || *now.lock()),
            external_labels: Labels::from_pairs([("region", "eu")]),
            external_url: "http://weir.test".to_owned(),
            resend_delay: Span::MINUTE,
            turns: Arc::new(tokio::sync::Semaphore::new(1)),
            metrics: Metrics::default(),
        }
    }
}

pub(super) fn defaults() -> Defaults {
    Defaults { features: Features::all(), ..Defaults::default() }
}
