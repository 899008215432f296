//! The way of results into the store: one batch for all rules that were evaluated together.

use std::collections::HashMap;
use std::sync::OnceLock;

use crate::model::{Labels, Replica, Timestamp};
use crate::promql::Point;
use crate::store::{
    BatchSample, BatchSeries, Refusals, Refused, SampleSink, SeriesBatch, SeriesName, SeriesNaming, StoreError,
};

/// Writes one sample for each label set, all at the same time.
///
/// # Errors
/// Where nothing was written. What was refused is in the answer.
pub(super) fn append(
    sink: &dyn SampleSink,
    rows: &[(&Labels, &Point)],
    at: Timestamp,
    received_at: Timestamp,
    lane: Option<&Replica>,
) -> Result<Refusals, StoreError> {
    if rows.is_empty() {
        return Ok(Refusals::default());
    }
    let sample = |point: &Point| match point {
        Point::Float(value) => BatchSample { at, start: Timestamp::EPOCH, value: *value, histogram: None },
        Point::Histogram(histogram) => {
            BatchSample { at, start: Timestamp::EPOCH, value: 0.0, histogram: Some(histogram.clone()) }
        }
    };
    let series = rows
        .iter()
        .enumerate()
        .map(|(row, (labels, _))| BatchSeries { key: labels.as_packed().as_bytes(), samples: row..row + 1 });
    let batch = SeriesBatch {
        received_at,
        naming: &RuleSeries { rows, lane, by_key: OnceLock::new() },
        series: series.collect(),
        samples: rows.iter().map(|(_, point)| sample(point)).collect(),
        exemplars: Vec::new(),
    };
    Ok(sink.append(&batch)?.refusals)
}

/// Names series by their packed labels.
struct RuleSeries<'a> {
    rows: &'a [(&'a Labels, &'a Point)],
    /// Whose results they are, where several evaluate the same rules.
    lane: Option<&'a Replica>,
    /// Made when the store meets the first key that it does not know; most batches have none.
    by_key: OnceLock<HashMap<&'a [u8], &'a Labels>>,
}

/// Keeps rules' keys apart from those of senders. Any constant does; it must never change its meaning.
const NAMING_SEED: u64 = 0x7275_6c65_7300_0001;

impl SeriesNaming for RuleSeries<'_> {
    fn seed(&self) -> u64 {
        match self.lane {
            None => NAMING_SEED,
            Some(lane) => NAMING_SEED ^ xxhash_rust::xxh3::xxh3_64(lane.name.as_bytes()).rotate_left(1).max(1),
        }
    }

    fn is_sender(&self) -> bool {
        false
    }

    fn name(&self, key: &[u8]) -> Result<SeriesName, Refused> {
        let by_key = self
            .by_key
            .get_or_init(|| self.rows.iter().map(|(labels, _)| (labels.as_packed().as_bytes(), *labels)).collect());
        let labels = by_key.get(key).expect("the store asks only for keys of this batch");
        Ok(SeriesName { labels: (*labels).clone(), replica: self.lane.cloned() })
    }
}
