//! What a sender may send, and how it says who it is.

use super::otlp::OtlpSettings;
use super::relabel::Rule;

/// Limits of one request and the names of the HA labels.
///
/// The defaults leave room for the largest batches that known senders make (Prometheus up to 10,000 samples, the
/// OpenTelemetry exporter 3 MB, vmagent 8 MB before compression) and stop what only an attacker or a bug sends.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Bytes of a body as it comes over the wire.
    pub body_bytes_max: usize,
    /// Bytes of a body once decompressed. (Prometheus: 32 MiB.)
    pub decoded_bytes_max: usize,
    /// Decompressed bytes of all requests under way together; beyond, senders are asked to come back.
    pub decoding_bytes_max: usize,
    /// Series of one request.
    pub series_per_request_max: usize,
    /// Samples of one request, histograms included; also the most exemplars.
    pub samples_per_request_max: usize,
    /// Entries in the symbol table of one remote write 2.0 request.
    pub symbols_per_request_max: usize,
    /// Histogram buckets of one request.
    pub buckets_per_request_max: usize,
    /// Labels of one series, replica label included.
    pub labels_max: usize,
    /// Bytes of a label name.
    pub label_name_bytes_max: usize,
    /// Bytes of a label value.
    pub label_value_bytes_max: usize,
    /// Bytes of all names and values of one series.
    pub labels_bytes_max: usize,
    /// Labels that name a replica: the first of them that a series has is taken off it.
    pub replica_labels: Vec<String>,
    /// Labels that name the HA group, each belonging to the replica label at the same place in its list. Where that
    /// one is absent, the first of the others that is present names the group. They stay on the series.
    pub cluster_labels: Vec<String>,
    /// Rules that rewrite or drop series before they are named.
    pub relabel: Vec<Rule>,
    /// What is made of OpenTelemetry's metrics.
    pub otlp: OtlpSettings,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            body_bytes_max: 8 << 20,
            decoded_bytes_max: 32 << 20,
            decoding_bytes_max: 256 << 20,
            series_per_request_max: 50_000,
            samples_per_request_max: 100_000,
            symbols_per_request_max: 500_000,
            buckets_per_request_max: 2_000_000,
            labels_max: 64,
            label_name_bytes_max: 1024,
            label_value_bytes_max: 4096,
            labels_bytes_max: 16 << 10,
            replica_labels: vec!["__replica__".to_owned(), "prometheus_replica".to_owned()],
            cluster_labels: vec!["cluster".to_owned(), "prometheus".to_owned()],
            relabel: Vec::new(),
            otlp: OtlpSettings::default(),
        }
    }
}
