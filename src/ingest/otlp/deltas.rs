//! Deltas summed up: what a source counted since its last report becomes what it counted in all.
//!
//! Sums are kept in memory, as many as [`SUMS_MAX`]; one that is lost (a restart, or none was sent for an hour while
//! there is no room) begins again from its next delta, which a reader sees as the reset of a counter.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::{Histogram, Span, Timestamp};

use super::exponential::{coarser, indexed, spans};

/// Sums that are kept: about 100 bytes each.
const SUMS_MAX: usize = 1_000_000;

/// A sum may be forgotten this long after its last delta, where room is needed.
const FORGOTTEN_AFTER: Span = Span::HOUR;

/// Where deltas are summed up.
#[derive(Default)]
pub(in crate::ingest) struct Deltas(Mutex<Sums>);

#[derive(Default)]
struct Sums {
    /// By a hash of the series, 128 bits of it: a collision would add one counter to another once in 2^88 programs.
    numbers: HashMap<u128, (Timestamp, f64), RandomState>,
    histograms: HashMap<u128, (Timestamp, Histogram), RandomState>,
}

impl Deltas {
    /// The sum with `delta`; `None` where `at` is not newer than the last one.
    pub(super) fn add(&self, key: &[u8], at: Timestamp, delta: f64) -> Option<f64> {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut sums.numbers, at);
        let (last, sum) = sums.numbers.entry(xxh3_128(key)).or_insert((Timestamp::MIN, 0.0));
        if at <= *last {
            return None;
        }
        (*last, *sum) = (at, *sum + delta);
        Some(*sum)
    }

    /// As [`add`](Self::add), for native histograms; the coarser scale of both is that of the sum.
    pub(super) fn add_histogram(&self, key: &[u8], at: Timestamp, delta: Histogram) -> Option<Histogram> {
        let mut sums = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        make_room(&mut sums.histograms, at);
        let key = xxh3_128(key);
        let sum = match sums.histograms.get(&key) {
            None => delta,
            Some((last, _)) if at <= *last => return None,
            // A zero bucket of another width cannot be added without a guess: the counter begins again.
            Some((_, known)) if known.zero_threshold.to_bits() != delta.zero_threshold.to_bits() => delta,
            Some((_, known)) => sum(known, &delta),
        };
        sums.histograms.insert(key, (at, sum.clone()));
        Some(sum)
    }
}

fn make_room<T>(sums: &mut HashMap<u128, (Timestamp, T), RandomState>, now: Timestamp) {
    if sums.len() < SUMS_MAX {
        return;
    }
    sums.retain(|_, (last, _)| now - *last < FORGOTTEN_AFTER);
    if sums.len() >= SUMS_MAX {
        tracing::warn!(sums = sums.len(), "too many sums of deltas: all of them begin again");
        sums.clear();
    }
}

fn sum(left: &Histogram, right: &Histogram) -> Histogram {
    let schema = left.schema.min(right.schema);
    let side = |pick: fn(&Histogram) -> (&[crate::model::histogram::BucketSpan], &[f64])| {
        let at_schema = |histogram: &Histogram| {
            let (spans, counts) = pick(histogram);
            coarser(&indexed(spans, counts), u32::try_from(histogram.schema - schema).unwrap_or(0))
        };
        let mut all: std::collections::BTreeMap<i64, f64> = at_schema(left).into_iter().collect();
        at_schema(right).into_iter().for_each(|(index, count)| *all.entry(index).or_insert(0.0) += count);
        spans(&all.into_iter().filter(|(_, count)| *count != 0.0).collect::<Vec<_>>())
    };
    let (positive_spans, positive_buckets) = side(|one| (&one.positive_spans, &one.positive_buckets));
    let (negative_spans, negative_buckets) = side(|one| (&one.negative_spans, &one.negative_buckets));
    Histogram {
        schema,
        zero_threshold: left.zero_threshold,
        zero_count: left.zero_count + right.zero_count,
        count: left.count + right.count,
        sum: left.sum + right.sum,
        positive_spans,
        positive_buckets,
        negative_spans,
        negative_buckets,
        integer: left.integer && right.integer,
        ..Histogram::default()
    }
}
