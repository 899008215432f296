//! Series from any reader become batches of bounded size.

use crate::model::Timestamp;
use crate::store::{Appended, BatchSample, Exemplar, MetricMetadata, Refused, SeriesBatch, SeriesNaming};

use super::super::naming::Naming;
use super::super::told::Saying;
use super::super::wire::{Decoded, key};
use super::super::{Ingest, IngestError};
use super::text;

/// A batch goes to the store once it holds so many samples or series, or so many bytes of labels.
const BATCH_SAMPLES: usize = 20_000;
const BATCH_SERIES: usize = 10_000;
const BATCH_LABEL_BYTES: usize = 4 << 20;

/// Names the series of a batch that is being put together.
pub(in crate::ingest) trait BatchNaming: SeriesNaming {
    /// The batch is with the store: its keys will not be asked for any more.
    fn batch_ended(&mut self) {}
}

impl BatchNaming for Naming<'_> {}

/// Takes series, and gives them to the store.
pub(in crate::ingest) struct Collector<'a, N = Naming<'a>> {
    pub(in crate::ingest) ingest: &'a Ingest,
    pub(in crate::ingest) naming: N,
    received_at: Timestamp,
    /// Labels of the request, in place of a series' own.
    extra: &'a [(String, String)],
    decoded: Decoded<'static>,
    series: usize,
    label_bytes: usize,
    appended: Appended,
}

impl<'a, N: BatchNaming> Collector<'a, N> {
    pub(in crate::ingest) fn new(
        ingest: &'a Ingest,
        naming: N,
        extra: &'a [(String, String)],
        received_at: Timestamp,
    ) -> Self {
        let (decoded, appended) = (Decoded::default(), Appended::default());
        Collector { ingest, naming, received_at, extra, decoded, series: 0, label_bytes: 0, appended }
    }

    /// Adds a series: its labels in any order, `__name__` among them.
    pub(in crate::ingest) fn series<'l>(
        &mut self,
        labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
        samples: impl IntoIterator<Item = BatchSample>,
    ) -> Result<(), IngestError> {
        self.series_with(labels, samples, None)
    }

    /// Adds a series with an exemplar.
    #[allow(clippy::needless_pass_by_value, reason = "iterators are passed by value, and this one may run twice")]
    pub(in crate::ingest) fn series_with<'l>(
        &mut self,
        labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
        samples: impl IntoIterator<Item = BatchSample>,
        exemplar: Option<Exemplar>,
    ) -> Result<(), IngestError> {
        let mut samples = samples.into_iter().peekable();
        let mut exemplar = exemplar;
        // A series with more samples than a batch is as many series as it takes.
        while samples.peek().is_some() {
            let settings = &self.ingest.settings;
            let first = self.decoded.samples.len();
            for sample in samples.by_ref().take(BATCH_SAMPLES) {
                self.decoded.push_sample(sample, settings)?;
            }
            let count = (self.decoded.samples.len() - first) as u64;
            let (extra, mut bytes) = (self.extra, 0);
            let write = |into: &mut Vec<u8>| {
                let start = into.len();
                let is_own = |name: &str| extra.iter().all(|(other, _)| other != name);
                for (name, value) in labels.clone().filter(|(name, _)| is_own(name)) {
                    key::push_label(into, name.as_bytes(), value.as_bytes());
                }
                for (name, value) in extra {
                    key::push_label(into, name.as_bytes(), value.as_bytes());
                }
                bytes = into.len() - start;
                Ok(())
            };
            match self.decoded.build_key(settings, write, count)? {
                Some(key) => {
                    if let Some(exemplar) = exemplar.take() {
                        self.decoded.push_exemplar(Some(exemplar), settings)?;
                    }
                    self.decoded.push_series(key, first, settings)?;
                }
                None => self.decoded.samples.truncate(first),
            }
            self.flush_if_full(bytes)?;
        }
        Ok(())
    }

    /// Adds one sample, and exemplars, of a series whose key `write` appends, for this collector's naming to read.
    pub(in crate::ingest) fn keyed(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>),
        sample: BatchSample,
        exemplars: Vec<Exemplar>,
    ) -> Result<(), IngestError> {
        let settings = &self.ingest.settings;
        let (first, mut bytes) = (self.decoded.samples.len(), 0);
        let write = |into: &mut Vec<u8>| {
            let start = into.len();
            write(into);
            bytes = into.len() - start;
            Ok(())
        };
        if let Some(key) = self.decoded.build_key(settings, write, 1)? {
            self.decoded.push_sample(sample, settings)?;
            for exemplar in exemplars {
                self.decoded.push_exemplar(Some(exemplar), settings)?;
            }
            self.decoded.push_series(key, first, settings)?;
        }
        self.flush_if_full(bytes)
    }

    /// Counts a series with so many bytes of labels.
    fn flush_if_full(&mut self, label_bytes: usize) -> Result<(), IngestError> {
        self.series += 1;
        self.label_bytes += label_bytes;
        let is_full = self.decoded.samples.len() >= BATCH_SAMPLES
            || self.series >= BATCH_SERIES
            || self.label_bytes >= BATCH_LABEL_BYTES;
        if is_full { self.flush() } else { Ok(()) }
    }

    /// Adds one float sample of a series.
    pub(in crate::ingest) fn float<'l>(
        &mut self,
        labels: impl Iterator<Item = (&'l str, &'l str)> + Clone,
        at: Timestamp,
        value: f64,
    ) -> Result<(), IngestError> {
        self.series(labels, [BatchSample { at, start: Timestamp::EPOCH, value, histogram: None }])
    }

    /// Counts a line, by its index, that cannot be read.
    pub(super) fn refuse(&mut self, index: usize, why: &Refused) {
        self.appended.refusals.add(why, 1, || (format!("line {}", index + 1), None));
    }

    /// Counts samples of something that cannot be kept.
    pub(in crate::ingest) fn refuse_named(&mut self, what: &str, samples: u64, why: &Refused) {
        self.appended.refusals.add(why, samples, || (what.to_owned(), None));
    }

    /// Keeps what is said of a metric.
    pub(in crate::ingest) fn metadata(&mut self, metric: &str, metadata: MetricMetadata) -> Result<(), IngestError> {
        Ok(self.decoded.push_metadata(metric.to_owned(), metadata, &self.ingest.settings)?)
    }

    /// The same for what need not be said again.
    pub(in crate::ingest) fn told(
        &mut self,
        saying: Saying,
        metric: &str,
        metadata: MetricMetadata,
    ) -> Result<(), IngestError> {
        self.metadata(metric, metadata)?;
        self.decoded.sayings.push(saying);
        Ok(())
    }

    /// Keeps what a text said of its metrics; it can say a thing in three lines.
    pub(super) fn end_of_text(&mut self, text: text::Reader) {
        for (metric, metadata) in text.into_metadata() {
            // Over the limit there is enough of it.
            if self.metadata(&metric, metadata).is_err() {
                break;
            }
        }
    }

    fn flush(&mut self) -> Result<(), IngestError> {
        (self.series, self.label_bytes) = (0, 0);
        let mut decoded = std::mem::take(&mut self.decoded);
        let metadata = std::mem::take(&mut decoded.metadata);
        if !decoded.is_empty() {
            let (samples, exemplars) = (std::mem::take(&mut decoded.samples), std::mem::take(&mut decoded.exemplars));
            let (received_at, series) = (self.received_at, decoded.batch_series());
            let batch = SeriesBatch { received_at, naming: &self.naming, series, samples, exemplars };
            let appended = self.ingest.sink.append(&batch)?;
            self.appended.samples += appended.samples;
            self.appended.histograms += appended.histograms;
            self.appended.exemplars += appended.exemplars;
            self.appended.refusals.merge(appended.refusals);
        }
        self.appended.refusals.merge(std::mem::take(&mut decoded.refusals));
        if !metadata.is_empty() {
            match self.ingest.sink.append_metadata(&metadata) {
                Ok(()) => self.ingest.told.note(&decoded.sayings),
                Err(error) => tracing::warn!(%error, "metadata of an import is not kept"),
            }
        }
        self.naming.batch_ended();
        Ok(())
    }

    pub(in crate::ingest) fn end(mut self) -> Result<Appended, IngestError> {
        self.flush()?;
        Ok(self.appended)
    }
}
