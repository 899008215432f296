//! The other way round: samples as a remote write 1.0 request, for what Weir's own tools send and what it passes on.

use std::ops::Range;

use prost::Message;

use crate::model::histogram::BucketSpan;
use crate::model::{Column, Histogram, Labels, ResetHint};
use crate::store::{BatchSeries, SeriesBatch};

use super::proto::prometheus as proto;

/// A request that grows series by series.
#[derive(Debug, Default)]
pub struct RequestBuilder {
    request: proto::WriteRequest,
    samples: usize,
}

impl RequestBuilder {
    /// Adds rows of a series.
    pub fn push(&mut self, labels: &Labels, column: &Column, rows: Range<usize>) {
        let label = |(name, value): (&str, &str)| proto::Label { name: name.to_owned(), value: value.to_owned() };
        let first = column.histograms.partition_point(|(row, _)| *row < rows.start);
        let mut histograms = column.histograms[first..].iter().peekable();
        let mut series = proto::TimeSeries { labels: labels.iter().map(label).collect(), ..Default::default() };
        self.samples += rows.len();
        for row in rows {
            let timestamp = column.at[row].as_millis();
            match histograms.next_if(|(place, _)| *place == row) {
                Some((_, one)) => series.histograms.push(histogram(timestamp, one)),
                None => series.samples.push(proto::Sample { value: column.values[row], timestamp }),
            }
        }
        self.request.timeseries.push(series);
    }

    /// How many samples it holds.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// How many series stand in it.
    pub fn series(&self) -> usize {
        self.request.timeseries.len()
    }

    /// The body, compressed by snappy, as senders send it; the builder is empty then.
    ///
    /// # Errors
    /// Where it is larger than snappy's 4 GiB.
    pub fn take_body(&mut self) -> Result<Vec<u8>, snap::Error> {
        let body = std::mem::take(self).request.encode_to_vec();
        snap::raw::Encoder::new().compress_vec(&body)
    }
}

/// These series of `batch` as a remote write request of version 1, compressed by snappy. Series that cannot be named
/// are left out; so are start timestamps and exemplars, which version 1 does not have or nobody passes on.
pub fn write_request(batch: &SeriesBatch<'_>, series: &[BatchSeries<'_>]) -> Vec<u8> {
    let one = |series: &BatchSeries<'_>| {
        let name = batch.naming.name(series.key).ok()?;
        let label = |(name, value): (&str, &str)| proto::Label { name: name.to_owned(), value: value.to_owned() };
        let rows = &batch.samples[series.samples.clone()];
        let floats = rows.iter().filter(|row| row.histogram.is_none());
        let histograms = rows.iter().filter_map(|row| Some((row.at, row.histogram.as_ref()?)));
        Some(proto::TimeSeries {
            labels: name.labels.iter().map(label).collect(),
            samples: floats.map(|row| proto::Sample { value: row.value, timestamp: row.at.as_millis() }).collect(),
            exemplars: Vec::new(),
            histograms: histograms.map(|(at, one)| histogram(at.as_millis(), one)).collect(),
        })
    };
    let request = proto::WriteRequest { timeseries: series.iter().filter_map(one).collect(), metadata: Vec::new() }
        .encode_to_vec();
    snap::raw::Encoder::new().compress_vec(&request).expect("snappy takes all that fits into memory")
}

/// A histogram at this time, in milliseconds; counts are whole where they were whole.
pub fn histogram(timestamp: i64, histogram: &Histogram) -> proto::Histogram {
    use proto::histogram::{Count, ZeroCount};
    let spans = |spans: &[BucketSpan]| -> Vec<proto::BucketSpan> {
        spans.iter().map(|span| proto::BucketSpan { offset: span.offset, length: span.length }).collect()
    };
    let mut out = proto::Histogram {
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        negative_spans: spans(&histogram.negative_spans),
        positive_spans: spans(&histogram.positive_spans),
        reset_hint: match histogram.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Yes => 1,
            ResetHint::No => 2,
            ResetHint::Gauge => 3,
        },
        timestamp,
        custom_values: histogram.custom_values.clone(),
        ..Default::default()
    };
    match histogram.integer {
        true => {
            out.count = Some(Count::CountInt(histogram.count as u64));
            out.zero_count = Some(ZeroCount::ZeroCountInt(histogram.zero_count as u64));
            out.negative_deltas = deltas(&histogram.negative_buckets);
            out.positive_deltas = deltas(&histogram.positive_buckets);
        }
        false => {
            out.count = Some(Count::CountFloat(histogram.count));
            out.zero_count = Some(ZeroCount::ZeroCountFloat(histogram.zero_count));
            out.negative_counts.clone_from(&histogram.negative_buckets);
            out.positive_counts.clone_from(&histogram.positive_buckets);
        }
    }
    out
}

/// Each bucket as the difference to the one before.
fn deltas(buckets: &[f64]) -> Vec<i64> {
    let mut before = 0;
    let each = buckets.iter().map(|bucket| {
        let bucket = *bucket as i64;
        let delta = bucket - before;
        before = bucket;
        delta
    });
    each.collect()
}
