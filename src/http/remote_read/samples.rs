//! The old form of the answer: all samples at once, so there is a bound on them.

use crate::ingest::wire::proto::prometheus as proto;
use crate::model::histogram::BucketSpan;
use crate::model::{Column, Histogram, ResetHint, Sample};
use crate::promql::{Interrupt, QueryError};
use crate::store::{SampleSource, StoreError};

use super::{Wanted, frames};

/// Samples of one answer. (Prometheus: 50 million; an answer of that is held whole, so this is less.)
pub(super) const SAMPLES_MAX: usize = 10_000_000;

/// Collects the answer of every query, in order.
///
/// # Errors
/// Where there is more than fits, the store cannot be read, or nobody waits any more.
pub(super) fn collect(
    source: &dyn SampleSource,
    wanted: &[Wanted],
    interrupt: &Interrupt,
) -> Result<proto::ReadResponse, QueryError> {
    let (mut column, mut left, mut results) = (Column::default(), SAMPLES_MAX, Vec::new());
    for query in wanted {
        let mut timeseries = Vec::new();
        for series in
            query.range.map(|range| source.select(&query.matchers, range)).transpose()?.unwrap_or_default().series
        {
            interrupt.check()?;
            series.samples.read(&mut column)?;
            left = left.checked_sub(column.len()).ok_or_else(|| {
                QueryError::Store(StoreError::TooLarge(format!(
                    "exceeded sample limit ({SAMPLES_MAX}); ask for STREAMED_XOR_CHUNKS, which has none"
                )))
            })?;
            if !column.is_empty() {
                timeseries.push(proto::TimeSeries {
                    labels: frames::labels(&series.labels),
                    samples: column.floats().map(sample).collect(),
                    exemplars: Vec::new(),
                    histograms: column
                        .histograms
                        .iter()
                        .map(|(row, one)| histogram(column.at[*row].as_millis(), one))
                        .collect(),
                });
            }
        }
        results.push(proto::QueryResult { timeseries });
    }
    Ok(proto::ReadResponse { results })
}

fn sample(sample: Sample) -> proto::Sample {
    proto::Sample { value: sample.value, timestamp: sample.at.as_millis() }
}

/// A histogram as a float histogram: counts are kept as floats, and every reader takes those.
fn histogram(timestamp: i64, histogram: &Histogram) -> proto::Histogram {
    let spans = |spans: &[BucketSpan]| -> Vec<proto::BucketSpan> {
        spans.iter().map(|span| proto::BucketSpan { offset: span.offset, length: span.length }).collect()
    };
    proto::Histogram {
        count: Some(proto::histogram::Count::CountFloat(histogram.count)),
        sum: histogram.sum,
        schema: histogram.schema,
        zero_threshold: histogram.zero_threshold,
        zero_count: Some(proto::histogram::ZeroCount::ZeroCountFloat(histogram.zero_count)),
        negative_spans: spans(&histogram.negative_spans),
        negative_deltas: Vec::new(),
        negative_counts: histogram.negative_buckets.clone(),
        positive_spans: spans(&histogram.positive_spans),
        positive_deltas: Vec::new(),
        positive_counts: histogram.positive_buckets.clone(),
        reset_hint: match histogram.reset_hint {
            ResetHint::Unknown => 0,
            ResetHint::Yes => 1,
            ResetHint::No => 2,
            ResetHint::Gauge => 3,
        },
        timestamp,
        custom_values: histogram.custom_values.clone(),
    }
}
