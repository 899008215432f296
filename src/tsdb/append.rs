//! The write path: resolve, log, insert. Durable, then visible, in the order of the lines.

use std::sync::atomic::Ordering;

use crate::ha::Policy;
use crate::model::{Lane, Span, Timestamp};
use crate::store::{Appended, BatchSample, Refused, SeriesBatch, StoreError};

use super::delivered::Counts;
use super::log::record::Run;
use super::resolve::alias::Target;
use super::settings::FsyncPolicy;
use super::store::Store;

impl Store {
    pub(super) fn append(&self, batch: &SeriesBatch<'_>) -> Result<Appended, StoreError> {
        // Held to the end: a freeze waits for it, so that no row can be logged before and inserted after one.
        let _gate = self.gate.read();
        self.has_room()?;
        let mut appended = Appended::default();
        let targets = self.resolver.resolve(&batch.series, batch.naming, batch.received_at, &*self.catalogue)?;
        let sent = self.in_time(batch, &targets, &mut appended);
        let orders = self.resolver.orders();
        // What the preferred replica covers for ever ends here: it counts as written, since nothing is missing.
        let (runs, covered) = self.head.uncovered(&sent, &orders);
        let mut counts = Counts { covered, ..Counts::default() };
        if !runs.is_empty() {
            if self.settings.fsync != FsyncPolicy::Unlogged {
                self.log.append(&runs, &self.resolver)?;
                self.logged(runs.iter().map(|run| run.samples.len()).sum());
            }
            self.head_since.fetch_min(batch.received_at.as_millis(), Ordering::Relaxed);
            let inserted = self.head.insert(&runs, &orders);
            self.metrics.conflicts.inc_by(inserted.conflicts);
            self.metrics.covered.inc_by(inserted.covered);
            (counts.covered_behind, counts.conflicts) = (inserted.covered, inserted.conflicts);
            counts.ahead = inserted.ahead;
            self.gate(&inserted.ungated);
            self.changes.note(earliest(&runs));
        }
        self.metrics.covered.inc_by(covered);
        let cluster_labels: &[String] = if batch.naming.is_sender() { &self.settings.cluster_labels } else { &[] };
        let (registry, received_at) = (&self.resolver.registry, batch.received_at);
        appended.pause = self.deliveries.note(&sent, received_at, registry, cluster_labels, counts);
        self.metrics.paused.inc_by(u64::from(appended.pause > Span::ZERO));
        appended.exemplars = self.keep_exemplars(batch, &targets);
        self.metrics.samples.inc_by(appended.samples + appended.histograms);
        self.metrics.refused.inc_by(appended.refusals.total());
        Ok(appended)
    }

    /// Gives series that have got a second lane a gate.
    fn gate(&self, ids: &[u32]) {
        for id in ids {
            if let Some((group, labels)) = self.resolver.labels(*id) {
                let merges = self.settings.pairs.rules_of(&labels).policy == Policy::Prefer;
                self.head.follow(*id, merges.then_some(group));
            }
        }
    }

    fn has_room(&self) -> Result<(), StoreError> {
        let budget = self.settings.head_bytes_budget;
        if self.head.bytes() / 2 > budget {
            return Err(StoreError::Overloaded(format!("the head holds over twice its budget of {budget} bytes")));
        }
        Ok(())
    }

    /// The samples whose series can be named and whose time can be kept, counted, as runs; the others are refused by name.
    fn in_time<'b>(
        &self,
        batch: &'b SeriesBatch<'_>,
        targets: &[Result<Target, Refused>],
        appended: &mut Appended,
    ) -> Vec<Run<'b>> {
        // The same brake as in `retention`: a clock that runs ahead refuses nothing that is young by the data's own time.
        let youngest = self.head.newest().map_or(batch.received_at, |newest| newest.min(batch.received_at));
        let oldest = youngest - self.settings.retention;
        let newest = batch.received_at + self.settings.ahead_max;
        let refused = |at: Timestamp| match at {
            at if at < oldest => Some(Refused::TooOld),
            at if at > newest => Some(Refused::TooFarAhead),
            _ => None,
        };
        let mut runs = Vec::with_capacity(batch.series.len());
        for (series, target) in batch.series.iter().zip(targets) {
            let samples = &batch.samples[series.samples.clone()];
            let target = match target {
                Ok(target) => *target,
                Err(why) => {
                    let name = || (name_of(batch, series.key), None);
                    appended.refusals.add(why, samples.len() as u64, name);
                    continue;
                }
            };
            // One stretch of good samples is one run; usually that is all of them.
            for stretch in samples.chunk_by(|left, right| refused(left.at).is_some() == refused(right.at).is_some()) {
                if refused(stretch[0].at).is_none() {
                    count(stretch, appended);
                    runs.push(Run { id: target.id, lane: target.lane, samples: stretch });
                    continue;
                }
                for sample in stretch {
                    let why = refused(sample.at).expect("the whole stretch is out of time");
                    appended.refusals.add(&why, 1, || (name_of(batch, series.key), Some(sample.at)));
                }
            }
        }
        runs
    }

    fn keep_exemplars(&self, batch: &SeriesBatch<'_>, targets: &[Result<Target, Refused>]) -> u64 {
        let mut kept = 0;
        if !batch.exemplars.is_empty() {
            let mut exemplars = self.exemplars.lock();
            for (series, exemplar) in &batch.exemplars {
                if let Some(Ok(Target { id, lane: Lane(_) })) = targets.get(*series) {
                    exemplars.push(*id, exemplar.clone());
                    kept += 1;
                }
            }
        }
        kept
    }
}

/// When the first row of all runs is from.
fn earliest(runs: &[Run<'_>]) -> Timestamp {
    runs.iter().flat_map(|run| run.samples.iter().map(|sample| sample.at)).min().unwrap_or(Timestamp::MAX)
}

fn count(samples: &[BatchSample], appended: &mut Appended) {
    let histograms = samples.iter().filter(|sample| sample.histogram.is_some()).count();
    appended.histograms += histograms as u64;
    appended.samples += (samples.len() - histograms) as u64;
}

/// A series as far as it can be named, for a report.
fn name_of(batch: &SeriesBatch<'_>, key: &[u8]) -> String {
    match batch.naming.name(key) {
        Ok(name) => name.labels.to_string(),
        Err(_) => batch.naming.describe(key),
    }
}
