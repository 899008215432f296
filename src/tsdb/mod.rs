//! Keeps samples: resolve, log, head, parts, index, catalogue, merge, retention, recovery.
//!
//! ```text
//! append  = resolve -> log (group commit, fsync) -> head      durable, then visible
//! select  = head + frozen head + parts -> lanes -> ha::merge
//! maintain: head -> parts of a UTC day -> merged -> sealed -> retired
//! ```
//!
//! A row is in the log until it is in a part that the manifest names; both happen in one step, and only then does its
//! log segment go. Whatever order rows come in, and however often, a lane is a set with one row for each instant
//! ([`rows`]): that is why replay, retry and merge need no bookkeeping of what was already seen.
//!
//! Not here: what samples mean (lookback, staleness, offset belong to `promql`), HTTP, and the time of day, which comes
//! in as an argument.
//!
//! Invariants: acknowledged means logged under the chosen fsync policy; visible means acknowledged; an id stands for
//! one set of labels for ever; a file is never changed once the manifest names it.
//!
//! Read next: [`append`], the write path on one page; [`select`], the read path; [`recover`], what a start does.

pub mod settings;
pub mod status;
mod metrics;
mod arrival;
mod changes;
mod append;
mod preferences;
mod pairs;
mod pair_metrics;
mod select;
mod context;
mod projected;
mod values;
mod maintain;
mod retention;
mod merge;
mod rewrite;
pub mod pace;
mod numbers;
mod recover;
mod replay;
pub mod snapshot;
pub mod stopped;
mod store;
mod resolve;
mod log;
mod head;
mod part;
mod index;
pub mod catalogue;
pub mod chunk;
mod beside;
mod rows;
mod files;
mod health;
mod damages;
mod delay;
mod delivered;
mod bytes;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::model::{Labels, Matcher, TimeRange, Timestamp};
use crate::store::{
    Appended, DeleteSeries, Deliveries, Delivery, ExemplarSeries, Footing, Journal, JournalChange, JournalEntry,
    LaneView, MetricMetadata, SampleSink, SampleSource, SeriesBatch, SeriesSet, StoreError, Wanted,
};

use catalogue::{Change, Durability, KeyValue, keys};
use store::Store;

pub use damages::Damage;
pub use metrics::Metrics;
pub use pace::{Pace, Unpaced};
pub use pair_metrics::PairMetrics;
pub use settings::{FsyncPolicy, Settings};
pub use status::{LEVELS, Maintained, Progress, Recovered, Status, Sum};

/// An open store. Clones are handles to the same one.
#[derive(Clone)]
pub struct Tsdb {
    store: Arc<Store>,
}

impl Tsdb {
    /// Locks the data directory and recovers what it holds; makes it where there is none. `progress` can be read by
    /// other threads meanwhile.
    ///
    /// # Errors
    /// Where another process holds the directory, where a newer program wrote it, or where the system refuses.
    /// Damage is no error: it is reported in [`Status::recovered`], and the rest is served.
    pub fn open(
        settings: Settings,
        catalogue: Box<dyn KeyValue>,
        metrics: Metrics,
        now: Timestamp,
        progress: &Progress,
    ) -> Result<Tsdb, StoreError> {
        recover::open(settings, catalogue, metrics, files::Disk::default(), now, progress)
            .map(|store| Tsdb { store: Arc::new(store) })
    }

    /// Spills, retires and merges what is due, one after the other. For whoever has one thread for all of it: a merge may
    /// take minutes, and the head is not spilled meanwhile. Who has two calls [`tend`](Self::tend) and
    /// [`merge`](Self::merge).
    ///
    /// # Errors
    /// Where a part or the catalogue cannot be written. Nothing is lost by that; the next round tries again.
    pub fn maintain(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        let mut done = self.tend(now)?;
        done.merged = self.merge(now, &Unpaced)?;
        Ok(done)
    }

    /// Spills and retires what is due. To be called every second or so, from a thread of its own; never in the way of
    /// appends or reads but for the moment of a freeze.
    ///
    /// # Errors
    /// As [`maintain`](Self::maintain).
    pub fn tend(&self, now: Timestamp) -> Result<Maintained, StoreError> {
        self.count(self.store.tend(now))
    }

    /// Merges the parts that need it most, if any do, and tells how many they were. To be called every second or so,
    /// from a thread of its own, whose CPU time `pace` knows.
    ///
    /// # Errors
    /// As [`maintain`](Self::maintain). The day that failed is left alone for a while, other days are not.
    pub fn merge(&self, now: Timestamp, pace: &dyn Pace) -> Result<usize, StoreError> {
        self.count(self.store.merge(now, pace))
    }

    fn count<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if done.is_err() {
            self.store.metrics.maintain_errors.inc();
        }
        done
    }

    /// Brings everything into its final form at once: the head is spilled, every day merged and sealed. Afterwards
    /// nothing that was deleted is left on disk. Takes as long as rewriting what is not final yet.
    ///
    /// # Errors
    /// As [`maintain`](Self::maintain).
    pub fn settle(&self) -> Result<Maintained, StoreError> {
        self.store.settle()
    }

    /// Copies everything into a new directory `snapshots/<name>` inside the data directory, by hard links, and tells the
    /// name; another Weir opens it. What was acknowledged before the call is in it, unless `skip_head` leaves out what is
    /// not in parts yet. `make` makes the copy's catalogue.
    ///
    /// # Errors
    /// Where files or the catalogue cannot be written; nothing is left of the attempt then.
    pub fn snapshot(
        &self,
        now: Timestamp,
        skip_head: bool,
        make: &snapshot::MakeCatalogue<'_>,
    ) -> Result<String, StoreError> {
        self.store.snapshot(now, skip_head, make)
    }

    /// Syncs the log where the policy is an interval that has passed. To be called about that often, from a thread of its
    /// own: a round of [`maintain`](Self::maintain) may take longer.
    ///
    /// # Errors
    /// Where the log cannot be synced; what it held is then spilled to parts by the next round of maintenance.
    pub fn sync_log(&self, now: Timestamp) -> Result<(), StoreError> {
        self.store.sync_log_if_due(now)
    }

    /// Refuses appends from now on and makes everything durable. Reads still work. Twice is once.
    ///
    /// # Errors
    /// Where the log cannot be synced.
    pub fn close(&self) -> Result<(), StoreError> {
        if self.store.closed.swap(true, Ordering::SeqCst) {
            return Ok(());
        }
        self.store.log.close();
        // Appends under way end first.
        drop(self.store.gate.write());
        let mut spilling = self.store.spilling.lock();
        let synced = self.store.log.sync();
        match self.store.log.is_doubtful() {
            // The log cannot be trusted, but memory still has every row.
            true => self.store.spill(&mut spilling).map(drop),
            false => synced,
        }
    }

    /// The store at a glance.
    pub fn status(&self) -> Status {
        self.store.status()
    }
}

impl SampleSink for Tsdb {
    fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        let received_at = self.store.arrivals.time(batch.received_at, self.store.head.newest());
        let appended = self.store.takes_writes().and_then(|()| {
            let appended = match received_at == batch.received_at {
                true => self.store.append(batch),
                // Seldom: the clock was set back.
                false => self.store.append(&SeriesBatch { received_at, ..batch.clone() }),
            };
            self.store.wrote(&appended);
            appended
        });
        if appended.is_err() {
            self.store.metrics.append_errors.inc();
        }
        appended
    }

    fn append_metadata(&self, metadata: &[(String, MetricMetadata)]) -> Result<(), StoreError> {
        self.store.takes_writes()?;
        self.store.metadata.lock().add(metadata, &*self.store.catalogue)
    }
}

impl SampleSource for Tsdb {
    fn select(&self, matchers: &[Matcher], range: TimeRange) -> Result<SeriesSet, StoreError> {
        self.store.seen_through(LaneView::Merged).select(matchers, range)
    }

    fn select_projected(
        &self,
        matchers: &[Matcher],
        range: TimeRange,
        needed: &[String],
    ) -> Result<SeriesSet, StoreError> {
        self.store.seen_through(LaneView::Merged).select_projected(matchers, range, needed)
    }

    fn series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<Labels>, StoreError> {
        self.store.seen_through(LaneView::Merged).series(matchers, range)
    }

    fn label_names(&self, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        self.store.seen_through(LaneView::Merged).label_names(matchers, range)
    }

    fn label_values(&self, name: &str, matchers: &[Matcher], range: TimeRange) -> Result<Vec<String>, StoreError> {
        self.store.seen_through(LaneView::Merged).label_values(name, matchers, range)
    }

    fn metadata(&self, metric: Option<&str>) -> Result<Vec<(String, Vec<MetricMetadata>)>, StoreError> {
        Ok(self.store.metadata.lock().of(metric))
    }

    fn exemplars(&self, selectors: &[Vec<Matcher>], range: TimeRange) -> Result<Vec<ExemplarSeries>, StoreError> {
        self.store.seen_through(LaneView::Merged).exemplars(selectors, range)
    }

    fn with_lanes(&self, view: &LaneView) -> Option<Arc<dyn SampleSource>> {
        Some(Arc::new(self.store.seen_through(view.clone())))
    }

    fn while_wanted(&self, wanted: &Wanted) -> Option<Arc<dyn SampleSource>> {
        self.store.seen_through(LaneView::Merged).while_wanted(wanted)
    }

    fn footing(&self) -> Option<Footing> {
        Some(self.store.footing())
    }

    fn resting_on(&self, footing: &Footing) -> Option<Arc<dyn SampleSource>> {
        self.store.seen_through(LaneView::Merged).resting_on(footing)
    }

    fn holds_before(&self, footing: &Footing) -> Timestamp {
        self.store.holds_before(footing)
    }
}

impl Deliveries for Tsdb {
    fn deliveries(&self) -> Vec<Delivery> {
        self.store.deliveries.all(&self.store.resolver.registry)
    }
}

impl DeleteSeries for Tsdb {
    fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<(), StoreError> {
        self.store.delete(matchers, range)
    }
}

impl Journal for Tsdb {
    fn write(&self, changes: &[JournalChange]) -> Result<(), StoreError> {
        let changes: Vec<Change> = changes
            .iter()
            .map(|(key, value)| {
                let key = [keys::JOURNAL, key].concat();
                value.clone().map_or_else(|| Change::Remove(key.clone()), |value| Change::Put(key.clone(), value))
            })
            .collect();
        self.store.catalogue.write(&changes, Durability::Synced)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<JournalEntry>, StoreError> {
        let found = self.store.catalogue.scan(&[keys::JOURNAL, prefix].concat())?;
        Ok(found.into_iter().map(|(key, value)| (key[1..].to_vec(), value)).collect())
    }
}
