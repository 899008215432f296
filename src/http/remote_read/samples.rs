//! The old form of the answer: all samples at once, so there is a bound on them.

use crate::ingest::wire::encode::histogram;
use crate::ingest::wire::proto::prometheus as proto;
use crate::model::{Column, Sample};
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
