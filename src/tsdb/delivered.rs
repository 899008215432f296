//! How far each lane of each HA group has been delivered.
//!
//! A request comes from one replica as a rule, so a few of its series tell whose it is; one that mixes replicas is
//! told apart by those few. Nothing here is kept on disk: after a start a replica is known once it has sent something.

use std::collections::BTreeMap;

use parking_lot::{Mutex, RwLock};

use crate::model::{Replica, Span, Timestamp};
use crate::store::{CADENCE_MAX, Delivery};

use super::delay::ShortestDelay;
use super::log::record::Run;
use super::resolve::lanes::NO_GROUP;
use super::resolve::registry::Registry;

/// Series of a request that are asked whose they are.
const ASKED_MAX: usize = 16;
/// Each step of a lane takes this share off the cadence that it had shown before.
const CADENCE_DECAY: i64 = 64;

/// The lanes that were heard, by group and lane.
#[derive(Default)]
pub(super) struct Delivered {
    progress: Mutex<BTreeMap<(u32, u8), Progress>>,
    tallies: Mutex<BTreeMap<(u32, u8), Tally>>,
    /// When a sender last wrote series that carry a group's label and name no replica, by group.
    nameless: Mutex<BTreeMap<u32, Timestamp>>,
}

/// What one lane has sent since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) newest: Option<Timestamp>,
    pub(super) received_at: Option<Timestamp>,
    pub(super) delay: ShortestDelay,
    /// Samples, those that were covered by the leader, and those that met another value at their time.
    pub(super) received: u64,
    pub(super) covered: u64,
    pub(super) conflicts: u64,
}

/// What became of the samples of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
    /// Covered before they were logged.
    pub(super) covered: u64,
    /// Of other lanes, covered by what this request brought.
    pub(super) covered_behind: u64,
    /// Met by another value at their time.
    pub(super) conflicts: u64,
}

#[derive(Clone, Copy)]
struct Progress {
    newest: Timestamp,
    received_at: Timestamp,
    cadence: Span,
}

impl Delivered {
    /// Notes what a request brought. Of a sender without a replica, the labels that would name its group are looked at:
    /// `cluster_labels`; empty where this is nothing that a sender wrote.
    pub(super) fn note(
        &self,
        runs: &[Run<'_>],
        received_at: Timestamp,
        registry: &RwLock<Registry>,
        cluster_labels: &[String],
        counts: Counts,
    ) {
        let mut lanes: BTreeMap<(u32, u8), Timestamp> = BTreeMap::new();
        {
            let registry = registry.read();
            let mut nameless = None;
            for run in runs.iter().step_by(runs.len().div_ceil(ASKED_MAX).max(1)) {
                let group = registry.group(run.id).unwrap_or(NO_GROUP);
                // Lane 0 there is that of senders without a replica.
                if group == NO_GROUP && run.lane.0 == 0 {
                    nameless = Some(run.id);
                }
                if let (true, Some(last)) = (group != NO_GROUP, run.samples.last()) {
                    let newest = lanes.entry((group, run.lane.0)).or_insert(last.at);
                    *newest = last.at.max(*newest);
                }
            }
            if let Some(group) = nameless.and_then(|id| group_without_replica(&registry, id, cluster_labels)) {
                self.nameless.lock().insert(group, received_at);
            }
        }
        if lanes.len() == 1 {
            let all = runs.iter().filter_map(|run| run.samples.last());
            let latest = all.map(|sample| sample.at).max().unwrap_or(Timestamp::MIN);
            lanes.values_mut().for_each(|newest| *newest = latest);
        }
        if lanes.is_empty() {
            return;
        }
        self.tally(&lanes, runs, received_at, counts);
        let mut known = self.progress.lock();
        for (lane, newest) in lanes {
            let progress = known.entry(lane).or_insert(Progress { newest, received_at, cadence: Span::ZERO });
            progress.received_at = received_at;
            if newest > progress.newest {
                let step = (newest - progress.newest).min(CADENCE_MAX);
                let before = progress.cadence.as_millis();
                let decayed = Span::from_millis(before - before / CADENCE_DECAY);
                (progress.newest, progress.cadence) = (newest, step.max(decayed));
            }
        }
    }

    /// A request that mixes replicas counts for the first of them.
    fn tally(&self, lanes: &BTreeMap<(u32, u8), Timestamp>, runs: &[Run<'_>], received_at: Timestamp, counts: Counts) {
        let mut tallies = self.tallies.lock();
        for (place, (lane, newest)) in lanes.iter().enumerate() {
            let tally = tallies.entry(*lane).or_default();
            tally.newest = tally.newest.max(Some(*newest));
            tally.received_at = Some(received_at);
            tally.delay.note(*newest, received_at);
            if place == 0 {
                tally.received += runs.iter().map(|run| run.samples.len() as u64).sum::<u64>();
                tally.covered += counts.covered;
                tally.conflicts += counts.conflicts;
            }
        }
        if counts.covered_behind > 0
            && let Some(((group, lane), _)) = lanes.first_key_value()
        {
            // The leader's rows have covered what waited: of the other replica, or of the first of them.
            let other = tallies.iter_mut().find(|((known, other), _)| known == group && other != lane);
            other.into_iter().for_each(|(_, tally)| tally.covered += counts.covered_behind);
        }
    }

    /// What each lane has sent since the start, by group and lane.
    pub(super) fn tallies(&self) -> BTreeMap<(u32, u8), Tally> {
        self.tallies.lock().clone()
    }

    /// When a sender last wrote series with a group's label that name no replica, by group.
    pub(super) fn nameless(&self) -> BTreeMap<u32, Timestamp> {
        self.nameless.lock().clone()
    }

    /// All lanes by name.
    pub(super) fn all(&self, registry: &RwLock<Registry>) -> Vec<Delivery> {
        let known = self.progress.lock().clone();
        let registry = registry.read();
        let groups = registry.groups.all();
        let named = known.into_iter().filter_map(|((group, lane), progress)| {
            let group = groups.get(group as usize)?;
            let name = group.replicas.get(usize::from(lane))?.clone();
            let Progress { newest, received_at, cadence } = progress;
            let replica = Replica { cluster: group.cluster.clone(), name };
            Some(Delivery { replica, newest, received_at, cadence })
        });
        named.collect()
    }
}

/// The group that the labels of a series outside all groups name.
fn group_without_replica(registry: &Registry, id: u32, cluster_labels: &[String]) -> Option<u32> {
    if cluster_labels.is_empty() {
        return None;
    }
    let labels = registry.get(id)?.labels;
    cluster_labels.iter().find_map(|name| registry.groups.number_of(labels.get(name)?))
}
