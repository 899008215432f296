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
/// The latest steps of a lane that tell its cadence.
const STEPS: usize = 16;

/// How much later a replica is answered that makes up for an outage faster than the one that leads. Both are let in as
/// fast as they come, and what the leader covers already costs no log and no memory; so it goes first.
const PAUSE: Span = Span::from_millis(50);
/// One of so many samples of a request has to be ahead for that: most series that one replica alone still sees are few.
const PART_AHEAD: u64 = 8;
/// Samples that are older than this when they come make up for an outage. Those of a live pair are ahead of the leader
/// for most of an interval, and nobody waits for that.
const OUTAGE: Span = Span::MINUTE;
/// A leader that was not heard for so long is not waited for.
const HEARD: Span = Span::from_secs(1);

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
    /// In front of the leader.
    pub(super) ahead: u64,
}

#[derive(Clone, Debug)]
struct Progress {
    newest: Timestamp,
    received_at: Timestamp,
    /// The latest steps, in a ring.
    steps: Vec<Span>,
    next: usize,
}

impl Progress {
    fn moves_to(&mut self, newest: Timestamp) {
        let step = (newest - self.newest).min(CADENCE_MAX);
        self.newest = newest;
        match self.steps.get_mut(self.next) {
            Some(oldest) => *oldest = step,
            None => self.steps.push(step),
        }
        self.next = (self.next + 1) % STEPS;
    }

    /// The upper quartile of the latest steps. Not the longest: who makes up for an outage takes long steps, and would
    /// be allowed the next outage as its rhythm.
    fn cadence(&self) -> Span {
        let mut steps = self.steps.clone();
        steps.sort_unstable();
        steps.get(steps.len() * 3 / 4).copied().unwrap_or(Span::ZERO)
    }
}

impl Delivered {
    /// Notes what a request brought, and tells how much later it should be answered. Of a sender without a replica, the
    /// labels that would name its group are looked at: `cluster_labels`; empty where this is nothing that a sender wrote.
    pub(super) fn note(
        &self,
        runs: &[Run<'_>],
        received_at: Timestamp,
        registry: &RwLock<Registry>,
        cluster_labels: &[String],
        counts: Counts,
    ) -> Span {
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
            return Span::ZERO;
        }
        let rows = runs.iter().map(|run| run.samples.len() as u64).sum();
        self.tally(&lanes, rows, received_at, counts);
        let mut known = self.progress.lock();
        let runs_ahead =
            counts.ahead * PART_AHEAD > rows && lanes.values().all(|newest| received_at - *newest > OUTAGE);
        let is_heard = |(group, lane): &(u32, u8)| {
            let mut others = known.range((*group, 0)..=(*group, u8::MAX)).filter(|((_, other), _)| other != lane);
            others.any(|(_, progress)| received_at - progress.received_at < HEARD)
        };
        let pause = if runs_ahead && lanes.keys().any(is_heard) { PAUSE } else { Span::ZERO };
        for (lane, newest) in lanes {
            let fresh = || Progress { newest, received_at, steps: Vec::new(), next: 0 };
            let progress = known.entry(lane).or_insert_with(fresh);
            progress.received_at = received_at;
            if newest > progress.newest {
                progress.moves_to(newest);
            }
        }
        pause
    }

    /// A request that mixes replicas counts for the first of them.
    fn tally(&self, lanes: &BTreeMap<(u32, u8), Timestamp>, rows: u64, received_at: Timestamp, counts: Counts) {
        let mut tallies = self.tallies.lock();
        for (place, (lane, newest)) in lanes.iter().enumerate() {
            let tally = tallies.entry(*lane).or_default();
            tally.newest = tally.newest.max(Some(*newest));
            tally.received_at = Some(received_at);
            tally.delay.note(*newest, received_at);
            if place == 0 {
                tally.received += rows;
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
            let (newest, received_at, cadence) = (progress.newest, progress.received_at, progress.cadence());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_no_rhythm() {
        let mut progress =
            Progress { newest: Timestamp::EPOCH, received_at: Timestamp::EPOCH, steps: Vec::new(), next: 0 };
        let mut step = |seconds: i64| {
            let newest = progress.newest + Span::from_secs(seconds);
            progress.moves_to(newest);
            progress.cadence()
        };
        assert_eq!(step(5), Span::from_secs(5), "the first step is all that is known");
        for _ in 0..20 {
            assert_eq!(step(5), Span::from_secs(5));
        }
        assert_eq!([step(20), step(5), step(40)], [Span::from_secs(5); 3], "what was made up for does not count");
        let longer: Vec<Span> = (0..16).map(|_| step(15)).collect();
        assert_eq!((longer[0], longer[15]), (Span::from_secs(5), Span::from_secs(15)), "a new rhythm does");
        (0..16).for_each(|_| _ = step(600));
        assert_eq!(step(600), CADENCE_MAX);
    }
}
