//! What a query holds and reads: its limit and its statistics.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::promql::QueryError;
use crate::promql::value::Stats;

/// What a query is told that asks for more than it may hold.
pub(crate) const TOO_MANY_SAMPLES: &str = "query processing would load too many samples into memory in query execution";

/// Counts samples, shared by all operators of a query.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    samples_max: u64,
    held: AtomicU64,
    peak: AtomicU64,
    read: AtomicU64,
    series: AtomicU64,
    looked_at: Mutex<Vec<u64>>,
}

impl Meter {
    /// For a query over `steps` that may hold `samples_max` samples at once.
    pub(crate) fn new(samples_max: u64, steps: usize) -> Self {
        Meter { samples_max, looked_at: Mutex::new(vec![0; steps]), ..Meter::default() }
    }

    /// Samples that stay in memory from now on.
    ///
    /// # Errors
    /// Where that are too many.
    pub(crate) fn hold(&self, samples: u64) -> Result<(), QueryError> {
        let held = self.held.fetch_add(samples, Ordering::Relaxed) + samples;
        self.peak.fetch_max(held, Ordering::Relaxed);
        match held > self.samples_max {
            true => Err(QueryError::Execution(TOO_MANY_SAMPLES.to_owned())),
            false => Ok(()),
        }
    }

    /// Samples that were held and are no longer.
    pub(crate) fn release(&self, samples: u64) {
        self.held.fetch_sub(samples, Ordering::Relaxed);
    }

    /// Series that storage has found.
    pub(crate) fn found_series(&self, series: usize) {
        self.series.fetch_add(series as u64, Ordering::Relaxed);
    }

    /// Samples that storage has decoded.
    pub(crate) fn read_samples(&self, samples: usize) {
        self.read.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// Samples that were looked at, step by step.
    pub(crate) fn look_at(&self, by_step: &[u64]) {
        let mut looked_at = self.looked_at.lock().expect("no operator panics while it counts");
        match by_step {
            // A part that does not depend on the step is looked at in each of them.
            [once] => looked_at.iter_mut().for_each(|sum| *sum += once),
            _ => looked_at.iter_mut().zip(by_step).for_each(|(sum, more)| *sum += more),
        }
    }

    /// The statistics so far, without times.
    pub(crate) fn stats(&self) -> (Stats, Vec<u64>) {
        let looked_at = self.looked_at.lock().expect("no operator panics while it counts").clone();
        let stats = Stats {
            total_queryable_samples: looked_at.iter().sum(),
            per_step: Vec::new(),
            peak_samples: self.peak.load(Ordering::Relaxed),
            samples_read: self.read.load(Ordering::Relaxed),
            series_fetched: self.series.load(Ordering::Relaxed),
        };
        (stats, looked_at)
    }
}
