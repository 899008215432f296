//! The room as its callers see it: bodies in, batches and answers out.

mod encode;
mod fuzz;
mod headers;
mod histograms;
mod hostile;
mod names;
mod receiver;
mod v1;
mod v2;

use std::sync::{Arc, Mutex};

use prost::Message;

use crate::model::{Histogram, Labels, Replica, Timestamp};
use crate::store::{Appended, BatchSample, Exemplar, MetricMetadata, SampleSink, SeriesBatch, SeriesName, StoreError};

use super::wire::proto::{prometheus as p1, write_v2 as p2};
use super::{Ingest, IngestError, Metrics, Settings, WriteRequest, WriteVersion, Written};

pub(super) const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

/// A store that keeps what it is given, and names each series as often as it comes.
#[derive(Default)]
pub(super) struct Recorder {
    kept: Mutex<Kept>,
    /// What it answers instead, if anything.
    fails: Option<&'static str>,
}

#[derive(Default)]
pub(in crate::ingest) struct Kept {
    pub(in crate::ingest) series: Vec<(SeriesName, Vec<BatchSample>)>,
    pub(super) keys: Vec<Vec<u8>>,
    pub(super) seeds: Vec<u64>,
    pub(in crate::ingest) exemplars: Vec<(usize, Exemplar)>,
    pub(in crate::ingest) metadata: Vec<(String, MetricMetadata)>,
}

impl SampleSink for Recorder {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        if let Some(why) = self.fails {
            return Err(StoreError::Overloaded(why.to_owned()));
        }
        let mut kept = self.kept.lock().unwrap();
        let mut appended = Appended { exemplars: batch.exemplars.len() as u64, ..Appended::default() };
        kept.seeds.push(batch.naming.seed());
        kept.exemplars.extend(batch.exemplars.clone());
        for series in &batch.series {
            let samples = batch.samples[series.samples.clone()].to_vec();
            match batch.naming.name(series.key) {
                Ok(name) => {
                    let histograms = samples.iter().filter(|sample| sample.histogram.is_some()).count();
                    appended.histograms += histograms as u64;
                    appended.samples += (samples.len() - histograms) as u64;
                    kept.keys.push(series.key.to_vec());
                    kept.series.push((name, samples));
                }
                Err(why) => {
                    appended.refusals.add(&why, samples.len() as u64, || (batch.naming.describe(series.key), None));
                }
            }
        }
        Ok(appended)
    }

    fn append_metadata(&self, metadata: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        self.kept.lock().unwrap().metadata.extend(metadata.iter().cloned());
        Ok(())
    }
}

/// A way in with the store behind it.
pub(in crate::ingest) struct Door {
    pub(in crate::ingest) ingest: Ingest,
    store: Arc<Recorder>,
}

impl Door {
    pub(in crate::ingest) fn new() -> Self {
        Door::with(Settings::default())
    }

    pub(in crate::ingest) fn with(settings: Settings) -> Self {
        let store = Arc::new(Recorder::default());
        Door { ingest: Ingest::new(settings, store.clone(), Metrics::default()), store }
    }

    pub(super) fn failing(why: &'static str) -> Self {
        let store = Arc::new(Recorder { fails: Some(why), ..Recorder::default() });
        Door { ingest: Ingest::new(Settings::default(), store.clone(), Metrics::default()), store }
    }

    /// Sends a message as version 1, in snappy.
    pub(super) fn send_v1(&self, message: &impl Message) -> Result<Written, IngestError> {
        self.ingest.write(&request(&snappy(&message.encode_to_vec())))
    }

    /// Sends a message as version 2, in snappy.
    pub(super) fn send_v2(&self, message: &impl Message) -> Result<Written, IngestError> {
        let body = snappy(&message.encode_to_vec());
        self.ingest.write(&WriteRequest { content_type: Some(V2), ..request(&body) })
    }

    /// What the store was given since the last question.
    pub(in crate::ingest) fn kept(&self) -> Kept {
        std::mem::take(&mut *self.store.kept.lock().unwrap())
    }
}

pub(super) fn request(body: &[u8]) -> WriteRequest<'_> {
    WriteRequest {
        body,
        content_type: Some("application/x-protobuf"),
        content_encoding: Some("snappy"),
        replica: None,
        cluster: None,
        labels: &[],
        received_at: Timestamp::from_millis(1_600_000_000_000),
    }
}

pub(super) fn snappy(bytes: &[u8]) -> Vec<u8> {
    snap::raw::Encoder::new().compress_vec(bytes).unwrap()
}

/// A series of version 1.
pub(super) fn series(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> p1::TimeSeries {
    p1::TimeSeries {
        labels: labels.iter().map(|(name, value)| label(name, value)).collect(),
        samples: samples.iter().map(|(timestamp, value)| p1::Sample { value: *value, timestamp: *timestamp }).collect(),
        ..p1::TimeSeries::default()
    }
}

pub(super) fn label(name: &str, value: &str) -> p1::Label {
    p1::Label { name: name.to_owned(), value: value.to_owned() }
}

pub(super) fn v1(timeseries: Vec<p1::TimeSeries>) -> p1::WriteRequest {
    p1::WriteRequest { timeseries, metadata: Vec::new() }
}

/// A sample in short: time, bits, histogram.
pub(super) fn rows(samples: &[BatchSample]) -> Vec<(i64, u64, Option<Histogram>)> {
    let row =
        |sample: &BatchSample| (sample.at.as_millis(), sample.value.to_bits(), sample.histogram.as_deref().cloned());
    samples.iter().map(row).collect()
}

pub(super) fn named(labels: &[(&str, &str)]) -> SeriesName {
    SeriesName { labels: Labels::from_pairs(labels.iter().copied()), replica: None }
}

pub(super) fn replica(cluster: &str, name: &str) -> Option<Replica> {
    Some(Replica { cluster: cluster.to_owned(), name: name.to_owned() })
}
