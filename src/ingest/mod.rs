//! Bytes from a sender become an accepted batch: decode, relabel, name series and lanes, append.
//!
//! ```text
//! headers -> format       which protocol, which compression; what is unknown is refused, never guessed
//! body    -> wire         bounded decompression, then series with samples; labels stay bytes
//! bytes   -> naming       only for keys that the store does not know: labels, limits, relabeling, HA replica
//! batch   -> store        durable and visible when this returns
//! ```
//!
//! What is wrong with the request as a whole is an [`IngestError`]; what is wrong with one series or sample is counted
//! in [`Written`] and costs its neighbours nothing. This room knows no HTTP types, keeps no samples, reads no clock,
//! and is synchronous: [`Ingest::write`] returns when the samples are durable.
//!
//! Invariant: no request makes it panic or take more memory than the limits in [`Settings`] add up to.
//!
//! Other protocols ([`import`], [`otlp`]) are read into the same series and go the same way from there on.
//!
//! Read next: [`Ingest::write`], then [`wire`], then `naming`, then [`relabel`].

mod budget;
mod digests;
mod error;
mod format;
mod metrics;
mod naming;
pub mod import;
pub mod otlp;
pub mod relabel;
mod report;
mod settings;
mod symbolic;
mod told;
pub mod wire;
#[cfg(test)]
mod tests;

pub use error::IngestError;
pub use format::WriteVersion;
pub use import::{ImportFormat, ImportRequest};
pub use metrics::Metrics;
pub use otlp::OtlpSettings;
pub use report::refusal_text;
pub use settings::Settings;

use std::sync::Arc;

use crate::model::{LabelsBuilder, Timestamp};
use crate::store::{Appended, SampleSink, SeriesBatch, SeriesName, SeriesNaming, StoreError};

use budget::DecodeBudget;
use digests::Digests;
use metrics::{ReasonLabels, RequestLabels};
use naming::Naming;
use symbolic::SymbolicNaming;
use told::Told;
use wire::WireError;

/// The way in.
pub struct Ingest {
    settings: Settings,
    settings_seed: u64,
    sink: Arc<dyn SampleSink>,
    metrics: Metrics,
    budget: DecodeBudget,
    /// Sums of OpenTelemetry's deltas.
    deltas: otlp::Deltas,
    /// Makes what stands for symbols, resources and metrics.
    digests: Digests,
    /// What is known of metrics already.
    told: Told,
}

/// One remote write request, whatever carried it.
#[derive(Clone, Copy, Debug)]
pub struct WriteRequest<'a> {
    /// The body as it came over the wire.
    pub body: &'a [u8],
    /// The header `Content-Type`; absent means remote write 1.0.
    pub content_type: Option<&'a str>,
    /// The header `Content-Encoding`; absent means snappy, if it reads as snappy.
    pub content_encoding: Option<&'a str>,
    /// The replica, where the request names it rather than the labels: for pairs whose labels are all equal.
    pub replica: Option<&'a str>,
    /// The HA group of that replica, where the request names it, too; else labels do.
    pub cluster: Option<&'a str>,
    /// Put on every series after relabeling, whatever the sender says: what its token demands.
    pub labels: &'a [(String, String)],
    /// When the request arrived, by our clock.
    pub received_at: Timestamp,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// What is durable now, and what was refused.
    pub appended: Appended,
    /// The protocol version that the sender spoke.
    pub version: WriteVersion,
    /// The request's first series, where it can be named: it tells which replica writes.
    pub first: Option<SeriesName>,
}

impl Ingest {
    /// A way in to `sink`.
    pub fn new(settings: Settings, sink: Arc<dyn SampleSink>, metrics: Metrics) -> Self {
        let (settings_seed, budget) = (naming::seed(&settings), DecodeBudget::new(settings.decoding_bytes_max));
        let (deltas, told) = (otlp::Deltas::default(), Told::default());
        // Names and values.
        let digests = Digests::new(2 * settings.labels_max);
        Ingest { settings, settings_seed, sink, metrics, budget, deltas, digests, told }
    }

    /// The limits that requests are held to.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Takes a request. When this returns `Ok`, what it counts as written is durable and visible.
    ///
    /// # Errors
    /// Where nothing of the request counts as written. After a store error the sender should come back with all of
    /// it; writing a sample twice is no harm.
    pub fn write(&self, request: &WriteRequest<'_>) -> Result<Written, IngestError> {
        let written = self.accept(request);
        self.count(request.body.len(), written.as_ref().map(|written| &written.appended));
        written
    }

    /// Takes a body in another form than remote write's. When this returns `Ok`, what it counts as written is durable
    /// and visible. Large bodies are stored in several steps, so after an error some of it may be; writing it again is
    /// no harm, but for OpenTelemetry's deltas, which are summed up once.
    ///
    /// # Errors
    /// Where the body cannot be read at all, or the store cannot take it.
    pub fn import(&self, request: &ImportRequest<'_>) -> Result<Appended, IngestError> {
        let appended = self.take_in(request);
        self.count(request.body.len(), appended.as_ref());
        appended
    }

    fn take_in(&self, request: &ImportRequest<'_>) -> Result<Appended, IngestError> {
        if request.body.len() > self.settings.body_bytes_max {
            return Err(IngestError::TooLarge(self.settings.body_bytes_max));
        }
        let naming = self.naming(request.replica, None, request.labels)?;
        import::read(self, request, naming)
    }

    fn accept(&self, request: &WriteRequest<'_>) -> Result<Written, IngestError> {
        let version = format::version(request.content_type)?;
        let compression = format::compression(request.content_encoding, version)?;
        let naming = self.naming(request.replica, request.cluster, request.labels)?;
        if request.body.len() > self.settings.body_bytes_max {
            return Err(IngestError::TooLarge(self.settings.body_bytes_max));
        }

        let decoded_bytes_max = self.settings.decoded_bytes_max;
        let body = wire::compression::Body::inspect(request.body, compression, version, decoded_bytes_max)?;
        let mut memory = self.budget.take(body.memory_bytes()).ok_or_else(|| {
            StoreError::Overloaded(format!(
                "more than {} bytes of requests under way",
                self.settings.decoding_bytes_max
            ))
        })?;
        let bytes = body.decompress(&mut memory.buffer, decoded_bytes_max)?;
        self.metrics.decoded_bytes.inc_by(bytes.len() as u64);
        let mut decoded = wire::decode(version, bytes, &self.settings, &self.digests, &self.told)?;

        let (mut appended, mut first) = (Appended::default(), None);
        if !decoded.is_empty() {
            let (samples, exemplars) = (std::mem::take(&mut decoded.samples), std::mem::take(&mut decoded.exemplars));
            let series = decoded.batch_series();
            let symbolic = decoded.symbolic.as_ref().map(|sent| SymbolicNaming::new(&naming, sent, &self.settings));
            let naming: &dyn SeriesNaming = match &symbolic {
                Some(symbolic) => symbolic,
                None => &naming,
            };
            first = series.first().and_then(|series| naming.name(series.key).ok());
            let received_at = request.received_at;
            appended = self.sink.append(&SeriesBatch { received_at, naming, series, samples, exemplars })?;
        }
        if !decoded.metadata.is_empty() {
            let told = self.sink.append_metadata(&decoded.metadata);
            // Samples that are durable are not put in doubt by what is said about them.
            match told {
                Err(error) if decoded.is_empty() => return Err(error.into()),
                Err(error) => tracing::warn!(%error, "metadata of a write request is not kept"),
                Ok(()) => self.told.note(&decoded.sayings),
            }
        }
        self.metrics.exemplars_dropped.inc_by(decoded.exemplars_dropped);
        appended.refusals.merge(decoded.refusals);
        Ok(Written { appended, version, first })
    }

    /// What `rules` and the naming of series make of a sender's labels; nothing is stored.
    ///
    /// # Errors
    /// Where a rule cannot be used.
    pub fn rewrite(
        &self,
        rules: &[relabel::RelabelConfig],
        labels: &[(String, String)],
    ) -> Result<relabel::Rewritten, String> {
        let mut builder = LabelsBuilder::default();
        labels.iter().for_each(|(name, value)| builder.push(name.as_str(), value.as_str()));
        let steps = relabel::steps(rules, &mut builder)?;
        if steps.last().is_some_and(|step| !step.kept) {
            return Ok(relabel::Rewritten { steps, stored: Err("dropped by relabeling".to_owned()), replica: None });
        }
        let naming = Naming::new(&self.settings, self.settings_seed, None, None, &[]);
        let (stored, replica) = match naming.of_rewritten(builder) {
            Ok(SeriesName { labels, replica }) => {
                (Ok(labels.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()), replica)
            }
            Err(why) => (Err(why.to_string()), None),
        };
        Ok(relabel::Rewritten { steps, stored, replica })
    }

    fn naming<'a>(
        &'a self,
        replica: Option<&'a str>,
        cluster: Option<&'a str>,
        labels: &'a [(String, String)],
    ) -> Result<Naming<'a>, WireError> {
        let limit = self.settings.label_value_bytes_max;
        let (replica, cluster) = (replica.filter(|name| !name.is_empty()), cluster.filter(|name| !name.is_empty()));
        match [replica, cluster].into_iter().flatten().any(|name| name.len() > limit) {
            true => Err(WireError::ReplicaTooLong { limit }),
            false => Ok(Naming::new(&self.settings, self.settings_seed, replica, cluster, labels)),
        }
    }

    fn count(&self, body_bytes: usize, appended: Result<&Appended, &IngestError>) {
        let outcome = match appended {
            Ok(appended) if appended.refusals.has_faults() => "partly_refused",
            Ok(_) => "written",
            Err(IngestError::Malformed(_)) => "malformed",
            Err(IngestError::TooLarge(_)) => "too_large",
            Err(IngestError::Unsupported(_)) => "unsupported",
            Err(IngestError::Store(_)) => "store_error",
        };
        self.metrics.requests.get_or_create(&RequestLabels { outcome }).inc();
        self.metrics.body_bytes.inc_by(body_bytes as u64);
        if let Ok(appended) = appended {
            self.metrics.samples.inc_by(appended.samples);
            self.metrics.histograms.inc_by(appended.histograms);
            self.metrics.exemplars.inc_by(appended.exemplars);
            for (reason, samples) in &appended.refusals.counts {
                self.metrics.refused.get_or_create(&ReasonLabels { reason }).inc_by(*samples);
            }
        }
    }
}
