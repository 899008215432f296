//! Families of metrics in protobuf, each with its length in front: the form in which a Prometheus takes native histograms.

use crate::ingest::wire;
use crate::ingest::wire::proto::metrics as proto;
use crate::model::histogram::BucketSpan;
use crate::model::{Histogram, Labels, METRIC_NAME, Timestamp};
use crate::promql::Point;

use super::exposition::{Escaping, classic_buckets, escaped};

/// What a family is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Floats, whose type nobody knows any more.
    Untyped,
    /// Native histograms.
    Histogram,
    /// Native histograms that may fall.
    GaugeHistogram,
}

/// Appends a family: the series of one metric.
pub(super) fn write<'a>(
    into: &mut Vec<u8>,
    name: &str,
    kind: Kind,
    series: impl Iterator<Item = &'a (Labels, Timestamp, Point)>,
    escaping: Escaping,
) {
    let kind = match kind {
        Kind::Untyped => proto::MetricType::Untyped,
        Kind::Histogram => proto::MetricType::Histogram,
        Kind::GaugeHistogram => proto::MetricType::GaugeHistogram,
    };
    let family = proto::MetricFamily {
        name: escaped(name, escaping).into_owned(),
        help: String::new(),
        r#type: kind.into(),
        metric: series.map(|(labels, at, point)| metric(labels, *at, point, escaping)).collect(),
    };
    into.extend_from_slice(&wire::delimited(&family));
}

fn metric(labels: &Labels, at: Timestamp, point: &Point, escaping: Escaping) -> proto::Metric {
    let named = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let pair = |(name, value): (&str, &str)| proto::LabelPair {
        name: escaped(name, escaping).into_owned(),
        value: value.to_owned(),
    };
    let (untyped, histogram) = match point {
        Point::Float(value) => (Some(proto::Untyped { value: *value }), None),
        Point::Histogram(one) => (None, Some(histogram(one))),
    };
    proto::Metric { label: named.map(pair).collect(), untyped, timestamp_ms: at.as_millis(), histogram }
}

/// Counts stay whole where they were; custom bounds are the classic buckets that they were made of.
fn histogram(histogram: &Histogram) -> proto::Histogram {
    let is_whole = histogram.integer;
    let whole = |count: f64| if is_whole { count as u64 } else { 0 };
    let float = |count: f64| if is_whole { 0.0 } else { count };
    let mut told = proto::Histogram {
        sample_count: whole(histogram.count),
        sample_count_float: float(histogram.count),
        sample_sum: histogram.sum,
        ..proto::Histogram::default()
    };
    if histogram.has_custom_buckets() {
        let bucket = |(upper_bound, below)| proto::Bucket {
            cumulative_count: whole(below),
            cumulative_count_float: float(below),
            upper_bound,
        };
        told.bucket = classic_buckets(histogram).chain([(f64::INFINITY, histogram.count)]).map(bucket).collect();
        return told;
    }
    let deltas = |counts: &[f64]| -> Vec<i64> {
        let mut before = 0;
        let delta = |count: &f64| {
            let delta = *count as i64 - before;
            before = *count as i64;
            delta
        };
        if is_whole { counts.iter().map(delta).collect() } else { Vec::new() }
    };
    let counts = |counts: &[f64]| if is_whole { Vec::new() } else { counts.to_vec() };
    told.schema = histogram.schema;
    told.zero_threshold = histogram.zero_threshold;
    told.zero_count = whole(histogram.zero_count);
    told.zero_count_float = float(histogram.zero_count);
    told.negative_span = spans(&histogram.negative_spans);
    told.negative_delta = deltas(&histogram.negative_buckets);
    told.negative_count = counts(&histogram.negative_buckets);
    told.positive_span = spans(&histogram.positive_spans);
    told.positive_delta = deltas(&histogram.positive_buckets);
    told.positive_count = counts(&histogram.positive_buckets);
    if told.negative_span.is_empty() && told.positive_span.is_empty() {
        // Without a span nobody could tell it from a classic histogram.
        told.positive_span.push(proto::BucketSpan { offset: 0, length: 0 });
    }
    told
}

fn spans(spans: &[BucketSpan]) -> Vec<proto::BucketSpan> {
    spans.iter().map(|span| proto::BucketSpan { offset: span.offset, length: span.length }).collect()
}
