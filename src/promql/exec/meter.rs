//! What a query holds and reads: its limits and its statistics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::promql::QueryError;
use crate::promql::memory::MemoryPool;
use crate::promql::value::Stats;

/// What a query is told that asks for more than it may hold.
pub(crate) const TOO_MANY_SAMPLES: &str = "query processing would load too many samples into memory in query execution";

/// Bytes that a query draws from the pool at once.
const UNIT_BYTES: u64 = 1 << 20;

/// What one query may hold, and where its memory comes from.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) samples_max: u64,
    pub(crate) bytes_max: u64,
    pub(crate) pool: Arc<MemoryPool>,
}

/// Counts samples and bytes, shared by all operators of a query.
#[derive(Debug)]
pub(crate) struct Meter {
    bounds: Bounds,
    held: AtomicU64,
    peak: AtomicU64,
    bytes: AtomicU64,
    peak_bytes: AtomicU64,
    /// Bytes taken from the pool: what is held, in whole units.
    drawn: AtomicU64,
    read: AtomicU64,
    series: AtomicU64,
    looked_at: Mutex<Vec<u64>>,
}

impl Meter {
    /// For a query over `steps`.
    pub(crate) fn new(bounds: Bounds, steps: usize) -> Self {
        let zero = || AtomicU64::new(0);
        Meter {
            bounds,
            held: zero(),
            peak: zero(),
            bytes: zero(),
            peak_bytes: zero(),
            drawn: zero(),
            read: zero(),
            series: zero(),
            looked_at: Mutex::new(vec![0; steps]),
        }
    }

    /// Samples, and the bytes of them and what is around them, that stay in memory from now on.
    ///
    /// # Errors
    /// Where that are too many for one query, or for all of them.
    pub(crate) fn hold(&self, samples: u64, bytes: u64) -> Result<(), QueryError> {
        let held = self.held.fetch_add(samples, Ordering::Relaxed) + samples;
        self.peak.fetch_max(held, Ordering::Relaxed);
        if held > self.bounds.samples_max {
            return Err(QueryError::Execution(TOO_MANY_SAMPLES.to_owned()));
        }
        let bytes = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.peak_bytes.fetch_max(bytes, Ordering::Relaxed);
        if bytes > self.bounds.bytes_max {
            let limit = self.bounds.bytes_max;
            return Err(QueryError::Execution(format!(
                "the query needs more memory than the limit of {limit} bytes for one query"
            )));
        }
        let drawn = self.drawn.load(Ordering::Relaxed);
        if bytes > drawn {
            let more = (bytes - drawn).next_multiple_of(UNIT_BYTES);
            if !self.bounds.pool.draw(more) {
                let limit = self.bounds.pool.bytes_max();
                return Err(QueryError::Overloaded(format!(
                    "all queries together would need more memory than their limit of {limit} bytes"
                )));
            }
            self.drawn.fetch_add(more, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Bytes that would be good to have from now on. Whether there is room for them: nothing is wrong where there is not.
    pub(crate) fn hold_if_free(&self, bytes: u64) -> bool {
        let fits = self.hold(0, bytes).is_ok();
        if !fits {
            self.release(0, bytes);
        }
        fits
    }

    /// What was held and is no longer.
    pub(crate) fn release(&self, samples: u64, bytes: u64) {
        self.held.fetch_sub(samples, Ordering::Relaxed);
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Series that storage has found.
    pub(crate) fn found_series(&self, series: usize) {
        self.series.fetch_add(series as u64, Ordering::Relaxed);
    }

    /// Samples that storage has decoded.
    pub(crate) fn read_samples(&self, samples: usize) {
        self.read.fetch_add(samples as u64, Ordering::Relaxed);
    }

    /// How many samples storage has decoded so far.
    pub(crate) fn samples_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
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
            peak_bytes: self.peak_bytes.load(Ordering::Relaxed),
            samples_read: self.read.load(Ordering::Relaxed),
            series_fetched: self.series.load(Ordering::Relaxed),
        };
        (stats, looked_at)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bounds.pool.give_back(self.drawn.load(Ordering::Relaxed));
    }
}
