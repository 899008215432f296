//! A decoded request: what both versions of remote write become.

use std::ops::Range;

use crate::model::Timestamp;
use crate::store::{BatchSample, BatchSeries, Exemplar, MetricMetadata, Refusals, Refused};

use super::super::Settings;
use super::super::digests::Digest;
use super::super::told::Saying;
use super::symbols::Symbolic;
use super::{WireError, histogram, key};

/// One request, decoded, before anybody has asked which series its keys mean.
#[derive(Default)]
pub(in crate::ingest) struct Decoded<'a> {
    series: Vec<(Key<'a>, Range<usize>)>,
    /// The samples of all series.
    pub(in crate::ingest) samples: Vec<BatchSample>,
    /// Exemplars with the index of their series.
    pub(in crate::ingest) exemplars: Vec<(usize, Exemplar)>,
    /// Exemplars that were left out: their labels are no text, or too long.
    pub(in crate::ingest) exemplars_dropped: u64,
    /// What the sender says of metrics; each metric once.
    pub(in crate::ingest) metadata: Vec<(String, MetricMetadata)>,
    /// The same as far as it need not be said again.
    pub(in crate::ingest) sayings: Vec<Saying>,
    /// What keys stand for that are digests.
    pub(in crate::ingest) symbolic: Option<Symbolic<'a>>,
    /// What could not be kept.
    pub(in crate::ingest) refusals: Refusals,
    /// Keys that do not stand in the body as one piece.
    built: Vec<u8>,
    buckets: usize,
}

/// Where the bytes of a key stand.
pub(in crate::ingest) enum Key<'a> {
    /// In the body.
    Sent(&'a [u8]),
    /// In `Decoded::built`.
    Built(Range<usize>),
}

impl<'a> Decoded<'a> {
    /// An empty request with room for that many series of one sample each.
    pub(super) fn with_room_for(series: usize) -> Self {
        Decoded { series: Vec::with_capacity(series), samples: Vec::with_capacity(series), ..Decoded::default() }
    }

    /// The series as the store takes them.
    pub(in crate::ingest) fn batch_series(&self) -> Vec<BatchSeries<'_>> {
        let series = self.series.iter();
        series.map(|(key, samples)| BatchSeries { key: self.key(key), samples: samples.clone() }).collect()
    }

    /// Whether nothing is left for the store.
    pub(in crate::ingest) fn is_empty(&self) -> bool {
        self.series.is_empty()
    }

    pub(super) fn key<'s>(&'s self, key: &Key<'s>) -> &'s [u8] {
        match key {
            Key::Sent(bytes) => bytes,
            Key::Built(range) => &self.built[range.clone()],
        }
    }

    /// Adds a series whose samples are the last ones added, from index `first` on.
    #[inline]
    pub(in crate::ingest) fn push_series(
        &mut self,
        key: Key<'a>,
        first: usize,
        settings: &Settings,
    ) -> Result<(), WireError> {
        at_most(self.series.len(), settings.series_per_request_max, "series")?;
        self.series.push((key, first..self.samples.len()));
        Ok(())
    }

    /// The index that the next series will have.
    pub(super) fn next_series(&self) -> usize {
        self.series.len()
    }

    #[inline]
    pub(in crate::ingest) fn push_sample(&mut self, sample: BatchSample, settings: &Settings) -> Result<(), WireError> {
        at_most(self.samples.len(), settings.samples_per_request_max, "samples")?;
        self.samples.push(sample);
        Ok(())
    }

    /// Adds an exemplar of the next series, or counts that there is none to keep.
    pub(in crate::ingest) fn push_exemplar(
        &mut self,
        exemplar: Option<Exemplar>,
        settings: &Settings,
    ) -> Result<(), WireError> {
        at_most(self.exemplars.len(), settings.samples_per_request_max, "exemplars")?;
        match exemplar {
            Some(exemplar) => self.exemplars.push((self.next_series(), exemplar)),
            None => self.exemplars_dropped += 1,
        }
        Ok(())
    }

    /// Adds the histogram in `message`, or counts why it cannot be one; `describe` names its series.
    pub(super) fn push_histogram(
        &mut self,
        message: &[u8],
        created: Timestamp,
        describe: impl FnOnce(&Self) -> String,
        settings: &Settings,
    ) -> Result<(), WireError> {
        let sent = histogram::read(message, &mut self.buckets, settings.buckets_per_request_max)?;
        let (at, start) = (sent.at, if sent.start == Timestamp::EPOCH { created } else { sent.start });
        match sent.into_histogram() {
            Ok(histogram) => {
                self.push_sample(BatchSample { at, start, value: 0.0, histogram: Some(histogram.into()) }, settings)
            }
            Err(why) => {
                let text = describe(self);
                self.refusals.add(&Refused::BadHistogram(why), 1, || (text, Some(at)));
                Ok(())
            }
        }
    }

    pub(in crate::ingest) fn push_metadata(
        &mut self,
        metric: String,
        metadata: MetricMetadata,
        settings: &Settings,
    ) -> Result<(), WireError> {
        at_most(self.metadata.len(), settings.series_per_request_max, "metadata entries")?;
        self.metadata.push((metric, metadata));
        Ok(())
    }

    /// A key that is a digest.
    pub(super) fn digest_key(&mut self, digest: Digest) -> Key<'a> {
        let start = self.built.len();
        self.built.extend_from_slice(&digest.to_bytes());
        Key::Built(start..self.built.len())
    }

    /// Builds a key by what `write` appends.
    ///
    /// Built keys may repeat what the body says once, so all of them together are held to the size of a body.
    pub(in crate::ingest) fn build_key(
        &mut self,
        settings: &Settings,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Refused>,
        samples: u64,
    ) -> Result<Option<Key<'a>>, WireError> {
        let start = self.built.len();
        let outcome = write(&mut self.built);
        at_most(self.built.len(), settings.decoded_bytes_max, "bytes of labels")?;
        match outcome {
            Ok(()) => Ok(Some(Key::Built(start..self.built.len()))),
            Err(why) => {
                self.refusals.add(&why, samples.max(1), || (key::describe(&self.built[start..]), None));
                self.built.truncate(start);
                Ok(None)
            }
        }
    }
}

/// `Err` where one more would pass the limit.
#[inline]
pub(in crate::ingest) fn at_most(count: usize, limit: usize, what: &'static str) -> Result<(), WireError> {
    match count < limit {
        true => Ok(()),
        false => Err(WireError::TooMany { what, limit }),
    }
}

/// The types of metrics, by their number in both versions.
const KINDS: [&str; 8] = ["unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"];

/// Longest help text that is kept, in bytes.
pub(in crate::ingest) const HELP_BYTES_MAX: usize = 4096;

/// The type of a metric; what is not known is `unknown`.
pub(super) fn kind_name(kind: u64) -> &'static str {
    usize::try_from(kind).ok().and_then(|kind| KINDS.get(kind)).unwrap_or(&KINDS[0])
}

/// What a sender says of a metric; what is not text is replaced, what is too long is cut.
pub(super) fn metadata(kind: u64, help: &[u8], unit: &[u8]) -> MetricMetadata {
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(HELP_BYTES_MAX)]).into_owned();
    MetricMetadata { kind: kind_name(kind).to_owned(), help: text(help), unit: text(unit) }
}
